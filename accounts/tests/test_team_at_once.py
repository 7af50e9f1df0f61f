"""Many who change a team at the same time. SQLite has one writer; what counts here is the run on MariaDB and
PostgreSQL."""

from functools import partial

import pytest
from django.db import connection

from accounts.models import Membership, Merchant, User
from accounts.services import add_member
from accounts.tests.conftest import mailed_token
from core.mail import Email
from tests.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "another battery 7"
ROUNDS = 3 if connection.vendor == "sqlite" else 15


@pytest.fixture
def two(shop, bearer):
    """Two owners, and no third: for each their headers, and their row."""
    users = [User.objects.create(email=f"{name}@example.com") for name in ("one", "other")]
    return [(bearer(user), add_member(shop, user, "owner")) for user in users]


@pytest.fixture
def team(api):
    """The status of a request about the team."""

    def send(method, headers, path="", **body):
        url = f"/api/v1/members{path}"
        return getattr(api, method)(url, body, headers=headers, content_type="application/json").status_code

    return send


@pytest.fixture
def invited(team, owner):
    """`invited(1)` is the row of an invitation, and the token of its link."""

    def send(number):
        assert team("post", owner, email=f"{number}@example.com", role="developer") == 201
        return Membership.objects.get(email=f"{number}@example.com"), mailed_token("invitation")

    return send


class TestTwoOwners:
    def test_demote_each_other_and_one_remains(self, two, team):
        (one, one_row), (other, other_row) = two
        for _round in range(ROUNDS):
            Membership.objects.update(role="owner")
            demote_other = partial(team, "patch", one, f"/{other_row.pk}", role="viewer")
            demote_one = partial(team, "patch", other, f"/{one_row.pk}", role="viewer")
            assert sorted(at_once([demote_other, demote_one])) in ([200, 403], [200, 409])
            assert Membership.objects.filter(role="owner").count() == 1

    def test_remove_each_other_and_one_remains(self, two, team):
        (one, one_row), (other, other_row) = two
        for _round in range(ROUNDS):
            remove_other = partial(team, "delete", one, f"/{other_row.pk}")
            remove_one = partial(team, "delete", other, f"/{one_row.pk}")
            assert sorted(at_once([remove_other, remove_one])) in ([200, 403], [200, 409])
            left = Membership.objects.get()
            gone = other_row if left == one_row else one_row
            Membership.objects.bulk_create([gone])


class TestManyWho:
    def test_remove_a_member_remove_one(self, owner, team):
        for round_ in range(ROUNDS):
            user = User.objects.create(email=f"{round_}@example.com")
            row = add_member(Merchant.objects.get(), user, "viewer")
            answers = at_once([partial(team, "delete", owner, f"/{row.pk}")] * 4)
            assert sorted(answers) == [200, 404, 404, 404]

    def test_invite_an_address_invite_it_once(self, owner, team):
        for round_ in range(ROUNDS):
            invite = partial(team, "post", owner, email=f"{round_}@example.com", role="developer")
            assert sorted(at_once([invite] * 4)) == [201, 409, 409, 409]

    def test_repeat_an_invitation_get_the_same(self, owner, team):
        for round_ in range(ROUNDS):
            headers = {**owner, "Idempotency-Key": f"round-{round_}"}
            invite = partial(team, "post", headers, email=f"{round_}@example.com", role="developer")
            assert at_once([invite] * 4) == [201] * 4
        assert Email.objects.count() == ROUNDS

    def test_follow_a_link_join_once(self, team, invited):
        for round_ in range(ROUNDS):
            _row, token = invited(round_)
            accept = partial(team, "post", {}, "/accept", token=token, name="Ada", password=NEW)
            assert sorted(at_once([accept] * 4)) == [200, 400, 400, 400]
        assert Membership.objects.exclude(user=None).filter(role="developer").count() == ROUNDS


class TestALink:
    def test_is_followed_or_taken_back(self, owner, team, invited):
        for round_ in range(ROUNDS):
            row, token = invited(round_)
            remove = partial(team, "delete", owner, f"/{row.pk}")
            accept = partial(team, "post", {}, "/accept", token=token, name="Ada", password=NEW)
            removed, accepted = at_once([remove, accept])
            assert removed == 200
            assert accepted in (200, 400)
            assert not Membership.objects.filter(pk=row.pk).exists()
