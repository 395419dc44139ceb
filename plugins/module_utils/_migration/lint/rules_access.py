# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules about who may see and do what: row-level security, grants, powers of roles, secrets in a text. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils._findings import Severity
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.nodes import (
    Name,
    enum,
    name_of,
    quoted,
    sql_of,
)
from ansible_collections.dbops.postgres.plugins.module_utils._migration.lint.rule import (
    FORBIDDEN,
    REGISTRY,
    Context,
    Hit,
    Rule,
)

_C, _H = Severity.CRITICAL, Severity.HIGH

REGISTRY.add(
    Rule("disable-row-security", FORBIDDEN, _C, "Everybody who may read the table reads every tenant's rows."),
    Rule("no-force-row-security", FORBIDDEN, _C, "The table's owner, and what runs as it, reads every tenant's rows."),
    Rule("drop-policy", FORBIDDEN, _H, "Rows are seen by those the policy kept out, or by nobody."),
    Rule(
        *("grant-to-public", FORBIDDEN, _C, "Every role that exists, or ever will, gets the privilege."),
        needs_rows=False,
    ),
    Rule("power-of-role", FORBIDDEN, _C, "The role passes by every policy and grant.", needs_rows=False),
    Rule(
        *(
            "password-in-migration",
            FORBIDDEN,
            _C,
            "The password stands in the repository and in the server's log.",
        ),
        needs_rows=False,
    ),
    Rule("disable-trigger", FORBIDDEN, _H, "What the trigger or foreign key guards is not guarded any more."),
)


@REGISTRY.on_alter("AT_DisableRowSecurity")
def disable(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    text = f"-- Say in a policy who sees what:\nALTER TABLE {table.sql} ENABLE ROW LEVEL SECURITY;"
    yield Hit("disable-row-security", str(table), text)


@REGISTRY.on_alter("AT_NoForceRowSecurity")
def no_force(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    yield Hit("no-force-row-security", str(table), f"ALTER TABLE {table.sql} FORCE ROW LEVEL SECURITY;")


@REGISTRY.on("DropStmt")
def drop_policy(ctx: Context, node: Any) -> Iterator[Hit]:
    if enum(node.removeType) != "OBJECT_POLICY":
        return
    made = {
        (name_of(other.node.table), other.node.policy_name)
        for other in ctx.script.statements
        if other.kind == "CreatePolicyStmt"
    }
    for item in node.objects:
        table, policy = name_of(item[:-1]), item[-1].sval
        if (table, policy) not in made and not ctx.catalog.is_new(table):
            text = f"ALTER POLICY {quoted(policy)} ON {table.sql} USING (<the new condition>);"
            yield Hit("drop-policy", f"{table}.{policy}", text)


@REGISTRY.on("GrantStmt")
def grant(ctx: Context, node: Any) -> Iterator[Hit]:
    if node.is_grant and any(enum(role.roletype) == "ROLESPEC_PUBLIC" for role in node.grantees or ()):
        name = "a default privilege" if enum(node.targtype) == "ACL_TARGET_DEFAULTS" else _granted(node)
        # The last TO: a schema may be called public as well.
        what, to, _grantees = re.split(r"(\bTO\b)(?!.*\bTO\b)", ctx.statement.text, flags=re.IGNORECASE | re.DOTALL)
        yield Hit("grant-to-public", name, f"{what}{to} <the role that needs it>;")


@REGISTRY.on("AlterDefaultPrivilegesStmt")
def default_privileges(ctx: Context, node: Any) -> Iterator[Hit]:
    yield from grant(ctx, node.action)


def _granted(node: Any) -> str:
    return ", ".join(str(name_of(item)) for item in node.objects or ())


@REGISTRY.on("CreateRoleStmt", "AlterRoleStmt")
def role(ctx: Context, node: Any) -> Iterator[Hit]:
    name = node.role if isinstance(node.role, str) else (node.role.rolename or "CURRENT_USER")
    for option in node.options or ():
        on = bool(getattr(option.arg, "boolval", False))
        if option.defname in ("superuser", "bypassrls", "isreplication") and on:
            yield Hit("power-of-role", name, "-- Grant the role what it needs, by name.")
        if option.defname == "password" and getattr(option.arg, "sval", ""):
            yield Hit(
                *("password-in-migration", name),
                f"-- Set it outside, as a SCRAM verifier; here only:\nCREATE ROLE {quoted(name)} NOLOGIN;",
            )


@REGISTRY.on_alter(
    *("AT_DisableTrig", "AT_DisableTrigAll", "AT_DisableTrigUser", "AT_EnableReplicaTrig", "AT_DisableRule")
)
def triggers(ctx: Context, table: Name, command: Any) -> Iterator[Hit]:
    what = f".{command.name}" if command.name else ""
    yield Hit(
        "disable-trigger",
        f"{table}{what}",
        "-- Change the trigger's function, or drop the trigger.",
    )


@REGISTRY.on("VariableSetStmt")
def replica(ctx: Context, node: Any) -> Iterator[Hit]:
    if node.name == "session_replication_role" and node.args and sql_of(node.args[0]).strip("'\"") != "origin":
        yield Hit("disable-trigger", "session_replication_role", "-- Leave it out: foreign keys are triggers too.")
