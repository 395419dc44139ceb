# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images of throwaway hosts: made once, found again by the hash of their recipe."""

from __future__ import annotations

import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.steps import step
from tests.throwaway import recipe
from tests.throwaway.podman import STATE, HostError, as_root, command, podman

BUILD_TIMEOUT_SECONDS = 900


def build(*names: str) -> dict[str, str]:
    """Make the images that do not exist, side by side, and return their names in podman's storage.

    :param names: keys of :data:`recipe.IMAGES`.
    :raises HostError: one cannot be made, or podman cannot run it.
    """
    unknown = sorted(set(names) - set(recipe.IMAGES))
    if unknown:
        raise HostError(f"There is no image {unknown[0]!r}; there are {', '.join(recipe.IMAGES)}.")
    images = [recipe.IMAGES[name] for name in sorted(set(names))]
    references = {image.name: recipe.reference(image, _base(image)) for image in images}
    missing = [image for image in images if not _exists(references[image.name])]
    if missing:
        title = ", ".join(f"{image.name} from {_base(image) or 'Debian packages'}" for image in missing)
        with step(f"image {title}"), ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(lambda image: _make(image, references[image.name]), missing))
    return references


def remove() -> None:
    """Remove all images of all clones."""
    ids = podman("images", "--quiet", "--filter", f"reference={recipe.REPOSITORY}").split()
    if ids:
        podman("rmi", "--force", *sorted(set(ids)))


def _base(image: recipe.Image) -> str:
    return os.environ.get(image.variable, "")


def _make(image: recipe.Image, reference: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)  # mmdebstrap reads it as another user
        script = Path(directory) / "setup.sh"
        script.write_text(recipe.setup_script(image))
        if _base(image):
            (Path(directory) / "Containerfile").write_text(recipe.containerfile(_base(image)))
            podman("build", "--quiet", "--tag", reference, directory, timeout=BUILD_TIMEOUT_SECONDS)
        else:
            _bootstrap(image, str(script), reference)
    _try(reference)


def _exists(reference: str) -> bool:
    return bool(podman("images", "--quiet", reference).strip())


def _bootstrap(image: recipe.Image, script: str, reference: str) -> None:
    log = STATE / f"{image.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    bootstrap = as_root(recipe.mmdebstrap_command(image, script, _sources(image.suite)))
    load = command("import", "--change", 'CMD ["/sbin/init"]', "-", reference)
    try:
        with log.open("w") as output, subprocess.Popen(bootstrap, stdout=subprocess.PIPE, stderr=output) as source:
            loaded = subprocess.run(
                load, stdin=source.stdout, capture_output=True, text=True, timeout=BUILD_TIMEOUT_SECONDS, check=False
            )
    except FileNotFoundError as error:
        raise HostError(f"{error.filename} is not installed: make hosts.") from None
    if source.returncode != 0:
        if loaded.returncode == 0:
            podman("rmi", "--force", reference)  # of a broken archive
        raise HostError(_bootstrap_failure(image, log.read_text()) + f"\nWhole log: {log}")
    if loaded.returncode != 0:
        raise HostError(f"podman import: {loaded.stderr.strip()}")


def _bootstrap_failure(image: recipe.Image, log: str) -> str:
    if "NO_PUBKEY" in log or "not signed" in log:
        return (
            f"This machine does not know the key that signs Debian's {image.suite}. "
            "Upgrade debian-archive-keyring: apt-get update && apt-get install debian-archive-keyring"
        )
    tail = "\n".join(log.strip().splitlines()[-8:])
    return f"mmdebstrap could not make the image {image.name}:\n{tail}"


def _sources(suite: str) -> list[str]:
    listing = ["apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)", "Created-By: Packages"]
    try:
        done = subprocess.run(listing, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        return []
    return recipe.sources_list(done.stdout, suite)


def _try(reference: str) -> None:
    # Before anything relies on it: a container that cannot start is explained here, once.
    try:
        podman("run", "--rm", "--network=none", reference, "/bin/true", timeout=60)
    except HostError:
        podman("rmi", "--force", reference)
        raise
