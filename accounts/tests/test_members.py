"""A merchant's team: invitations, roles, removals, and the owner who always remains."""

from collections import Counter

import pytest
from django.core import signing

from accounts.models import Membership, Merchant, User
from accounts.services import account_of, add_member, create_merchant, send_invitation
from accounts.services.members import INVITATION_SALT
from accounts.services.registration import VERIFY_SALT
from accounts.tests.conftest import ADA, PASSWORD, access, mailed_token, refusal, told
from core.ids import new_id
from core.mail import Email

MEMBERS = "/api/v1/members"
NEW = "another battery 7"
ROLES = ["owner", "admin", "finance", "support", "developer", "viewer"]


@pytest.fixture
def invite(api, owner):
    def post(email=ADA, role="developer", headers=None, as_=owner):
        body, headers = {"email": email, "role": role}, {**as_, **(headers or {})}
        return api.post(MEMBERS, body, headers=headers, content_type="application/json")

    return post


@pytest.fixture
def accept(post):
    """Follows the link of the newest invitation."""

    def send(token=..., **fields):
        return post("members/accept", token=mailed_token("invitation") if token is ... else token, **fields)

    return send


@pytest.fixture
def change(api, owner):
    def patch(row, role, as_=owner):
        return api.patch(f"{MEMBERS}/{row.pk}", {"role": role}, headers=as_, content_type="application/json")

    return patch


@pytest.fixture
def remove(api, owner):
    return lambda row, as_=owner: api.delete(f"{MEMBERS}/{row.pk}", headers=as_)


@pytest.fixture
def resend(api, owner):
    return lambda row: api.post(f"{MEMBERS}/{row.pk}/resend", {}, headers=owner, content_type="application/json")


def row_of(role):
    return Membership.objects.get(role=role)


class TestAnInvitation:
    def test_makes_a_member_to_be(self, invite):
        answer = invite(" ADA@example.com", "finance")
        assert answer.status_code == 201
        member = answer.json()["member"]
        assert member == {
            "id": member["id"],
            "user_id": None,
            "email": ADA,
            "name": None,
            "role": "finance",
            "status": "invited",
            "joined_at": None,
            "created_at": member["created_at"],
        }

    def test_is_mailed(self, invite, shop):
        invite(role="finance")
        mail = Email.objects.get()
        assert (mail.template, mail.to, mail.merchant_id) == ("invitation", ADA, shop.pk)
        said = told("invitation")
        assert (said["merchant"], said["role"], said["inviter"]) == ("Acme", "Finance", "Owner")
        assert said["url"].startswith("http://testserver/account/join/")

    def test_is_not_sent_by_an_address_that_is_not_confirmed(self, invite, resend, owner_user):
        assert invite().status_code == 201
        owner_user.email_verified_at = None
        owner_user.save()
        assert refusal(invite("another@example.com")) == (403, "email_unverified")
        assert refusal(resend(row_of("developer"))) == (403, "email_unverified")
        assert Email.objects.count() == 1
        assert not Membership.objects.filter(email="another@example.com").exists()

    def test_does_not_fill_a_mailbox(self, invite, resend, later, owner_user):
        invite()
        for _n in range(6):
            assert resend(row_of("developer")).status_code == 200
        assert Counter(Email.objects.values_list("status", "reason")) == {("queued", ""): 5, ("skipped", "too_many"): 2}
        later(hours=1, seconds=1)
        send_invitation(row_of("developer"), by=owner_user)
        assert Email.objects.filter(status="queued").count() == 6

    def test_goes_to_an_address_once(self, invite):
        invite()
        assert refusal(invite("ADA@EXAMPLE.COM", "viewer")) == (409, "already_member")
        assert refusal(invite("owner@shop.example.com")) == (409, "already_member")
        assert Email.objects.count() == 1

    def test_repeated_makes_one(self, invite, member):
        first = invite(headers={"Idempotency-Key": "k"})
        again = invite(headers={"Idempotency-Key": "k"})
        assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
        assert again.json()["member"] == first.json()["member"]
        assert refusal(invite(role="viewer", headers={"Idempotency-Key": "k"})) == (422, "idempotency_key_reused")
        assert Email.objects.count() == 1

    def test_that_is_refused_uses_up_no_key(self, invite):
        assert invite("owner@shop.example.com", headers={"Idempotency-Key": "k"}).status_code == 409
        assert invite(headers={"Idempotency-Key": "k"}).status_code == 201

    def test_needs_an_address(self, invite):
        for odd in ("", "ada", "é@example.com", "a@b", "\0", "\ud800", 5, None, [], "a" * 300):
            assert invite(odd).status_code == 400, odd
        assert Membership.objects.count() == 1

    def test_needs_a_role(self, invite):
        for odd in ("", "OWNER", "Owner", "root", "owner ", 5, None, [], {}, "\0", "x" * 10_000):
            assert invite(role=odd).status_code == 400, odd
        assert Membership.objects.count() == 1

    def test_may_be_sent_again(self, invite, resend, accept):
        invite()
        assert resend(row_of("developer")).status_code == 200
        assert list(Email.objects.values_list("template", "to")) == [("invitation", ADA)] * 2
        assert accept(name="Ada", password=NEW).status_code == 200
        assert refusal(resend(row_of("developer"))) == (409, "already_joined")

    def test_may_be_taken_back(self, invite, remove, accept, ada):
        invite()
        token = mailed_token("invitation")
        assert remove(row_of("developer")).status_code == 200
        assert refusal(accept(token)) == (400, "link_invalid")
        assert not ada.memberships.exists()
        assert invite().status_code == 201
        assert refusal(accept(token)) == (400, "link_invalid")
        assert accept().status_code == 200

    def test_may_change_its_role_before_it_is_accepted(self, invite, change, accept, ada):
        invite()
        change(row_of("developer"), "viewer")
        assert accept().json()["member"]["role"] == "viewer"


class TestJoining:
    def test_takes_no_more_than_the_link_with_a_confirmed_account(self, invite, accept, ada, log_in, me, shop):
        pair = log_in()
        invite()
        answer = accept()
        assert answer.status_code == 200
        member = answer.json()["member"]
        assert (member["user_id"], member["status"], member["name"]) == (ada.pk, "active", "Ada Lovelace")
        assert answer.json()["message"] == "You have joined Acme."
        assert [row["role"] for row in me(pair).json()["user"]["memberships"]] == ["developer"]

    def test_leaves_a_confirmed_account_as_it_is(self, invite, accept, ada, log_in, me):
        pair = log_in()
        before = User.objects.values("name", "password", "email_verified_at").get(pk=ada.pk)
        invite()
        accept(name="Mallory", password=NEW)
        assert User.objects.values("name", "password", "email_verified_at").get(pk=ada.pk) == before
        assert me(pair).status_code == 200

    def test_makes_an_account_whose_address_is_confirmed(self, invite, accept, log_in, me, settings):
        settings.OPEN_REGISTRATION = False
        invite()
        assert accept(name="Ada", password=NEW).status_code == 200
        user = me(log_in(password=NEW)).json()["user"]
        assert (user["name"], user["email_verified"]) == ("Ada", True)

    def test_needs_a_good_password_for_a_new_account(self, invite, accept):
        invite()
        assert refusal(accept(name="Ada")) == (400, "parameter_missing")
        for weak in ("short", "password123", ADA):
            assert refusal(accept(name="Ada", password=weak)) == (400, "password_weak")
        assert not User.objects.filter(email=ADA).exists()
        assert accept(name="Ada", password=NEW).status_code == 200

    def test_takes_an_unconfirmed_account_from_whoever_made_it(self, invite, accept, log_in, me, post):
        User.objects.create_user(ADA, PASSWORD, name="Mallory")
        mallory = log_in()
        invite()
        assert account_of(ADA) is None
        assert accept(name="Ada", password=NEW).status_code == 200
        assert refusal(me(mallory)) == (401, "token_invalid")
        assert post("auth/token/refresh", refresh=mallory["refresh"]).status_code == 401
        assert post("auth/token", email=ADA, password=PASSWORD).status_code == 401
        assert me(log_in(password=NEW)).json()["user"]["name"] == "Ada"

    def test_happens_once(self, invite, accept, ada):
        invite()
        token = mailed_token("invitation")
        accept(token)
        assert refusal(accept(token)) == (400, "link_invalid")

    def test_is_over_after_a_week(self, invite, accept, ada, later):
        invite()
        later(days=7, seconds=2)
        assert refusal(accept()) == (400, "link_invalid")

    def test_is_not_for_an_account_that_is_switched_off(self, invite, accept, ada):
        User.objects.filter(email=ADA).update(is_active=False)
        invite()
        assert refusal(accept(name="Ada", password=NEW)) == (400, "link_invalid")
        assert not User.objects.get(email=ADA).check_password(NEW)

    def test_takes_a_link_for_just_that(self, invite, accept, ada):
        invite()
        row = row_of("developer")
        for salt in (VERIFY_SALT, "django.core.signing"):
            assert refusal(accept(signing.dumps([row.pk, ADA], salt=salt))) == (400, "link_invalid")
        said = [
            row.pk,
            [row.pk],
            [row.pk, "eve@example.com"],
            [new_id("mem"), ADA],
            [],
            {},
            None,
            [None, None],
            [[], {}],
        ]
        for other in said:
            assert refusal(accept(signing.dumps(other, salt=INVITATION_SALT))) == (400, "link_invalid")
        token = mailed_token("invitation")
        for odd in (token[:-1], f"{token}x", "x", "::", "é", "\0", "\ud800", "", None, 5, [], "x" * 10_000):
            assert accept(odd).status_code == 400
        assert not ada.memberships.exists()

    def test_makes_the_credential_one_for_the_merchant(self, invite, accept, ada, log_in, api):
        invite(role="viewer")
        pair = log_in()
        assert api.get("/api/v1/merchant", headers=access(pair)).status_code == 403
        accept()
        assert api.get("/api/v1/merchant", headers=access(pair)).status_code == 200


class TestARole:
    def test_counts_from_the_next_request_on(self, member, change, invite):
        admin = member("admin")
        assert invite("one@example.com", as_=admin).status_code == 201
        assert change(row_of("admin"), "viewer").json()["member"]["role"] == "viewer"
        refused = invite("two@example.com", as_=admin)
        assert refusal(refused) == (403, "permission_denied")
        assert "owner, admin" in refused.json()["message"]
        change(row_of("viewer"), "admin")
        assert invite("two@example.com", as_=admin).status_code == 201

    @pytest.mark.parametrize("role", ROLES[1:])
    def test_of_an_owner_is_given_by_owners_only(self, member, change, invite, role):
        headers = member(role)
        viewer = add_member(Merchant.objects.get(), User.objects.create(email="v@example.com"), "support")
        assert refusal(change(viewer, "owner", as_=headers)) == (403, "permission_denied")
        assert refusal(invite(role="owner", as_=headers)) == (403, "permission_denied")
        viewer.refresh_from_db()
        assert viewer.role == "support"

    def test_of_an_owner_is_taken_by_owners_only(self, member, change, remove, shop):
        add_member(shop, User.objects.create(email="second@example.com"), "owner")
        admin = member("admin")
        for row in Membership.objects.filter(role="owner"):
            assert refusal(change(row, "viewer", as_=admin)) == (403, "permission_denied")
            assert refusal(remove(row, as_=admin)) == (403, "permission_denied")
        assert Membership.objects.filter(role="owner").count() == 2

    def test_of_one_s_own_cannot_be_raised(self, member, change):
        admin = member("admin")
        assert refusal(change(row_of("admin"), "owner", as_=admin)) == (403, "permission_denied")

    def test_is_one_of_six(self, member, change):
        member("viewer")
        for role in ("", "OWNER", "root", 5, None, [], {}, "\0", "\ud800"):
            assert change(row_of("viewer"), role).status_code == 400
        for role in [*ROLES[1:-1], "viewer"]:
            assert change(Membership.objects.latest("pk"), role).json()["member"]["role"] == role


class TestTheLastOwner:
    def test_stays(self, change, remove):
        for refused in (change(row_of("owner"), "admin"), remove(row_of("owner"))):
            assert refusal(refused) == (409, "last_owner")
        assert row_of("owner")

    def test_may_be_called_owner_again(self, change):
        assert change(row_of("owner"), "owner").status_code == 200

    def test_is_last_beside_owners_who_do_not_count(self, change, invite, shop):
        """Those who are only invited, and those who are switched off."""
        invite(role="owner")
        add_member(shop, User.objects.create(email="off@example.com", is_active=False), "owner")
        own = Membership.objects.get(email="owner@shop.example.com")
        assert refusal(change(own, "viewer")) == (409, "last_owner")

    def test_may_go_when_there_is_another(self, change, remove, shop):
        second = add_member(shop, User.objects.create(email="second@example.com"), "owner")
        own = Membership.objects.get(email="owner@shop.example.com")
        assert change(own, "viewer").status_code == 200
        assert refusal(remove(second))[0] == 403
        assert row_of("owner") == second

    def test_of_another_merchant_is_not_counted(self, change, owner_user):
        add_member(create_merchant(name="Rival"), owner_user, "owner")
        other = User.objects.create(email="other@example.com")
        add_member(Merchant.objects.get(name="Rival"), other, "owner")
        own = Membership.objects.get(merchant__name="Acme")
        Membership.objects.filter(merchant__name="Rival", user=owner_user).delete()
        assert refusal(change(own, "viewer")) == (409, "last_owner")


class TestARemoval:
    def test_counts_from_the_next_request_on(self, api, member, remove):
        viewer = member("viewer")
        assert api.get("/api/v1/payments", headers=viewer).status_code == 200
        answer = remove(row_of("viewer"))
        assert (answer.status_code, answer.json()["member"]["email"]) == (200, "viewer@shop.example.com")
        User.objects.update(email_verified_at="2030-01-01T00:00:00Z")
        assert refusal(api.get("/api/v1/merchant", headers=viewer)) == (403, "permission_denied")
        assert api.get("/api/v1/payments", headers=viewer).json()["payments"] == []

    def test_leaves_the_account(self, api, member, remove):
        viewer = member("viewer")
        remove(row_of("viewer"))
        user = api.get("/api/v1/auth/me", headers=viewer).json()["user"]
        assert user["memberships"] == []

    def test_twice_finds_nobody(self, member, remove):
        member("viewer")
        row = row_of("viewer")
        remove(row)
        assert refusal(remove(row)) == (404, "not_found")

    def test_makes_room_for_another_invitation(self, member, remove, invite):
        member("viewer")
        remove(row_of("viewer"))
        assert invite("viewer@shop.example.com").status_code == 201


class TestAnotherTeam:
    def test_is_not_there(self, api, owner, change, remove, resend):
        rival = create_merchant(name="Rival")
        foreign = add_member(rival, User.objects.create(email="rival@example.com"), "admin")
        unknown = Membership(pk=new_id("mem"))
        for row in (foreign, unknown):
            answers = [change(row, "viewer"), remove(row), resend(row), api.get(f"{MEMBERS}/{row.pk}", headers=owner)]
            assert [refusal(answer) for answer in answers] == [(404, "not_found")] * 4
        foreign.refresh_from_db()
        assert foreign.role == "admin"

    def test_is_not_listed(self, api, owner, member):
        add_member(create_merchant(name="Rival"), User.objects.create(email="rival@example.com"), "admin")
        member("viewer")
        rows = api.get(MEMBERS, headers=owner).json()["members"]
        assert [row["email"] for row in rows] == ["viewer@shop.example.com", "owner@shop.example.com"]

    def test_has_no_odd_ids(self, api, owner):
        for odd in ("mem_x", "mem_" + "0" * 25, "MEM_" + "0" * 26, "%00", "mer_" + "0" * 26, "'--"):
            assert api.get(f"{MEMBERS}/{odd}", headers=owner).status_code == 404, odd
