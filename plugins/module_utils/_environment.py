# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which environment a server says it is, and whether that is production. Pure.

The server says it by its cluster_name, behind an ``@``: every session can read that, and nobody set it but who owns the
configuration file (PostgreSQL manual, 19.7.3: it needs a restart). A setting of our own any session could override.
"""

from __future__ import annotations

PRODUCTION = ("prod", "production", "live")
_SAME = {"development": "dev", "staging": "stage", "production": "prod"}


def environment_of(cluster_name: str) -> str:
    """What a server says it is, in one word; empty: it does not say."""
    return short(cluster_name.rpartition("@")[2]) if "@" in cluster_name else ""


def short(environment: str) -> str:
    """One word for each environment, so that ``Production`` and ``prod`` are the same."""
    word = environment.lower()
    return _SAME.get(word, word)


def is_production(environment: str) -> bool:
    """Whether this word means production."""
    return environment.lower() in PRODUCTION
