# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lifecycle of buckets of moto's server, which stands for AWS: the module, and what readiness sees of it.

moto drops noncurrent_keep, so that is left to the tests of the document.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from ansible_collections.dbops.postgres.plugins.module_utils import _s3
from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.apply import observe
from ansible_collections.dbops.postgres.plugins.module_utils._readiness import objects
from ansible_collections.dbops.postgres.plugins.module_utils._readiness.state import Unseen
from tests.integration.credentials.stores import aws
from tests.throwaway import CHECKOUT

SECRET = "canary-s3-secret-9e1"
RULES: list[dict[str, Any]] = [
    {"id": "exports", "prefix": "exports/", "expire_days": 30, "tags": {"kind": "csv"}},
    {"id": "uploads", "abort_days": 1},
    {"id": "archive", "prefix": "archive/", "transitions": [{"days": 30, "storage_class": "GLACIER"}]},
    {"id": "versions", "noncurrent_days": 9},
    {"id": "until", "prefix": "campaign/", "expire_date": "2027-01-31"},
]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with aws() as url:
        yield url


@pytest.fixture
def bucket(endpoint: str, request: pytest.FixtureRequest) -> str:
    name = f"b-{abs(hash(request.node.name)) % 10**9}"
    client(endpoint).create_bucket(Bucket=name)
    return name


def client(endpoint: str) -> Any:
    keys = {"access_key_id": "canary-key", "secret_access_key": SECRET}
    return _s3.client(_s3.Endpoint(endpoint, "us-east-1", path_style=True), keys)


def run(tmp_path: Path, endpoint: str, bucket: str, *arguments: str, **options: Any) -> tuple[int, str, dict[str, Any]]:
    """Run the module on the controller: status, all that was said, its result."""
    task = {"bucket": bucket, "endpoint": endpoint, "region": "us-east-1", "path_style": True, **options}
    task |= {"access_key_id": "canary-key", "secret_access_key": SECRET}
    result = tmp_path / "result.json"
    result.unlink(missing_ok=True)
    tasks = [
        {"dbops.postgres.s3_lifecycle": task, "register": "made"},
        {"ansible.builtin.copy": {"dest": str(result), "content": "{{ made | to_json }}"}, "check_mode": False},
    ]
    status, said = play(tmp_path, *arguments, tasks=tasks)
    return status, said, json.loads(result.read_text()) if result.exists() else {}


def play(tmp_path: Path, *arguments: str, **what: Any) -> tuple[int, str]:
    """Run a play on the controller."""
    interpreter = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    whole = {"hosts": "localhost", "gather_facts": False, "vars": interpreter, **what}
    (tmp_path / "play.yml").write_text(json.dumps([whole]))
    done = subprocess.run(
        [
            "ansible-playbook",
            "-i",
            "localhost,",
            "-c",
            "local",
            "-vvv",
            "--diff",
            *arguments,
            str(tmp_path / "play.yml"),
        ],
        cwd=CHECKOUT,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_declared_rules_are_there_and_a_second_run_changes_nothing(tmp_path: Path, endpoint: str, bucket: str) -> None:
    _status, _said, planned = run(tmp_path, endpoint, bucket, "--check", rules=RULES)
    assert observe(client(endpoint), bucket) == []
    status, said, made = run(tmp_path, endpoint, bucket, rules=RULES)
    assert status == 0, said
    assert SECRET not in said
    assert (made["actions"], made["diff"]) == (planned["actions"], planned["diff"])
    assert made["rules"] == [rule["id"] for rule in RULES]
    status, _said, again = run(tmp_path, endpoint, bucket, rules=RULES)
    assert (status, again["changed"], again["actions"]) == (0, False, [])
    assert len(observe(client(endpoint), bucket)) == 5


def test_the_role_declares_every_bucket_and_a_second_run_changes_nothing(
    tmp_path: Path, endpoint: str, bucket: str
) -> None:
    item = {"bucket": bucket, "rules": RULES, "endpoint": endpoint, "region": "us-east-1", "path_style": True}
    options = {
        "object_expiry_buckets": [item],
        "object_expiry_access_key_id": "canary-key",
        "object_expiry_secret_access_key": SECRET,
    }
    role = {"role": "dbops.postgres.object_expiry", **options}
    for arguments, recap, rules in ((["--check"], "changed=1", 0), ([], "changed=1", 5), ([], "changed=0", 5)):
        status, said = play(tmp_path, *arguments, roles=[role])
        assert status == 0, said
        assert recap in said
        assert SECRET not in said
        assert len(observe(client(endpoint), bucket)) == rules


def test_foreign_rules_stay_unless_it_is_exact(tmp_path: Path, endpoint: str, bucket: str) -> None:
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "x/"}, "Expiration": {"Days": 9}}
    client(endpoint).put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [theirs]})
    assert run(tmp_path, endpoint, bucket, rules=RULES[:1])[2]["rules"] == ["theirs", "exports"]
    assert run(tmp_path, endpoint, bucket, rules=RULES[:1], exact=True)[2]["actions"] == ["remove rule theirs"]
    assert run(tmp_path, endpoint, bucket, absent=["exports"])[2]["rules"] == []
    assert observe(client(endpoint), bucket) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rules": [{"id": "a", "expire_days": 0}]}, "expire_days is 0"),
        ({"rules": [{"id": "a", "expire_days": 9}], "retention": [{"days": 3650}]}, "the law wants 3650"),
        ({"bucket": "nowhere", "rules": RULES}, "NoSuchBucket"),
    ],
)
def test_what_is_refused_changes_nothing(
    tmp_path: Path, endpoint: str, bucket: str, options: dict[str, Any], said: str
) -> None:
    options = dict(options)
    status, text, _result = run(tmp_path, endpoint, options.pop("bucket", bucket), **options)
    assert status == 2
    assert said in text
    assert SECRET not in text
    assert observe(client(endpoint), bucket) == []


def test_the_number_of_requests_does_not_depend_on_the_rules(endpoint: str, bucket: str) -> None:
    from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle import apply, plan, spec

    counts = []
    for count in (1, 500):
        made = client(endpoint)
        sent: list[str] = []
        made.meta.events.register("before-send.s3", lambda request, sent=sent, **_more: sent.append(request.method))
        rules = tuple(spec.Rule(f"r{count}-{number}", expire_days=30) for number in range(count))
        wanted = plan.plan(spec.LifecycleSpec(bucket, rules, True, ()), apply.observe(made, bucket))
        apply.apply(made, bucket, wanted)
        counts.append(sent)
    assert counts == [["GET", "PUT", "GET"]] * 2


def test_readiness_sees_what_the_server_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, endpoint: str, bucket: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "canary-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    named = [{"bucket": bucket, "endpoint": endpoint, "region": "us-east-1", "path_style": True}]
    bare = objects.observe(named)
    assert isinstance(bare, tuple)
    assert (bare[0].rules, bare[0].public_blocked, bare[0].versioned) == ((), False, False)
    assert run(tmp_path, endpoint, bucket, rules=RULES)[0] == 0
    made = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    made.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    made.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration=dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
        ),
    )
    [seen] = objects.observe(named)  # type: ignore[misc]
    assert isinstance(seen.rules, tuple)
    assert len(seen.rules) == 5
    assert (seen.public_blocked, seen.versioned) == (True, True)
    [gone] = objects.observe([{**named[0], "bucket": "nowhere"}])  # type: ignore[misc]
    assert isinstance(gone.rules, Unseen)
    assert "NoSuchBucket" in gone.rules.reason
