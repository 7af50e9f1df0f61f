"""A server of webhooks on this machine that misbehaves in every way that servers do: one path for each."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HOST = "127.0.0.1"
FLOOD_BYTES = 256 * 1024
DRIP_SECONDS = 0.05


@dataclass(frozen=True)
class Received:
    """A request that arrived whole."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float  # time.monotonic()


@dataclass
class Connection:
    """What a behaviour may do: write, and wait."""

    writer: asyncio.StreamWriter
    request: Received
    earlier: int  # requests with the same webhook-id before

    def write(self, *parts: str) -> None:
        self.writer.write("".join(parts).encode())

    def answer(self, status: int, body: str = "thanks", **headers: str) -> None:
        body = "" if status == 204 else body
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = [f"HTTP/1.1 {status} As Asked", f"Content-Length: {len(body)}", *lines]
        self.write("\r\n".join(head), "\r\n\r\n", body)

    async def drip(self, text: str) -> None:
        """For as long as somebody listens."""
        while not self.writer.is_closing():
            self.write(text)
            await asyncio.sleep(DRIP_SECONDS)

    def close(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        self.writer.transport.abort()


Behaviour = Callable[[Connection], Awaitable[None]]
BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(function: Behaviour) -> Behaviour:
    """The path is the function's name."""
    BEHAVIOURS[f"/{function.__name__}"] = function
    return function


def answering(status: int, **headers: str) -> Behaviour:
    async def answer(connection: Connection) -> None:
        connection.answer(status, **headers)

    return answer


BEHAVIOURS |= {f"/{status}": answering(status) for status in (200, 204, 400, 401, 404, 410, 500, 503)}
BEHAVIOURS |= {"/redirect": answering(301, Location="/200"), "/busy": answering(429, Retry_After="600")}


@behaviour
async def slow(connection: Connection) -> None:
    """Late, but well."""
    await asyncio.sleep(0.2)
    connection.answer(200)


@behaviour
async def hang(connection: Connection) -> None:
    await asyncio.sleep(60)


@behaviour
async def drip(connection: Connection) -> None:
    """A header now and then, for ever."""
    connection.write("HTTP/1.1 200 OK\r\n")
    await connection.drip("X: y\r\n")


@behaviour
async def drip_body(connection: Connection) -> None:
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    await connection.drip("x")


@behaviour
async def flood(connection: Connection) -> None:
    connection.answer(200, "x" * FLOOD_BYTES)


@behaviour
async def flood_of_headers(connection: Connection) -> None:
    connection.write("HTTP/1.1 200 OK\r\n", "X: y\r\n" * (FLOOD_BYTES // 6))


@behaviour
async def flood_of_interim_answers(connection: Connection) -> None:
    connection.write("HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n" * 10_000)


@behaviour
async def packed(connection: Connection) -> None:
    """A gzip bomb's beginning: never unpacked."""
    connection.write("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x0b\x08\x00")


@behaviour
async def in_chunks(connection: Connection) -> None:
    connection.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nth\r\n4\r\nanks\r\n0\r\n\r\n")


@behaviour
async def too_short(connection: Connection) -> None:
    """Promises more than it sends."""
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthanks")
    connection.close()


@behaviour
async def too_long(connection: Connection) -> None:
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nthanks")


@behaviour
async def two_lengths(connection: Connection) -> None:
    connection.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 6\r\n\r\nthanks")


@behaviour
async def garbage(connection: Connection) -> None:
    connection.write("\x00\x01 220 mail.example.com ESMTP\r\n\r\n")


@behaviour
async def reset(connection: Connection) -> None:
    connection.reset()


@behaviour
async def close(connection: Connection) -> None:
    """Hangs up without a word."""
    connection.close()


@behaviour
async def last(connection: Connection) -> None:
    """Answers well and hangs up, without saying so before."""
    connection.answer(200)
    connection.close()


@behaviour
async def until_close(connection: Connection) -> None:
    """A body without a length ends with the connection."""
    connection.write("HTTP/1.1 200 OK\r\n\r\nthanks")
    connection.close()


@behaviour
async def flap(connection: Connection) -> None:
    """Every message fails the first time."""
    connection.answer(200 if connection.earlier else 500)


@behaviour
async def upgrade(connection: Connection) -> None:
    connection.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")


@dataclass
class Sink:
    """The server, and all that it has received."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    behaviours: dict[str, Behaviour] = field(default_factory=lambda: dict(BEHAVIOURS))
    connections: int = 0
    times: Counter[str] = field(default_factory=Counter)  # that a message came

    def url(self, path: str) -> str:
        return f"http://{HOST}:{self.port}/{path}"

    def at(self, path: str) -> list[Received]:
        return [request for request in self.received if request.path == f"/{path}"]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, with as many requests as the client likes."""
        self.connections += 1
        try:
            while not writer.is_closing():
                request = await read_request(reader)
                message = request.headers.get("webhook-id", "")
                self.received.append(request)
                self.times[message] += 1
                await self.behaviours[request.path](Connection(writer, request, self.times[message] - 1))
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def read_request(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    body = await reader.readexactly(int(headers["content-length"]))
    return Received(first.split(" ")[1], headers, body, time.monotonic())


@contextmanager
def listening() -> Iterator[Sink]:
    """A sink in a thread of its own."""
    sink, loop = Sink(), asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(sink.serve, HOST, 0, backlog=1024))
    sink.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield sink
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        server.close()
        loop.run_until_complete(hang_up(asyncio.all_tasks(loop)))
        loop.close()


async def hang_up(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
