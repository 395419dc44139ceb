# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throwaway virtual machines, for what needs a kernel of its own: device-mapper.

``python -m tests.throwaway.vm up GROUP`` makes the image if need be, starts one machine with a fresh system disk and
a fresh data disk, and writes its inventory. The machine is emulated in software, so it runs wherever qemu does.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
if __package__ in (None, ""):
    sys.path.insert(0, str(CHECKOUT))

from tests.steps import step  # noqa: E402
from tests.throwaway.images import _sources  # noqa: E402
from tests.throwaway.podman import STATE, HostError, as_root  # noqa: E402
from tests.throwaway.recipe import IMAGES, Image  # noqa: E402

VMS = STATE / "vm"
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "mke2fs": "e2fsprogs",
    "ssh-keygen": "openssh-client",
}
BOOT_TIMEOUT_SECONDS = 120
BUILD_TIMEOUT_SECONDS = 900
SYSTEM_SIZE = "3G"
MAKE_DISK = ("mke2fs", "-q", "-t", "ext4", "-d")  # with a journal: the reset button must not break the system
DATA_SIZE = "640M"

# A host of a cloud provider on which PostgreSQL is installed and has no cluster yet.
INSTALLED = (
    "ca-certificates",
    "dbus",
    "dmsetup",
    "fdisk",
    "iproute2",
    "linux-image-cloud-amd64",
    "openssh-server",
    "postgresql-{version}",
    "procps",
    "python3",
    "python3-apt",
    "python3-psycopg2",
    "rsync",
    "sudo",
    "systemd-sysv",
    "udev",
)
# What the role installs: archives on the image, as in the other throwaway hosts.
ARCHIVES = ("age", "cryptsetup-bin", "e2fsprogs", "tpm2-tools", "xfsprogs")
ARCHIVES_DEBIAN13 = ("systemd-cryptsetup",)

FILES = {
    "/etc/apt/apt.conf.d/50throwaway": (
        'APT::Keep-Downloaded-Packages "true";\nBinary::apt::APT::Keep-Downloaded-Packages "true";\n'
        'Acquire::Languages "none";\n'
    ),
    "/etc/fstab": "/dev/nvme0n1 / ext4 rw,noatime 0 0\n",
    "/etc/hostname": "vm\n",
    "/etc/hosts": "127.0.0.1 localhost\n127.0.1.1 vm\n",
    "/etc/initramfs-tools/update-initramfs.conf": "update_initramfs=no\n",
    "/etc/ssh/sshd_config.d/throwaway.conf": "PermitRootLogin prohibit-password\nUseDNS no\nMaxStartups 50\n",
    "/etc/systemd/network/eth0.network": "[Match]\nName=eth0\n[Network]\nDHCP=yes\n",
    "/etc/resolv.conf": "nameserver 10.0.2.3\n",  # qemu's own
}


def setup_script(image: Image) -> str:
    """What is run as root in the new system before it becomes a disk."""
    archives = [*ARCHIVES, *(ARCHIVES_DEBIAN13 if image.suite != "bookworm" else ())]
    lines = ["set -eu", "export DEBIAN_FRONTEND=noninteractive"]
    for path, text in FILES.items():
        lines += [f"mkdir -p $(dirname {path})", f"rm -f {path}", f"cat > {path} <<'END'\n{text}END"]
    lines += [
        "pg_dropcluster --stop $(pg_lsclusters -h | cut -d' ' -f1,2) || true",
        "apt-get clean",
        f"apt-get -q install --yes --download-only {' '.join(archives)}",
        "rm -f /etc/apt/apt.conf.d/docker-clean /boot/initrd.img*",
        "systemd-machine-id-setup",
        "systemctl enable ssh.service systemd-networkd.service",
        "systemctl mask apt-daily.timer apt-daily-upgrade.timer man-db.timer",
        "systemctl disable systemd-networkd-wait-online.service || true",
    ]
    return "\n".join(lines) + "\n"


def recipe_hash(image: Image) -> str:
    """Twelve hexadecimal digits that change with whatever the image is made from."""
    parts = [image.name, INSTALLED, setup_script(image), SYSTEM_SIZE, MAKE_DISK]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def build(name: str) -> Path:
    """Make the system disk and its kernel if they do not exist.

    :returns: their directory: ``root.ext4``, ``vmlinuz``.
    """
    image = IMAGES[name]
    made = VMS / f"{name}-{recipe_hash(image)}"
    if made.is_dir():
        return made
    _tools()
    with step(f"virtual machine's image {name} from Debian's packages"):
        unfinished = VMS / f"{name}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        unfinished.chmod(0o755)
        script = unfinished / "setup.sh"
        script.write_text(setup_script(image))
        root = unfinished / "root"
        key = _key().with_suffix(".pub")
        command = [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            f"--include={','.join(INSTALLED).format(version=image.postgresql)}",
            "--skip=cleanup/apt",
            f"--customize-hook=copy-in {script} /tmp",
            '--customize-hook=chroot "$1" sh /tmp/setup.sh && rm "$1/tmp/setup.sh"',
            f'--customize-hook=install -D -m 0600 {key} "$1/root/.ssh/authorized_keys"',
            image.suite,
            str(root),
            *_sources(image.suite),
        ]
        with (VMS / f"{name}.log").open("w") as log:
            _run(as_root(command), log=log)
            kernel = max(root.glob("boot/vmlinuz-*"))
            shutil.copy(kernel, unfinished / "vmlinuz")
            _run(as_root([*MAKE_DISK, str(root), str(unfinished / "root.ext4"), SYSTEM_SIZE]), log=log)
        _run(as_root(["rm", "-rf", str(root)]))
        script.unlink()
        unfinished.rename(made)
    return made


def up(group: str, name: str, *, tpm: bool = False) -> None:
    """Start a machine with fresh disks and wait until it answers; whatever an earlier run left is removed first.

    :param tpm: with a TPM2 chip, which swtpm emulates.
    """
    image = build(name)
    down(group)
    directory = STATE / group
    directory.mkdir(parents=True)
    with step(f"virtual machine {group} ({name})"):
        system = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(image / "root.ext4")]
        _run([*system, str(directory / "system.qcow2")])
        _run(["qemu-img", "create", "-q", "-f", "raw", str(directory / "data.raw"), DATA_SIZE])
        _run(["qemu-img", "create", "-q", "-f", "raw", str(directory / "other.raw"), "128M"])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        if tpm:
            _start_tpm(directory)
        _run(_command(image, directory, port))
        (directory / "inventory.yml").write_text(json.dumps({"all": {"hosts": {"vm": _variables(port)}}}, indent=2))
        _wait(directory, port)


def down(group: str) -> None:
    """Stop the machine of a group, if it runs, and remove its disks."""
    directory = STATE / group
    with suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int((directory / "pid").read_text())
        if str(directory) in Path(f"/proc/{pid}/cmdline").read_text():
            os.kill(pid, signal.SIGKILL)
            while Path(f"/proc/{pid}").exists():
                time.sleep(0.05)
    shutil.rmtree(directory, ignore_errors=True)


def grow(group: str, size: str) -> None:
    """Make the data disk of a running machine larger, as a cloud provider does; its kernel sees it at once."""
    _ask(group, {"execute": "block_resize", "arguments": {"device": "data", "size": int(size)}})


def reset(group: str) -> None:
    """Press the reset button: what the machine has not written to its disks is lost."""
    _ask(group, {"execute": "system_reset"})


def _ask(group: str, request: dict[str, object]) -> None:
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.connect(str(STATE / group / "qmp"))
        stream = monitor.makefile("rw")
        stream.readline()
        for line in ({"execute": "qmp_capabilities"}, request):
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            answer = json.loads(stream.readline())
            while "event" in answer:
                answer = json.loads(stream.readline())
            if "error" in answer:
                raise HostError(f"qemu: {answer['error']['desc']}")


def _command(image: Path, directory: Path, port: int) -> list[str]:
    root = f"driver=qcow2,node-name=system,file.driver=file,file.filename={directory}/system.qcow2"
    disks = ["-blockdev", root, "-device", "nvme,serial=SYSTEM,drive=system"]
    # qemu enlarges a virtio disk while it runs, and no NVMe one.
    for disk, kind in (("data", "virtio-blk-pci"), ("other", "nvme")):
        disks += ["-drive", f"format=raw,if=none,id={disk},file={directory}/{disk}.raw"]
        disks += ["-device", f"{kind},serial={disk.upper()}0001,drive={disk}"]
    chip = []
    if (directory / "tpm.sock").exists():
        chip = ["-chardev", f"socket,id=tpm,path={directory}/tpm.sock", "-tpmdev", "emulator,id=tpm0,chardev=tpm"]
        chip += ["-device", "tpm-tis,tpmdev=tpm0"]
    append = "root=/dev/nvme0n1 rw console=ttyS0 quiet mitigations=off random.trust_cpu=on net.ifnames=0"
    return [
        *("qemu-system-x86_64", "-M", "q35", "-accel", "tcg,thread=multi,tb-size=128", "-cpu", "max,la57=off"),
        *("-smp", "2", "-m", "1024", "-display", "none", "-kernel", str(image / "vmlinuz"), "-append", append),
        *disks,
        *chip,
        *("-device", "virtio-rng-pci", "-device", "virtio-net-pci,netdev=net"),
        *("-netdev", f"user,id=net,hostfwd=tcp:127.0.0.1:{port}-:22"),
        *("-serial", f"file:{directory}/console.log", "-qmp", f"unix:{directory}/qmp,server=on,wait=off"),
        *("-pidfile", str(directory / "pid"), "-daemonize"),
    ]


def _start_tpm(directory: Path) -> None:
    if not shutil.which("swtpm"):
        _run(as_root(["apt-get", "-q", "install", "--yes", "--no-install-recommends", "swtpm"]))
    (directory / "tpm").mkdir()
    # It ends with the machine that it belongs to.
    state, control = f"dir={directory}/tpm", f"type=unixio,path={directory}/tpm.sock"
    _run(["swtpm", "socket", "--tpm2", "--tpmstate", state, "--ctrl", control, "--terminate", "--daemon"])


def _variables(port: int) -> dict[str, str | int]:
    return {
        "ansible_host": "127.0.0.1",
        "ansible_port": port,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(_key()),
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def _wait(directory: Path, port: int) -> None:
    # The forwarded port accepts before sshd is up: only its banner counts.
    end = time.monotonic() + BOOT_TIMEOUT_SECONDS
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(2)
            if connection.recv(4) == b"SSH-":
                return
        time.sleep(0.3)
    tail = "\n".join((directory / "console.log").read_text(errors="replace").splitlines()[-20:])
    raise HostError(f"The virtual machine did not answer on port {port} in {BOOT_TIMEOUT_SECONDS} s:\n{tail}")


def _key() -> Path:
    key = VMS / "id"
    if not key.exists():
        VMS.mkdir(parents=True, exist_ok=True)
        _run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)])
    return key


def _tools() -> None:
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        with step(f"packages {', '.join(missing)}"):
            _run(as_root(["apt-get", "-q", "install", "--yes", "--no-install-recommends", *missing]))


def _run(command: list[str], log: object = None) -> None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log or subprocess.PIPE,  # type: ignore[call-overload]
            stderr=subprocess.STDOUT,
            text=True,
            timeout=BUILD_TIMEOUT_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise HostError(f"{error.filename} is not installed.") from None
    except subprocess.TimeoutExpired:
        raise HostError(f"{command[0]} took longer than {BUILD_TIMEOUT_SECONDS} s and was stopped.") from None
    if done.returncode != 0:
        text = getattr(log, "name", None)
        raise HostError(f"{command[0]} failed: {f'see {text}' if text else done.stdout.strip()}")


def main() -> int:
    """The command line; the exit status is 1 if there can be no machine."""
    parser = argparse.ArgumentParser(prog="python -m tests.throwaway.vm", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    texts = {"up": "start a fresh machine", "down": "remove it", "grow": "enlarge its data disk", "reset": "reset it"}
    for verb, text in texts.items():
        command = verbs.add_parser(verb, help=text)
        command.add_argument("group")
        if verb == "up":
            command.add_argument("--image", default="debian12", choices=sorted(IMAGES))
            command.add_argument("--tpm", action="store_true", help="with a TPM2 chip")
        if verb == "grow":
            command.add_argument("bytes")
    options = parser.parse_args()
    try:
        if options.verb == "up":
            up(options.group, options.image, tpm=options.tpm)
        elif options.verb == "down":
            down(options.group)
        elif options.verb == "reset":
            reset(options.group)
        else:
            grow(options.group, options.bytes)
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
