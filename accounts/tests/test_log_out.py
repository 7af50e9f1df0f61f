"""Logging out: here, or everywhere."""

import pytest

from accounts.models import User
from accounts.tests.conftest import ADA, PASSWORD, access, refusal, refused


@pytest.fixture
def pair(ada, log_in):
    return log_in()


@pytest.fixture
def refresh(post):
    return lambda pair: post("auth/token/refresh", refresh=pair["refresh"])


class TestLogOut:
    def test_ends_its_own_log_in_only(self, pair, log_in, post, me, refresh):
        other = log_in()
        answer = post("auth/logout", access(pair))
        assert (answer.status_code, answer.json()["user"]["email"]) == (200, ADA)
        assert refused(me(pair))
        assert refused(refresh(pair))
        assert me(other).status_code == 200
        assert refresh(other).status_code == 200

    def test_everywhere_ends_all_of_one_s_own(self, pair, log_in, post, me, refresh):
        User.objects.create_user("eve@example.com", PASSWORD)
        other, eve = log_in(), log_in(email="eve@example.com")
        assert post("auth/logout", access(pair), everywhere=True).status_code == 200
        for ended in (pair, other):
            assert refused(me(ended))
            assert refused(refresh(ended))
        assert me(eve).status_code == 200

    def test_takes_no_body(self, pair, api):
        assert api.generic("POST", "/api/v1/auth/logout", headers=access(pair)).status_code == 200

    def test_everywhere_is_yes_or_no(self, pair, post, me):
        for odd in (None, "maybe", 2, [], {}, "x" * 1000):
            assert refusal(post("auth/logout", access(pair), everywhere=odd))[0] == 400, odd
        assert me(pair).status_code == 200

    def test_needs_a_log_in(self, post, db):
        assert refusal(post("auth/logout")) == (401, "not_authenticated")
