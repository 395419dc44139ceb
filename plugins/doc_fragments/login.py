# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Login options that every module shares, named as in community.postgresql."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  login_host:
    description:
      - Host name or address of the server.
      - Empty means the local UNIX socket.
    type: str
    default: ''
    aliases: [host]
  login_unix_socket:
    description:
      - Directory of the UNIX socket. Empty means the default directory of libpq.
    type: str
    default: ''
    aliases: [unix_socket]
  login_port:
    description:
      - Port of the server.
    type: int
    default: 5432
    aliases: [port]
  login_user:
    description:
      - Role to connect as.
      - When the module runs as root over the UNIX socket and no password is given, it connects as the operating
        system's user of this name, so that C(peer) authentication works with C(become) alone.
    type: str
    default: postgres
    aliases: [login]
  login_password:
    description:
      - Password of O(login_user).
    type: str
    default: ''
  login_db:
    description:
      - Database to connect to first.
    type: str
    default: postgres
    aliases: [maintenance_db]
  ssl_mode:
    description:
      - How much TLS the connection requires, in the words of libpq. Use V(verify-full) over a network.
    type: str
    default: prefer
    choices: [allow, disable, prefer, require, verify-ca, verify-full]
  ca_cert:
    description:
      - File with the certificates of the authorities that O(ssl_mode=verify-ca) and O(ssl_mode=verify-full) trust.
    type: path
    aliases: [ssl_rootcert]
requirements:
  - psycopg2 on the host that runs the module (package C(python3-psycopg2))
seealso:
  - name: PostgreSQL connection strings
    description: Meaning of the connection options.
    link: https://www.postgresql.org/docs/current/libpq-connect.html
"""
