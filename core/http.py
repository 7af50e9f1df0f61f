"""Calls to URLs that somebody else chose, such as merchants' webhooks: guarded, bounded, and over in seconds.

The host is resolved once, every address of it must be one that may be called (core/targets.py), and the connection
goes to one of the addresses that were checked: a name that points elsewhere a moment later gains nothing. No redirect
is followed, no proxy of the environment is used, nothing is unpacked, and the answer is cut off by its size and by the
clock.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import lru_cache
from socket import SOCK_STREAM, getaddrinfo
from threading import Thread
from typing import Any, cast

import httptools

from core.errors import UrlForbidden
from core.targets import Target, check_url, may_be_called

CONNECT_SECONDS = 5.0  # to one address, with the TLS handshake
TOTAL_SECONDS = 15.0  # from the name to the last byte, however slowly they drip
MAX_ADDRESSES = 4  # of one host that are tried
MAX_LOOK_UPS = 1024  # of names at once, each in a thread: more than a turn of the webhooks has hosts to call
MAX_ANSWER_BYTES = 20 * 1024  # read at most, head and body
KEPT_BYTES = 1024  # of the answer's body
MAX_IDLE = 128  # connections kept for the next call: a process has few files to open

NO_HTTP = (httptools.HttpParserError, httptools.HttpParserUpgrade)

Resolve = Callable[[str, int], Awaitable[list[str]]]


class CallFailed(Exception):
    """No answer. `reason` says to the owner of the URL as much as is theirs to know: nothing of our networks."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


NO_PUBLIC_ADDRESS = "no_public_address"  # also for a name that does not exist: which names we know is not told
CONNECTION_FAILED = "connection_failed"
TLS_FAILED = "tls_failed"
TIMEOUT = "timeout"
INVALID_ANSWER = "invalid_answer"


@dataclass
class Answer:
    """What came back: the status, and the first KEPT_BYTES of the body."""

    status: int = 0
    retry_after: str = ""  # the header as it came
    body: bytes = b""


async def ask_resolver(host: str, port: int) -> list[str]:
    """All addresses of a name, by the system's resolver. Raises OSError.

    The thread is a daemon that nobody joins, unlike those of an executor: a name server that hangs holds up neither the
    end of the loop nor that of the process.
    """
    found: Future[list[str]] = Future()
    found.set_running_or_notify_cancel()  # it cannot be called off

    def ask() -> None:
        try:
            answer = getaddrinfo(host, port, type=SOCK_STREAM)
            found.set_result(list(dict.fromkeys(str(address[0]) for *_, address in answer)))
        except Exception as error:
            found.set_exception(error)

    Thread(target=ask, name="resolver", daemon=True).start()
    return await asyncio.wrap_future(found)


@lru_cache
def tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


class AnswerReader:
    """Fills in an answer from what arrives. Raises HttpParserError and HttpParserUpgrade for what is no answer."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.parser = httptools.HttpResponseParser(self)
        self.is_complete = False
        self.is_clean = False  # the connection is ready for another call

    def feed(self, data: bytes) -> None:
        self.parser.feed_data(data)

    # What the parser calls, in this order. Interim answers (1xx) come before the one that counts.
    def on_message_begin(self) -> None:
        self.is_clean = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self.answer.retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        if status >= 200 and not self.is_complete:
            self.answer.status = status

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self.answer.body = (self.answer.body + data)[:KEPT_BYTES]

    def on_message_complete(self) -> None:
        if self.answer.status:
            self.is_clean = self.parser.should_keep_alive() and not self.is_complete
            self.is_complete = True


class Connection(asyncio.Protocol):
    """An open connection, which carries one call after the other, and is closed by what comes unasked: that would pass
    for the answer to the next call."""

    transport: asyncio.Transport
    arriving: AnswerReader
    left: int  # bytes that are read of what arrives
    end: asyncio.Future[None] | None = None  # of the last call
    is_used = False  # it has carried a call before
    is_clean = True  # it may carry another

    async def ask(self, request: bytes, answer: Answer) -> None:
        """Fills in the answer, to its end or to MAX_ANSWER_BYTES. Raises OSError, HttpParserError."""
        self.is_clean = False
        if self.transport.is_closing():
            raise ConnectionResetError
        self.arriving, self.left = AnswerReader(answer), MAX_ANSWER_BYTES
        self.end = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        await self.end
        self.is_used, self.is_clean = True, self.arriving.is_clean

    async def is_quiet(self) -> bool:
        """Whether it is open, and nothing has come since its last answer."""
        for _round in range(2):  # of the loop, which may have stood still: it takes in what has arrived meanwhile
            await asyncio.sleep(0)
        return not self.transport.is_closing()

    def close(self) -> None:
        self.transport.abort()  # waits for nobody

    # What the loop calls.
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self.end is None or self.end.done():
            self.close()
            return
        data = data[: self.left]
        self.left -= len(data)
        try:
            self.arriving.feed(data)
        except NO_HTTP as error:
            self.end.set_exception(error)
        else:
            if self.arriving.is_complete or not self.left:
                self.end.set_result(None)

    def eof_received(self) -> None:
        self.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self.end is not None and not self.end.done():
            self.end.set_exception(error or ConnectionResetError())


async def open_connection(address: str, port: int, **tls: Any) -> Connection:
    """Raises OSError."""
    _transport, connection = await asyncio.get_running_loop().create_connection(Connection, address, port, **tls)
    return connection


@dataclass
class Client:
    """Posts to URLs that others chose, on one event loop, and keeps connections open for the next call of the same
    owner to the same host, until it is closed. `resolve` and `connect` are there to be scripted in tests."""

    resolve: Resolve = ask_resolver
    connect: Callable[..., Awaitable[Connection]] = open_connection
    connect_seconds: float = CONNECT_SECONDS
    total_seconds: float = TOTAL_SECONDS
    targets: dict[str, Target] = field(default_factory=dict)  # URLs that were checked
    idle: dict[tuple[str, str, str], list[Connection]] = field(default_factory=dict)  # by owner, scheme, authority
    look_ups: dict[str, asyncio.Task[list[str]]] = field(default_factory=dict)  # under way, by name
    free_look_ups: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_LOOK_UPS))

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes, owner: str = "") -> Answer:
        """Sends `body` and answers with what came back. A status that has arrived counts, whatever becomes of the
        body after it. Different owners, such as merchants, share no connection. Raises CallFailed when there was no
        status."""
        answer, reason = Answer(), INVALID_ANSWER
        try:
            async with asyncio.timeout(self.total_seconds):
                target = self._target(url)
                idle = self.idle.setdefault((owner, target.scheme, target.authority), [])
                await self._exchange(target, idle, encode(target, headers, body), answer)
        except TimeoutError:
            reason = TIMEOUT
        except ssl.SSLError:
            reason = TLS_FAILED
        except OSError:
            reason = CONNECTION_FAILED
        except NO_HTTP:
            reason = INVALID_ANSWER
        if not answer.status:
            raise CallFailed(reason)
        return answer

    def close(self) -> None:
        for connections in self.idle.values():
            for connection in connections:
                connection.close()
        self.idle.clear()

    async def _exchange(self, target: Target, idle: list[Connection], request: bytes, answer: Answer) -> None:
        connection = await _take(idle) or await self._open(target)
        try:
            await connection.ask(request, answer)
        except OSError:
            if answer.status or not connection.is_used:
                raise
            # The other side had closed it since the last call: once more, on a new one.
            connection.close()
            connection = await self._open(target)
            await connection.ask(request, answer)
        finally:
            self._keep_or_close(idle, connection)

    def _target(self, url: str) -> Target:
        try:
            if url not in self.targets:
                self.targets[url] = check_url(url)
        except UrlForbidden as error:  # saved under other rules
            raise CallFailed(NO_PUBLIC_ADDRESS) from error
        return self.targets[url]

    def _keep_or_close(self, idle: list[Connection], connection: Connection) -> None:
        if connection.is_clean and sum(map(len, self.idle.values())) < MAX_IDLE:
            idle.append(connection)
        else:
            connection.close()

    async def _open(self, target: Target) -> Connection:
        """A connection to the first address that accepts one, under the host's own name. Raises OSError."""
        tls = {"ssl": tls_context(), "server_hostname": target.host} if target.scheme == "https" else {}
        failure: OSError = ConnectionError()
        for address in await self._addresses(target):
            try:
                async with asyncio.timeout(self.connect_seconds):
                    return await self.connect(address, target.port, **tls)
            except OSError as error:
                failure = error
        raise failure

    async def _addresses(self, target: Target) -> list[str]:
        """Addresses of the target, all of them checked. Raises CallFailed when one is not public."""
        found = [target.host] if target.address is not None else await self._look_up(target)
        if not found or not all(target.is_listed or may_be_called(address) for address in found):
            raise CallFailed(NO_PUBLIC_ADDRESS)
        return found[:MAX_ADDRESSES]

    async def _look_up(self, target: Target) -> list[str]:
        """A dot at the end: no search domain of ours is tried. A listed name may be of one, or of /etc/hosts. All who
        want to know the same at the same time wait for one answer: a name that hangs holds one thread."""
        name = target.host if target.is_listed else f"{target.host}."
        if name not in self.look_ups:
            self.look_ups[name] = asyncio.create_task(self._ask(name, target.port))
        return await asyncio.shield(self.look_ups[name])  # who gives up waiting leaves it to the others

    async def _ask(self, name: str, port: int) -> list[str]:
        """No address for a name that is not found. Raises nothing then: perhaps nobody waits for it any more."""
        try:
            async with self.free_look_ups:
                return await self.resolve(name, port)
        except OSError:
            return []
        finally:
            del self.look_ups[name]


async def _take(idle: list[Connection]) -> Connection | None:
    while idle:
        connection = idle.pop()
        if await connection.is_quiet():
            return connection
        connection.close()
    return None


def encode(target: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    """The request as it goes over the wire. Raises ValueError for a header that would be more than one."""
    if not all(value.isprintable() for value in headers.values()):
        raise ValueError("A header holds a character that cannot be printed.")
    fixed = {"Host": target.authority, "Content-Length": str(len(body))}
    lines = [f"{name}: {value}" for name, value in {**fixed, **headers}.items()]
    return "\r\n".join([f"POST {target.path} HTTP/1.1", *lines, "", ""]).encode("ascii") + body
