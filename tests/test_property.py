"""Whatever people, providers and bad luck do in whatever order: the ledger verifies, and says what plain Python says.

`make test` makes the same 40 examples of 50 steps each time, CI 400 of them, `make property` 2,000 others, which
`PROPERTY_SEED` repeats.
"""

import logging
import os

import pytest
from django.test.client import Client
from django.utils import timezone
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from accounts.models import Merchant, User
from accounts.policy import SCOPES
from accounts.services import add_member, create_key, create_merchant
from core import queue
from tests.money_payouts import PayoutMachine, open_banks

SHARDS = 8  # so that several cores share the work
STEPS = 50
PRIME = 1_000_003  # between the seeds of one shard
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "40"))
SEED = int(os.environ.get("PROPERTY_SEED", "0"))


@pytest.fixture
def machine(db, monkeypatch, caplog, _handler):
    """Makes a machine with two merchants, their keys and two of their people."""
    monkeypatch.setattr(queue, "BATCH", 1)  # a worker's turn is one job: after each the machine looks
    caplog.set_level(logging.ERROR, "django.request")  # refusals are half of what it asks for
    client = Client()
    client.handler = _handler
    staff = [User.objects.create(email=f"{name}@shop.example.com", name=name) for name in ("anna", "bob")]
    shops = [create_merchant(name=name, status=Merchant.Status.ACTIVE) for name in ("Acme", "Duo")]
    keys = {}
    for shop in shops:
        for user in staff:
            add_member(shop, user, "owner")
        _row, keys[shop.pk] = create_key(shop, by=staff[0], by_role="owner", key=None, name="Shop", scopes=SCOPES)
    open_banks(shops, timezone.now())
    return lambda: PayoutMachine(client, keys, staff)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_money_is_where_plain_python_says_it_is(machine, shard):
    PayoutMachine.steps, wanted = 0, EXAMPLES // SHARDS * STEPS
    config = settings(
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    number = SEED * SHARDS + shard
    while PayoutMachine.steps < wanted:  # examples may end early
        left = settings(config, max_examples=(wanted - PayoutMachine.steps) // STEPS + 1)
        run_state_machine_as_test(seed(number)(machine), settings=left)
        number += PRIME
