# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe of S-2 on real hosts: every planted credential is found where it lies, and none is shown."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from psycopg2 import sql

from tests.integration.credentials.conftest import play
from tests.integration.servers import Database
from tests.throwaway import Host

PLANT = """
set -eu
read -r canary
install -m 644 /dev/null /etc/{name}.conf
echo "url = postgresql://app:$canary@db/x" >/etc/{name}.conf
install -m 600 /dev/null /etc/{name}.env
echo "APP_TOKEN=$canary" >/etc/{name}.env
install -m 600 /dev/null /etc/{name}.private
echo "DB_PASSWORD=$canary" >/etc/{name}.private
install -m 640 /dev/null /root/.pgpass
echo "*:*:*:*:$canary" >/root/.pgpass && chmod 644 /root/.pgpass
cat >/etc/systemd/system/{name}a.service <<END
[Service]
Type=exec
Environment=DB_PASSWORD=$canary
ExecStart=/bin/sleep infinity
END
cat >/etc/systemd/system/{name}b.service <<END
[Service]
Type=exec
EnvironmentFile=/etc/{name}.env
ExecStart=/bin/sh -c 'sleep infinity & wait' app password=$canary
END
chmod 600 /etc/systemd/system/{name}*
systemctl daemon-reload
systemctl start {name}a {name}b
mkdir -p /var/lib/dbops-postgres/evidence && cd /var/lib/dbops-postgres/evidence
echo '{{"secret": "{name}_url", "since": 1000000000, "max_age_days": 90}}' >secret-{name}.json
"""

REMOVE = """
systemctl stop {name}a {name}b
rm -f /etc/{name}* /root/.pgpass /etc/systemd/system/{name}* /var/lib/dbops-postgres/evidence/secret-{name}.json
systemctl daemon-reload
"""


def findings(host: Host, directory: Path) -> tuple[dict[str, tuple[str, str]], str]:
    result = "/run/leaks.result"
    tasks = [
        {"dbops.postgres.readiness_check": {"controls": ["S-2"], "fail_on": "never"}, "register": "done"},
        {"ansible.builtin.copy": {"dest": result, "content": "{{ done.findings | to_json }}", "mode": "0600"}},
    ]
    status, output = play([{"hosts": "all", "gather_facts": False, "tasks": tasks}], host, directory, "-vvv", "--diff")
    assert status == 0, output
    found = json.loads(host.run("cat", result))
    return {item["subject"]: (item["status"], item["evidence"]) for item in found}, output


def test_every_planted_credential_is_found_and_none_is_shown(pg_database: Database, host: Host, tmp_path: Path) -> None:
    canary = f"Canary{secrets.token_hex(12)}"
    name = pg_database.name
    connection = pg_database.connect()
    cursor = connection.cursor()
    try:
        host.run("sh", "-c", PLANT.format(name=name), text=f"{canary}\n")
        cursor.execute("CREATE EXTENSION pg_stat_statements")
        cursor.execute("SET log_statement = 'all'")
        role, md5 = sql.Identifier(f"{pg_database.prefix}app"), sql.Identifier(f"{pg_database.prefix}old")
        cursor.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(canary)))
        cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD 'postgres'").format(role))
        cursor.execute("SET password_encryption = 'md5'")
        cursor.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(md5, sql.Literal(canary)))
        planted, output = findings(host, tmp_path)
    finally:
        host.run("sh", "-c", REMOVE.format(name=name))
        cursor.execute("SELECT pg_stat_statements_reset()")
        host.run("sh", "-c", "find /var/log/postgresql -name '*.log' -exec truncate -s 0 {} +")
        connection.close()
    said = {
        "process arguments": "sh (pid",
        "environments of units": f"Environment= of {name}a.service",
        "readable files": f"/etc/{name}.conf",
        ".pgpass": "/root/.pgpass",
        "server log": "/var/log/postgresql/",
        "pg_stat_statements": "statement(s)",
        "well-known passwords": f"{pg_database.prefix}app",
        "md5 verifiers": f"{pg_database.prefix}old",
        "age of secrets": f"{name}_url",
    }
    for subject, text in said.items():
        status, evidence = planted[subject]
        assert status == "fail", f"{subject}: {evidence}"
        assert text in evidence
    assert f"/etc/{name}.env (EnvironmentFile= of {name}b.service)" in planted["environments of units"][1]
    assert f"/etc/{name}.private" not in planted["readable files"][1]
    assert canary not in output

    clean, _output = findings(host, tmp_path)
    for subject in ("environments of units", "readable files", ".pgpass", "server log"):
        assert clean[subject][0] == "pass", clean[subject]
