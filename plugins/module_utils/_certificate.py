# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Until when a certificate is valid, without a library for cryptography. Pure.

The target needs nothing but Python: a certificate is DER (ITU-T X.690), its validity is the fifth field of
TBSCertificate, the fourth where the version is left out (RFC 5280, 4.1).
"""

from __future__ import annotations

import datetime


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
