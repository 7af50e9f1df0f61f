"""No call leaves for an address that is not public, whatever the URL, the resolver or the answer say."""

import asyncio
import gc
import socket
import ssl
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from core import http
from core.http import (
    CONNECTION_FAILED,
    INVALID_ANSWER,
    KEPT_BYTES,
    MAX_ANSWER_BYTES,
    NO_PUBLIC_ADDRESS,
    TIMEOUT,
    TLS_FAILED,
    Answer,
    AnswerReader,
    CallFailed,
    Client,
    encode,
)
from core.targets import check_url
from tests.sinks import HOST, listening


@pytest.fixture
def sink():
    with listening() as server:
        yield server


@pytest.fixture
def loopback_allowed(settings):
    settings.OUTBOUND_ALLOWED = ["127.0.0.0/8"]


@pytest.fixture
def called(monkeypatch):
    """The addresses that any socket of this process was connected to."""
    addresses, connect = [], socket.socket.connect

    def spy(self, address):
        addresses.append(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", spy)
    return addresses


def post(url, client=None, headers=None, body=b"{}"):
    return post_all([url], client, headers, body)[0]


def post_all(urls, client=None, headers=None, body=b"{}"):
    """One after the other, with one client."""

    async def run():
        with closing(client or Client()) as one:
            return [await one.post(url, headers=headers or {}, body=body) for url in urls]

    return asyncio.run(run())


def post_at_once(urls, client):
    """All together; a call without an answer answers with its CallFailed."""

    async def run():
        with closing(client):
            calls = [client.post(url, headers={}, body=b"{}") for url in urls]
            return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(run())


async def stand_still(seconds):
    """As the loop does while the database is asked."""
    time.sleep(seconds)


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


PIECES = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 Early\r\n\r\n",
    b"HTTP/1.0 999 \r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Retry-After: \xff\r\n",
    b"\r\n",
    b"5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"x" * 3000,
]


class TestRequest:
    def test_is_one_whatever_its_headers_hold(self):
        target = check_url("https://hooks.shop.com:8443/in?a=1")
        assert encode(target, {"X-One": "1"}, b"{}") == (
            b"POST /in?a=1 HTTP/1.1\r\nHost: hooks.shop.com:8443\r\nContent-Length: 2\r\nX-One: 1\r\n\r\n{}"
        )
        for value in ("a\r\nX-Two: 2", "a\nb", "\x00", "é"):
            with pytest.raises(ValueError, match=r"printed|ascii"):
                encode(target, {"X-One": value}, b"")


class TestListedTarget:
    @pytest.fixture(autouse=True)
    def _listed(self, settings):
        settings.OUTBOUND_ALLOWED = ["erp", "10.20.0.0/16"]

    def test_lets_a_name_lead_into_a_listed_network(self, sink):
        resolve, asked = resolving(["10.20.0.9"])
        assert post("https://hooks.shop.com/200", Client(resolve=resolve, connect=Wire(sink))).status == 200
        assert asked == ["hooks.shop.com."]

    def test_looks_a_listed_name_up_as_it_is(self, sink):
        resolve, asked = resolving(["192.168.1.1"])
        assert post("http://erp/200", Client(resolve=resolve, connect=Wire(sink))).status == 200
        assert asked == ["erp"]


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

    def test_is_asked_for_once_by_all_who_want_to_know_at_the_same_time(self, sink):
        asked = []

        async def resolve(host, port):
            asked.append(host)
            await asyncio.sleep(0.05)
            return [self.PUBLIC]

        urls = ["https://hooks.shop.com/200"] * 8 + ["https://hooks.shop.com:8443/204", "https://other.com/200"]
        answers = post_at_once(urls, Client(resolve=resolve, connect=Wire(sink)))
        assert [answer.status for answer in answers] == [200] * 8 + [204, 200]
        assert asked == ["hooks.shop.com.", "other.com."]

    def test_is_still_found_for_others_when_one_gives_up(self, sink):
        async def resolve(host, port):
            await asyncio.sleep(0.3)
            return [self.PUBLIC]

        async def run():
            with closing(Client(resolve=resolve, connect=Wire(sink))) as client:
                hasty = replace(client, total_seconds=0.05)  # they share the look-ups
                calls = [one.post("https://hooks.shop.com/200", headers={}, body=b"{}") for one in (hasty, client)]
                return await asyncio.gather(*calls, return_exceptions=True)

        gave_up, answer = asyncio.run(run())
        assert (gave_up.reason, answer.status) == (TIMEOUT, 200)

    def test_that_is_not_found_is_nothing_to_those_who_gave_up(self, caplog):
        async def resolve(host, port):
            await asyncio.sleep(0.1)
            raise OSError

        async def run():
            with pytest.raises(CallFailed), closing(Client(resolve=resolve, total_seconds=0.01)) as client:
                await client.post("https://hooks.shop.com/", headers={}, body=b"")
            await asyncio.sleep(0.2)

        asyncio.run(run())
        gc.collect()
        assert caplog.text == ""

    def test_that_hangs_holds_up_no_other_name(self, sink, monkeypatch):
        """Not the system's resolver either: as many names hang as a turn may ask for."""
        released = threading.Event()

        def hang(host, port, **options):
            if host.startswith("hang"):
                released.wait(10)
            return [(2, 1, 6, "", (self.PUBLIC, port))]

        monkeypatch.setattr(http, "getaddrinfo", hang)
        urls = [f"https://hang{n}.com/" for n in range(200)] + ["https://hooks.shop.com/200"]
        begun = time.monotonic()
        answers = post_at_once(urls, Client(connect=Wire(sink), total_seconds=1.5))
        assert answers[-1].status == 200
        assert {answer.reason for answer in answers[:-1]} == {TIMEOUT}
        assert time.monotonic() - begun < 8  # the end of the loop has waited for nobody
        released.set()

    def test_that_hangs_holds_up_no_end_of_the_process(self):
        program = """
import asyncio, time
from core import http
http.getaddrinfo = lambda *args, **options: time.sleep(60)
print("asked")
try:
    asyncio.run(asyncio.wait_for(http.ask_resolver("hooks.shop.com.", 443), 0.1))
except TimeoutError:
    print("gave up")
"""
        ended = subprocess.run(  # noqa: S603 our own interpreter
            [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
        )
        assert (ended.stdout, ended.stderr) == ("asked\ngave up\n", "")

    def test_is_one_of_a_limited_number_that_are_asked_for(self, sink):
        busy = []

        async def resolve(host, port):
            busy.append(host)
            assert len(busy) <= 2
            await asyncio.sleep(0.01)
            busy.remove(host)
            return [self.PUBLIC]

        client = Client(resolve=resolve, connect=Wire(sink), free_look_ups=asyncio.Semaphore(2))
        answers = post_at_once([f"https://shop{n}.com/200" for n in range(6)], client)
        assert [answer.status for answer in answers] == [200] * 6

    @pytest.mark.parametrize("url", ["https://127.0.0.1/", "http://shop.com/", "https://[::1]/"])
    def test_saved_under_other_rules_is_not_called(self, url, called):
        assert failure(url) == NO_PUBLIC_ADDRESS
        assert called == []

    def test_goes_past_the_proxies_of_the_environment(self, sink, loopback_allowed, monkeypatch, called):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert post(sink.url("200")).status == 200
        assert called == [(HOST, sink.port)]


@pytest.mark.usefixtures("loopback_allowed")
class TestAnswer:
    QUICK = Client(total_seconds=1.0)

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
            ("reset", CONNECTION_FAILED),
            ("close", CONNECTION_FAILED),
            ("garbage", INVALID_ANSWER),
            ("two_lengths", INVALID_ANSWER),
            ("upgrade", INVALID_ANSWER),
            ("flood_of_headers", INVALID_ANSWER),
            ("flood_of_interim_answers", INVALID_ANSWER),
        ],
    )
    def test_is_none(self, sink, path, reason):
        assert failure(sink.url(path), self.QUICK) == reason

    @given(st.lists(st.binary(max_size=40) | st.sampled_from(PIECES), max_size=12))
    def test_may_be_anything_without_doing_harm(self, pieces):
        answer = Answer()
        reader = AnswerReader(answer)
        with suppress(*http.NO_HTTP):
            for piece in pieces:
                reader.feed(piece)
        assert answer.status == 0 or 200 <= answer.status <= 999
        assert len(answer.body) <= KEPT_BYTES

    def test_that_is_followed_by_another_is_the_first(self, sink):
        answer = Answer()
        reader = AnswerReader(answer)
        reader.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nb")
        assert (answer.status, reader.is_clean) == (200, False)

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

    @pytest.mark.parametrize("wait", [asyncio.sleep, stand_still], ids=["waiting", "standing still"])
    @pytest.mark.parametrize("closes", [False, True])
    def test_that_brings_an_answer_unasked_is_not_used_again(self, sink, wait, closes):
        """Nor is what it brought taken for the answer to the next call."""

        async def talkative(connection):
            connection.answer(200)
            await connection.writer.drain()
            await asyncio.sleep(0.05)
            connection.answer(410)
            if closes:
                connection.close()

        async def run():
            with closing(Client()) as client:
                first = await client.post(sink.url("talkative"), headers={}, body=b"{}")
                await wait(0.2)
                return first, await client.post(sink.url("204"), headers={}, body=b"{}")

        sink.behaviours["/talkative"] = talkative
        assert [answer.status for answer in asyncio.run(run())] == [200, 204]
        assert sink.connections == 2

    def test_is_another_for_another_owner(self, sink):
        async def run():
            with closing(Client()) as client:
                for owner in ("mer_1", "mer_2", "mer_1", "mer_2"):
                    await client.post(sink.url("200"), headers={}, body=b"{}", owner=owner)

        asyncio.run(run())
        assert (len(sink.received), sink.connections) == (4, 2)

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
