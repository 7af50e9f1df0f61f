"""Calls to addresses that somebody else chose, such as merchants' webhooks, guarded against SSRF (RELIABILITY.md §2.4).

A URL is checked when it is saved (`check_url`), and again when it is called. Every address of its host must be public
then, and the connection goes to one of the addresses that were checked: a name that points elsewhere a moment later
gains nothing. No redirect is followed, no proxy of the environment is used, nothing is unpacked, and the answer is cut
off by its size and by the clock. What the operator lists in OUTBOUND_ALLOWED is exempt from the rules about hosts.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from socket import SOCK_STREAM
from urllib.parse import SplitResult, urlsplit

import h11
from django.conf import settings

from core.errors import UrlForbidden

MAX_URL_LENGTH = 2048
DEFAULT_PORTS = {"https": 443, "http": 80}
PORTS = {443, 8443}

CONNECT_SECONDS = 5.0  # to one address, with the TLS handshake
TOTAL_SECONDS = 15.0  # from the name to the last byte, however slowly they drip
MAX_ADDRESSES = 4  # of one host that are tried
MAX_HEAD_BYTES = 16 * 1024
MAX_ANSWER_BYTES = 20 * 1024  # read at most
KEPT_BYTES = 1024  # of the answer's body
READ_BYTES = 4096
MAX_IDLE = 256  # connections kept for the next call

# Printable ASCII without what readers of URLs disagree on: a backslash, and a fragment, which is never sent.
URL_PATTERN = re.compile(r"[\x21-\x7e]+", re.ASCII)
DISPUTED = set("\\#")
LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
NAME_PATTERN = re.compile(rf"(?:{LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?", re.ASCII)  # 1, 0x7f: no last label
MAX_NAME_LENGTH = 253
LOCAL_DOMAINS = ("localhost", "local", "internal", "home.arpa")  # RFC 6761, RFC 6762, ICANN 2024, RFC 8375

# Addresses that lead into networks of ours although Python calls them global, in one version or another: IANA's
# special-purpose registries, what carries an IPv4 address inside (NAT64, 6to4, Teredo), and Azure's host address.
NOT_PUBLIC = [
    ip_network(network)
    for line in (
        "100.64.0.0/10 192.0.0.0/24 192.88.99.0/24 198.18.0.0/15 168.63.129.16/32",
        "64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2002::/16 3fff::/20 5f00::/16 fc00::/7 fec0::/10",
    )
    for network in line.split()
]

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]
Connect = Callable[..., Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


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


# --- Where to ---------------------------------------------------------------------------------
@dataclass(frozen=True)
class Allowed:
    """What the operator lets us call besides public addresses: names, and networks that they resolve to."""

    names: frozenset[str]
    networks: tuple[IPv4Network | IPv6Network, ...]

    def has(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


@lru_cache
def read_allowed(entries: tuple[str, ...]) -> Allowed:
    """OUTBOUND_ALLOWED: addresses, networks (CIDR) and names. Raises ValueError for anything else."""
    names, networks = [], []
    for entry in entries:
        if len(entry) <= MAX_NAME_LENGTH and NAME_PATTERN.fullmatch(entry):
            names.append(entry)
        else:
            networks.append(ip_network(entry))
    return Allowed(frozenset(names), tuple(networks))


def allowed() -> Allowed:
    return read_allowed(tuple(settings.OUTBOUND_ALLOWED))


@dataclass(frozen=True)
class Target:
    """A URL that may be called, as far as its text can tell."""

    scheme: str
    host: str
    port: int
    path: str  # with the query, as it is sent

    @cached_property
    def address(self) -> Address | None:
        """None when the host is a name."""
        return _literal(self.host)

    @cached_property
    def is_listed(self) -> bool:
        return self.host in allowed().names or (self.address is not None and allowed().has(self.address))

    @property
    def authority(self) -> str:
        """The Host header."""
        host = _bracketed(self.host)
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def check_url(url: str, *, param: str = "url") -> Target:
    """Where a URL leads. Raises UrlForbidden unless it is https on a usual port of a host that may be public.

    Asks no resolver: what a name means is decided when it is called.
    """
    parts = _split(url)
    if parts is None or parts.scheme not in DEFAULT_PORTS:
        raise UrlForbidden("Send an absolute https URL, without a user name, a fragment or spaces.", param=param)
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    target = Target(parts.scheme, parts.hostname or "", port, path)
    if target.is_listed:
        return target
    if target.scheme != "https" or target.port not in PORTS:
        raise UrlForbidden("The URL must be https, on port 443 or 8443.", param=param)
    if not _may_be_public(target):
        raise UrlForbidden("The URL must lead to a public host, which is not this service.", param=param)
    return target


def _split(url: str) -> SplitResult | None:
    """The URL's parts; None when it has no host, or spells something that others might read in another way."""
    if len(url) > MAX_URL_LENGTH or not URL_PATTERN.fullmatch(url) or DISPUTED & set(url):
        return None
    try:
        parts = urlsplit(url)
        host, port = _bracketed(parts.hostname or ""), parts.port
    except ValueError:
        return None
    return parts if host and parts.netloc.lower() in (host, f"{host}:{port}") else None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _literal(host: str) -> Address | None:
    """The address that is spelled out; None for a name, and for an address of one network interface."""
    try:
        return None if "%" in host else ip_address(host)
    except ValueError:
        return None


def _may_be_public(target: Target) -> bool:
    """Names without a dot are looked up among ours; numbers in any notation but the usual one lead anywhere."""
    host = target.host
    if host == urlsplit(settings.SITE_URL).hostname or host in settings.ALLOWED_HOSTS:
        return False
    if target.address is not None:
        return is_public(target.address)
    local = any(host.endswith(f".{domain}") for domain in LOCAL_DOMAINS)
    return len(host) <= MAX_NAME_LENGTH and "." in host and not local and bool(NAME_PATTERN.fullmatch(host))


def is_public(address: Address) -> bool:
    """Whether the address is one that anybody on the internet could call."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    special = address.is_multicast or address.is_reserved or address.is_link_local or address.is_unspecified
    return address.is_global and not special and not any(address in network for network in NOT_PUBLIC)


# --- The call ---------------------------------------------------------------------------------
@dataclass
class Answer:
    """What came back: the status, and the first KEPT_BYTES of the body."""

    status: int = 0
    retry_after: str = ""  # the header as it came
    body: bytes = b""


async def ask_resolver(host: str, port: int) -> list[str]:
    """All addresses of a name, by the system's resolver. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@lru_cache
def tls_context() -> ssl.SSLContext:
    return ssl.create_default_context()


@dataclass
class Connection:
    """An open connection, and what HTTP makes of it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    http: h11.Connection = field(default_factory=lambda: h11.Connection(h11.CLIENT, MAX_HEAD_BYTES))
    is_used: bool = False  # it has carried a call before

    async def ask(self, request: h11.Request, body: bytes, answer: Answer) -> None:
        """Fills in the answer, to its end or to MAX_ANSWER_BYTES. Raises OSError, and RemoteProtocolError for what
        is no HTTP."""
        parts = (request, h11.Data(data=body), h11.EndOfMessage())
        self.writer.write(b"".join(self.http.send(part) or b"" for part in parts))
        left = MAX_ANSWER_BYTES
        while True:
            event = self.http.next_event()
            if event is h11.NEED_DATA and left:
                data = await self.reader.read(min(left, READ_BYTES))
                left -= len(data)
                self.http.receive_data(data)
            elif isinstance(event, h11.Response):
                answer.status = event.status_code
                answer.retry_after = dict(event.headers).get(b"retry-after", b"").decode("latin-1")
            elif isinstance(event, h11.Data):
                answer.body = (answer.body + event.data)[:KEPT_BYTES]
            elif not isinstance(event, h11.InformationalResponse):
                return

    @property
    def can_be_kept(self) -> bool:
        """Whether both sides have said all, and mean to go on."""
        return self.http.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE} and self.http.trailing_data[0] == b""

    @property
    def is_open(self) -> bool:
        return not (self.reader.at_eof() or self.writer.is_closing())

    def close(self) -> None:
        self.writer.transport.abort()  # waits for nobody


@dataclass
class Client:
    """Posts to URLs that others chose, on one event loop, and keeps connections open for the next call to the same
    host until it is closed. `resolve` and `connect` are there to be scripted in tests."""

    resolve: Resolve = ask_resolver
    connect: Connect = asyncio.open_connection
    connect_seconds: float = CONNECT_SECONDS
    total_seconds: float = TOTAL_SECONDS
    idle: dict[tuple[str, str], list[Connection]] = field(default_factory=dict)

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """Sends `body` and answers with what came back. A status that has arrived counts, whatever becomes of the
        body after it. Raises CallFailed when there was none."""
        answer, reason = Answer(), INVALID_ANSWER
        try:
            async with asyncio.timeout(self.total_seconds):
                await self._exchange(_checked(url), headers, body, answer)
        except TimeoutError:
            reason = TIMEOUT
        except ssl.SSLError:
            reason = TLS_FAILED
        except OSError:
            reason = CONNECTION_FAILED
        except h11.RemoteProtocolError:
            reason = INVALID_ANSWER
        if not answer.status:
            raise CallFailed(reason)
        return answer

    def close(self) -> None:
        for connections in self.idle.values():
            for connection in connections:
                connection.close()
        self.idle.clear()

    async def _exchange(self, target: Target, headers: Mapping[str, str], body: bytes, answer: Answer) -> None:
        fixed = {"Host": target.authority, "Content-Length": str(len(body))}
        request = h11.Request(method="POST", target=target.path, headers=list({**fixed, **headers}.items()))
        connection = self._take_idle(target) or await self._open(target)
        try:
            await connection.ask(request, body, answer)
        except (OSError, h11.RemoteProtocolError):
            if answer.status or not connection.is_used:
                raise
            # The other side had closed it meanwhile: once more, on one of our own.
            connection.close()
            connection = await self._open(target)
            await connection.ask(request, body, answer)
        finally:
            self._keep_or_close(target, connection)

    def _take_idle(self, target: Target) -> Connection | None:
        connections = self.idle.get((target.scheme, target.authority), [])
        while connections:
            connection = connections.pop()
            if connection.is_open:
                return connection
            connection.close()
        return None

    def _keep_or_close(self, target: Target, connection: Connection) -> None:
        if not connection.can_be_kept or sum(map(len, self.idle.values())) >= MAX_IDLE:
            connection.close()
            return
        connection.http.start_next_cycle()
        connection.is_used = True
        self.idle.setdefault((target.scheme, target.authority), []).append(connection)

    async def _open(self, target: Target) -> Connection:
        """A connection to the first address that accepts one, under the host's own name. Raises OSError."""
        tls = {"ssl": tls_context(), "server_hostname": target.host} if target.scheme == "https" else {}
        failure: OSError = ConnectionError()
        for address in await self._addresses(target):
            try:
                async with asyncio.timeout(self.connect_seconds):
                    return Connection(*await self.connect(address, target.port, **tls))
            except OSError as error:
                failure = error
        raise failure

    async def _addresses(self, target: Target) -> list[str]:
        """Addresses of the target, all of them checked. Raises CallFailed when one is not public."""
        found = [target.host] if target.address is not None else await self._look_up(target)
        if not found or not all(target.is_listed or _may_be_called(address) for address in found):
            raise CallFailed(NO_PUBLIC_ADDRESS)
        return found[:MAX_ADDRESSES]

    async def _look_up(self, target: Target) -> list[str]:
        """A dot at the end: no search domain of ours is tried. A listed name may be of one, or of /etc/hosts."""
        try:
            return await self.resolve(target.host if target.is_listed else f"{target.host}.", target.port)
        except OSError as error:
            raise CallFailed(NO_PUBLIC_ADDRESS) from error


def _checked(url: str) -> Target:
    try:
        return check_url(url)
    except UrlForbidden as error:  # saved under other rules
        raise CallFailed(NO_PUBLIC_ADDRESS) from error


def _may_be_called(text: str) -> bool:
    address = _literal(text)
    return address is not None and (is_public(address) or allowed().has(address))
