"""API keys that follow one another, and how many there may be."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import ApiKey, User
from accounts.services import add_member, create_merchant, keys
from accounts.tests.conftest import refusal
from core.ids import new_id

KEYS = "/api/v1/api-keys"


@pytest.fixture
def key(make_key):
    return make_key().json()["api_key"]


@pytest.fixture
def roll(api, owner, key):
    def post(headers=None, **body):
        headers = {**owner, **(headers or {})}
        return api.post(f"{KEYS}/{key['id']}/roll", body, headers=headers, content_type="application/json")

    return post


class TestARoll:
    def test_gives_a_new_key_beside_the_old_one(self, roll, key, use_key):
        answer = roll()
        assert answer.status_code == 201
        new = answer.json()["api_key"]
        assert (new["name"], new["scopes"], new["expires_at"]) == (key["name"], key["scopes"], None)
        assert new["secret"] != key["secret"]
        assert use_key(new["secret"]).status_code == use_key(key["secret"]).status_code == 200
        assert new["secret"][-4:] == new["last4"]

    def test_ends_the_old_one_after_a_while(self, roll, key, use_key, later):
        new = roll(overlap_hours=2).json()["api_key"]
        later(hours=1, minutes=59)
        assert use_key(key["secret"]).status_code == 200
        later(minutes=1)
        assert refusal(use_key(key["secret"])) == (401, "api_key_invalid")
        assert use_key(new["secret"]).status_code == 200

    def test_may_end_it_at_once(self, roll, key, use_key):
        new = roll(overlap_hours=0).json()["api_key"]
        assert refusal(use_key(key["secret"])) == (401, "api_key_invalid")
        assert use_key(new["secret"]).status_code == 200

    def test_lengthens_no_life(self, api, owner, make_key, later, use_key):
        end = timezone.now() + timedelta(hours=1)
        made = make_key(expires_at=end.isoformat()).json()["api_key"]
        path = f"{KEYS}/{made['id']}/roll"
        new = api.post(path, {"overlap_hours": 168}, headers=owner, content_type="application/json").json()["api_key"]
        assert new["expires_at"] == made["expires_at"]
        later(hours=1)
        for secret in (made["secret"], new["secret"]):
            assert use_key(secret).status_code == 401

    def test_repeated_makes_one(self, roll):
        first = roll({"Idempotency-Key": "k"}, overlap_hours=0).json()["api_key"]
        again = roll({"Idempotency-Key": "k"}, overlap_hours=0)
        assert again.json()["api_key"] == {**first, "secret": None}
        assert ApiKey.objects.count() == 2
        assert refusal(roll({"Idempotency-Key": "k"}, overlap_hours=1)) == (422, "idempotency_key_reused")

    def test_is_for_a_good_key(self, api, owner, roll, key):
        api.delete(f"{KEYS}/{key['id']}", headers=owner)
        assert refusal(roll()) == (409, "api_key_inactive")

    def test_overlaps_for_a_week_at_most(self, roll, key):
        for odd in (-1, 169, 1.5, "", "x", None, True, [], {}, "٣", 10**30, "1e3"):
            assert roll(overlap_hours=odd).status_code == 400, odd
        assert ApiKey.objects.count() == 1

    def test_is_nobody_else_s(self, api, key, bearer):
        stranger = User.objects.create(email="stranger@example.com")
        add_member(create_merchant(name="Rival"), stranger, "owner")
        headers = bearer(stranger)
        unknown = f"{KEYS}/{new_id('key')}"
        for path in (f"{KEYS}/{key['id']}", unknown):
            assert refusal(api.get(path, headers=headers)) == (404, "not_found")
            assert refusal(api.delete(path, headers=headers)) == (404, "not_found")
            answer = api.post(f"{path}/roll", {}, headers=headers, content_type="application/json")
            assert refusal(answer) == (404, "not_found")
        assert ApiKey.objects.get().status == "active"


class TestHowMany:
    @pytest.fixture(autouse=True)
    def _three(self, monkeypatch):
        monkeypatch.setattr(keys, "MAX_KEYS", 3)

    def test_good_ones_a_merchant_has_is_limited(self, api, owner, make_key):
        made = [make_key() for _n in range(3)]
        assert [answer.status_code for answer in made] == [201] * 3
        assert refusal(make_key()) == (409, "too_many_api_keys")
        assert ApiKey.objects.count() == 3
        api.delete(f"{KEYS}/{made[0].json()['api_key']['id']}", headers=owner)
        assert make_key().status_code == 201

    def test_does_not_count_those_that_are_over(self, make_key, later):
        for _n in range(3):
            make_key(expires_at=(timezone.now() + timedelta(minutes=1)).isoformat())
        later(minutes=1)
        assert make_key().status_code == 201

    def test_counts_those_that_overlap(self, roll, make_key):
        make_key()
        assert roll().status_code == 201
        assert refusal(roll()) == (409, "too_many_api_keys")
        assert roll(overlap_hours=0).status_code == 201
        assert ApiKey.objects.count() == 4

    def test_is_each_merchant_s_own(self, make_key, shop):
        rival = create_merchant(name="Rival")
        ApiKey.objects.bulk_create(
            ApiKey(merchant=rival, name="x", secret_hash=f"{n:064}", last4="xxxx") for n in range(5)
        )
        assert make_key().status_code == 201
