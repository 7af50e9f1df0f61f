"""No call leaves for an address that is not public, whatever the URL, the resolver or the answer say."""

import asyncio
import socket
import ssl
import threading
from contextlib import closing, suppress
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
    TIMEOUT,
    TLS_FAILED,
    Answer,
    AnswerReader,
    CallFailed,
    Client,
    encode,
)
from core.targets import check_url
from core.tests.calls import Wire, failure, post, post_all, resolving, stand_still
from tests.sinks import HOST

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
        original = AnswerReader.feed

        def count(self, data):
            read.append(len(data))
            original(self, data)

        monkeypatch.setattr(AnswerReader, "feed", count)
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
        answers = post_all([sink.url(path), sink.url("200")], Client(total_seconds=1.0))
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
        said = threading.Event()

        async def talkative(connection):
            connection.answer(200)
            await connection.writer.drain()
            await asyncio.sleep(0.05)
            connection.answer(410)
            await connection.writer.drain()
            if closes:
                connection.close()
            said.set()

        async def run():
            with closing(Client()) as client:
                first = await client.post(sink.url("talkative"), headers={}, body=b"{}")
                while not said.is_set():
                    await wait(0.05)
                await wait(0.05)
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
    def answers_of(self, certificate, settings, monkeypatch):
        """Calls a TLS server of ours under a name, with trust in its certificate or without. When something happens
        meanwhile, on its side of the connection, it is called again."""

        async def call(name, trusted, meanwhile=None):
            context = ssl.create_default_context(cafile=certificate if trusted else None)
            monkeypatch.setattr(http, "tls_context", lambda: context)
            identity = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            identity.load_cert_chain(certificate)
            names, writers = [], []
            identity.sni_callback = lambda _socket, asked, _context: names.append(asked)

            async def serve(reader, writer):
                writers.append(writer)
                await reader.readuntil(b"{}")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

            server = await asyncio.start_server(serve, HOST, 0, ssl=identity)
            url = f"https://{name}:{server.sockets[0].getsockname()[1]}/"
            settings.OUTBOUND_ALLOWED = [name]
            resolve, _asked = resolving([HOST], [HOST])
            async with server:
                with closing(Client(resolve=resolve)) as client:
                    answers = [await client.post(url, headers={}, body=b"{}")]
                    if meanwhile:
                        meanwhile(writers[0])
                        answers.append(await client.post(url, headers={}, body=b"{}"))
            return [answer.status for answer in answers], names

        return lambda *args: asyncio.run(call(*args))

    def test_is_for_the_name_and_not_for_the_address(self, answers_of):
        assert answers_of("hooks.shop.com", True) == ([200], ["hooks.shop.com"])

    @pytest.mark.parametrize(
        "meanwhile",
        [lambda writer: writer.write(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"), lambda writer: writer.close()],
        ids=["an answer unasked", "its end"],
    )
    def test_is_not_spoken_on_a_connection_that_has_brought(self, answers_of, meanwhile):
        assert answers_of("hooks.shop.com", True, meanwhile) == ([200, 200], ["hooks.shop.com"] * 2)

    @pytest.mark.parametrize(("name", "trusted"), [("hooks.shop.com", False), ("other.shop.com", True)])
    def test_must_be_proven(self, answers_of, name, trusted):
        with pytest.raises(CallFailed) as caught:
            answers_of(name, trusted)
        assert caught.value.reason == TLS_FAILED
