# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of the credentials of a host, as data. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Stored:
    """A file that holds a credential.

    :param value: what it holds; None: it cannot be opened, and ``problem`` says why.
    """

    value: str | None = field(repr=False)
    mode: int = 0o600
    owner: str = "root"
    group: str = "root"
    problem: str = ""


@dataclass(frozen=True)
class Host:
    """What the host has.

    :param systemd: its major version; None: systemd does not run here.
    :param stored: by path; what does not exist is not in it.
    :param drop_ins: text by path, of the declared credentials, in units that are no longer declared as well.
    :param active: those of the declared units that run.
    """

    systemd: int | None = None
    stored: Mapping[str, Stored] = field(default_factory=dict)
    drop_ins: Mapping[str, str] = field(default_factory=dict)
    active: tuple[str, ...] = ()
