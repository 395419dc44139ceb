# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificate that a server presents, and how long it is valid: without a library for cryptography.

The target needs nothing but Python: a certificate is DER (ITU-T X.690), its validity is the fifth field of
TBSCertificate, the fourth where the version is left out (RFC 5280, 4.1).
"""

from __future__ import annotations

import datetime
import socket
import ssl
import struct

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


def not_after(der: bytes) -> datetime.datetime:
    """The end of the validity of a DER certificate, in UTC.

    :raises ValueError: it is no certificate.
    """
    certificate = _elements(der)
    signed = _elements(certificate[0][1]) if certificate else []
    fields = _elements(signed[0][1]) if signed else []
    if fields and fields[0][0] == 0xA0:  # [0] version
        fields = fields[1:]
    if len(fields) < 4:
        raise ValueError("not a certificate")
    validity = _elements(fields[3][1])
    if len(validity) != 2:
        raise ValueError("not a certificate")
    tag, text = validity[1]
    written = text.decode("ascii")
    # UTCTime has two digits for the year, 00-49 are 20xx (RFC 5280, 4.1.2.5.1).
    if tag == 0x17:
        written = ("20" if int(written[:2]) < 50 else "19") + written
    return datetime.datetime.strptime(written, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.timezone.utc)


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """The elements of ``data``, as tag and content."""
    found = []
    position = 0
    while position < len(data):
        tag, content, position = _element(data, position)
        found.append((tag, content))
    return found


def _element(data: bytes, start: int) -> tuple[int, bytes, int]:
    try:
        tag, length, position = data[start], data[start + 1], start + 2
    except IndexError:
        raise ValueError("not a certificate") from None
    if length & 0x80:
        size = length & 0x7F
        length = int.from_bytes(data[position : position + size], "big")
        position += size
    if position + length > len(data):
        raise ValueError("not a certificate")
    return tag, data[position : position + length], position + length


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
