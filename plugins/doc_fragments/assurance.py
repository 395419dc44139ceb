# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that check a database against its spec file."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  spec_file:
    description:
      - The spec file of the database, on the host that runs the module. The guide C(docs/assurance.md) describes it.
      - Without a spec file the module judges by what the catalog alone tells.
      - Mutually exclusive with O(spec).
    type: path
  spec:
    description:
      - The content of a spec file as data, all of its sections, for a file that is on the controller.
      - Mutually exclusive with O(spec_file).
    type: dict
  schemas:
    description: Look into these schemas only. Empty means all but those of the system.
    type: list
    elements: str
    default: []
  fail_on:
    description:
      - The task fails when a finding of this severity or a worse one has status C(fail) or C(error).
      - V(never) collects findings for M(dbops.postgres.readiness_report).
    type: str
    choices: [never, critical, high, medium]
    default: high
  junit:
    description: Write the findings as JUnit XML to this file on the host that runs the module.
    type: path
  evidence:
    description:
      - Leave a record of the result on the host that runs the module, in C(/var/lib/dbops-postgres/evidence/checks),
        for M(dbops.postgres.readiness_check).
    type: bool
    default: false
requirements:
  - PyYAML on the host that runs the module, for O(spec_file)
notes:
  - The database is O(login_db) or, while that is left at its default, the one that the spec file names.
"""
