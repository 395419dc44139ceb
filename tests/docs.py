# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make docs`: the guides and the reference (generated from the docs in the code) as HTML in .cache/docs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BUILD = ROOT / ".cache" / "docs"
SPHINX = """
project = "dbops.postgres"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
html_theme = "sphinx_ansible_theme"
myst_heading_anchors = 3
exclude_patterns = ["html"]
suppress_warnings = ["myst.xref_missing", "ref.ref"]  # files of the repository; labels of Ansible's own documentation
"""
INDEX = """# dbops.postgres

```{toctree}
:maxdepth: 1

%s
reference/index
```
"""


def main() -> int:
    """Build; returns the exit status of the first command that fails."""
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(ROOT / "docs", BUILD)
    guides = sorted(path.stem for path in BUILD.glob("*.md"))
    (BUILD / "conf.py").write_text(SPHINX, encoding="utf-8")
    (BUILD / "index.md").write_text(INDEX % "\n".join(guides), encoding="utf-8")
    reference = BUILD / "reference"
    reference.mkdir()
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".cache" / "collections")}
    programs = Path(sys.executable).parent
    commands = (
        [
            *(str(programs / "antsibull-docs"), "collection", "--use-current", "--squash-hierarchy"),
            *("--fail-on-error", "--no-add-antsibull-docs-version", "--dest-dir", str(reference), "dbops.postgres"),
        ],
        [str(programs / "sphinx-build"), "-q", "-W", "--keep-going", str(BUILD), str(BUILD / "html")],
    )
    for command in commands:
        status = subprocess.run(command, env=environment, check=False).returncode
        if status != 0:
            return status
    print(f"Open {BUILD / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
