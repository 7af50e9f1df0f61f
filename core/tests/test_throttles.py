import pytest
from django.core.cache import cache
from django.test import RequestFactory
from rest_framework.request import Request

from core.api import CounterThrottle, client_network


class Three(CounterThrottle):
    scope, rate = "three", "3/min"


class Other(CounterThrottle):
    scope, rate = "other", "1/hour"


@pytest.fixture(autouse=True)
def _noon(time_machine):
    time_machine.move_to("2030-01-01 12:00:10Z", tick=False)


def ask(address="192.0.2.1", throttle=Three, **headers):
    request = Request(RequestFactory().get("/", REMOTE_ADDR=address, headers=headers))
    return throttle().allow_request(request, None)


class TestCounterThrottle:
    def test_counts_to_its_rate(self):
        assert [ask() for _n in range(5)] == [True, True, True, False, False]

    def test_counts_each_client_alone(self):
        assert [ask(f"192.0.2.{n}") for n in range(9)] == [True] * 9

    def test_counts_each_scope_alone(self):
        assert ask(throttle=Other)
        assert not ask(throttle=Other)
        assert ask()

    def test_starts_anew_with_the_next_window(self, time_machine):
        for _n in range(4):
            ask()
        time_machine.move_to("2030-01-01 12:00:59Z", tick=False)
        assert not ask()
        time_machine.move_to("2030-01-01 12:01:00Z", tick=False)
        assert ask()

    def test_waits_to_the_end_of_the_window(self, time_machine):
        assert Three().wait() == 51
        time_machine.move_to("2030-01-01 12:00:59.9Z", tick=False)
        assert 1 <= Three().wait() < 2

    def test_lets_everybody_in_when_the_cache_forgets(self, monkeypatch):
        def forget(key):
            raise ValueError(key)

        monkeypatch.setattr(cache, "incr", forget)
        assert ask()

    def test_lets_everybody_in_when_there_is_no_cache(self, monkeypatch, caplog, pay):
        def refuse(*args, **kwargs):
            raise ConnectionError("redis is down")

        monkeypatch.setattr(cache, "add", refuse)
        assert pay().status_code == 201
        assert "not throttled: ConnectionError" in caplog.text


class TestClientNetwork:
    @pytest.mark.parametrize(
        ("address", "network"),
        [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
            ("::1", "::/64"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.2", "192.0.2.2"),
            ("fe80::1%eth0", "fe80::/64"),
            ("", "unknown"),
            ("unknown", "unknown"),
            ("192.0.2.1:4711", "unknown"),
            ("localhost", "unknown"),
            ("1" * 10_000, "unknown"),
            ("192.0.2.1\r\nx", "unknown"),
            ("\u0661.2.3.4", "unknown"),
        ],
    )
    def test_is_one_subscriber(self, address, network):
        assert client_network(address) == network

    def test_of_ipv6_shares_one_counter(self):
        answers = [ask(f"2001:db8::{n:x}") for n in range(4)]
        assert answers == [True, True, True, False]
        assert ask("2001:db8:0:1::1")

    def test_of_ipv4_in_ipv6_has_its_own(self):
        assert all(ask(f"::ffff:192.0.2.{n}") for n in range(9))


class TestForwardedFor:
    def test_is_not_believed_without_a_proxy(self):
        answers = [ask(**{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(4)]
        assert answers == [True, True, True, False]


class TestOverHttp:
    @pytest.fixture
    def busy(self, monkeypatch, shop):
        """The rate of creating is three a minute."""
        monkeypatch.setattr("payments.views.CreateThrottle.rate", "3/min", raising=False)

    def test_answers_429_with_retry_after_and_the_envelope(self, busy, pay):
        answers = [pay() for _n in range(5)]
        assert [answer.status_code for answer in answers] == [201, 201, 201, 429, 429]
        refused = answers[-1]
        assert refused["Retry-After"] == "51"
        error = refused.json()["error"]
        assert (error["type"], error["code"], error["param"]) == ("rate_limit", "rate_limited", None)
        assert error["request_id"] == refused["Request-Id"]

    def test_counts_what_is_refused_too(self, busy, pay, api):
        for _n in range(3):
            assert pay(amount=-1).status_code == 400
        assert pay().status_code == 429

    def test_makes_no_payment(self, busy, pay, shop):
        for _n in range(5):
            pay()
        assert shop.payments.count() == 3

    def test_leaves_reading_alone(self, busy, pay, api):
        payment = pay().json()["payment"]
        for _n in range(5):
            pay()
        assert api.get(f"/api/v1/payments/{payment['id']}").status_code == 200
