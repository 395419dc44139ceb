# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo`: a throwaway host, made into the estate of inventories/demo, and the proof that it is one."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg2
import yaml

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Finding, Status, label, summary
from tests.steps import step
from tests.throwaway.hosts import Host, HostSpec, down, inventory_path, up
from tests.throwaway.podman import HostError

ROOT = Path(__file__).parent.parent.parent
INVENTORY = ROOT / "inventories" / "demo"
MIGRATIONS = INVENTORY / "migrations" / "payments"
SCHEMA = Path(__file__).parent / "schema"
STATE = ROOT / ".cache" / "demo"
LOGS = ROOT / ".cache" / "logs"
REPORT = STATE / "report"
GROUP = "demo"
ENVIRONMENT = "prod"
SERVICES = ("auth", "payments", "admin", "profile")
LOGINS = {
    **{f"{service}_{ENVIRONMENT}_{kind}": f"{service}_db" for service in SERVICES for kind in ("app", "migrator")},
    f"analytics_{ENVIRONMENT}_ro": "payments_db",
}
TIMEOUT_SECONDS = 600


class DemoError(Exception):
    """What went wrong, with the place of the log."""


def main(arguments: list[str]) -> int:
    """Run the demo, or remove it (``clean``)."""
    try:
        if arguments == ["clean"]:
            down(GROUP)
            shutil.rmtree(STATE, ignore_errors=True)
            return 0
        return demo()
    except (DemoError, HostError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


def demo() -> int:
    """All of it; a second run on the same host changes nothing."""
    [host] = up(GROUP, [HostSpec("db1", "debian13")], keep=True)
    STATE.mkdir(parents=True, exist_ok=True, mode=0o700)
    passwords = _passwords(host)
    _client_files(host, passwords)
    host.run("mkdir", "-p", "-m", "0700", "/srv/backups")  # where another machine's directory would be mounted

    _playbook("site.yml", host, "site.yml: make every control true")
    _migrations(host, passwords)
    # The reader's tables exist only now, and `except` kept them closed to it until they could be told apart.
    _playbook("site.yml", host, "site.yml --tags access: the tables that the migrations made", "--tags", "access")
    again = _playbook("site.yml", host, "site.yml again: nothing is left to do")
    if again["changed"]:
        raise DemoError(f"The second run changed {again['changed']} thing(s): see {LOGS / 'demo-site.log'}.")
    _playbook("backup.yml", host, "backup.yml: a set of all databases, encrypted for a key that is not on the host")
    _playbook("restore_drill.yml", host, "restore_drill.yml: restore it elsewhere, compare every row")
    payments = ["database=payments_db", "environment=prod", "role=payments_prod_migrator", f"path={MIGRATIONS}"]
    _playbook(
        "migrate.yml",
        host,
        "migrate.yml: lint, backup, rehearsal on a copy, apply, verify",
        *(f"-emigrate_{item}" for item in payments),
    )
    _playbook("assure.yml", host, "assure.yml: constraints bite, indexes are used, data are sound", *_assurance())
    _playbook("readiness.yml", host, "readiness.yml: prove it on the live host", f"-ereadiness_report_dir={REPORT}")

    _show_verdicts()
    print(f"\nReports         {REPORT / 'readiness.html'}")
    print(f"                {REPORT / 'assurance.html'}")
    print("Be a service    make psql AS=payments_prod_app")
    print(f"                (or any of {', '.join(name for name in LOGINS if name != 'payments_prod_app')})")
    print("Be the host     make shell")
    print("Remove it all   make demo-clean")
    return 0


def _assurance() -> list[str]:
    """The server says that it is production, and rows are tried there: that has to be said in words."""
    variables = {
        "assure_specs": [str(INVENTORY / "specs" / "payments.yml")],
        "assure_report_dir": str(REPORT),
        "assure_i_know_this_is_production": "prove the databases of the production server",
    }
    return ["-e", json.dumps(variables)]


def _passwords(host: Host) -> dict[str, str]:
    """Random passwords and the key of the backups, in a vault beside its own key, as a team would keep them apart."""
    key, vault = STATE / "vault-password", STATE / "vault.yml"
    if not key.exists():
        _private(key, secrets.token_urlsafe(32) + "\n")
        vault.unlink(missing_ok=True)
    if not vault.exists():
        fresh = {
            "vault_access_passwords": {login: secrets.token_urlsafe(24) for login in LOGINS},
            "vault_pgbouncer_auth_password": secrets.token_urlsafe(24),
            **_backup_key(host),
        }
        _vault("encrypt", f"--output={vault}", "-", text=yaml.safe_dump(fresh))
    read: dict[str, Any] = yaml.safe_load(_vault("view", str(vault)))
    passwords: dict[str, str] = read["vault_access_passwords"]
    return passwords


def _backup_key(host: Host) -> dict[str, str]:
    """An age identity and its public key. The host has age, and keeps neither."""
    install = "apt-get -q update && apt-get -q install --yes --no-install-recommends age"
    made = host.run("sh", "-c", f"(command -v age-keygen || {install}) >/dev/null 2>&1; age-keygen 2>/dev/null")
    public = re.search(r"age1[0-9a-z]+", made)
    if not public:
        raise DemoError("age-keygen has made no key.")
    return {"vault_backup_identity": made, "vault_backup_recipient": public[0]}


def _vault(*arguments: str, text: str = "") -> str:
    program = Path(sys.executable).parent / "ansible-vault"
    command = [str(program), arguments[0], f"--vault-password-file={STATE / 'vault-password'}", *arguments[1:]]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=True, timeout=60).stdout


def _client_files(host: Host, passwords: dict[str, str]) -> None:
    """A service file and a password file for psql, so that no password is typed or seen."""
    services = [
        f"[{login}]\nhost={host.address}\nport={_port(login)}\ndbname={database}\nuser={login}\n"
        f"sslmode=verify-full\nsslrootcert={STATE / 'ca' / 'ca.crt'}\n"
        for login, database in LOGINS.items()
    ]
    _private(STATE / "pg_service.conf", "\n".join(services))
    _private(
        STATE / "pgpass", "".join(f"{host.address}:{_port(login)}:*:{login}:{passwords[login]}\n" for login in LOGINS)
    )


def _port(login: str) -> int:
    """Applications come through the pool, everybody else directly."""
    return 6432 if login.endswith("_app") else 5432


def _private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _playbook(name: str, host: Host, title: str, *options: str) -> dict[str, int]:
    """Run a playbook against the demo's host and return the host's line of the recap."""
    log = LOGS / f"demo-{name.removesuffix('.yml')}.log"
    LOGS.mkdir(parents=True, exist_ok=True)
    subnet = re.sub(r"[0-9]+$", "0/24", host.address)
    own: dict[str, Any] = {"application_subnets": [subnet], "server_tls_ca_dir": str(STATE / "ca")}
    command = [
        str(Path(sys.executable).parent / "ansible-playbook"),
        *("-i", str(INVENTORY), "-i", str(inventory_path(GROUP))),
        *(f"--vault-password-file={STATE / 'vault-password'}", f"-e@{STATE / 'vault.yml'}", "-e", json.dumps(own)),
        *(str(ROOT / "playbooks" / name), *options),
    ]
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "collections"),
        "ANSIBLE_NOCOLOR": "1",
    }
    with step(title), log.open("w") as file:
        status = subprocess.run(
            command, stdout=file, stderr=file, env=environment, timeout=TIMEOUT_SECONDS, check=False
        ).returncode
    text = log.read_text()
    recap = re.search(rf"^{host.name} +: +(.*)$", text, re.MULTILINE)
    counts = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", recap[1])} if recap else {}
    if status != 0 or not counts:
        tail = "\n".join(text.splitlines()[-40:])
        raise DemoError(f"{tail}\n\n{name} failed; the whole log is {log}.")
    print(f"    {counts['ok']} tasks ok, {counts['changed']} changed")
    return counts


def _migrations(host: Host, passwords: dict[str, str]) -> None:
    """What each service's own migrations would do, as its migrator, over TLS, from outside of the host."""
    with step("tables and rows, by each service's migrator"):
        for service in SERVICES:
            login = f"{service}_{ENVIRONMENT}_migrator"
            connection = psycopg2.connect(
                host=host.address,
                dbname=f"{service}_db",
                user=login,
                password=passwords[login],
                sslmode="verify-full",
                sslrootcert=str(STATE / "ca" / "ca.crt"),
                connect_timeout=10,
            )
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
                row = cursor.fetchone()
                if row is not None and row[0] == 0:
                    cursor.execute((SCHEMA / f"{service}_db.sql").read_text())
            connection.close()


def _show_verdicts() -> None:
    report = json.loads((REPORT / "readiness.json").read_text())
    titles = {control["id"]: control["title"] for control in report["controls"]}
    findings = [Finding.from_dict(data) for data in report["findings"]]
    for host in report["hosts"]:
        print(f"\n{'control':<37}{host['name']}")
        for control in host["verdicts"]:
            found = [f for f in findings if (f.control, f.host) == (control, host["name"])]
            counts = ", ".join(f"{n} {Status(name).words}" for name, n in summary(found).items() if n)
            print(f"{control:<5}{titles[control]:<32}{label(found):<16}{counts}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
