# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""S-9: the recommendations of the CIS PostgreSQL 17 Benchmark that no other control answers.

The subject of a finding is the recommendation's number. Numbers that another control's probe answers become findings
of S-9 too: see :func:`..check.benchmark_findings`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Callable

from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge import access, hba, logs
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.judge.rules import (
    Judge,
    Outcome,
    fails,
    holds,
    irrelevant,
    names,
    none_of,
    probe,
)
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import (
    Host,
    Observed,
    Setting,
    Settings,
    Thresholds,
    look,
)

_VERBOSE = ("debug5", "debug4", "debug3", "debug2", "debug1", "info", "notice", "warning")
_DAY_MINUTES = 24 * 60
_GIGABYTE_KB = 1024 * 1024


def _one_of(*values: str) -> Callable[[str], bool]:
    return lambda value: value in values


# number, setting, what is right, what to do
_SETTINGS: tuple[tuple[str, str, Callable[[str], bool], str], ...] = (
    ("3.1.2", "log_destination", bool, "Set log_destination to stderr, csvlog, jsonlog or syslog."),
    ("3.1.6", "log_file_mode", _one_of("0600"), "Set log_file_mode = '0600'."),
    ("3.1.7", "log_truncate_on_rotation", _one_of("on"), "Set log_truncate_on_rotation = on."),
    ("3.1.8", "log_rotation_age", lambda v: 0 < int(v) <= _DAY_MINUTES, "Set log_rotation_age = '1d'."),
    ("3.1.14", "log_min_messages", _one_of(*_VERBOSE), "Set log_min_messages = warning."),
    ("3.1.15", "log_min_error_statement", _one_of(*_VERBOSE, "error"), "Set log_min_error_statement = error."),
    ("3.1.16", "debug_print_parse", _one_of("off"), "Set debug_print_parse = off."),
    ("3.1.17", "debug_print_rewritten", _one_of("off"), "Set debug_print_rewritten = off."),
    ("3.1.18", "debug_print_plan", _one_of("off"), "Set debug_print_plan = off."),
    ("3.1.19", "debug_pretty_print", _one_of("on"), "Set debug_pretty_print = on."),
    ("3.1.22", "log_error_verbosity", _one_of("verbose"), "Set log_error_verbosity = verbose."),
    ("3.1.23", "log_hostname", _one_of("off"), "Set log_hostname = off."),
    ("3.1.25", "log_statement", _one_of("ddl", "mod", "all"), "Set log_statement = ddl."),
    ("3.1.26", "log_timezone", _one_of("UTC", "GMT", "Etc/UTC", "Etc/GMT"), "Set log_timezone = 'UTC'."),
    ("7.2", "log_replication_commands", _one_of("on"), "Set log_replication_commands = on."),
)
_SYSLOG: tuple[tuple[str, str, Callable[[str], bool], str], ...] = (
    ("3.1.10", "syslog_facility", lambda v: v.startswith("local"), "Set syslog_facility = 'LOCAL0'."),
    ("3.1.11", "syslog_sequence_numbers", _one_of("on"), "Set syslog_sequence_numbers = on."),
    ("3.1.12", "syslog_split_messages", _one_of("on"), "Set syslog_split_messages = on."),
    ("3.1.13", "syslog_ident", bool, "Set syslog_ident = 'postgres'."),
)


def _register_settings() -> None:
    for number, name, right, remedy in _SETTINGS:
        probe("S-9", number, number)(_setting(number, name, right, remedy))
    for number, name, right, remedy in _SYSLOG:
        probe("S-9", number, number)(_setting(number, name, right, remedy, syslog=True))


def _setting(number: str, name: str, right: Callable[[str], bool], remedy: str, syslog: bool = False) -> Judge:
    def judge(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
        settings = look(seen.server).settings
        if syslog and "syslog" not in settings["log_destination"].value:
            yield irrelevant(number, f"log_destination = {settings['log_destination'].value}: syslog is not used")
            return
        yield holds(right(settings[name].value), number, f"{name} = {_shown(settings[name])}", remedy)

    return judge


def _shown(setting: Setting) -> str:
    return f"{setting.value or 'empty'}{' ' + setting.unit if setting.unit else ''}"


_register_settings()


@probe("S-9", "1.1", "1.1")
def server_comes_from_a_package(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    package = look(look(seen.host).packages)
    yield holds(
        bool(package),
        "1.1",
        f"the server program belongs to the package {package}" if package else "no package owns the server program",
        "Install PostgreSQL from the distribution's signed repository.",
    )


@probe("S-9", "1.3", "1.3")
def service_is_enabled(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    unit = look(look(seen.host).unit)
    started = unit.enabled in ("enabled", "enabled-runtime", "static", "generated") and unit.start_conf in ("", "auto")
    extra = f", start.conf = {unit.start_conf}" if unit.start_conf else ""
    yield holds(
        bool(unit.name) and started,
        "1.3",
        f"{unit.name} is {unit.enabled or 'unknown'}{extra}" if unit.name else "the server runs outside systemd",
        "systemctl enable the service.",
    )


@probe("S-9", "1.4", "1.4")
def data_directory_is_private(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    host = look(seen.host)
    data = host.files["data_directory"]
    yield holds(
        data.mode in (0o700, 0o750) and data.owner == host.service_account,
        "1.4",
        f"{data.path} is {data.mode:04o} {data.owner}:{data.group}",
        f"chmod 0700 {data.path}",
    )


@probe("S-9", "1.5", "1.5")
def patches_are_applied(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    installed, candidate = look(look(seen.host).update)
    yield holds(
        installed == candidate,
        "1.5",
        f"installed {installed}, newest known to apt {candidate}",
        "Upgrade the package in a maintenance window.",
    )


@probe("S-9", "1.6", "1.6")
def no_password_in_profiles(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    yield from none_of(
        look(seen.host).profiles_with_password,
        "1.6",
        "no profile sets PGPASSWORD",
        "PGPASSWORD in",
        "Remove it; use a password file with mode 0600 or a systemd credential.",
    )


@probe("S-9", "1.7", "1.7")
def no_password_in_environments(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    yield from none_of(
        look(seen.host).processes_with_pgpassword,
        "1.7",
        "no process has PGPASSWORD in its environment",
        "PGPASSWORD in the environment of",
        "Give the process a password file or a systemd credential.",
    )


@probe("S-9", "2.1", "2.1")
def umask_is_tight(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    umask = look(look(seen.host).umask)
    yield holds(
        umask & 0o077 == 0o077,
        "2.1",
        f"the running server has umask {umask:04o}",
        "Set UMask=0077 in the unit and restart.",
    )


@probe("S-9", "2.2", "2.2")
def extensions_belong_to_root(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    directory = look(seen.host).files["extension_directory"]
    yield holds(
        directory.exists and directory.owner == "root" and not directory.mode & 0o022,
        "2.2",
        f"{directory.path} is {directory.mode:04o} {directory.owner}:{directory.group}",
        f"chown root:root {directory.path}; chmod 0755 {directory.path}",
    )


@probe("S-9", "2.3", "2.3")
def no_history_is_kept(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    host = look(seen.host)
    if host.history:
        yield fails("2.3", f"history with content: {names(host.history)}", "Remove it and link it to /dev/null.")
        return
    yield holds(
        host.history_disabled,
        "2.3",
        f"psql history of {host.service_account} is {'disabled' if host.history_disabled else 'empty, not disabled'}",
        f"Link ~{host.service_account}/.psql_history to /dev/null.",
    )


@probe("S-9", "2.4", "2.4")
def no_password_in_service_files(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    yield from none_of(
        look(seen.host).service_files_with_password,
        "2.4",
        "no service file holds a password",
        "password in",
        "Remove it; use a password file with mode 0600.",
    )


@probe("S-9", "3.1.3", "3.1.3")
def log_is_collected(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    collector, destination = settings["logging_collector"].value, settings["log_destination"].value
    yield holds(
        collector == "on" or destination == "syslog",
        "3.1.3",
        f"logging_collector = {collector}, log_destination = {destination}",
        "Set logging_collector = on and restart.",
    )


@probe("S-9", "3.1.4", "3.1.4", "8.1")
def log_is_outside_the_data(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    directory, data = settings["log_directory"].value, settings["data_directory"].value
    inside = not directory.startswith("/") or (directory.rstrip("/") + "/").startswith(data.rstrip("/") + "/")
    yield holds(
        not inside,
        "3.1.4",
        f"log_directory = {directory}, data_directory = {data}",
        "Set log_directory to a directory outside the data directory.",
    )


@probe("S-9", "3.1.5", "3.1.5")
def log_names_differ(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    name = look(seen.server).settings["log_filename"].value
    yield holds("%" in name, "3.1.5", f"log_filename = {name}", "Set log_filename = 'postgresql-%a.log' or by date.")


@probe("S-9", "3.1.9", "3.1.9")
def log_files_stay_small(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    size, age = int(settings["log_rotation_size"].value), int(settings["log_rotation_age"].value)
    # Where the name of the file repeats (a weekday), rotation by size would append to it; by day is the limit then.
    yield holds(
        0 < size <= _GIGABYTE_KB or (size == 0 and 0 < age <= _DAY_MINUTES),
        "3.1.9",
        f"log_rotation_size = {size} kB, log_rotation_age = {age} min",
        "Set log_rotation_size = '1GB' or less, or rotate by day.",
    )


@probe("S-9", "4.1", "4.1")
def account_is_locked(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    host = look(seen.host)
    locked = look(host.account_locked)
    yield holds(
        locked,
        "4.1",
        f"the account {host.service_account} has {'no usable' if locked else 'a'} password",
        f"passwd --lock {host.service_account}",
    )


@probe("S-9", "4.5", "4.5")
def definers_are_safe(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    unsafe = []
    count = 0
    for database in look(look(seen.server).databases):
        for item in look(database.inside).definers:
            count += 1
            reasons = [
                reason
                for reason, bad in (
                    ("search_path not pinned", not item.search_path_pinned),
                    ("executable by PUBLIC", item.public),
                    ("owned by a superuser", item.owner_is_superuser),
                )
                if bad
            ]
            # A superuser's function is what a pooler's lookup needs; pinned and granted to one role it is sound.
            if reasons and reasons != ["owned by a superuser"]:
                unsafe.append(f"{database.name}: {item.name} ({', '.join(reasons)})")
    yield from none_of(
        unsafe,
        "4.5",
        f"{count} SECURITY DEFINER function(s), each with a pinned search_path and not for PUBLIC",
        "SECURITY DEFINER functions that can be misused",
        "SET search_path on them, REVOKE EXECUTE FROM PUBLIC.",
    )


@probe("S-9", "4.8", "4.8")
def superuser_is_borrowed(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    loaded = "set_user" in logs.libraries(look(seen.server))
    yield holds(
        loaded,
        "4.8",
        f"set_user is {'loaded' if loaded else 'not loaded'}",
        "Load set_user, or waive this where sudo and pgaudit record who became the superuser.",
    )


@probe("S-9", "5.1", "5.1")
def no_password_in_arguments(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    yield from none_of(
        look(seen.host).processes_with_password_argument,
        "5.1",
        "no process has a database password in its arguments",
        "password in the arguments of",
        "Give the process a password file or a systemd credential.",
    )


@probe("S-9", "5.3", "5.3")
def socket_demands_proof(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    weak = hba.weak_local(look(look(seen.server).hba))
    yield from none_of(
        [hba.shown(rule) for rule in weak],
        "5.3",
        "every local rule uses peer or scram-sha-256",
        "local rules with a weak method",
        "Use peer, or scram-sha-256.",
    )


@probe("S-9", "5.5", "5.5")
def logins_are_limited(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    roles = access.logins(look(seen.server))
    yield from none_of(
        [role.name for role in roles if role.connection_limit < 0],
        "5.5",
        f"each of {len(roles)} login(s) has a connection limit",
        "logins without a connection limit",
        "ALTER ROLE ... CONNECTION LIMIT n.",
    )


@probe("S-9", "5.6", "5.6")
def weak_passwords_are_refused(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    loaded = logs.libraries(server)
    checking = [name for name in ("passwordcheck", "credcheck") if name in loaded]
    yield holds(
        bool(checking),
        "5.6",
        f"loaded: {', '.join(checking)}" if checking else "neither passwordcheck nor credcheck is loaded",
        "Add passwordcheck to shared_preload_libraries.",
    )


@probe("S-9", "authentication delay")
def guessing_is_slow(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    timeout = int(server.settings["authentication_timeout"].value)
    delay = server.settings.get("auth_delay.milliseconds", server.settings.get("credcheck.auth_delay_ms"))
    milliseconds = int(delay.value) if delay else 0
    yield holds(
        timeout <= 60 and milliseconds > 0,
        "authentication delay",
        f"authentication_timeout = {timeout} s, delay after a wrong password = {milliseconds} ms",
        "Load auth_delay with auth_delay.milliseconds = 500; set authentication_timeout to 60 s or less.",
    )


@probe("S-9", "6.2", "6.2")
def backend_settings_are_safe(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    off = ("ignore_system_indexes", "jit_debugging_support", "jit_profiling_support")
    wrong = [f"{name} = {settings[name].value}" for name in off if settings[name].value != "off"]
    wrong += [
        f"{name} = off" for name in ("log_connections", "log_disconnections") if settings[name].value in ("off", "")
    ]
    if settings["post_auth_delay"].value != "0":
        wrong.append(f"post_auth_delay = {settings['post_auth_delay'].value}")
    yield from none_of(
        wrong,
        "6.2",
        "the settings that a client fixes at connection start are safe",
        "unsafe",
        "Reset them, and switch log_connections and log_disconnections on.",
    )


@probe("S-9", "6.7", "6.7")
def cryptography_is_validated(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    fips = look(seen.host).fips
    yield holds(
        fips,
        "6.7",
        f"the kernel runs {'in' if fips else 'outside'} FIPS mode",
        "Run on a platform with a validated OpenSSL, or waive this where no rule demands it.",
    )


@probe("S-9", "7.1", "7.1")
def replication_has_its_own_role(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    superusers = {role.name for role in look(server.roles) if role.superuser}
    copying = [item for item in look(server.connections) if item.replication]
    own = [role.name for role in access.logins(server) if role.replication]
    if not copying and not own:
        yield irrelevant("7.1", "nothing replicates from this server")
        return
    yield from none_of(
        sorted({item.user for item in copying if item.user in superusers}),
        "7.1",
        f"replication logins: {names(own) or 'none'}; none of the replicating sessions is a superuser's",
        "replicating as a superuser",
        "Create a role with REPLICATION and LOGIN only, and replicate as that.",
    )


@probe("S-9", "7.4", "7.4")
def wal_is_archived(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    mode = server.settings["archive_mode"].value
    how = [name for name in ("archive_command", "archive_library") if _is_set(server.settings, name)]
    said = f"archive_mode = {mode}, {' and '.join(how) or 'no archive_command'} set"
    for archiver in look(server.archiver):
        said += f", {archiver.archived} segment(s) archived{', the last attempt failed' if archiver.failing else ''}"
    yield holds(
        mode in ("on", "always") and bool(how) and not any(item.failing for item in look(server.archiver)),
        "7.4",
        said,
        "Set archive_mode = on with an archive_command, and mend what its log names.",
    )


def _is_set(settings: Settings, name: str) -> bool:
    # While archiving is off, PostgreSQL shows the command as "(disabled)".
    return name in settings and settings[name].value not in ("", "(disabled)")


@probe("S-9", "8.2", "8.2")
def pgbackrest_is_configured(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    configuration = look(seen.host).files["pgbackrest"]
    settings = look(seen.server).settings
    used = "pgbackrest" in settings["archive_command"].value
    yield holds(
        configuration.exists and used,
        "8.2",
        f"{configuration.path} {'exists' if configuration.exists else 'does not exist'},"
        f" archive_command {'uses' if used else 'does not use'} pgbackrest",
        "Install and configure pgBackRest, or waive this where another tool does its work.",
    )


@probe("S-9", "7.5", "7.5")
def replication_is_encrypted(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    plain = [
        hba.shown(rule)
        for rule in hba.remote(look(server.hba))
        if "replication" in rule.databases and rule.type != "hostssl"
    ]
    plain += [f"{item.user}@{item.address}" for item in look(server.connections) if item.replication and not item.tls]
    yield from none_of(
        plain,
        "7.5",
        "no replication over the network without TLS",
        "replication without TLS",
        "Make the replication rules hostssl.",
    )


@probe("S-9", "8.1", "8.1")
def tablespaces_are_outside_the_data(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    server = look(seen.server)
    data = server.settings["data_directory"].value.rstrip("/") + "/"
    yield from none_of(
        [place for place in look(server.tablespaces) if (place + "/").startswith(data)],
        "8.1",
        "no tablespace lies inside the data directory",
        "tablespaces inside the data directory",
        "Move them.",
    )


@probe("S-9", "8.3", "8.3")
def libraries_and_sockets_are_safe(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    settings = look(seen.server).settings
    wrong = []
    if settings["local_preload_libraries"].value:
        wrong.append(f"local_preload_libraries = {settings['local_preload_libraries'].value}")
    if "$libdir" not in settings["dynamic_library_path"].value:
        wrong.append(f"dynamic_library_path = {settings['dynamic_library_path'].value}")
    for directory in settings["unix_socket_directories"].value.split(","):
        if directory.strip() in ("/tmp", "/var/tmp"):  # noqa: S108 - refused
            wrong.append(f"a socket in {directory.strip()}, where anybody may put another one")
    yield from none_of(
        wrong,
        "8.3",
        "only PostgreSQL's own libraries are loaded into sessions; no socket in a shared directory",
        "unsafe",
        "Reset local_preload_libraries and dynamic_library_path; put the socket into /var/run/postgresql.",
    )


@probe("S-9", "file permissions")
def files_are_private(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    host = look(seen.host)
    limits = (("hba_file", 0o137), ("ssl_key_file", 0o137), ("log_directory", 0o007))
    wrong = [_open_file(host, name, mask) for name, mask in limits]
    yield from none_of(
        [item for item in wrong if item],
        "file permissions",
        "pg_hba.conf, the TLS key and the log are for the server, its group and root only",
        "too open",
        "chmod 0640 or 0600, owned by the server's account or root.",
    )


@probe("S-9", "socket permissions")
def socket_is_private(seen: Observed, want: Thresholds) -> Iterator[Outcome]:
    sockets = [item for name, item in look(seen.host).files.items() if name.startswith("socket ") and item.exists]
    yield from none_of(
        [f"{item.path} {item.mode:04o}" for item in sockets if item.mode & 0o007],
        "socket permissions",
        f"{len(sockets)} socket(s), none open to every account of the host",
        "open to every account of the host",
        "Set unix_socket_permissions = '0770' and restart.",
    )


def _open_file(host: Host, name: str, mask: int) -> str:
    seen = host.files.get(name)
    if seen is None or not seen.exists:
        return ""
    if seen.mode & mask or seen.owner not in (host.service_account, "root"):
        return f"{seen.path} {seen.mode:04o} {seen.owner}:{seen.group}"
    return ""
