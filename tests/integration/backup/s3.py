# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An S3 server over TLS on a throwaway host (rclone), and a network before it that can be bad."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.throwaway import Host

KEYS = {"access_key_id": "CANARYKEYID0123456789", "secret_access_key": "canary-s3-secret-0123456789abcdefghij"}
PORT = 9443
BUCKET = "backups"
HOME = "/srv/s3"

RELEASED = "/run/s3-released"

# Passes everything on to the server; its rule is on the command line: cut=N ends the first three connections after so
# many bytes of the client, slow=N lets so many a second through, hold=N so many and the others when it is released.
_PROXY = """
import os, socket, sys, threading, time
port, rule = int(sys.argv[1]), sys.argv[2]
kind, _, number = rule.partition('=')
left = [3]
listener = socket.create_server(('127.0.0.1', port))
def pipe(source, sink, limited, doomed):
    passed = 0
    try:
        while data := source.recv(65536):
            passed += len(data)
            if limited and kind == 'cut' and doomed and passed > int(number):
                break
            if limited and kind == 'slow':
                time.sleep(len(data) / int(number))
            while limited and kind == 'hold' and passed > int(number) and not os.path.exists(sys.argv[4]):
                time.sleep(0.02)
            sink.sendall(data)
    except OSError:
        pass
    for end in (source, sink):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
while True:
    client, _ = listener.accept()
    server = socket.create_connection(('127.0.0.1', int(sys.argv[3])))
    doomed = left[0] > 0
    left[0] -= 1
    threading.Thread(target=pipe, args=(client, server, True, doomed), daemon=True).start()
    threading.Thread(target=pipe, args=(server, client, False, doomed), daemon=True).start()
"""


@dataclass
class S3Server:
    """The server; its bytes lie in :data:`HOME`."""

    host: Host

    def install(self) -> None:
        """Bring the program and a certificate, once."""
        program = shutil.which("rclone", path=str(Path(sys.executable).parent))
        if program is None:
            raise RuntimeError("rclone is missing: install requirements-test.txt")
        there = self.host.run("sh", "-c", "test -x /opt/rclone && echo yes || true")
        if "yes" not in there:
            with Path(program).open("rb") as file:
                command = self.host.ssh_command(
                    "sh", "-c", "cat >/opt/rclone.new && chmod 0755 /opt/rclone.new && mv /opt/rclone.new /opt/rclone"
                )
                subprocess.run(command, stdin=file, check=True, timeout=120)
        self.host.run(
            "sh",
            "-ceu",
            f"mkdir -p {HOME}/{BUCKET} /etc/s3; cd /etc/s3; test -e s3.crt || openssl req -x509 -newkey ec"
            " -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=localhost"
            " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout s3.key -out s3.crt 2>/dev/null",
        )

    def start(self, *options: str) -> None:
        """Let it run."""
        key = f"{KEYS['access_key_id']},{KEYS['secret_access_key']}"
        self.stop()
        self.host.run(
            *("systemd-run", "--unit=s3", "--collect", "/opt/rclone", "serve", "s3", HOME, f"--addr=127.0.0.1:{PORT}"),
            *(f"--auth-key={key}", "--cert=/etc/s3/s3.crt", "--key=/etc/s3/s3.key", "--no-modtime", *options),
        )
        self._wait(PORT)

    def stop(self) -> None:
        """End it."""
        self.host.run("sh", "-c", "systemctl stop s3 2>/dev/null; systemctl reset-failed s3 2>/dev/null; true")

    def proxy(self, port: int, rule: str) -> None:
        """A bad network at another port."""
        script = f"systemctl stop s3-proxy-{port} 2>/dev/null; rm -f {RELEASED}; cat >/opt/proxy.py"
        self.host.run("sh", "-c", script, text=_PROXY)
        self.host.run(
            "systemd-run",
            f"--unit=s3-proxy-{port}",
            "--collect",
            "python3",
            "/opt/proxy.py",
            str(port),
            rule,
            str(PORT),
            RELEASED,
        )
        self._wait(port)

    def release(self) -> None:
        """Let go what ``hold`` holds, for good."""
        self.host.run("touch", RELEASED)

    def unproxy(self, port: int) -> None:
        """Remove it."""
        self.host.run("sh", "-c", f"systemctl stop s3-proxy-{port} 2>/dev/null; true")

    def clear(self) -> None:
        """Remove all objects. The server is started anew, since it remembers what it has seen."""
        self.stop()
        self.host.run("sh", "-c", f"rm -rf {HOME}/{BUCKET}; mkdir -p {HOME}/{BUCKET}")
        self.start()

    def target(self, port: int = PORT, **more: object) -> dict[str, object]:
        """It as a target of the configuration."""
        return {
            "name": "offsite",
            "bucket": BUCKET,
            "prefix": "db1",
            "endpoint": f"https://localhost:{port}",
            "region": "us-east-1",
            "ca": "/etc/s3/s3.crt",
            "path_style": True,
            "checksums": "when_required",
            **more,
        }

    def _wait(self, port: int) -> None:
        self.host.run(
            "timeout", "20", "bash", "-c", f"until (exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null; do sleep 0.05; done"
        )
