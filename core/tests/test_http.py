"""No call leaves for an address that is not public, whatever the URL, the resolver or the answer say."""

import asyncio
import socket
import ssl
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core import http
from core.errors import UrlForbidden
from core.http import (
    CONNECTION_FAILED,
    INVALID_ANSWER,
    KEPT_BYTES,
    MAX_ANSWER_BYTES,
    NO_PUBLIC_ADDRESS,
    TIMEOUT,
    TLS_FAILED,
    CallFailed,
    Client,
)
from core.targets import check_url, is_public, read_allowed
from tests.sinks import HOST, listening

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::200e", "::ffff:8.8.8.8"]
NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:100.64.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
ALLOWED_URLS = [
    "https://hooks.shop.com",
    "https://hooks.shop.com/in?key=a%20b&c=",
    "https://HOOKS.Shop.com:8443/in",
    "https://hooks.shop.com:443/",
    "https://xn--bcher-kva.com/in",
    "https://a_b.shop.com/",
    "https://8.8.8.8/in",
    "https://[2606:4700:4700::1111]:8443/in",
]
FORBIDDEN_URLS = [
    "",
    "hooks.shop.com",
    "//hooks.shop.com",
    "https:",
    "https://",
    "https:///in",
    "https:hooks.shop.com",
    "http://hooks.shop.com",
    "ftp://hooks.shop.com",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "javascript:alert(1)",
    "https://hooks.shop.com:80/",
    "https://hooks.shop.com:22/",
    "https://hooks.shop.com:0/",
    "https://hooks.shop.com:65536/",
    "https://hooks.shop.com:-1/",
    "https://hooks.shop.com:4 43/",
    "https://hooks.shop.com:٤٤٣/",
    "https://hooks.shop.com:/",
    "https://hooks.shop.com:0443/",
    "https://user@hooks.shop.com/",
    "https://user:password@hooks.shop.com/",
    "https://hooks.shop.com@127.0.0.1/",
    "https://@127.0.0.1/",
    "https://good.com\\@127.0.0.1/",
    "https://good.com\\.127.0.0.1/",
    "https://good.com#@127.0.0.1/",
    "https://hooks.shop.com/in#part",
    " https://hooks.shop.com/",
    "https://hooks.shop.com/ in",
    "https://hooks.shop.com/\r\nX-Injected: yes",
    "https://hooks.shop\t.com/",
    "https://hooks.shop.com/\x00",
    "https://bücher.com/",
    "https://ⓛocalhost/",
    "https://①②⑦.⓪.⓪.①/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://hooks.shop.com/é",
    "https://%31%32%37.0.0.1/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://127.0.0.1./",
    "https://shop.0x7f/",
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST/",
    "https://api.localhost/",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://router.home.arpa/",
    "https://intranet/",
    "https://shop.com./",
    "https://.shop.com/",
    "https://shop..com/",
    "https://-shop.com/",
    "https://shop-.com/",
    "https://shop.com-/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[::1].shop.com/",
    "https://[2606:4700:4700::1111].shop.com/",
    "https://[::1/",
    "https://::1/",
    "https://[127.0.0.1]/",
    "https://testserver/",
    "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 127 + "com/",
    "https://hooks.shop.com/" + "a" * 2048,
]


@pytest.fixture
def sink():
    with listening() as server:
        yield server


@pytest.fixture
def loopback_allowed(settings):
    settings.OUTBOUND_ALLOWED = ["127.0.0.0/8"]


CALLED: list[str] = []
sys.addaudithook(lambda event, args: CALLED.append(str(args[1])) if event == "socket.connect" else None)


@pytest.fixture
def called():
    """The addresses that any socket of this process was connected to."""
    CALLED.clear()
    return CALLED


def post(url, client=None, headers=None, body=b"{}"):
    return post_all([url], client, headers, body)[0]


def post_all(urls, client=None, headers=None, body=b"{}"):
    """One after the other, with one client."""

    async def run():
        with closing(client or Client()) as one:
            return [await one.post(url, headers=headers or {}, body=body) for url in urls]

    return asyncio.run(run())


def failure(url, client=None):
    with pytest.raises(CallFailed) as caught:
        post(url, client)
    return caught.value.reason


def resolving(*answers):
    """A resolver that answers each question with the next of these lists, and what it was asked."""
    left, asked = list(answers), []

    async def resolve(host, port):
        asked.append(host)
        answer = left.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    return resolve, asked


class Wire:
    """Connects nothing to the internet: what would go to a public address goes to the sink."""

    def __init__(self, sink=None, refused=()):
        self.sink, self.refused, self.calls = sink, refused, []

    async def __call__(self, host, port, **tls):
        self.calls.append((host, port, tls.get("server_hostname")))
        if host in self.refused or self.sink is None:
            raise ConnectionRefusedError
        return await asyncio.open_connection(HOST, self.sink.port)


class TestPublicAddresses:
    @pytest.mark.parametrize("address", PUBLIC)
    def test_may_be_called(self, address):
        assert is_public(ip_address(address))

    @pytest.mark.parametrize("address", NOT_PUBLIC)
    def test_are_no_others(self, address):
        assert not is_public(ip_address(address))


class TestUrlAtSave:
    @pytest.mark.parametrize("url", ALLOWED_URLS)
    def test_is_taken(self, url):
        assert check_url(url).scheme == "https"

    @pytest.mark.parametrize("url", FORBIDDEN_URLS)
    def test_is_refused(self, url):
        with pytest.raises(UrlForbidden) as caught:
            check_url(url, param="webhook")
        assert (caught.value.status, caught.value.code, caught.value.param) == (400, "url_forbidden", "webhook")

    @pytest.mark.parametrize("address", [text for text in NOT_PUBLIC if "%" not in text])
    def test_of_an_address_that_is_not_public_is_refused(self, address):
        with pytest.raises(UrlForbidden):
            check_url(f"https://[{address}]/" if ":" in address else f"https://{address}/")

    def test_is_read_once(self):
        target = check_url("https://Hooks.shop.com:8443/in?a=1")
        assert (target.host, target.port, target.path) == ("hooks.shop.com", 8443, "/in?a=1")
        assert target.authority == "hooks.shop.com:8443"
        assert check_url("https://[2606:4700:4700::1111]/").authority == "[2606:4700:4700::1111]"
        assert check_url("https://shop.com?a=1").path == "/?a=1"


class TestOperatorsList:
    @pytest.fixture(autouse=True)
    def _listed(self, settings):
        settings.OUTBOUND_ALLOWED = ["erp", "hooks.internal", "10.20.0.0/16", "fd00::5"]

    @pytest.mark.parametrize(
        "url", ["http://erp:8000/", "https://hooks.internal/", "http://10.20.3.4:81/in", "http://[fd00::5]/"]
    )
    def test_opens_hosts_ports_and_plain_http(self, url):
        assert check_url(url).is_listed

    @pytest.mark.parametrize(
        "url", ["http://crm/", "http://10.21.0.1/", "https://x.hooks.internal/", "http://a@erp/", "http://erp\\x/"]
    )
    def test_opens_nothing_else(self, url):
        with pytest.raises(UrlForbidden):
            check_url(url)

    def test_lets_a_name_lead_into_a_listed_network(self, sink):
        resolve, asked = resolving(["10.20.0.9"])
        assert post("https://hooks.shop.com/200", Client(resolve=resolve, connect=Wire(sink))).status == 200
        assert asked == ["hooks.shop.com."]

    def test_looks_a_listed_name_up_as_it_is(self, sink):
        resolve, asked = resolving(["192.168.1.1"])
        assert post("http://erp/200", Client(resolve=resolve, connect=Wire(sink))).status == 200
        assert asked == ["erp"]

    @pytest.mark.parametrize("entry", ["10.0.0.0/33", "10.0.0.1/8", "a b", "http://erp", "", "300.1.1.1", "*"])
    def test_holds_nothing_that_cannot_be_read(self, entry):
        with pytest.raises(ValueError, match=r"does not appear|host bits"):
            read_allowed((entry,))


class TestResolvedName:
    PUBLIC, PRIVATE = "93.184.215.14", "10.0.0.1"

    @pytest.mark.parametrize(
        "answer",
        [
            [],
            OSError("no such name"),
            socket.gaierror(socket.EAI_AGAIN, "later"),
            ["10.0.0.1"],
            ["127.0.0.1"],
            ["169.254.169.254"],  # a CNAME to the cloud's metadata looks like this
            ["93.184.215.14", "10.0.0.1"],
            ["10.0.0.1", "93.184.215.14"],
            ["2606:4700:4700::1111", "::1"],
            ["93.184.215.14", "fe80::1%2"],
            ["not an address"],
        ],
        ids=str,
    )
    def test_is_called_only_when_all_its_addresses_are_public(self, answer, called):
        resolve, _asked = resolving(answer)
        assert failure("https://hooks.shop.com/", Client(resolve=resolve)) == NO_PUBLIC_ADDRESS
        assert called == []

    def test_is_asked_for_once_and_called_where_that_answer_said(self, sink):
        resolve, asked = resolving([self.PUBLIC], [self.PRIVATE])  # rebinding: the second answer is the trap
        wire = Wire(sink)
        assert post("https://hooks.shop.com/200", Client(resolve=resolve, connect=wire)).status == 200
        assert asked == ["hooks.shop.com."]  # whole: no search domain of ours
        assert wire.calls == [(self.PUBLIC, 443, "hooks.shop.com")]
        assert sink.received[0].headers["host"] == "hooks.shop.com"

    def test_has_its_other_addresses_tried_when_one_refuses(self, sink):
        resolve, _asked = resolving(["1.1.1.1", "8.8.8.8"])
        wire = Wire(sink, refused={"1.1.1.1"})
        assert post("https://hooks.shop.com/200", Client(resolve=resolve, connect=wire)).status == 200
        assert [host for host, *_ in wire.calls] == ["1.1.1.1", "8.8.8.8"]

    def test_has_few_of_its_addresses_tried(self):
        resolve, _asked = resolving([f"8.8.8.{n}" for n in range(100)])
        wire = Wire()
        assert failure("https://hooks.shop.com/", Client(resolve=resolve, connect=wire)) == CONNECTION_FAILED
        assert len(wire.calls) == http.MAX_ADDRESSES

    def test_may_take_its_time_but_not_all_of_it(self):
        async def resolve(host, port):
            await asyncio.sleep(30)

        assert failure("https://hooks.shop.com/", Client(resolve=resolve, total_seconds=0.05)) == TIMEOUT

    @pytest.mark.parametrize("url", ["https://127.0.0.1/", "http://shop.com/", "https://[::1]/"])
    def test_saved_under_other_rules_is_not_called(self, url, called):
        assert failure(url) == NO_PUBLIC_ADDRESS
        assert called == []

    def test_goes_past_the_proxies_of_the_environment(self, sink, loopback_allowed, monkeypatch, called):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert post(sink.url("200")).status == 200
        assert called == [str((HOST, sink.port))]


@pytest.mark.usefixtures("loopback_allowed")
class TestAnswer:
    QUICK = Client(total_seconds=0.3)

    @pytest.mark.parametrize("status", [200, 204, 400, 410, 500])
    def test_is_its_status_and_the_start_of_its_body(self, sink, status):
        answer = post(sink.url(str(status)), headers={"X-One": "1"}, body=b'{"a":1}')
        assert answer.status == status
        assert answer.body == (b"" if status == 204 else b"thanks")
        request = sink.received[0]
        assert (request.body, request.headers["x-one"]) == (b'{"a":1}', "1")
        assert request.headers["host"] == f"{HOST}:{sink.port}"
        assert "accept-encoding" not in request.headers

    def test_is_the_redirect_itself(self, sink):
        assert post(sink.url("redirect")).status == 301
        assert [request.path for request in sink.received] == ["/redirect"]

    def test_tells_when_to_come_again(self, sink):
        assert post(sink.url("busy")).retry_after == "600"
        assert post(sink.url("200")).retry_after == ""

    @pytest.mark.parametrize(
        "path",
        ["slow", "in_chunks", "until_close", "last", "too_short", "too_long", "flood", "packed", "drip_body"],
    )
    def test_counts_once_its_status_is_there(self, sink, path):
        answer = post(sink.url(path), self.QUICK)
        assert answer.status == 200
        assert len(answer.body) <= KEPT_BYTES

    def test_is_not_unpacked(self, sink):
        assert post(sink.url("packed")).body.startswith(b"\x1f")

    def test_in_chunks_is_put_together(self, sink):
        assert post(sink.url("in_chunks")).body == b"thanks"

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("hang", TIMEOUT),
            ("drip", TIMEOUT),
            ("reset", INVALID_ANSWER),
            ("close", INVALID_ANSWER),
            ("garbage", INVALID_ANSWER),
            ("two_lengths", INVALID_ANSWER),
            ("upgrade", INVALID_ANSWER),
            ("flood_of_headers", INVALID_ANSWER),
            ("flood_of_interim_answers", INVALID_ANSWER),
        ],
    )
    def test_is_none(self, sink, path, reason):
        assert failure(sink.url(path), self.QUICK) in (reason, CONNECTION_FAILED)

    def test_is_read_to_a_limit(self, sink, monkeypatch):
        read = []
        original = asyncio.StreamReader.read

        async def count(self, n=-1):
            data = await original(self, n)
            read.append(len(data))
            return data

        monkeypatch.setattr(asyncio.StreamReader, "read", count)
        post(sink.url("flood"))
        assert sum(read) == MAX_ANSWER_BYTES

    def test_is_none_where_nobody_listens(self, sink):
        with socket.socket() as unused:
            unused.bind((HOST, 0))
            assert failure(f"http://{HOST}:{unused.getsockname()[1]}/") == CONNECTION_FAILED

    def test_is_none_where_nobody_accepts(self, sink):
        async def connect(host, port, **tls):
            await asyncio.sleep(30)

        assert failure(sink.url("200"), Client(connect=connect, connect_seconds=0.05)) == TIMEOUT


@pytest.mark.usefixtures("loopback_allowed")
class TestConnection:
    def test_is_kept_for_the_next_call_to_the_same_host(self, sink):
        post_all([sink.url("200"), sink.url("204"), sink.url("in_chunks"), sink.url("500")])
        assert (len(sink.received), sink.connections) == (4, 1)

    def test_is_another_for_another_host(self, sink, settings):
        settings.OUTBOUND_ALLOWED = ["one", "two"]
        resolve, asked = resolving([HOST], [HOST])
        client = Client(resolve=resolve, connect=Wire(sink))
        post_all(["http://one/200", "http://two/200", "http://one/200"], client)
        assert (sink.connections, asked) == (2, ["one", "two"])

    @pytest.mark.parametrize("path", ["too_long", "too_short", "until_close", "flood", "drip_body"])
    def test_is_not_kept_after_an_answer_without_a_clean_end(self, sink, path):
        answers = post_all([sink.url(path), sink.url("200")], Client(total_seconds=0.3))
        assert [answer.status for answer in answers] == [200, 200]
        assert sink.connections == 2

    def test_that_was_closed_meanwhile_is_made_anew(self, sink):
        answers = post_all([sink.url("last")] * 3)
        assert [answer.status for answer in answers] == [200] * 3
        assert (len(sink.received), sink.connections) == (3, 3)

    def test_that_fails_on_its_first_call_is_not_tried_twice(self, sink):
        with pytest.raises(CallFailed):
            post(sink.url("close"))
        assert len(sink.received) == 1

    def test_is_kept_for_a_limited_number_of_hosts(self, sink, monkeypatch):
        monkeypatch.setattr(http, "MAX_IDLE", 0)
        post_all([sink.url("200")] * 3)
        assert sink.connections == 3

    def test_is_closed_in_the_end(self, sink):
        client = Client()
        post(sink.url("200"), client)
        assert client.idle == {}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a certificate for localhost that nobody has signed, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.shop.com")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, plain)
    file.write_bytes(private + built.public_bytes(encoding))
    return file


class TestTls:
    @pytest.fixture
    def answer_of(self, certificate, settings, monkeypatch):
        """Calls a TLS server of ours under a name, with trust in its certificate or without."""

        async def call(name, trusted):
            context = ssl.create_default_context(cafile=certificate if trusted else None)
            monkeypatch.setattr(http, "tls_context", lambda: context)
            identity = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            identity.load_cert_chain(certificate)
            names = []
            identity.sni_callback = lambda _socket, asked, _context: names.append(asked)

            async def serve(reader, writer):
                await reader.readuntil(b"{}")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

            server = await asyncio.start_server(serve, HOST, 0, ssl=identity)
            port = server.sockets[0].getsockname()[1]
            settings.OUTBOUND_ALLOWED = [name]
            resolve, _asked = resolving([HOST])
            async with server:
                answer = await Client(resolve=resolve).post(f"https://{name}:{port}/", headers={}, body=b"{}")
            return answer, names

        return lambda *args: asyncio.run(call(*args))

    def test_is_for_the_name_and_not_for_the_address(self, answer_of):
        answer, names = answer_of("hooks.shop.com", True)
        assert (answer.status, names) == (200, ["hooks.shop.com"])

    @pytest.mark.parametrize(("name", "trusted"), [("hooks.shop.com", False), ("other.shop.com", True)])
    def test_must_be_proven(self, answer_of, name, trusted):
        with pytest.raises(CallFailed) as caught:
            answer_of(name, trusted)
        assert caught.value.reason == TLS_FAILED
