# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judgement: what was seen -> findings. Pure. One function per subject, one module per field.

To add a probe: write a function that takes what was seen and the thresholds and yields outcomes, decorate it with
:func:`.rules.probe`, and test it with a truth table. If its module is new, import it below.
"""

from __future__ import annotations

from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge import (
    access,
    backups,
    drills,
    encryption,
    environment,
    hardening,
    logs,
    network,
    objects,
    pooling,
    records,
    register,
    secrets,
    tuning,
)

MODULES = (
    encryption,
    network,
    access,
    register,
    hardening,
    environment,
    tuning,
    logs,
    secrets,
    pooling,
    backups,
    drills,
    objects,
    records,
)
