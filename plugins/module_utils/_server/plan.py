# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be done so that the observed cluster becomes the declared one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError, Ident, Sql, Step
from ansible_collections.dbops.postgres.plugins.module_utils._server import render
from ansible_collections.dbops.postgres.plugins.module_utils._server.settings import sections
from ansible_collections.dbops.postgres.plugins.module_utils._server.spec import ServerSpec
from ansible_collections.dbops.postgres.plugins.module_utils._server.state import Observed, managed
from ansible_collections.dbops.postgres.plugins.module_utils._server.tuning import Host, Setting, stable_size

UNIT = "the systemd unit"
CHECKSUMS = "data checksums"


@dataclass(frozen=True)
class Write:
    """A file that changes; ``before`` is None when it does not exist yet."""

    path: str
    before: str | None
    after: str
    mode: int
    owner: str


@dataclass(frozen=True)
class ServerPlan:
    """An ordered plan: write, reload (or start), restart at most once, create extensions.

    :param restart: why a restart is needed: names of settings, :data:`UNIT`, :data:`CHECKSUMS`.
    :param restart_allowed: False: ``restart`` is only reported.
    """

    writes: tuple[Write, ...] = ()
    reload: bool = False
    start: bool = False
    enable_checksums: bool = False
    restart: tuple[str, ...] = ()
    restart_allowed: bool = True
    extensions: tuple[Step, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def restarts(self) -> bool:
        """True when the server will be restarted."""
        return bool(self.restart) and self.restart_allowed

    @property
    def changed(self) -> bool:
        """True when there is anything to do."""
        return bool(self.writes or self.reload or self.start or self.restarts or self.extensions)

    def actions(self) -> list[str]:
        """The plan in words, in order."""
        actions = [f"write {write.path}" for write in self.writes]
        if self.reload:
            actions.append("reload")
        if self.start:
            actions.append("start")
        if self.restarts:
            actions.append("restart: " + ", ".join(self.restart))
        return actions + [f"create {step.subject}" for step in self.extensions]

    def diff(self) -> list[dict[str, str]]:
        """The plan as differences per file, then everything else."""
        diffs = [
            {
                "before_header": write.path,
                "after_header": write.path,
                "before": write.before or "",
                "after": write.after,
            }
            for write in self.writes
        ]
        rest = [action for action in self.actions() if not action.startswith("write ")]
        if rest:
            diffs.append({"before_header": "server", "after_header": "server", "before": "", "after": _lines(rest)})
        return diffs


def _lines(rows: list[str]) -> str:
    return "".join(f"{row}\n" for row in rows)


def host_of(spec: ServerSpec, observed: Observed) -> Host:
    """The host to tune for: what was declared, else what was observed, held stable against small movements."""
    current = observed.files.get(managed(spec)[0])
    memory, disk = render.sized_for(current.text) if current else (0, 0)
    return Host(
        memory_mb=spec.memory_mb or stable_size(observed.memory_mb, memory),
        cores=spec.cores or observed.cores,
        storage=spec.storage,
        disk_mb=stable_size(observed.disk_mb, disk),
    )


def settings_of(spec: ServerSpec, observed: Observed) -> tuple[Setting, ...]:
    """All settings as they will be, in the order of the file."""
    return tuple(setting for _title, group in sections(spec, host_of(spec, observed)) for setting in group)


def texts(spec: ServerSpec, observed: Observed) -> dict[str, str]:
    """The text of every managed file as it must be, by path."""
    host = host_of(spec, observed)
    conf, hba, ident, unit = managed(spec)
    return {
        conf: render.configuration(sections(spec, host), host),
        hba: render.host_based_authentication(spec),
        ident: render.ident_map(),
        unit: render.unit_drop_in(spec, _write_paths(spec, observed)),
    }


def restart_candidates(spec: ServerSpec, observed: Observed) -> tuple[str, ...]:
    """Settings whose text changes and that the running server reads only when it starts."""
    if not observed.live:
        return ()
    conf = managed(spec)[0]
    current = observed.files.get(conf)
    old = render.values(current.text) if current else {}
    new = render.values(texts(spec, observed)[conf])
    live = observed.live.settings
    return tuple(
        name
        for name in sorted({**old, **new})
        if old.get(name) != new.get(name) and name in live and live[name].context == "postmaster"
    )


def plan(spec: ServerSpec, observed: Observed, proposed: Mapping[str, str]) -> ServerPlan:
    """Compare.

    :param proposed: values of :func:`restart_candidates` in the unit of the catalog, as PostgreSQL itself read them.
    :raises DbopsError: a rule lets a superuser in, or checksums are required and off.
    """
    live = observed.live
    if live:
        _refuse_superusers(spec, live.superusers)
    wanted = texts(spec, observed)
    writes = tuple(
        Write(path, found.text if found else None, text, mode, owner)
        for path, text in wanted.items()
        for mode, owner in [(0o644, "root") if path == managed(spec)[3] else (0o640, "postgres")]
        for found in [observed.files.get(path)]
        if not found or (found.text, found.mode, found.owner) != (text, mode, owner)
    )
    warnings = _warnings(spec, observed)
    enable = spec.checksums == "enable" and observed.checksums is False
    missing = tuple(
        Step(f"extension {name} in {database}", Sql("CREATE EXTENSION {} SCHEMA public", (Ident(name),)), database)
        for database, name in spec.extensions
        if not live or (database, name) not in live.extensions
    )
    if live and (unknown := sorted({step.database or "" for step in missing} - live.databases)):
        raise DbopsError(f"server_extensions names the database {unknown[0]!r}, which is not there", "Create it first.")
    result = ServerPlan(
        writes=writes,
        start=not observed.running,
        enable_checksums=enable,
        restart_allowed=spec.restart == "when_required",
        extensions=missing,
        warnings=warnings,
    )
    if not observed.running:
        return result
    if not live:
        blind = "The running server was not asked, for want of python3-psycopg2: more may need a restart than is said."
        return replace(result, reload=bool(writes), restart=(UNIT,), warnings=(*warnings, blind))
    conf, hba, ident, unit = managed(spec)
    read = (conf, hba, ident, spec.tls.certificate, spec.tls.key, spec.tls.ca)
    written = {write.path for write in writes}
    reasons = set(live.pending)
    reasons |= {name for name, value in proposed.items() if value != live.settings[name].value}
    reasons -= {name for name, value in proposed.items() if value == live.settings[name].value}
    if unit in written or observed.changed_at.get(unit, 0.0) > live.started:
        reasons.add(UNIT)
    if enable:
        reasons.add(CHECKSUMS)
    return replace(
        result,
        reload=bool(written & set(read)) or any(observed.changed_at.get(path, 0.0) > live.loaded for path in read),
        restart=tuple(sorted(reasons)),
    )


def _refuse_superusers(spec: ServerSpec, superusers: tuple[str, ...]) -> None:
    for rule in (*spec.access_rules, *spec.replication_rules):
        for name in rule.users:
            if name in superusers:
                raise DbopsError(
                    f"server_access_rules lets the superuser {name!r} in over the network (CIS 5.11)",
                    "Take SUPERUSER from the role, or the role from the rule.",
                )


def _warnings(spec: ServerSpec, observed: Observed) -> tuple[str, ...]:
    found = []
    if observed.checksums is False:
        problem = (
            f"Cluster {spec.version}/{spec.cluster} has no data checksums: a damaged page is not noticed (CIS 1.4.3)"
        )
        remedy = "server_checksums: enable turns them on with the server stopped; it reads and writes every page."
        if spec.checksums == "require":
            raise DbopsError(problem, remedy)
        if spec.checksums == "warn":
            found.append(f"{problem}. {remedy}")
    if observed.live:
        ours = managed(spec)[0]
        for setting in settings_of(spec, observed):
            row = observed.live.settings.get(setting.name)
            if row and _read_later(row.source, ours):
                found.append(f"{setting.name} is overridden in {row.source}: it is not what is declared here.")
    return tuple(found)


def _read_later(source: str, ours: str) -> bool:
    # postgresql.conf includes conf.d in the order of names; postgresql.auto.conf (ALTER SYSTEM) is read last.
    directory, _slash, _name = ours.rpartition("/")
    return source.endswith("/postgresql.auto.conf") or (source.startswith(directory + "/") and source > ours)


def _write_paths(spec: ServerSpec, observed: Observed) -> tuple[str, ...]:
    paths = {
        spec.data_mount or "/var/lib/postgresql",
        observed.data_directory,
        spec.log_directory,
        "/run/postgresql",
        *observed.tablespaces,
        *spec.write_paths,
    }
    # A directory below another one of the list needs no line of its own.
    return tuple(sorted(p for p in paths if not any(p != q and p.startswith(q + "/") for q in paths)))
