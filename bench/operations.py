"""What is measured: the same requests to every side."""

import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from bench.load import Broken, encode, fetch
from bench.sides import FLOOR, OURS, PEER, SIDES, Side

PATH = "/api/v1/payments"
SEEDS = 100  # payments of each side that reads and replays go round
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040, "card_cvv": "123"}

run_id = os.urandom(4).hex()
numbers = itertools.count()


@dataclass(frozen=True)
class Operation:
    """A row of the table; `like` is the operation of the other sides that it is compared with."""

    name: str
    side: Side
    like: str
    requests: Iterator[bytes]


def create_request(**fields: object) -> bytes:
    """A new payment of a new customer, with a key of its own."""
    number = f"{run_id}-{next(numbers)}"
    body = {
        "customer_name": "John Doe",
        "customer_email": f"john-{number}@example.com",
        "amount": "50.00",
        "order_id": f"order-{number}",
    }
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"key-{number}"}
    return encode("POST", PATH, headers, json.dumps({**body, **fields}).encode())


def operations(ports: dict[Side, int]) -> list[Operation]:
    """Every row of the table, in its order. Makes the payments that reads and replays are about."""
    sent = {side: [create_request() for _i in range(SEEDS)] for side in SIDES}
    reads = {side: _reads(ports[side], requests) for side, requests in sent.items()}
    return [
        *(Operation("create", side, "create", _creates()) for side in (FLOOR, PEER, OURS)),
        Operation("create, card", OURS, "create", _creates(**CARD)),
        *(Operation("read", side, "read", reads[side]) for side in (FLOOR, PEER, OURS)),
        Operation("replay", OURS, "read", itertools.cycle(sent[OURS])),
    ]


def _creates(**fields: object) -> Iterator[bytes]:
    while True:
        yield create_request(**fields)


def _reads(port: int, creates: list[bytes]) -> Iterator[bytes]:
    ids = [_created_id(fetch(port, request)) for request in creates]
    return itertools.cycle([encode("GET", f"{PATH}/{pk}", {}) for pk in ids])


def _created_id(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 201"):
        raise Broken(f"A payment was not created: {answer.decode(errors='replace')}")
    data = json.loads(body)
    return data.get("payment", data)["id"]
