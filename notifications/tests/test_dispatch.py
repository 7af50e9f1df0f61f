"""The dispatcher: what a turn does, and that nobody is kept waiting by somebody else's server."""

import asyncio
import time
from datetime import timedelta
from itertools import count

import pytest
from cryptography.fernet import Fernet
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from core.http import Client
from core.queue import LATE, LEASE, late_rows, stopping
from notifications.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.services import disable_endpoint, dispatch, send_due
from notifications.services.dispatch import LANES
from tests.threads import at_once

pytestmark = pytest.mark.django_db

HEALTHY = LANES[False]
LONG_SECONDS = 30  # only a test that fails takes as long


def answering_after(count, sink):
    """Whoever is called this way answers when so many were called on `/200`."""

    async def answer(connection):
        while len(sink.at("200")) < count:
            await asyncio.sleep(0.01)
        connection.answer(200)

    return answer


class TestTurn:
    def test_of_nothing_asks_once(self, db, django_assert_num_queries):
        with django_assert_num_queries(1):
            assert send_due() == 0

    def test_sends_all_that_is_due_and_ends(self, backlog, send, sink):
        backlog(30), backlog(5, "204")
        assert send() == 35
        assert send() == 0
        assert set(WebhookDelivery.objects.values_list("status", "attempts")) == {("delivered", 1)}
        assert len({request.headers["webhook-id"] for request in sink.received}) == 35

    def test_costs_few_queries_for_many_deliveries(self, backlog, send, django_assert_max_num_queries):
        for _n in range(4):
            backlog(8)
        with django_assert_max_num_queries(30):
            assert send() == 32

    def test_opens_no_transaction_while_it_sends(self, backlog, send, sink, monkeypatch):
        open_while_sending = []
        original = Client.post

        async def post(self, *args, **options):
            open_while_sending.append(len(connection.savepoint_ids))  # the test itself has one around it
            return await original(self, *args, **options)

        monkeypatch.setattr(Client, "post", post)
        before = len(connection.savepoint_ids)
        backlog(3)
        send()
        assert open_while_sending == [before] * 3

    def test_does_not_let_those_that_hang_delay_the_others(self, backlog, send, sink, monkeypatch):
        """They hang until all others were called."""
        monkeypatch.setattr(dispatch, "TICK_SECONDS", LONG_SECONDS)
        sink.behaviours["/late"] = answering_after(60, sink)
        for _n in range(4):
            backlog(HEALTHY.each, "late")
        backlog(60)
        assert send(total_seconds=LONG_SECONDS) == 4 * HEALTHY.each + 60
        assert set(WebhookDelivery.objects.values_list("status", flat=True)) == {"delivered"}

    def test_lets_sixteen_endpoints_that_answer_late_delay_others_by_a_moment_only(
        self, backlog, send, sink, monkeypatch
    ):
        """Their first answers take every place there is; what is due then goes out while they are waited for. They
        answer when it has."""
        sink.behaviours["/late"] = answering_after(1, sink)
        monkeypatch.setattr(dispatch, "SLOW_SECONDS", 0.5)
        for _n in range(HEALTHY.places // HEALTHY.each):
            backlog(HEALTHY.each, "late")
        well = backlog(1)
        well.deliveries.update(due_at=timezone.now() + timedelta(seconds=0.3))
        assert send(total_seconds=LONG_SECONDS) == HEALTHY.places + 1
        assert len(sink.at("late")) == HEALTHY.places
        assert set(WebhookDelivery.objects.values_list("status", flat=True)) == {"delivered"}

    def test_claims_only_what_it_sends_at_once(self, backlog, send, monkeypatch):
        monkeypatch.setattr(dispatch, "CLAIM_SECONDS", 0.01)
        backlog(40, "slow")
        send()
        untouched = WebhookDelivery.objects.filter(due_at__lte=timezone.now())
        assert untouched.count() == 40 - HEALTHY.each
        assert set(untouched.values_list("attempts", flat=True)) == {0}

    def test_claims_nothing_more_when_the_worker_is_to_end(self, backlog, send, sink, monkeypatch):
        async def answer_last(connection):
            stopping.set()
            connection.answer(200)

        sink.behaviours["/200"] = answer_last
        backlog(40)
        try:
            assert send() == HEALTHY.each
        finally:
            stopping.clear()
        assert WebhookDelivery.objects.filter(status="delivered").count() == HEALTHY.each

    def test_leaves_the_claiming_to_one_at_a_time(self, backlog, monkeypatch):
        backlog(1)
        with dispatch._claiming:
            assert send_due() == 0
        assert send_due() == 1

    def test_records_what_became_of_all_although_one_cannot_be_told(self, backlog, send, settings):
        """A key that is gone costs the endpoint that it locks, and no other."""
        settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]
        lost, well = backlog(1), backlog(1)
        settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[1:]
        WebhookEndpoint.objects.filter(pk=well.pk).update(secret="whsec_" + "A" * 43 + "=")
        assert send() == 2
        assert WebhookAttempt.objects.get(delivery__endpoint=lost.pk).error == "unreadable_secret"
        assert WebhookAttempt.objects.get(delivery__endpoint=well.pk).status == 200

    def test_survives_a_fault_of_its_own(self, backlog, send, monkeypatch, caplog):
        async def post(self, url, **options):
            raise RuntimeError("a bug")

        backlog(1)
        monkeypatch.setattr(Client, "post", post)
        assert send() == 1
        assert WebhookAttempt.objects.get().error == "internal_error"
        assert "a bug" in caplog.text

    def test_drops_what_came_in_while_its_endpoint_was_being_disabled(self, backlog, send, sink):
        made = backlog(1)
        due_at = timezone.now()
        disable_endpoint(made)
        WebhookDelivery.objects.update(status="pending", due_at=due_at)  # committed a moment later
        assert send() == 0
        assert WebhookDelivery.objects.get().status == "failed"
        assert sink.received == []


@pytest.mark.django_db(transaction=True)
class TestFailingDatabase:
    """A statement that fails costs nobody what is in flight."""

    @pytest.fixture
    def fails_once(self, monkeypatch):
        """`fails_once("record")`: this step of the dispatcher fails when it is taken for the `turn`-th time."""

        def make(step, turn=1, error=OperationalError):
            original, calls = getattr(dispatch, step), count(1)

            def fail_or_go_on(*args):
                if next(calls) == turn:
                    raise error("server has gone away")
                return original(*args)

            monkeypatch.setattr(dispatch, step, fail_or_go_on)

        return make

    @pytest.mark.parametrize("error", [OperationalError, InterfaceError])
    def test_records_later_what_it_cannot_record_now(self, backlog, send, sink, fails_once, error):
        backlog(3), backlog(3, "slow")
        fails_once("record", error=error)
        assert send() == 6
        assert set(WebhookDelivery.objects.values_list("status", "attempts")) == {("delivered", 1)}
        assert (WebhookAttempt.objects.count(), len(sink.received)) == (6, 6)

    @pytest.mark.parametrize("step", ["choose", "claim_batch", "_load_endpoints"])
    def test_waits_for_its_answers_when_it_cannot_claim(self, backlog, send, sink, fails_once, step):
        backlog(HEALTHY.each, "slow")
        backlog(HEALTHY.each + 1)
        fails_once(step, turn=2)
        with pytest.raises(OperationalError):
            send()
        sent = WebhookDelivery.objects.filter(status="delivered")
        assert sent.filter(endpoint__url=sink.url("slow")).count() == HEALTHY.each
        assert sent.count() == len(sink.received) == 2 * HEALTHY.each

    def test_gives_up_when_others_send_it_anyway(self, backlog, send, monkeypatch):
        def fail(outcomes):
            raise OperationalError

        backlog(1)
        monkeypatch.setattr(dispatch, "record", fail)
        monkeypatch.setattr(dispatch, "LEASE", timedelta(0))
        assert send() == 1
        assert WebhookDelivery.objects.get().status == "pending"


class TestLateness:
    def test_is_the_workers_and_not_the_merchants_servers(self, backlog, send, time_machine):
        backlog(40, "hang")
        time_machine.move_to(timezone.now() + LATE + LEASE)
        assert late_rows()["WebhookDelivery"] == 40
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatch, "CLAIM_SECONDS", 0.01)
            send(total_seconds=0.05)
        assert WebhookDelivery.objects.filter(due_at__lte=timezone.now()).exists()
        assert late_rows()["WebhookDelivery"] == 0

    def test_is_not_that_of_endpoints_in_trouble(self, backlog, failing, api, time_machine):
        """However many there are: those of the lane apart may wait for long before anybody tries them."""
        backlog(1, **failing), backlog(1, is_slow=True)
        time_machine.move_to(timezone.now() + LATE + LEASE)
        assert api.get("/api/v1/health/ready").status_code == 200
        backlog(1)
        time_machine.move_to(timezone.now() + LATE + LEASE)
        answer = api.get("/api/v1/health/ready")
        assert (answer.status_code, late_rows()["WebhookDelivery"]) == (503, 1)
        assert "late (1 jobs)" in answer.json()["message"]


@pytest.mark.django_db(transaction=True)
class TestSideBySide:
    def test_two_workers_send_everything_once(self, backlog, send, sink):
        """Two processes would do the same: the lock that keeps threads apart is out of the way here."""
        for _n in range(4):
            backlog(15, "slow")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dispatch, "_claiming", FreeForAll())
            at_once([send_due] * 3)
        assert len(sink.received) == 60
        assert set(WebhookDelivery.objects.values_list("status", "attempts")) == {("delivered", 1)}

    def test_two_turns_of_a_worker_share_the_places_of_an_endpoint(self, backlog, sink, monkeypatch):
        """The second claims while the first waits for its last answers."""
        under_way, most = [], []

        async def late(connection):
            under_way.append(connection)
            most.append(len(under_way))
            await asyncio.sleep(1.5)
            under_way.remove(connection)
            connection.answer(200)

        def second():
            while len(most) < HEALTHY.each:  # the first has claimed its own
                time.sleep(0.05)
            while WebhookDelivery.objects.filter(status="pending").exists():
                send_due()
                time.sleep(0.05)

        sink.behaviours["/late"] = late
        monkeypatch.setattr(dispatch, "CLAIM_SECONDS", 0.5)
        backlog(HEALTHY.each + 4, "late")
        assert at_once([send_due, second])[0] == HEALTHY.each
        assert (max(most), len(most)) == (HEALTHY.each, HEALTHY.each + 4)


class FreeForAll:
    def locked(self):
        return False

    def acquire(self, blocking):
        return True

    def release(self):
        pass
