"""Who has a place among the deliveries in flight: everybody, however much others have to get."""

import time
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from notifications.models import SLOW_SECONDS, WebhookDelivery, WebhookEndpoint
from notifications.services import dispatch
from notifications.services.dispatch import LANES, Flight, choose

pytestmark = pytest.mark.django_db

HEALTHY, TROUBLED = LANES[False], LANES[True]


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
