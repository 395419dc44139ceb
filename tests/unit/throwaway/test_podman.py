# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The configuration of podman, and what we say when it cannot run."""

from __future__ import annotations

import tomllib

import pytest

from tests.throwaway import podman
from tests.throwaway.podman import HostError, containers_conf, explain


def settings(
    *, hybrid_cgroups: bool = False, systemd: bool = True, files: int = 1024, processes: int = 1024
) -> dict[str, dict[str, object]]:
    return tomllib.loads(
        containers_conf(hybrid_cgroups=hybrid_cgroups, systemd=systemd, files=files, processes=processes)
    )


def test_an_ordinary_machine_keeps_podmans_defaults() -> None:
    found = settings()
    assert found.pop("network") == {"network_backend": "netavark"}
    assert found == {"containers": {"default_ulimits": ["nofile=1024:1024", "nproc=1024:1024"]}, "engine": {}}


def test_hybrid_cgroups_need_runc() -> None:
    assert settings(hybrid_cgroups=True)["engine"] == {"runtime": "runc"}


def test_without_systemd_there_is_no_journal_and_no_cgroup_manager() -> None:
    found = settings(systemd=False)
    assert found["engine"] == {"cgroup_manager": "cgroupfs", "events_logger": "file"}
    assert found["containers"]["log_driver"] == "k8s-file"


@pytest.mark.parametrize(
    ("limit", "files", "processes"),
    [
        (-1, 1_048_576, 32_768),  # unlimited
        (2_000_000, 1_048_576, 32_768),
        (96_365, 96_365, 32_768),
        (20_000, 20_000, 20_000),  # never more than the caller has
    ],
)
def test_limits_are_no_higher_than_the_callers_own(limit: int, files: int, processes: int) -> None:
    assert settings(files=limit, processes=limit)["containers"]["default_ulimits"] == [
        f"nofile={files}:{files}",
        f"nproc={processes}:{processes}",
    ]


def test_a_failure_says_what_to_do() -> None:
    assert "run as root" in explain("podman run: unshare: operation refused")
    assert "podman info" in explain("podman run: never seen before")


def test_a_missing_podman_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman, "command", lambda *_arguments: ["env", "no-such-podman"])
    with pytest.raises(HostError, match="Install podman and its parts: make hosts"):
        podman.podman("ps")


def test_a_podman_that_hangs_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podman, "command", lambda *_arguments: ["sleep", "60"])
    with pytest.raises(HostError, match="took longer than 0 s"):
        podman.podman("ps", timeout=0.1)
