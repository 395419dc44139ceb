# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalogue of controls: what an estate must have before it is called production-ready. Data only.

A control has a probe as soon as a function in :mod:`.judge` is registered for it. ``unproven`` is the part of a
control that its probe does not look at yet; the report says so and does not count it as passed.
"""

from __future__ import annotations

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Control, Severity

_C, _H, _M = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM


def _group(name: str, *rows: tuple[str, str, Severity, str, str]) -> tuple[Control, ...]:
    return tuple(Control(*row, group=name) for row in rows)


CONTROLS: tuple[Control, ...] = (
    *_group(
        "Security",
        ("S-1", "Encryption at rest", _C, "Data and WAL lie on an encrypted volume whose key can be rotated.", ""),
        (
            "S-2",
            "Secrets management",
            _C,
            "No credential in a repository, file, argument, log or output.",
            "repositories and the output of other tools, which gitleaks and no_log guard",
        ),
        (
            "S-3",
            "Audit log",
            _H,
            "Who did what, in an append-only table; DDL and role changes logged by a loaded pgaudit.",
            "the append-only audit table, its partitions and archive",
        ),
        (
            "S-4",
            "Encryption in transit",
            _C,
            "Every non-local connection is TLS 1.2 or later with SCRAM; the certificate is valid for 30 days more.",
            "",
        ),
        (
            "S-5",
            "Least privilege",
            _C,
            "One login per service, DML apart from DDL, superuser local only, nothing for PUBLIC.",
            "",
        ),
        (
            "S-6",
            "Network isolation",
            _C,
            "Listen address, pg_hba and packet filter admit declared subnets only; no trust.",
            "",
        ),
        ("S-7", "Secret scanning", _C, "Scanned history; connection URLs are guarded.", ""),
        ("S-8", "Access register", _M, "Who can do what on which object, produced from the live catalog.", ""),
        (
            "S-9",
            "Benchmark hardening",
            _H,
            "Every recommendation of the CIS PostgreSQL 17 Benchmark that can be automated holds or is waived.",
            "",
        ),
    ),
    *_group(
        "Backup and recovery",
        ("B-1", "Logical backup", _C, "Nightly, verified, encrypted, off the host, kept 30 days.", ""),
        ("B-2", "Restore drill", _C, "The newest backup is restored and proven on a schedule.", ""),
        ("B-3", "Point-in-time recovery", _C, "Continuous WAL archiving; a restore to a moment is proven.", ""),
        ("B-4", "Disaster-recovery runbook", _H, "Generated from the live inventory, with exact commands.", ""),
        ("B-5", "Managed providers", _H, "Retention, window, encryption and drills at the provider.", ""),
    ),
    *_group(
        "Performance and capacity",
        ("P-1", "Connection pooling", _C, "pgbouncer in transaction mode within a connection budget.", ""),
        ("P-2", "JSONB search index", _M, "GIN index on searched JSONB columns.", ""),
        ("P-3", "Time partitioning", _M, "Large time series are partitioned, ahead of time.", ""),
        ("P-4", "Index review", _H, "Required indexes exist, are valid and are used.", ""),
        ("P-5", "Query-plan evidence", _H, "Declared queries use their index within a limit.", ""),
        ("P-6", "Server tuning", _M, "Memory, WAL and autovacuum settings fit the host; nothing is pending.", ""),
        ("P-7", "Load test", _H, "1,000 clients and 1,000 requests per second without an error.", ""),
    ),
    *_group(
        "Lifecycle",
        ("L-1", "Object and row expiry", _C, "Objects and their rows expire together.", ""),
        ("L-2", "Soft delete", _M, "Deleted rows are hidden, then purged.", ""),
        ("L-3", "Maintenance calendar", _M, "Vacuum, statistics and verification run on timers.", ""),
    ),
    *_group(
        "Environment and change",
        (
            "E-1",
            "Environment roles",
            _C,
            "The database says which environment it is; no role of another environment can connect.",
            "",
        ),
        ("E-2", "Schema drift", _C, "The live schema equals what the migrations produce.", ""),
        ("E-3", "Safe migration", _C, "Linted, rehearsed, verified, with a way back.", ""),
        ("E-4", "Expand/contract", _C, "Breaking changes need a recorded approval.", ""),
        ("E-5", "Seeding guard", _M, "Seed and reset scripts cannot run against production.", ""),
        ("E-6", "Evolving value sets", _H, "ENUMs only for an allow-list.", ""),
    ),
    *_group(
        "Assurance",
        ("T-1", "Row-level security regression", _C, "No identity sees or writes another tenant's rows.", ""),
        ("T-2", "Constraint proof", _H, "Every constraint rejects a violating row.", ""),
        (
            "T-3",
            "Integrity checks",
            _H,
            "Checksums are on; declared assertions and amcheck pass.",
            "",
        ),
    ),
    *_group(
        "Availability",
        ("H-1", "Replicas and failover", _H, "A lost leader is replaced within 30 s without losing a commit.", ""),
        ("H-2", "Health endpoint", _H, "HTTP 200/503 from the real state of the database.", ""),
        ("H-3", "Read-only replica", _M, "A stable read-only address with known lag.", ""),
    ),
    *_group(
        "Observability",
        ("O-1", "Metrics and dashboards", _C, "Exporters run and every panel has data.", ""),
        ("O-2", "Alerting", _H, "Every alert is tested.", ""),
        ("O-3", "Slow-query and lock logging", _H, "Slow statements, lock waits, checkpoints, connections.", ""),
    ),
)

BY_ID: dict[str, Control] = {control.id: control for control in CONTROLS}
