"""Which addresses a name may lead to, whatever the resolver says, and who waits for one that hangs."""

import asyncio
import gc
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from core import http
from core.http import (
    CONNECTION_FAILED,
    NO_PUBLIC_ADDRESS,
    TIMEOUT,
    CallFailed,
    Client,
)
from core.tests.calls import Wire, failure, post, post_at_once, resolving
from tests.sinks import HOST

LONG_SECONDS = 30  # only a test that fails takes as long


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
                released.wait(LONG_SECONDS)
            return [(2, 1, 6, "", (self.PUBLIC, port))]

        monkeypatch.setattr(http, "getaddrinfo", hang)

        async def run():
            with closing(Client(connect=Wire(sink), total_seconds=LONG_SECONDS / 2)) as client:
                hasty = replace(client, total_seconds=1.0)  # they share the look-ups
                calls = [hasty.post(f"https://hang{n}.com/", headers={}, body=b"") for n in range(200)]
                calls.append(client.post("https://hooks.shop.com/200", headers={}, body=b""))
                return await asyncio.gather(*calls, return_exceptions=True)

        begun = time.monotonic()
        *gave_up, answer = asyncio.run(run())
        assert answer.status == 200
        assert {one.reason for one in gave_up} == {TIMEOUT}
        assert time.monotonic() - begun < LONG_SECONDS  # the end of the loop has waited for nobody
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
