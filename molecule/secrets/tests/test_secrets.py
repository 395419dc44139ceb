# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role has made of the hosts."""

from __future__ import annotations

import hashlib
import json

from testinfra.host import Host

URL = "postgresql://shop%40app:canary-of-molecule@db1.example.com:5432/shop%2Fdb?sslmode=verify-full"


def test_the_service_reads_its_credentials(host: Host) -> None:
    lines = host.file("/run/shop/sums").content_string.splitlines()
    sums = {line.split()[1]: line.split()[0] for line in lines}
    assert sums["shop_url"] == hashlib.sha256(URL.encode()).hexdigest()
    assert set(sums) == {"shop_url", "backup_passphrase"}


def test_they_lie_sealed_on_the_disk(host: Host) -> None:
    assert host.file("/etc/credstore.encrypted").mode == 0o700
    for name in ("shop_url", "backup_passphrase"):
        assert host.file(f"/etc/credstore.encrypted/{name}").mode == 0o600
    found = host.run("grep -rlF canary-of-molecule /etc /root /run /tmp /var --exclude-dir=credentials")
    assert found.stdout == "/etc/legacy.url\n"


def test_what_reads_no_credential_has_a_file_and_was_reloaded(host: Host) -> None:
    file = host.file("/etc/legacy.url")
    assert (file.mode, file.user, file.group) == (0o400, "nobody", "nogroup")
    assert file.content_string == URL
    assert host.file("/run/legacy/reloaded").exists


def test_other_services_see_none_of_them(host: Host) -> None:
    command = "systemd-run --quiet --pipe --uid=nobody find /run/credentials -type f -readable"
    assert "shop" not in host.run(command).stdout


def test_the_journal_and_the_output_of_systemd_show_nothing(host: Host) -> None:
    assert host.run("journalctl --no-pager --output=cat | grep -F canary-of-molecule").stdout == ""
    assert "canary-of-molecule" not in host.check_output("systemctl show shop.service legacy.service")


def test_evidence_has_the_age_and_no_secret(host: Host) -> None:
    evidence = json.loads(host.file("/var/lib/dbops-postgres/evidence/secret-backup_passphrase.json").content_string)
    assert set(evidence) == {"secret", "path", "sealed", "since", "max_age_days"}
    assert (evidence["sealed"], evidence["max_age_days"]) == (True, 30)
