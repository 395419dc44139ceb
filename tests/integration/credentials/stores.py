# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secret stores for tests: moto's server for AWS Secrets Manager, and two that answer in the recorded shape of theirs.

The servers of Vault/OpenBao and of Doppler cannot be installed from the package registries that the tests use, so
these two prove the contract: paths, headers, bodies and answers as their documentation gives them.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "test-token-of-a-store"


class Store(ThreadingHTTPServer):
    """What the store holds, by path or name, and the requests that it refused."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.secrets: dict[str, Any] = {}
        self.refused: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Answers in JSON, to requests with the right token alone."""

    server: Store

    def answer(self, status: int, body: dict[str, Any]) -> None:
        if status >= 400:
            self.server.refused.append(f"{self.command} {self.path}: {status}")
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        return found

    def log_message(self, *_arguments: object) -> None:
        """Quiet."""


class Vault(Handler):
    """The KV 2 engine at ``secret/`` (Vault and OpenBao, HTTP API, "KV secrets engine - version 2")."""

    def allowed(self) -> bool:
        if self.headers.get("X-Vault-Token") == TOKEN:
            return True
        self.answer(403, {"errors": ["permission denied"]})
        return False

    def do_GET(self) -> None:
        if not self.allowed():
            return
        path = urlsplit(self.path).path
        if path == "/v1/auth/token/lookup-self":
            self.answer(200, {"data": {"id": TOKEN, "policies": ["app"], "ttl": 3600}})
            return
        versions = self.server.secrets.get(path.removeprefix("/v1/secret/data/"))
        if not versions:
            self.answer(404, {"errors": []})
            return
        metadata: dict[str, Any] = {
            "created_time": "2026-01-01T00:00:00Z",
            "custom_metadata": None,
            "deletion_time": "",
        }
        metadata.update({"destroyed": False, "version": len(versions)})
        self.answer(200, {"request_id": "1", "lease_id": "", "data": {"data": versions[-1], "metadata": metadata}})

    def do_POST(self) -> None:
        if not self.allowed():
            return
        versions = self.server.secrets.setdefault(self.path.removeprefix("/v1/secret/data/"), [])
        versions.append(self.body()["data"])
        self.answer(200, {"data": {"created_time": "2026-01-01T00:00:00Z", "version": len(versions)}})


class Doppler(Handler):
    """Doppler's API, version 3: "Download" and "Update" of a config's secrets."""

    def allowed(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self.answer(401, {"messages": ["Invalid Auth token"], "success": False})
        return False

    def do_GET(self) -> None:
        if not self.allowed():
            return
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if (parts.path, query.get("format")) != ("/v3/configs/config/secrets/download", "json"):
            self.answer(404, {"messages": ["Not found"], "success": False})
            return
        prefix = f"{query['project']}/{query['config']}/"
        found = {key.removeprefix(prefix): text for key, text in self.server.secrets.items() if key.startswith(prefix)}
        self.answer(200, {"DOPPLER_PROJECT": query["project"], **found})

    def do_POST(self) -> None:
        if not self.allowed():
            return
        given = self.body()
        if urlsplit(self.path).path != "/v3/configs/config/secrets":
            self.answer(404, {"messages": ["Not found"], "success": False})
            return
        for name, text in given["secrets"].items():
            self.server.secrets[f"{given['project']}/{given['config']}/{name}"] = text
        self.answer(
            200, {"secrets": {name: {"raw": text, "computed": text} for name, text in given["secrets"].items()}}
        )


@contextmanager
def serving(handler: type[Handler]) -> Generator[Store, None, None]:
    """A store that answers while the block runs."""
    store = Store(handler)
    thread = threading.Thread(target=store.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        store.shutdown()
        store.server_close()
        thread.join()


@contextmanager
def aws() -> Generator[str, None, None]:
    """The URL of a moto server."""
    program = shutil.which("moto_server")
    assert program is not None, "moto_server is missing: install requirements-test.txt"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert server.poll() is None, "moto_server has ended"
            assert time.monotonic() < end, "moto_server does not answer"
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)
