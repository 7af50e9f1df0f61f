"""Many callers at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from sandbox import services, tasks
from sandbox.models import Charge, Notice, Operation

pytestmark = pytest.mark.django_db(transaction=True)

CALLERS = 8


def at_once(call):
    """Runs `call(number)` in CALLERS threads that start together."""
    barrier = Barrier(CALLERS)

    def run(number):
        try:
            barrier.wait(timeout=10)
            return call(number)
        except services.SandboxRefused as refused:
            return refused.code
        finally:
            connection.close()

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(run, range(CALLERS)))


def test_one_key_makes_one_charge(charge):
    answers = at_once(lambda _: charge())
    assert len({answer["id"] for answer in answers}) == 1
    assert Charge.objects.count() == 1


def test_one_key_with_different_amounts_makes_one_charge_and_refuses_the_others(charge):
    answers = at_once(lambda number: charge(amount=5000 + number))
    assert answers.count("idempotency_error") == CALLERS - 1
    assert Charge.objects.count() == 1


def test_refunds_never_exceed_the_capture(paid):
    charge_id = paid()["id"]
    answers = at_once(lambda n: services.create_refund(key=f"re_{n}", charge_id=charge_id, amount=2000))
    assert sorted(answer["status"] for answer in answers) == ["failed"] * (CALLERS - 2) + ["succeeded"] * 2
    assert Charge.objects.get().amount_refunded == 4000


def test_one_key_refunds_once(paid):
    charge_id = paid()["id"]
    answers = at_once(lambda _: services.create_refund(key="re_1", charge_id=charge_id, amount=1000))
    assert len({answer["id"] for answer in answers}) == 1
    assert Charge.objects.get().amount_refunded == 1000


def test_one_key_on_different_charges_refunds_one_of_them(paid):
    ids = [paid(key=f"txn_{number}")["id"] for number in range(CALLERS)]
    answers = at_once(lambda n: services.create_refund(key="re_1", charge_id=ids[n], amount=1000))
    assert answers.count("idempotency_error") == CALLERS - 1
    assert Operation.objects.count() == 1
    assert sum(Charge.objects.values_list("amount_refunded", flat=True)) == 1000


def test_a_capture_and_a_void_exclude_each_other(paid):
    charge_id = paid(capture=False)["id"]

    def call(number):
        if number % 2:
            return services.void_charge(key=f"void_{number}", charge_id=charge_id)
        return services.capture_charge(key=f"cap_{number}", charge_id=charge_id, amount=5000)

    answers = at_once(call)
    assert [answer["status"] for answer in answers].count("succeeded") == 1
    row = Charge.objects.get()
    assert (row.status, row.amount_captured) in {("cancelled", 0), ("succeeded", 5000)}


def test_workers_settle_each_charge_once(charge):
    for number in range(12):
        charge(key=f"txn_{number}")
    at_once(lambda _: tasks.settle())
    assert set(Charge.objects.values_list("status", flat=True)) == {"succeeded"}
    assert Notice.objects.count() == 12


def test_one_decision_of_many_counts(charge):
    charge_id = charge(method="paypal")["id"]
    answers = at_once(lambda number: services.decide(charge_id=charge_id, approve=bool(number % 2)))
    assert answers.count(True) == 1
    assert Notice.objects.count() == 1
