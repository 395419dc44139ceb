# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the images of throwaway hosts are made of. Pure: the same recipe has the same hash on every machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

REPOSITORY = "localhost/dbops-throwaway"

# What a freshly installed host of a cloud provider has, so that SSH and Ansible work. Nothing of PostgreSQL.
INSTALLED = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd-sysv",
    "tzdata",
)

# What the roles install, kept as archives on the image: an installation in a test takes no time and no network.
# {version} is the image's version of PostgreSQL.
ARCHIVES = (
    "acl",
    "age",
    "nftables",
    "pgbouncer",
    "postgresql",
    "postgresql-{version}",
    "postgresql-{version}-pgaudit",
    "postgresql-client-{version}",
    "postgresql-common",
    "python3-boto3",
    "python3-cryptography",
    "python3-psycopg2",
    "ssl-cert",
    "zstd",
)

# Units that need a kernel of their own and would leave the host "degraded".
MASKED_UNITS = (
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-firstboot.service",
)

# The key of the checkout is mounted (AUTHORIZED_KEYS): one image serves every clone.
AUTHORIZED_KEYS = "/etc/ssh/throwaway_authorized_keys"
FILES = {
    "/etc/default/locale": "LANG=C.UTF-8\n",
    "/etc/dpkg/dpkg.cfg.d/throwaway": "force-unsafe-io\n",  # nobody needs these files after a power failure
    "/etc/apt/apt.conf.d/50throwaway": (
        'APT::Keep-Downloaded-Packages "true";\nBinary::apt::APT::Keep-Downloaded-Packages "true";\n'
        'Acquire::Languages "none";\n'
    ),
    "/etc/ssh/sshd_config.d/throwaway.conf": (
        f"AuthorizedKeysFile {AUTHORIZED_KEYS}\nStrictModes no\nPermitRootLogin prohibit-password\n"
        "UseDNS no\nMaxSessions 50\nMaxStartups 50\n"
    ),
}


@dataclass(frozen=True)
class Image:
    """A Debian release and its version of PostgreSQL."""

    name: str
    suite: str
    postgresql: int

    @property
    def archives(self) -> list[str]:
        """The packages whose archives the image keeps."""
        return [package.format(version=self.postgresql) for package in ARCHIVES]

    @property
    def variable(self) -> str:
        """The environment variable that names another image to start from."""
        return f"DBOPS_IMAGE_{self.name.upper()}"


IMAGES = {
    image.name: image
    for image in (Image("debian12", "bookworm", postgresql=15), Image("debian13", "trixie", postgresql=17))
}


def setup_script(image: Image) -> str:
    """What is run as root inside the new system, whatever it was made from; packages are installed already."""
    lines = ["set -eu", "export DEBIAN_FRONTEND=noninteractive"]
    for path, text in FILES.items():
        lines += [f"mkdir -p $(dirname {path})", f"cat > {path} <<'END'\n{text}END"]
    lines += [
        "apt-get clean",
        # With what they recommend: a role may install either way.
        f"apt-get -q install --yes --download-only -o APT::Install-Recommends=true {' '.join(image.archives)}",
        "rm -f /etc/apt/apt.conf.d/docker-clean /etc/machine-id",
        "touch /etc/machine-id",
        f"systemctl mask {' '.join(MASKED_UNITS)}",
        "systemctl enable ssh.service",
    ]
    return "\n".join(lines) + "\n"


def recipe_hash(image: Image, base: str = "") -> str:
    """Twelve hexadecimal digits that change with whatever the image is made from.

    :param base: the other image to start from, if one is given.
    """
    parts = [asdict(image), base, INSTALLED, setup_script(image)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def reference(image: Image, base: str = "") -> str:
    """The image's name in podman's storage."""
    return f"{REPOSITORY}:{image.name}-{recipe_hash(image, base)}"


def mmdebstrap_command(image: Image, script: str, sources: Sequence[str]) -> list[str]:
    """The command that writes the image's root file system as a tar archive to its standard output.

    :param script: path of a file with the text of :func:`setup_script`.
    :param sources: lines for sources.list; none: what mmdebstrap knows about the suite.
    """
    return [
        "mmdebstrap",
        "--quiet",
        "--variant=minbase",
        f"--include={','.join(INSTALLED)}",
        '--aptopt=Acquire::Languages "none"',
        "--skip=cleanup/apt",  # package lists and archives stay
        f"--customize-hook=copy-in {script} /tmp",
        f'--customize-hook=chroot "$1" sh /tmp/{script.rsplit("/", 1)[-1]}',
        f'--customize-hook=rm "$1/tmp/{script.rsplit("/", 1)[-1]}"',
        image.suite,
        "-",
        *sources,
    ]


def containerfile(base: str) -> str:
    """How the image is made from another one; the build's context holds the text of :func:`setup_script`."""
    return (
        f"FROM {base}\n"
        "COPY setup.sh /setup.sh\n"
        "RUN apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends "
        f"{' '.join(INSTALLED)} && sh /setup.sh && rm /setup.sh\n"
        'CMD ["/sbin/init"]\n'
    )


def sources_list(targets: str, suite: str) -> list[str]:
    """The lines of sources.list for another suite on the mirrors that this machine uses.

    :param targets: lines "label|URI", as apt-get indextargets prints them for this machine.
    :returns: nothing, if this machine does not know both of Debian's mirrors.
    """
    mirrors: dict[str, str] = {}
    for line in targets.splitlines():
        label, _separator, uri = line.partition("|")
        if uri:
            mirrors.setdefault(label, uri)
    if not {"Debian", "Debian-Security"} <= set(mirrors):
        return []
    return [
        f"deb {mirrors['Debian']} {suite} main",
        f"deb {mirrors['Debian']} {suite}-updates main",
        f"deb {mirrors['Debian-Security']} {suite}-security main",
    ]
