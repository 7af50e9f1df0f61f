"""API keys: made and shown once, limited, rolled, revoked."""

import hashlib
import re
import zlib
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import ApiKey, Membership, Merchant, User
from accounts.policy import FOR_PEOPLE_ONLY, SCOPES
from accounts.services import add_member, create_merchant, is_secret, keys, suspend_merchant
from accounts.tests.conftest import refusal, told
from core.ids import new_id
from core.mail import Email

KEYS = "/api/v1/api-keys"
READ = ["payments:read"]
BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def key(make_key):
    return make_key().json()["api_key"]


def everything_stored():
    """Every value of every row of every table."""
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")  # noqa: S608 no name of a stranger's
            yield from (str(value) for row in cursor.fetchall() for value in row)


class TestANewKey:
    def test_is_shown_with_its_secret(self, make_key, use_key):
        answer = make_key(scopes=["payments:write", "payments:read"])
        assert answer.status_code == 201
        shown = answer.json()["api_key"]
        assert shown == {
            "id": shown["id"],
            "name": "Shop server",
            "last4": shown["secret"][-4:],
            "scopes": ["payments:write", "payments:read"],
            "status": "active",
            "expires_at": None,
            "last_used_at": None,
            "revoked_at": None,
            "created_at": shown["created_at"],
            "secret": shown["secret"],
        }
        assert use_key(shown["secret"]).status_code == 200

    @pytest.mark.parametrize("mode", ["sandbox", "live"])
    def test_says_which_world_it_opens(self, make_key, shop, mode):
        Merchant.objects.update(mode=mode)
        secret = make_key().json()["api_key"]["secret"]
        assert re.fullmatch(rf"sk_{mode}_[0-9A-Za-z]{{49}}", secret)

    def test_ends_in_a_checksum_that_finds_typing_errors(self, key):
        secret = key["secret"]
        body, check = secret[:-6], secret[-6:]
        value = 0
        for digit in check:
            value = value * 62 + BASE62.index(digit)
        assert value == zlib.crc32(body.encode())
        assert is_secret(secret)
        for place in range(len("sk_sandbox_"), len(secret)):
            typo = "a" if secret[place] != "a" else "b"
            assert not is_secret(secret[:place] + typo + secret[place + 1 :])

    def test_is_never_twice_the_same(self, make_key):
        assert len({make_key().json()["api_key"]["secret"] for _n in range(20)}) == 20

    def test_is_kept_as_a_hash_alone(self, make_key, use_key, caplog):
        caplog.set_level("DEBUG")
        secret = make_key().json()["api_key"]["secret"]
        use_key(secret)
        hidden = secret[len("sk_sandbox_") : -4]
        stored = list(everything_stored())
        assert hashlib.sha256(secret.encode()).hexdigest() in stored
        assert not [value for value in stored if hidden in value]
        assert hidden not in str(told("new_api_key"))
        assert hidden not in caplog.text

    def test_is_shown_once(self, api, owner, key):
        for path in (KEYS, f"{KEYS}/{key['id']}"):
            answer = api.get(path, headers=owner)
            assert answer.status_code == 200
            assert b"secret" not in answer.content
            assert key["secret"].encode() not in answer.content
        assert "no-store" in answer["Cache-Control"]

    def test_is_told_to_every_owner(self, make_key, shop):
        other = User.objects.create(email="other@shop.example.com")
        add_member(shop, other, "owner")
        off = User.objects.create(email="off@shop.example.com", is_active=False)
        add_member(shop, off, "owner")
        key = make_key().json()["api_key"]
        mails = Email.objects.filter(template="new_api_key")
        assert set(mails.values_list("to", flat=True)) == {"owner@shop.example.com", other.email}
        assert told("new_api_key") == {"merchant": "Acme", "key": "Shop server", "last4": key["last4"], "by": "Owner"}

    def test_of_a_sandbox_merchant_is_told_at_confirmed_addresses(self, make_key, shop, settings):
        settings.DEMO = False
        add_member(shop, User.objects.create(email="somebody.else@example.com"), "owner")
        make_key()
        assert Email.objects.get(template="new_api_key").to == "owner@shop.example.com"


class TestARepeatedRequest:
    def test_makes_one_key_and_keeps_its_secret(self, make_key):
        first = make_key({"Idempotency-Key": "k"}).json()["api_key"]
        again = make_key({"Idempotency-Key": "k"})
        assert (again.status_code, again["Idempotent-Replayed"]) == (201, "true")
        assert again.json()["api_key"] == {**first, "secret": None}
        assert ApiKey.objects.count() == 1
        assert Email.objects.count() == 1

    def test_is_one_for_every_member(self, make_key, member):
        make_key({"Idempotency-Key": "k"})
        assert make_key({"Idempotency-Key": "k"}, as_=member("admin")).json()["api_key"]["secret"] is None

    def test_with_another_body_is_refused(self, make_key):
        make_key({"Idempotency-Key": "k"})
        for fields in ({"name": "Other"}, {"scopes": ["customers:read"]}, {"expires_at": "2100-01-01T00:00:00Z"}):
            assert refusal(make_key({"Idempotency-Key": "k"}, **fields)) == (422, "idempotency_key_reused")

    def test_without_a_key_makes_another(self, make_key):
        assert make_key().json()["api_key"]["id"] != make_key().json()["api_key"]["id"]

    def test_takes_a_key_that_can_be_seen(self, make_key):
        for odd in ("", " ", "é", "x" * 256, "a b"):
            assert refusal(make_key({"Idempotency-Key": odd})) == (400, "idempotency_key_invalid"), odd


class TestScopes:
    def test_are_what_the_key_may_do(self, api, make_key, pay):
        payment = pay().json()["payment"]["id"]
        bearer = {"Authorization": f"Bearer {make_key().json()['api_key']['secret']}"}
        assert api.get("/api/v1/payments", headers=bearer).status_code == 200
        assert refusal(api.get("/api/v1/customers", headers=bearer)) == (403, "scope_missing")
        refused = api.patch(f"/api/v1/payments/{payment}", {}, headers=bearer, content_type="application/json")
        assert refusal(refused) == (403, "scope_missing")
        assert "payments:write" in refused.json()["message"]

    def test_are_never_for_what_people_do(self, api, make_key, key):
        for scope in FOR_PEOPLE_ONLY:
            assert make_key(scopes=[scope]).status_code == 400
        bearer = {"Authorization": f"Bearer {make_key(scopes=SCOPES).json()['api_key']['secret']}"}
        for path in ("api-keys", "members"):
            assert refusal(api.get(f"/api/v1/{path}", headers=bearer)) == (403, "scope_missing")
        assert refusal(api.get("/api/v1/auth/me", headers=bearer)) == (403, "permission_denied")
        assert refusal(api.delete(f"{KEYS}/{key['id']}", headers=bearer)) == (403, "scope_missing")

    def test_are_no_more_than_the_maker_s_own(self, make_key, member):
        """A developer reads payments and makes keys; they do not cancel payments by a key."""
        developer = member("developer")
        answer = make_key(as_=developer, scopes=["payments:read", "payments:write"])
        assert refusal(answer) == (403, "permission_denied")
        assert "payments:write" in answer.json()["message"]
        assert "finance" in answer.json()["message"]
        assert make_key(as_=developer, scopes=READ).status_code == 201
        assert ApiKey.objects.count() == 1

    def test_that_are_more_than_one_s_own_are_not_rolled(self, api, make_key, member):
        row = make_key(scopes=["payments:write"]).json()["api_key"]
        path = f"{KEYS}/{row['id']}/roll"
        answer = api.post(path, {}, headers=member("developer"), content_type="application/json")
        assert refusal(answer) == (403, "permission_denied")

    def test_are_a_list_of_known_ones(self, make_key):
        for odd in (
            [], None, "payments:read", {}, 5, [5], [None], [[]], ["*"], ["payments"], ["\0"],
            ["payments:read", "payments:read"], ["PAYMENTS:READ"], ["payments:read "], ["x" * 10_000],
            ["payments:read"] * 1000,
        ):  # fmt: skip
            assert make_key(scopes=odd).status_code == 400, odd
        assert not ApiKey.objects.exists()


class TestWhoMakesKeys:
    @pytest.mark.parametrize(("role", "status"), [("owner", 201), ("admin", 201), ("developer", 201), ("finance", 403)])
    def test_depends_on_the_role(self, make_key, member, role, status):
        headers = member(role) if role != "owner" else {}
        answer = make_key(headers)
        assert answer.status_code == status
        if status == 403:
            assert "developer" in answer.json()["message"]

    def test_names_the_key(self, make_key):
        for odd in ("", " ", "\n", "\0", "\u200b", 5, None, [], "x" * 101):
            assert make_key(name=odd).status_code == 400, odd


class TestAnEnd:
    def test_comes_when_it_was_set(self, api, owner_user, bearer, make_key, use_key, later):
        end = timezone.now() + timedelta(hours=1)
        made = make_key(expires_at=end.isoformat()).json()["api_key"]
        later(minutes=59)
        assert use_key(made["secret"]).status_code == 200
        later(minutes=1)
        assert refusal(use_key(made["secret"])) == (401, "api_key_invalid")
        shown = api.get(f"{KEYS}/{made['id']}", headers=bearer(owner_user)).json()["api_key"]
        assert shown["status"] == "expired"

    def test_may_be_never(self, make_key):
        assert make_key(expires_at=None).json()["api_key"]["expires_at"] is None

    def test_is_kept_in_utc(self, make_key):
        assert (
            make_key(expires_at="2100-01-01T01:00:00+01:00").json()["api_key"]["expires_at"] == "2100-01-01T00:00:00Z"
        )

    def test_is_a_time_to_come(self, make_key):
        for odd in (
            "2020-01-01T00:00:00Z", "", "tomorrow", 5, 4102444800, True, [], {}, "2100-13-01T00:00:00Z", "x",
            "0001-01-01T00:00:00+17:45", "9999-12-31T23:59:59-17:45", "2100-01-01T00:00:00+99:00", "2100-01-01T25:00Z",
            "0000-01-01T00:00:00Z", "10000-01-01T00:00:00Z", "x" * 10_000, "٢100-01-01",
        ):  # fmt: skip
            answer = make_key(expires_at=odd)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "expires_at"), odd

    def test_may_be_far(self, make_key, use_key):
        made = make_key(expires_at="9999-12-31T23:59:59Z").json()["api_key"]
        assert made["expires_at"] == "9999-12-31T23:59:59Z"
        assert use_key(made["secret"]).status_code == 200

    def test_comes_at_once_by_revoking(self, api, owner, key, use_key):
        assert use_key(key["secret"]).status_code == 200
        answer = api.delete(f"{KEYS}/{key['id']}", headers=owner)
        assert (answer.status_code, answer.json()["api_key"]["status"]) == (200, "revoked")
        assert refusal(use_key(key["secret"])) == (401, "api_key_invalid")

    def test_is_for_ever(self, api, owner, key, later):
        first = api.delete(f"{KEYS}/{key['id']}", headers=owner).json()
        later(minutes=5)
        owner_again = api.delete(f"{KEYS}/{key['id']}", headers=owner)
        assert owner_again.json() == first

    def test_does_not_come_with_its_maker_s_role(self, make_key, member, use_key, shop):
        """A key is the merchant's: a program does not stop when somebody leaves."""
        secret = make_key(as_=member("admin")).json()["api_key"]["secret"]
        Membership.objects.filter(role="admin").delete()
        assert use_key(secret).status_code == 200

    def test_does_not_come_with_a_suspension(self, key, use_key, shop):
        suspend_merchant(shop)
        assert use_key(key["secret"]).status_code == 200


class TestLastUse:
    def test_is_written_at_most_once_a_minute(self, api, owner, key, use_key, time_machine):
        time_machine.move_to("2030-01-01 12:00:00Z", tick=False)
        stamps = []
        for second in (0, 30, 60, 61, 130):
            time_machine.move_to(datetime(2030, 1, 1, 12, second // 60, second % 60, tzinfo=UTC), tick=False)
            use_key(key["secret"])
            stamps.append(f"{ApiKey.objects.get().last_used_at:%M:%S}")
        assert stamps == ["00:00", "00:00", "00:00", "01:01", "02:10"]

    def test_costs_no_write_in_between(self, key, use_key, django_assert_max_num_queries):
        use_key(key["secret"])
        with django_assert_max_num_queries(20) as queries:
            use_key(key["secret"])
        assert not [query for query in queries if query["sql"].startswith("UPDATE")]

    def test_is_not_that_of_a_refusal(self, api, owner, key, use_key):
        api.delete(f"{KEYS}/{key['id']}", headers=owner)
        use_key(key["secret"])
        assert ApiKey.objects.get().last_used_at is None


class TestASecretThatIsNone:
    @pytest.mark.parametrize(
        "change",
        [
            lambda s: s[:-1], lambda s: s + "a", lambda s: s.upper(), lambda s: s.swapcase(), lambda s: "sk_",
            lambda s: s.replace("sandbox", "live"), lambda s: s[:11] + "a" * 49, lambda s: "sk_sandbox_" + "é" * 49,
            lambda s: s * 50, lambda s: s + "\u0661", lambda s: f"{s[:20]} {s[20:]}",
            lambda s: "sk_sandbox_" + "%" * 49, lambda s: "sk_live_' OR 1=1 --",
        ],
    )  # fmt: skip
    def test_opens_nothing(self, key, use_key, change, django_assert_num_queries):
        with django_assert_num_queries(0):
            answer = use_key(change(key["secret"]))
        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == 'Bearer realm="Tillgate", error="invalid_token"'

    def test_but_looks_like_one_opens_nothing(self, key, use_key):
        assert refusal(use_key(keys.new_secret("sandbox"))) == (401, "api_key_invalid")

    def test_in_the_query_does_not_count(self, api, key):
        for name in ("api_key", "key", "access_token", "token", "authorization", "Authorization"):
            assert refusal(api.get(f"/api/v1/payments?{name}={key['secret']}")) == (401, "not_authenticated")

    def test_in_the_body_or_another_header_does_not_count(self, api, key):
        for header in ("X-Api-Key", "Api-Key", "Proxy-Authorization", "Cookie"):
            assert api.get("/api/v1/payments", headers={header: key["secret"]}).status_code == 401
        assert api.get("/api/v1/payments", headers={"Authorization": key["secret"]}).status_code == 401
        assert api.get("/api/v1/payments", headers={"Authorization": f"Basic {key['secret']}"}).status_code == 401

    def test_of_another_merchant_opens_that_one_only(self, api, key, pay, shop):
        rival = create_merchant(name="Rival", status="active")
        foreign = pay(merchant_id=rival.pk).json()["payment"]["id"]
        bearer = {"Authorization": f"Bearer {key['secret']}"}
        assert api.get("/api/v1/payments", headers=bearer).json()["payments"] == []
        for merchant in (rival.pk, new_id("mer")):
            assert refusal(api.get("/api/v1/payments", headers={**bearer, "Tillgate-Merchant": merchant}))[0] == 404
            assert refusal(api.get(f"/api/v1/payments?merchant_id={merchant}", headers=bearer))[0] == 404
        assert "metadata" not in api.get(f"/api/v1/payments/{foreign}", headers=bearer).json()["payment"]

    def test_id_of_a_key_opens_nothing(self, use_key, key):
        assert use_key(key["id"]).status_code == 401


class TestTheList:
    def test_shows_the_newest_first_page_by_page(self, api, owner, make_key):
        names = [make_key(name=f"Key {n}").json()["api_key"]["name"] for n in range(3)]
        first = api.get(f"{KEYS}?page_size=2", headers=owner).json()
        second = api.get(first["next"], headers=owner).json()
        assert [row["name"] for row in first["api_keys"] + second["api_keys"]] == names[::-1]
        assert second["next"] is None

    @pytest.mark.parametrize(
        "query", ["page_size=0", "page_size=101", "cursor=x", "cursor=after.mer_0", "status=x", "a=b"]
    )
    def test_takes_what_it_knows(self, api, owner, query):
        assert api.get(f"{KEYS}?{query}", headers=owner).status_code == 400
