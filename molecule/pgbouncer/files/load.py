# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that work until the file ``stop`` is there; so whatever is done before it is made, is done under load.

python3 load.py NAME TARGET STAY CONNECT

STAY clients keep their connection, CONNECT clients make one for each transaction. Prints how many transactions they
did; the status is 1, with the first error, if one failed. With NAME ``killed`` clients expect to be disconnected once:
then each ends after twenty transactions on its new connection.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from pathlib import Path

import psycopg2

LONGEST_SECONDS = 900.0
AFTERWARDS = 20
PAUSE_SECONDS = 0.03  # between transactions: a load, and not more than the machine can do beside it

name, target, stay, connect = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
stop, ready = Path(f"/run/load-{name}.stop"), Path(f"/run/load-{name}.ready")
done: list[int] = []
errors: list[str] = []


def transact(connection: psycopg2.extensions.connection) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT abalance FROM pgbench_accounts WHERE aid = %s", (random.randint(1, 100_000),))
        cursor.execute(
            "UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = %s", (random.randint(1, 100_000),)
        )


def work(stays: bool, begun: threading.Barrier) -> None:
    connection, count, first = None, 0, True
    try:
        while not stop.exists() and time.monotonic() < end:
            connection = connection or psycopg2.connect(target)
            transact(connection)
            count += 1
            time.sleep(PAUSE_SECONDS)
            if first:
                begun.wait(LONGEST_SECONDS)
                first = False
            if not stays:
                connection.close()
                connection = None
    except (psycopg2.Error, threading.BrokenBarrierError) as error:
        # What ends a connection is hidden by the rollback that fails after it.
        errors.append(f"{time.strftime('%X')} after {count}: {str(error.__context__ or error).strip()}")
        begun.abort()
    done.append(count)


def survive(begun: threading.Barrier) -> None:
    connection, disconnected, count, first = None, False, 0, True
    while count < AFTERWARDS and time.monotonic() < end:
        try:
            connection = connection or psycopg2.connect(target)
            transact(connection)
            count += disconnected
            time.sleep(PAUSE_SECONDS)
            if first:
                begun.wait(LONGEST_SECONDS)
                first = False
        except threading.BrokenBarrierError:
            break
        except psycopg2.Error:
            connection, disconnected, count = None, True, 0
            time.sleep(0.1)
    if count < AFTERWARDS:
        errors.append("it was not disconnected" if not disconnected else "it did not come back")
    done.append(count)


end = time.monotonic() + LONGEST_SECONDS
for path in (stop, ready):
    path.unlink(missing_ok=True)
begun = threading.Barrier(stay + connect, action=ready.touch)
clients = [
    threading.Thread(target=survive, args=(begun,))
    if name == "killed"
    else threading.Thread(target=work, args=(number < stay, begun))
    for number in range(stay + connect)
]
for client in clients:
    client.start()
for client in clients:
    client.join()
if time.monotonic() > end:
    errors.append(f"nobody stopped it in {LONGEST_SECONDS:.0f} s")
print(f"{sum(done)} transactions of {len(done)} clients, {len(errors)} failed", *errors[:1], sep="; ")
sys.exit(1 if errors else 0)
