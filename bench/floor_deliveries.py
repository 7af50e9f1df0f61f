"""The floor of the dispatcher: an asyncio loop on aiohttp, as one would write it.

It claims 200 at a time, signs, posts 32 at once over connections that stay open, and marks a batch by one UPDATE. It
keeps no log, counts no failures and guards against nothing. `python -m bench.floor_deliveries PORT COUNT` prepares its
rows, sends them to the sink at that port, and prints the seconds.
"""

import asyncio
import hmac
import os
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from aiohttp import ClientSession, TCPConnector

from bench.database import connect, engine_of
from bench.load import HOST

URL = os.environ["DATABASE_URL"]
IS_SQLITE = engine_of(URL) == "sqlite3"
IN_FLIGHT = 32
LEASE = 60  # seconds
KEY = os.urandom(32)
PAYLOAD = '{"id":"pay_01m7xt2s0arrqj7g231der0e2g","status":"completed","amount":50.00,"note":"' + "x" * 170 + '"}'

MAKE = (
    "CREATE TABLE IF NOT EXISTS floor_delivery"
    " (id VARCHAR(32) NOT NULL PRIMARY KEY, payload VARCHAR(400) NOT NULL, due_at BIGINT)"
)
CLAIM = "SELECT id, payload FROM floor_delivery WHERE due_at <= {now} ORDER BY due_at LIMIT 200"
LOCK = "" if IS_SQLITE else " FOR UPDATE SKIP LOCKED"
BEGIN = "BEGIN IMMEDIATE" if IS_SQLITE else "BEGIN"

Message = tuple[str, str]


def claim(cursor: Any) -> list[Message]:
    now = int(time.time())
    cursor.execute(BEGIN)
    cursor.execute(CLAIM.format(now=now) + LOCK)
    rows = list(cursor.fetchall())
    if rows:
        cursor.execute(f"UPDATE floor_delivery SET due_at = {now + LEASE} WHERE id IN ({ids(rows)})")  # noqa: S608
    cursor.execute("COMMIT")
    return rows


def ids(rows: list[Message]) -> str:
    """Our own, so they need no escaping."""
    return ", ".join(f"'{identity}'" for identity, _payload in rows)


def fill(cursor: Any, count: int) -> None:
    cursor.execute(MAKE)
    values = [f"('wd_{os.urandom(12).hex()}', '{PAYLOAD}', {int(time.time())})" for _n in range(count)]
    cursor.execute(f"INSERT INTO floor_delivery VALUES {', '.join(values)}")  # noqa: S608


def main(port: int, count: int) -> float:
    with closing(connect(URL)) as connection:
        cursor = connection.cursor()
        fill(cursor, count)
        begun = time.perf_counter()
        asyncio.run(_dispatch(cursor, f"http://{HOST}:{port}/hook"))
        return time.perf_counter() - begun


async def _dispatch(cursor: Any, url: str) -> None:
    async with ClientSession(connector=TCPConnector(limit=IN_FLIGHT)) as session:
        while batch := claim(cursor):
            messages = iter(batch)
            async with asyncio.TaskGroup() as senders:
                for _n in range(IN_FLIGHT):
                    senders.create_task(_send(session, url, messages))
            cursor.execute(f"UPDATE floor_delivery SET due_at = NULL WHERE id IN ({ids(batch)})")  # noqa: S608


async def _send(session: ClientSession, url: str, messages: Iterator[Message]) -> None:
    for identity, payload in messages:
        body = payload.encode()
        async with session.post(url, data=body, headers=signed(identity, body), raise_for_status=True) as answer:
            await answer.read()


def signed(identity: str, body: bytes) -> dict[str, str]:
    now = str(int(time.time()))
    signature = b64encode(hmac.digest(KEY, f"{identity}.{now}.".encode() + body, "sha256")).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{signature}",
    }


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
