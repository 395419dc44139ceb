# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host after its whole life: booted from the sealed key, rotated, grown, its header restored."""

from __future__ import annotations

from collections.abc import Callable

from testinfra.host import Host

MOUNTPOINT = "/var/lib/postgresql"
DEVICE = "/dev/disk/by-id/virtio-DATA0001"
CANARY = "canary-"


def test_the_data_lies_on_the_encrypted_volume(host: Host) -> None:
    mount = host.mount_point(MOUNTPOINT)
    assert mount.device == "/dev/mapper/pgdata_crypt"
    assert mount.filesystem == "ext4"
    assert "aes-xts-plain64" in host.check_output("dmsetup table pgdata_crypt")
    dump = host.check_output(f"cryptsetup luksDump {DEVICE}")
    assert "512 bits" in dump
    assert dump.count("argon2id") == 2


def test_the_disk_is_named_by_what_it_is(host: Host) -> None:
    uuid = host.check_output(f"cryptsetup luksUUID {DEVICE}")
    assert f"pgdata_crypt UUID={uuid} " in host.file("/etc/crypttab").content_string


def test_the_volume_was_opened_at_boot_without_a_person(host: Host) -> None:
    assert host.service("systemd-cryptsetup@pgdata_crypt.service").is_running
    assert host.check_output("systemctl is-system-running") == "running"


def test_what_was_written_before_is_there(psql: Callable[..., str]) -> None:
    assert psql("SELECT answer FROM kept") == "42"


def test_the_file_system_fills_the_grown_disk(host: Host) -> None:
    assert int(host.check_output(f"df --output=size -BM {MOUNTPOINT} | tail -1").rstrip("M")) > 650


def test_only_the_new_key_and_the_recovery_key_open(host: Host) -> None:
    def opens(key: str) -> bool:
        command = f"printf %s {key} | cryptsetup open --test-passphrase --key-file - {DEVICE}"
        return bool(host.run(command).succeeded)

    assert opens("canary-second-key-of-the-volume")
    assert opens("canary-recovery-key-of-the-volume")
    assert not opens("canary-first-key-of-the-volume")


def test_no_key_lies_on_the_system_disk_in_clear(host: Host) -> None:
    # The whole disk, with what was deleted. Lines that end in NUL are short, so that memory suffices.
    host.check_output("sync")
    pattern = f"{CANARY}[a-z]*-key-of-the-volume|sealed for this host"
    search = "LC_ALL=C grep --extended-regexp --text --null-data --only-matching %s /dev/nvme0n1 | tr '\\0' '\\n'"
    assert set(host.check_output(search, pattern).split("\n")) == {"sealed for this host"}  # the drop-in's comment


def test_no_key_lies_in_the_journal(host: Host) -> None:
    journal = host.check_output("journalctl --no-pager")
    assert "ansible" in journal
    assert CANARY not in journal.replace("canary-*-of-the-volume", "")


def test_what_holds_keys_is_readable_by_root_only(host: Host) -> None:
    for path in (
        "/etc/credstore.encrypted",
        "/etc/credstore.encrypted/luks-pgdata_crypt",
        "/var/lib/dbops-postgres/luks",
        "/var/lib/dbops-postgres/luks/pgdata_crypt.header",
    ):
        file = host.file(path)
        assert (file.user, file.mode & 0o077) == ("root", 0), path


def test_postgresql_does_not_start_without_the_volume(host: Host) -> None:
    version = host.check_output("ls /etc/postgresql")
    unit = f"postgresql@{version}-main.service"
    credential = "/etc/credstore.encrypted/luks-pgdata_crypt"
    try:
        host.check_output(f"systemctl stop postgresql 'postgresql@*' && umount {MOUNTPOINT}")
        host.check_output("cryptsetup close pgdata_crypt")
        host.check_output("systemctl stop systemd-cryptsetup@pgdata_crypt.service")
        host.check_output(f"mv {credential} {credential}.away")
        host.run(f"timeout 20 systemctl start {unit}")
        assert not host.service(unit).is_running
        assert not host.mount_point(MOUNTPOINT).exists
        assert host.check_output(f"find {MOUNTPOINT} -type f") == ""
    finally:
        host.check_output(f"mv {credential}.away {credential}")
        host.check_output("systemctl reset-failed")
        host.check_output(f"systemctl restart systemd-cryptsetup@pgdata_crypt.service && systemctl start {unit}")
    assert host.service(unit).is_running
    assert host.mount_point(MOUNTPOINT).exists
