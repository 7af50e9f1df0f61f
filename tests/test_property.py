"""Whatever people, providers and bad luck do in whatever order: the ledger verifies, and says what plain Python says.

Each run makes the same 400 × 50 steps; `make property` makes 100,000 others.
"""

import logging
import os

import pytest
from django.test.client import Client
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from accounts.models import Merchant, User
from accounts.policy import SCOPES
from accounts.services import add_member, create_key, create_merchant
from core import queue
from tests.money_machine import MoneyMachine

SHARDS = 8
EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "400"))
STEPS = 50


@pytest.fixture
def machine(db, monkeypatch, caplog, _handler):
    """Makes a machine with two merchants, their keys and two of their people."""
    monkeypatch.setattr(queue, "BATCH", 1)  # a worker's turn is one job: after each the machine looks
    caplog.set_level(logging.ERROR, "django.request")  # refusals are half of what it asks for
    client = Client(raise_request_exception=True)
    client.handler = _handler
    staff = [User.objects.create(email=f"{name}@shop.example.com", name=name) for name in ("anna", "bob")]
    keys = {}
    for name in ("Acme", "Duo"):
        shop = create_merchant(name=name, status=Merchant.Status.ACTIVE)
        for user in staff:
            add_member(shop, user, "owner")
        _row, keys[shop.pk] = create_key(shop, by=staff[0], by_role="owner", key=None, name="Shop", scopes=SCOPES)
    return lambda: MoneyMachine(client, keys, staff)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_money_is_where_plain_python_says_it_is(machine, shard):
    MoneyMachine.steps = 0
    config = settings(
        max_examples=EXAMPLES // SHARDS,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        phases=[Phase.generate],
    )
    run_state_machine_as_test(seed(shard)(machine), settings=config)
    print(f"{MoneyMachine.steps} steps")
