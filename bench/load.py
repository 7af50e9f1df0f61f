"""The load: keep-alive connections that send the next request when the answer to the last is complete."""

import asyncio
import re
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from time import perf_counter

HOST = "127.0.0.1"
ANSWER_SECONDS = 30  # an answer that takes longer breaks the run
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
SHOWN_BYTES = 600  # of an answer that should not have come


class Broken(Exception):
    """A server did not answer as HTTP wants it, or not at all."""


@dataclass
class Slice:
    """What one slice of load saw."""

    seconds: float
    in_time: int = 0  # answers before the slice ended
    latencies: list[float] = field(default_factory=list)  # seconds, of every answer
    faults: Counter[str] = field(default_factory=Counter)  # answers that were not 2xx, by status
    sample: bytes = b""  # the first of them

    @property
    def rps(self) -> float:
        """Answers per second."""
        return self.in_time / self.seconds


def encode(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The request as it goes over the wire. A proxy ended the TLS, as it does in production."""
    fixed = {"Host": "localhost", "X-Forwarded-Proto": "https", "Content-Length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in {**fixed, **headers}.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def is_complete(answer: bytes) -> bool:
    """Whether head and body are there. Raises Broken for an answer without Content-Length."""
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    length = LENGTH.search(head)
    if length is None:
        raise Broken(f"An answer without Content-Length: {head[:SHOWN_BYTES]!r}")
    return len(body) >= int(length[1])


def fetch(port: int, request: bytes) -> bytes:
    """The whole answer to one request on a connection of its own. Raises ConnectionError when nobody listens."""
    with socket.create_connection((HOST, port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(request)
        answer = b""
        while not is_complete(answer):
            data = connection.recv(65536)
            if not data:
                raise ConnectionError("The server closed the connection.")
            answer += data
    return answer


class Connection(asyncio.Protocol):
    """One client: sends the next of `requests` until the slice ends."""

    def __init__(self, requests: Iterator[bytes], end: float, seen: Slice) -> None:
        self.requests, self.end, self.seen = requests, end, seen
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        self.answer, self.waiting, self.sent = b"", True, perf_counter()
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not is_complete(self.answer):
            return
        now, self.waiting = perf_counter(), False
        self.seen.latencies.append(now - self.sent)
        self.seen.in_time += now < self.end
        if not self.answer.startswith(b"HTTP/1.1 2"):
            self._note(self.answer[9:12].decode(), self.answer)
        if now < self.end:
            self._send()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self.waiting:
            self._note("connection lost", repr(error).encode())
        if not self.done.done():
            self.done.set_result(None)

    def _note(self, kind: str, answer: bytes) -> None:
        self.seen.faults[kind] += 1
        self.seen.sample = self.seen.sample or answer[-SHOWN_BYTES:]


async def run_slice(port: int, requests: Iterator[bytes], *, connections: int, seconds: float) -> Slice:
    """Loads a server for some seconds and says what came back."""
    loop, seen, end = asyncio.get_running_loop(), Slice(seconds), perf_counter() + seconds
    clients = [
        (await loop.create_connection(lambda: Connection(requests, end, seen), HOST, port))[1]
        for _i in range(connections)
    ]
    _done, late = await asyncio.wait([client.done for client in clients], timeout=seconds + ANSWER_SECONDS)
    if late:
        seen.faults["no answer"] += len(late)
    return seen
