# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate that a server presents, and how long it is valid."""

from __future__ import annotations

import datetime
import socket
import ssl
import struct

from ansible_collections.dbops.postgres.plugins.module_utils._certificate import not_after
from ansible_collections.dbops.postgres.plugins.module_utils._findings import Status
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Certificate, Seen, Unseen

TIMEOUT_SECONDS = 5.0
_SSL_REQUEST = struct.pack("!ii", 8, 80877103)  # PostgreSQL manual, 53.7: SSLRequest


def presented(host: str, port: int, now: datetime.datetime) -> Seen[Certificate]:
    """Ask the server for TLS as a client does and look at what it answers. No authentication takes place."""
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT_SECONDS) as plain:
            plain.sendall(_SSL_REQUEST)
            if plain.recv(1) != b"S":
                return Certificate(tls=False)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False  # the certificate is looked at, not trusted
            context.verify_mode = ssl.CERT_NONE
            with context.wrap_socket(plain, server_hostname=host) as wrapped:
                der = wrapped.getpeercert(binary_form=True) or b""
                cipher = wrapped.cipher()
                expires = not_after(der)
                return Certificate(
                    tls=True,
                    version=wrapped.version() or "",
                    cipher=cipher[0] if cipher else "",
                    not_after=expires.strftime("%Y-%m-%d"),
                    days_left=(expires - now).days,
                )
    except (OSError, ValueError) as error:
        return Unseen(Status.ERROR, f"No TLS handshake with {host}:{port}: {error}")


def weak_ciphers(ciphers: str) -> Seen[tuple[str, ...]]:
    """Those of an OpenSSL cipher list that lack forward secrecy or authenticated encryption (RFC 9325, 4.2)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.set_ciphers(ciphers)
    except ssl.SSLError:
        return Unseen(Status.ERROR, f"OpenSSL does not know the cipher list {ciphers!r}")
    return tuple(item["name"] for item in context.get_ciphers() if not strong(str(item["name"])))


def strong(cipher: str) -> bool:
    """Whether a cipher suite, in OpenSSL's name, has forward secrecy and authenticated encryption."""
    secret = cipher.startswith(("TLS_", "ECDHE-", "DHE-"))
    return secret and any(mode in cipher for mode in ("GCM", "CCM", "CHACHA20"))
