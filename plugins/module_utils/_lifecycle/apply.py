# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at a bucket, and put the document there: one GET; with a change one PUT or DELETE, and a GET that proves it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ansible_collections.dbops.postgres.plugins.module_utils import _s3
from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.document import Document
from ansible_collections.dbops.postgres.plugins.module_utils._lifecycle.plan import LifecyclePlan, same
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

# A change is seen everywhere after some moments (User Guide, "Setting a lifecycle configuration").
SETTLE_SECONDS = 20.0


def observe(client: Any, bucket: str) -> list[Document]:
    """The rules of a bucket."""
    with _s3.explained(f"bucket {bucket}", "read its lifecycle"):
        try:
            return list(client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])
        except _s3.ClientError as error:
            if _s3.code_of(error) == "NoSuchLifecycleConfiguration":
                return []
            raise


def apply(client: Any, bucket: str, plan: LifecyclePlan) -> None:
    """Put it there, and see that it is.

    :raises DbopsError: the server refused it, or says something else afterwards.
    """
    with _s3.explained(f"bucket {bucket}", "write its lifecycle"):
        if plan.after:
            client.put_bucket_lifecycle_configuration(
                Bucket=bucket, LifecycleConfiguration={"Rules": [dict(item) for item in plan.after]}
            )
        else:
            client.delete_bucket_lifecycle(Bucket=bucket)
    limit = time.monotonic() + SETTLE_SECONDS
    while not same(_now(client, bucket), plan.after):
        if time.monotonic() > limit:
            raise DbopsError(
                f"Bucket {bucket} has another lifecycle than was written",
                "Look at who else writes it.",
                "It was written.",
            )
        time.sleep(1)


def _now(client: Any, bucket: str) -> Sequence[Document]:
    return observe(client, bucket)
