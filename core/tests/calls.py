"""Calls to URLs that others chose, with resolvers and wires that are scripted."""

import asyncio
import time
from contextlib import closing

import pytest

from core.http import CallFailed, Client, open_connection
from tests.sinks import HOST


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
        return await open_connection(HOST, self.sink.port)
