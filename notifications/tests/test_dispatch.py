"""The dispatcher: everybody has a place, nobody is kept waiting by somebody else's server."""

import asyncio
import time
from datetime import timedelta
from itertools import count

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from accounts.services import create_merchant
from core.http import Client
from core.queue import LATE, LEASE, late_rows, stopping
from notifications.models import SLOW_SECONDS, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from notifications.services import disable_endpoint, dispatch, send_due
from notifications.services.dispatch import LANES, Flight, choose
from tests.threads import at_once

pytestmark = pytest.mark.django_db

HEALTHY, TROUBLED = LANES[False], LANES[True]
LONG_SECONDS = 30  # only a test that fails takes as long


@pytest.fixture
def backlog(endpoint, tell):
    """`backlog(20, "hang")`: an endpoint of a merchant of its own, with so many deliveries due."""

    def make(count, path="200", **state):
        merchant = create_merchant(name=path)
        made = endpoint(path, merchant=merchant)
        WebhookEndpoint.objects.filter(pk=made.pk).update(**state)
        for _n in range(count):
            tell(object_id=made.pk, merchant=merchant)
        made.refresh_from_db()
        return made

    return make


@pytest.fixture
def failing():
    """The state of an endpoint that fails."""
    return {"failures": 3, "failing_since": timezone.now()}


@pytest.fixture
def crowd(shop, tell, failing):
    """`crowd(300)`: as many endpoints that fail, with one delivery due to each."""

    def make(count, **state):
        event, now = tell(object_id="pay_crowd"), timezone.now()
        fields = {"merchant": shop, "url": "https://a.example.com/", "event_types": ["*"], "secret": "x"}
        made = [WebhookEndpoint(**fields, **{**failing, **state}) for _n in range(count)]
        rows = [WebhookDelivery(merchant=shop, event=event, endpoint=endpoint, due_at=now) for endpoint in made]
        WebhookEndpoint.objects.bulk_create(made)
        WebhookDelivery.objects.bulk_create(rows)
        return made

    return make


def answering_after(count, sink):
    """Whoever is called this way answers when so many were called on `/200`."""

    async def answer(connection):
        while len(sink.at("200")) < count:
            await asyncio.sleep(0.01)
        connection.answer(200)

    return answer


def flights_to(endpoints, seconds=0.0):
    """A delivery to each of these endpoints, which has been under way for so long."""
    return [Flight(endpoint, time.monotonic() - seconds) for endpoint in endpoints]


def chosen_of(endpoint, in_flight=()):
    return WebhookDelivery.objects.filter(pk__in=choose(in_flight), endpoint=endpoint).count()


class TestPlaces:
    def test_are_as_many_as_the_docs_say(self):
        page = (settings.BASE_DIR / "docs" / "webhooks.md").read_text(encoding="utf-8")
        assert "Eight deliveries are under way to an endpoint at once; one, while it is troubled" in page
        assert "longer than three seconds" in page
        assert (HEALTHY.each, TROUBLED.each, SLOW_SECONDS) == (8, 1, 3)

    def test_are_few_for_each_endpoint_however_much_it_has_to_get(self, backlog):
        busy, quiet = backlog(40), backlog(2)
        assert (chosen_of(busy), chosen_of(quiet)) == (HEALTHY.each, 2)

    def test_count_what_is_in_flight(self, backlog):
        busy = backlog(40)
        assert chosen_of(busy, flights_to([busy] * 3)) == HEALTHY.each - 3
        assert chosen_of(busy, flights_to([busy] * HEALTHY.each)) == 0

    def test_are_fewer_for_an_endpoint_that_fails_or_is_slow(self, backlog, failing):
        assert chosen_of(backlog(40, **failing)) == TROUBLED.each
        assert chosen_of(backlog(40, is_slow=True)) == TROUBLED.each

    def test_are_there_for_the_healthy_however_many_fail(self, backlog, failing, monkeypatch):
        dead = [backlog(1, "hang", **failing) for _n in range(3)]
        well = backlog(4)
        monkeypatch.setattr(
            dispatch, "LANES", {False: dispatch.Lane(places=4, each=4), True: dispatch.Lane(places=2, each=1)}
        )
        assert chosen_of(well) == 4
        assert WebhookDelivery.objects.filter(pk__in=choose([]), endpoint__in=dead).count() == 2
        assert chosen_of(dead[2], flights_to(dead[:2])) == 0
        assert chosen_of(well, flights_to(dead * 10)) == 4

    def test_are_free_again_for_others_when_an_answer_takes_long(self, backlog):
        slow, well = backlog(40), backlog(40)
        crowd = [slow] * HEALTHY.places
        assert chosen_of(well, flights_to(crowd, SLOW_SECONDS - 1)) == 0
        assert chosen_of(well, flights_to(crowd, SLOW_SECONDS + 1)) == HEALTHY.each
        assert chosen_of(slow, flights_to([slow], SLOW_SECONDS + 1)) == 0

    def test_are_shared_when_there_are_too_few(self, backlog, monkeypatch):
        monkeypatch.setitem(LANES, False, dispatch.Lane(places=6, each=8))
        endpoints = [backlog(8) for _n in range(3)]
        ids = choose([])
        assert sorted(WebhookDelivery.objects.filter(pk__in=ids, endpoint=one).count() for one in endpoints) == [2] * 3

    def test_go_to_the_oldest_first(self, backlog):
        one = backlog(HEALTHY.each + 2)
        oldest = WebhookDelivery.objects.order_by("due_at")[: HEALTHY.each]
        assert set(choose([])) == {delivery.pk for delivery in oldest}
        assert one.deliveries.count() == HEALTHY.each + 2

    def test_are_there_for_an_endpoint_behind_a_backlog(self, backlog, monkeypatch):
        monkeypatch.setattr(dispatch, "HEAD", 10)
        crowd, quiet = backlog(20), backlog(2)
        assert (chosen_of(crowd), chosen_of(quiet)) == (HEALTHY.each, 2)

    def test_are_there_for_the_healthy_behind_a_crowd_that_fails(self, backlog, crowd, monkeypatch):
        """Not one of the crowd is among the oldest: they would be drawn for, had they a lane with room."""
        monkeypatch.setattr(dispatch, "HEAD", 10)
        oldest, dead = backlog(10, is_slow=True), crowd(300)
        well = backlog(HEALTHY.each)
        held = flights_to([oldest, *dead[: TROUBLED.places - 1]])
        assert chosen_of(well, held) == HEALTHY.each
        assert len(choose(held)) == HEALTHY.each
        assert len(choose([])) == TROUBLED.places + HEALTHY.each

    def test_are_found_with_few_queries_however_many_wait(
        self, backlog, crowd, monkeypatch, django_assert_max_num_queries
    ):
        monkeypatch.setattr(dispatch, "HEAD", 10)
        oldest = backlog(20)
        crowd(300, failures=0, failing_since=None)
        with django_assert_max_num_queries(7):
            ids = choose(flights_to([oldest] * HEALTHY.each))
        assert len(set(ids)) == HEALTHY.places - HEALTHY.each

    def test_are_none_when_nothing_is_due_which_takes_one_query(self, endpoint, django_assert_num_queries):
        endpoint()
        with django_assert_num_queries(1):
            assert choose([]) == []

    def test_take_no_row_that_is_not_due(self, backlog):
        backlog(3)
        WebhookDelivery.objects.update(due_at=timezone.now() + timedelta(seconds=1))
        assert choose([]) == []


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
