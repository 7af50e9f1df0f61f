"""The floor of the dispatcher: a raw loop that does no more than it must.

It claims batches, signs, posts over connections that stay open, and marks a batch by one UPDATE. It keeps no log,
counts no failures and guards against nothing. `python -m bench.floor_deliveries PORT COUNT` prepares its rows, sends
them to the sink at that port, and prints the seconds.
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

from bench.database import connect, engine_of
from bench.load import HOST, Broken, encode

URL = os.environ["DATABASE_URL"]
IS_SQLITE = engine_of(URL) == "sqlite3"
CONNECTIONS = 32
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


class Poster(asyncio.Protocol):
    """A connection that posts the next message when the answer to the last one is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def start(self, messages: Iterator[Message]) -> asyncio.Future[None]:
        """Posts until there are no more; done then."""
        self.messages, self.done = messages, asyncio.get_running_loop().create_future()
        self._post()
        return self.done

    def _post(self) -> None:
        message = next(self.messages, None)
        if message is None:
            self.done.set_result(None)
        else:
            self.transport.write(signed(*message))

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/1.1 200"):
            raise Broken(repr(data))
        self._post()


def signed(identity: str, payload: str) -> bytes:
    now = str(int(time.time()))
    signature = b64encode(hmac.digest(KEY, f"{identity}.{now}.{payload}".encode(), "sha256")).decode()
    headers = {"webhook-id": identity, "webhook-timestamp": now, "webhook-signature": f"v1,{signature}"}
    return encode("POST", "/hook", headers, payload.encode())


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
    with closing(connect(URL)) as connection, asyncio.Runner() as runner:
        cursor = connection.cursor()
        fill(cursor, count)
        begun = time.perf_counter()
        posters = runner.run(_connect(port))
        while batch := claim(cursor):
            runner.run(_send(posters, batch))
            cursor.execute(f"UPDATE floor_delivery SET due_at = NULL WHERE id IN ({ids(batch)})")  # noqa: S608
        return time.perf_counter() - begun


async def _connect(port: int) -> list[Poster]:
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Poster, HOST, port))[1] for _n in range(CONNECTIONS)]


async def _send(posters: list[Poster], batch: list[Message]) -> None:
    messages = iter(batch)
    await asyncio.gather(*(poster.start(messages) for poster in posters))


if __name__ == "__main__":
    print(main(*map(int, sys.argv[1:])))
