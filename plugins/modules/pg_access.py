#!/usr/bin/python
# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

DOCUMENTATION = r"""
module: pg_access
short_description: Exact access of a PostgreSQL server in one pass
version_added: 0.1.0
author: the dbops.postgres authors (@dbops)
description:
  - Makes every declared role, membership, setting, database, schema, owner, grant and default privilege of one server
    true, and with O(purge) revokes what is not declared.
  - Reads the catalog with a constant number of queries, computes one plan, and carries it out. Roles and
    memberships are one transaction, then each database is one transaction. When a database fails, it is rolled back,
    and the error says what was committed before; running again takes up from there.
  - Check mode computes the same plan in read-only transactions. C(changed), RV(statements) and RV(diff) are those of
    the real run.
  - An attribute of a role, an owner or a limit that is left out is not managed. Lists of grantees and of grants that
    are left out are empty, which matters with O(purge).
  - Superusers, roles whose names begin with C(pg_), objects of extensions and the connected role are left alone.
  - Everything that is wrong with the options, on this server, is one error before anything changes.
notes:
  - "An entry of tables, sequences, functions or types without O(databases[].schemas[].tables[].objects) also becomes
    default privileges of each of O(databases[].schemas[].creators). With O(purge) the built-in EXECUTE on functions and
    USAGE on types of PUBLIC is taken away from what the creators will create. PostgreSQL allows that only for all
    schemas of a database at once."
  - Privileges are declared without grant option. With O(purge) grant options go, and with CASCADE what was granted
    by their holders; what of that is declared is granted anew by the owner.
  - A password becomes a SCRAM-SHA-256 verifier on this side, so the server never sees it. A superuser also keeps the
    verifier out of the server's log, of pg_stat_statements and of pgaudit; another role cannot.
  - Two runs with the same O(login_db) exclude each other by an advisory lock.
  - A login that is no superuser needs CREATEROLE to manage roles, and CREATEDB to create databases. It becomes a
    member of the owners and creators whose objects it has to change, where it may.
extends_documentation_fragment:
  - dbops.postgres.login
  - dbops.postgres.attributes
  - dbops.postgres.attributes.action_group
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: partial
    details:
      - With O(update_password=always) passwords are set in every run.
options:
  roles:
    description: Roles of the server.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the role.
        type: str
        required: true
      state:
        description:
          - V(absent) drops the role. That is refused while it owns anything, unless
            O(roles[].reassign_to) is given, and while it holds privileges in databases that are not declared.
        type: str
        choices: [present, absent]
        default: present
      reassign_to:
        description:
          - With O(roles[].state=absent), the role that gets everything the dropped one owns, in all databases. What it
            was granted is revoked in all databases.
        type: str
      login:
        description: Whether it may log in.
        type: bool
      password:
        description:
          - Its password, or a SCRAM-SHA-256 verifier of it. An md5 hash is refused.
          - See O(update_password).
        type: str
      connection_limit:
        description: How many connections it may have at once; V(-1) means any number.
        type: int
      valid_until:
        description:
          - Until when its password is valid, an ISO 8601 date and time (UTC unless it says otherwise) or V(infinity).
        type: str
      inherit:
        description: Whether it has the privileges of the roles it is a member of without SET ROLE.
        type: bool
      createdb:
        description: Whether it may create databases.
        type: bool
      createrole:
        description: Whether it may create roles.
        type: bool
      replication:
        description: Whether it may replicate.
        type: bool
      bypassrls:
        description: Whether row-level security does not apply to it.
        type: bool
      settings:
        description:
          - Settings of its sessions in all databases. A value of V(null) resets one. A list setting such as
            C(search_path) may be a list.
          - With O(purge), other settings of the role are reset.
        type: dict
      member_of:
        description:
          - Roles that it is a member of. Each is a name, or a dictionary with C(role) and the booleans C(admin),
            C(inherit) and C(set); the last two need PostgreSQL 16.
          - With O(purge) its other memberships are revoked; ADMIN without INHERIT and SET, which PostgreSQL 16 gives to
            the creator of a role, is left.
        type: list
        elements: raw
  databases:
    description: Databases of the server.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the database. It is created from C(template1) when it is not there.
        type: str
        required: true
      owner:
        description: Its owner.
        type: str
      connection_limit:
        description: How many connections it may have at once; V(-1) means any number.
        type: int
      connect:
        description: Roles with CONNECT.
        type: list
        elements: str
        default: []
      temporary:
        description: Roles with TEMPORARY.
        type: list
        elements: str
        default: []
      create:
        description: Roles with CREATE, which lets them create schemas.
        type: list
        elements: str
        default: []
      schemas:
        description: Schemas of the database. Others are left as they are, with a warning when O(purge=true).
        type: list
        elements: dict
        default: []
        suboptions:
          name:
            description: Name of the schema. It is created when it is not there.
            type: str
            required: true
          owner:
            description: Its owner. What is in the schema keeps its owners.
            type: str
          usage:
            description: Roles with USAGE.
            type: list
            elements: str
            default: []
          create:
            description: Roles with CREATE.
            type: list
            elements: str
            default: []
          creators:
            description: Roles that create objects in the schema; the default privileges are theirs.
            type: list
            elements: str
            default: []
          tables:
            description: Privileges on tables, partitions, views, materialised views and foreign tables.
            type: list
            elements: dict
            default: []
            suboptions:
              privileges:
                description: >-
                  SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, MAINTAIN (from PostgreSQL 17) or ALL.
                  On columns SELECT, INSERT, UPDATE, REFERENCES or ALL.
                type: list
                elements: str
                required: true
              roles:
                description: Who gets them. V(PUBLIC) means everybody.
                type: list
                elements: str
                required: true
              objects:
                description: These only. Left out means all there are and will be.
                type: list
                elements: str
              columns:
                description: These columns of O(databases[].schemas[].tables[].objects) only.
                type: list
                elements: str
              except:
                description: All but these.
                type: list
                elements: str
          sequences:
            description: Privileges on sequences, USAGE, SELECT, UPDATE or ALL.
            type: list
            elements: dict
            default: []
            suboptions:
              privileges:
                description: The privileges.
                type: list
                elements: str
                required: true
              roles:
                description: Who gets them. V(PUBLIC) means everybody.
                type: list
                elements: str
                required: true
              objects:
                description: These only. Left out means all there are and will be.
                type: list
                elements: str
              except:
                description: All but these.
                type: list
                elements: str
          functions:
            description: >-
              Privileges on functions, procedures and aggregates, EXECUTE or ALL. One is named C(refund), or, where
              there are several of that name, with its input types as in C(refund(integer, text\)).
            type: list
            elements: dict
            default: []
            suboptions:
              privileges:
                description: The privileges.
                type: list
                elements: str
                required: true
              roles:
                description: Who gets them. V(PUBLIC) means everybody.
                type: list
                elements: str
                required: true
              objects:
                description: These only. Left out means all there are and will be.
                type: list
                elements: str
              except:
                description: All but these.
                type: list
                elements: str
          types:
            description: >-
              Privileges on types and domains, USAGE or ALL. Row types of tables and array types follow their element
              and are not meant.
            type: list
            elements: dict
            default: []
            suboptions:
              privileges:
                description: The privileges.
                type: list
                elements: str
                required: true
              roles:
                description: Who gets them. V(PUBLIC) means everybody.
                type: list
                elements: str
                required: true
              objects:
                description: These only. Left out means all there are and will be.
                type: list
                elements: str
              except:
                description: All but these.
                type: list
                elements: str
  purge:
    description:
      - V(true) makes the declared databases and schemas exact. Whatever any grantee holds on them or on an object in a
        declared schema and that is not declared is revoked, PUBLIC and undeclared roles included, default privileges
        of any creator in those schemas included.
      - Left as it is what owners, superusers, C(pg_*) roles, the connected role and O(ignore_roles) hold.
      - V(false) only adds.
    type: bool
    default: false
  ignore_roles:
    description:
      - Names or shell patterns (C(*), C(?)) of roles whose grants, and whose default privileges, O(purge) leaves as
        they are.
    type: list
    elements: str
    default: []
  unguarded_roles:
    description:
      - Superusers, or the connected role, that O(roles) may change all the same, or make somebody a member of.
    type: list
    elements: str
    default: []
  unknown_objects:
    description:
      - What to do about a table, column, sequence, function or type that is declared by name and not there.
      - V(fail) refuses before anything changes. V(skip) leaves it out with a warning; an entry whose C(except) names
        an object that is not there yet gets no default privileges, or that object would be open from birth.
    type: str
    choices: [fail, skip]
    default: fail
  update_password:
    description:
      - V(changed) sets a password that differs from the stored one. Where the stored one cannot be read
        (RV(capabilities.pg_authid) is false, for example on a managed provider) only new roles get theirs, and a
        warning names the others.
      - V(on_create) sets the passwords of new roles only.
      - V(always) sets every password in every run.
    type: str
    choices: [changed, on_create, always]
    default: changed
seealso:
  - module: dbops.postgres.pg_access_info
  - name: PostgreSQL privileges
    description: What each privilege allows.
    link: https://www.postgresql.org/docs/current/ddl-priv.html
  - name: ALTER DEFAULT PRIVILEGES
    description: How the privileges of future objects are made.
    link: https://www.postgresql.org/docs/current/sql-alterdefaultprivileges.html
"""

EXAMPLES = r"""
- name: Make the access of the payments service exact
  dbops.postgres.pg_access:
    roles:
      - {name: payments_prod_owner, login: false}
      - {name: payments_prod_rw, login: false}
      - name: payments_prod_app
        login: true
        password: "{{ vault_payments_prod_app }}"
        connection_limit: 20
        settings: {statement_timeout: 30s}
        member_of: [payments_prod_rw]
      - {name: payments_prod_migrator, login: true, password: "{{ vault_payments_prod_migrator }}"}
      - {name: analytics_ro, login: true, password: "{{ vault_analytics_ro }}"}
    databases:
      - name: payments_db
        owner: payments_prod_owner
        connect: [payments_prod_app, payments_prod_migrator, analytics_ro]
        schemas:
          - name: public
            owner: payments_prod_owner
            usage: [payments_prod_rw, payments_prod_migrator, analytics_ro]
            create: [payments_prod_migrator]
            tables:
              - {privileges: [SELECT, INSERT, UPDATE], roles: [payments_prod_rw]}
              - {privileges: [SELECT], roles: [analytics_ro], except: [payment_methods]}
            sequences:
              - {privileges: [USAGE, SELECT], roles: [payments_prod_rw]}
            functions:
              - {privileges: [EXECUTE], roles: [payments_prod_rw]}
            creators: [payments_prod_migrator]
    purge: true
    unknown_objects: skip # payment_methods is there after the first migration
  become: true

- name: Let support see some columns of the refunds, and touch nothing else
  dbops.postgres.pg_access:
    roles:
      - {name: support_ro, login: false}
    databases:
      - name: payments_db
        connect: [support_ro]
        schemas:
          - name: public
            usage: [support_ro]
            tables:
              - {privileges: [SELECT], roles: [support_ro], objects: [refunds], columns: [id, amount, status]}
  become: true

- name: Drop a role that has left, give what it owned to the owner
  dbops.postgres.pg_access:
    roles:
      - {name: payments_old, state: absent, reassign_to: payments_prod_owner}
  become: true
"""

RETURN = r"""
statements:
  description:
    - The SQL that was executed, or would be, in order, secrets masked. A comment says where the following ones run.
  type: list
  elements: str
  returned: success
  sample:
    - -- cluster
    - CREATE ROLE "payments_prod_app" LOGIN CONNECTION LIMIT 20
    - ALTER ROLE "payments_prod_app" PASSWORD '********'
    - -- database payments_db
    - REVOKE TEMPORARY, CONNECT ON DATABASE "payments_db" FROM PUBLIC
    - GRANT SELECT, INSERT, UPDATE ON TABLE "public"."payments", "public"."refunds" TO "payments_prod_rw"
diff:
  description:
    - What was and what is, one line for each object, or for several that are alike.
    - C(*) after a privilege is a grant option. What an owner holds is left out.
  type: dict
  returned: success
  contains:
    before:
      description: What was.
      type: str
      sample: "table payments_db.public.refunds: PUBLIC=SELECT\n"
    after:
      description: What is.
      type: str
      sample: "table payments_db.public.refunds: analytics_ro=SELECT payments_prod_rw=SELECT,INSERT,UPDATE\n"
capabilities:
  description: What the connected role can see and do on this server.
  type: dict
  returned: success
  contains:
    server_version:
      description: As in the setting C(server_version_num).
      type: int
      sample: 170002
    user:
      description: The connected role.
      type: str
      sample: postgres
    superuser:
      description: Whether it is a superuser.
      type: bool
      sample: true
    rds:
      description: Whether the server is Amazon RDS or Aurora.
      type: bool
      sample: false
    pg_authid:
      description: Whether stored passwords can be read, and so compared.
      type: bool
      sample: true
    in_recovery:
      description: Whether the server is a replica.
      type: bool
      sample: false
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.dbops.postgres.plugins.module_utils._access.apply import converge
from ansible_collections.dbops.postgres.plugins.module_utils._access.spec import parse
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError
from ansible_collections.dbops.postgres.plugins.module_utils._postgres import LOGIN_ARGUMENTS, login_from

NAMES: dict[str, Any] = {"type": "list", "elements": "str", "default": []}


def entries(*more: str) -> dict[str, Any]:
    """The argument of one kind of objects."""
    return {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "privileges": {"type": "list", "elements": "str", "required": True},
            "roles": {"type": "list", "elements": "str", "required": True},
            **{key: {"type": "list", "elements": "str"} for key in ("objects", "except", *more)},
        },
    }


ROLES: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "reassign_to": {"type": "str"},
        "password": {"type": "str", "no_log": True},
        "connection_limit": {"type": "int"},
        "valid_until": {"type": "str"},
        **{
            flag: {"type": "bool"}
            for flag in ("login", "inherit", "createdb", "createrole", "replication", "bypassrls")
        },
        "settings": {"type": "dict"},
        "member_of": {"type": "list", "elements": "raw"},
    },
}
SCHEMAS: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "owner": {"type": "str"},
        "usage": NAMES,
        "create": NAMES,
        "creators": NAMES,
        "tables": entries("columns"),
        "sequences": entries(),
        "functions": entries(),
        "types": entries(),
    },
}
DATABASES: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "default": [],
    "options": {
        "name": {"type": "str", "required": True},
        "owner": {"type": "str"},
        "connection_limit": {"type": "int"},
        "connect": NAMES,
        "temporary": NAMES,
        "create": NAMES,
        "schemas": SCHEMAS,
    },
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **LOGIN_ARGUMENTS,
            "roles": ROLES,
            "databases": DATABASES,
            "purge": {"type": "bool", "default": False},
            "ignore_roles": NAMES,
            "unguarded_roles": NAMES,
            "unknown_objects": {"type": "str", "choices": ["fail", "skip"], "default": "fail"},
            "update_password": {
                "type": "str",
                "choices": ["changed", "on_create", "always"],
                "default": "changed",
                "no_log": False,
            },
        },
        supports_check_mode=True,
    )
    try:
        spec = parse(module.params)
        outcome = converge(login_from(module.params), spec, check_mode=module.check_mode)
    except DbopsError as error:
        module.fail_json(msg=str(error))
    for warning in outcome.planned.warnings:
        module.warn(warning)
    module.exit_json(
        changed=outcome.planned.plan.changed,
        statements=list(outcome.statements),
        diff=outcome.planned.plan.diff(),
        capabilities=outcome.capabilities.as_dict(),
    )


if __name__ == "__main__":
    main()
