"""Where we may call when somebody else names the URL: public hosts by https, and what the operator lists.

The guard against server-side request forgery (OWASP SSRF) has two halves: what a URL may look like, here, when it is
saved and again when it is called; and which addresses may be connected to, here for core/http.py, when its host has
been resolved.
"""

import re
from dataclasses import dataclass
from functools import cached_property, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.http.request import validate_host

from core.errors import UrlForbidden

MAX_URL_LENGTH = 2048
DEFAULT_PORTS = {"https": 443, "http": 80}
PORTS = {443, 8443}

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
    ours = [name for name in settings.ALLOWED_HOSTS if name != "*"]
    if host == urlsplit(settings.SITE_URL).hostname or validate_host(_bracketed(host), ours):
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


def may_be_called(text: str) -> bool:
    """Whether this address, as a resolver gave it, may be connected to."""
    address = _literal(text)
    return address is not None and (is_public(address) or allowed().has(address))
