# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host program as one file: the very code that this module runs, in an archive that Python executes.

A module that imports :mod:`.program` carries all that it needs to the host; from there it is written down. The same
code gives the same bytes, so that a second run changes nothing.
"""

from __future__ import annotations

import importlib.util
import io
import sys
import zipfile

_ROOT = "ansible_collections.dbops.postgres"
_MAIN = """import sys

from {} import main

sys.exit(main())
"""
# -I: nothing of the caller's environment or directory decides what is imported.
_SHEBANG = b"#!/usr/bin/python3 -I\n"
_MOMENT = (1980, 1, 1, 0, 0, 0)


def archive(program: str) -> bytes:
    """The program, as the content of an executable file.

    :param program: name of the imported module whose ``main`` it runs.
    """
    files = {"__main__.py": _MAIN.format(program)}
    for name, module in sorted(sys.modules.items()):
        if not name.startswith(f"{_ROOT}.plugins.module_utils."):
            continue
        source = _source(name)
        if source is not None:
            path = name.replace(".", "/")
            files[f"{path}/__init__.py" if hasattr(module, "__path__") else f"{path}.py"] = source
    for path in list(files):
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            files.setdefault("/".join([*parts[:depth], "__init__.py"]), "")
    content = io.BytesIO()
    content.write(_SHEBANG)
    with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(files):
            packed.writestr(zipfile.ZipInfo(path, _MOMENT), files[path], zipfile.ZIP_DEFLATED)
    return content.getvalue()


def _source(name: str) -> str | None:
    spec = importlib.util.find_spec(name)
    loader = spec.loader if spec else None
    if loader is None or not hasattr(loader, "get_source"):
        return None
    found = loader.get_source(name)
    return None if found is None else str(found)
