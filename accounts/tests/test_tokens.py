"""Access and refresh tokens: which count, until when, and that nothing that is sent as one breaks anything."""

import base64
import hashlib
import hmac
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.conf import settings as conf

from accounts.models import Login, User
from accounts.services import end_login, prune_logins
from accounts.tests.conftest import ADA, PASSWORD, access, refusal, refused, told
from core.ids import new_id
from core.mail import Email

KEY = conf.SIMPLE_JWT["SIGNING_KEY"]
RSA = rsa.generate_private_key(65537, 2048)
LATER = 4_000_000_000


@pytest.fixture
def pair(ada, log_in):
    return log_in()


@pytest.fixture
def refresh(post):
    return lambda pair: post("auth/token/refresh", refresh=pair["refresh"])


@pytest.fixture
def forge(pair):
    """A token of this kind with claims changed, and `...` for those that are left out; signed with our key."""

    def sign(kind, key=KEY, algorithm="HS256", headers=None, **claims):
        said = {**jwt.decode(pair[kind], options={"verify_signature": False}), **claims}
        payload = {name: value for name, value in said.items() if value != ...}
        return sealed(payload, key, algorithm, headers or {})

    return sign


def sealed(payload, key, algorithm, headers):
    """PyJWT refuses to write much that PyJWT must refuse to read."""
    head = {"alg": algorithm, "typ": "JWT", **headers}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (head, payload)]
    message = b".".join(parts)
    return b".".join([message, base64.urlsafe_b64encode(signed(message, key, algorithm)).rstrip(b"=")]).decode()


def signed(message, key, algorithm):
    if key is None:
        return b""
    if isinstance(key, bytes):
        return hmac.new(key, message, hashlib.sha256).digest()
    signer = jwt.algorithms.get_default_algorithms()[algorithm]
    return signer.sign(message, signer.prepare_key(key))


@pytest.fixture
def ask(api, post):
    """The answer to a token that is used where its kind belongs."""

    def send(kind, token):
        if kind == "refresh":
            return post("auth/token/refresh", refresh=token)
        return api.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {token}"})

    return send


both = pytest.mark.parametrize("kind", ["access", "refresh"])


@both
class TestATokenThatWeDidNotSign:
    def test_but_with_our_key_would_count(self, forge, ask, kind):
        assert ask(kind, forge(kind)).status_code == 200

    def test_without_a_signature(self, forge, ask, kind):
        for algorithm in ("none", "None", "NONE", "nOnE", ""):
            token = forge(kind, key=None, algorithm="none", headers={"alg": algorithm})
            assert refused(ask(kind, token))
            assert refused(ask(kind, token.rpartition(".")[0]))

    def test_with_the_signature_cut_off(self, pair, ask, kind):
        head, body, signature = pair[kind].split(".")
        for token in (f"{head}.{body}.", f"{head}.{body}", f"{head}.{body}.{signature[:-4]}", f"{head}..{signature}"):
            assert refused(ask(kind, token))

    @pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
    def test_with_another_algorithm_of_our_key(self, forge, ask, kind, algorithm):
        assert refused(ask(kind, forge(kind, algorithm=algorithm)))

    @pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
    def test_with_a_key_pair(self, forge, ask, kind, algorithm):
        assert refused(ask(kind, forge(kind, key=RSA, algorithm=algorithm)))

    def test_with_a_public_key_for_a_secret(self, forge, ask, kind):
        """It is no secret of ours; the confusion is in taking it for one."""
        public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        payload = jwt.decode(forge(kind), options={"verify_signature": False})
        for key in (public, public.strip(), b""):
            assert refused(ask(kind, sealed(payload, key, "HS256", {})))

    @pytest.mark.parametrize("key", ["another-key-of-the-same-length-0123456789-0123456789-01", conf.SECRET_KEY])
    def test_with_another_key(self, forge, ask, kind, key):
        assert refused(ask(kind, forge(kind, key=key)))

    @pytest.mark.parametrize(
        "headers",
        [
            {"kid": "../../dev/null"}, {"kid": 5}, {"kid": {}}, {"jku": "https://evil.example/keys"}, {"x5u": "x"},
            {"jwk": {"kty": "oct", "k": "AAAA"}}, {"typ": "at+jwt"}, {"cty": "JWT"},
        ],
    )  # fmt: skip
    def test_with_a_key_of_its_own_in_the_header(self, forge, ask, kind, headers):
        assert refused(ask(kind, forge(kind, key="its-own-key-0123456789-0123456789-0123456789", headers=headers)))

    @pytest.mark.parametrize("headers", [{"crit": ["b64"], "b64": False}, {"crit": ["exp"]}, {"crit": 5}, {"alg": 5}])
    def test_with_a_header_that_changes_the_rules(self, forge, ask, kind, headers):
        assert refused(ask(kind, forge(kind, headers=headers)))

    def test_with_its_claims_changed(self, forge, pair, ask, kind):
        head, _body, signature = pair[kind].split(".")
        body = forge(kind, exp=LATER).split(".")[1]
        assert refused(ask(kind, f"{head}.{body}.{signature}"))


NUMBERS = [5, 0, -1, 1.5, 10**17, 10**400, 1e300, float("inf"), float("nan")]
NO_TEXT = [None, True, [], {}, ["x"], {"x": "y"}]
NO_ID = ["", "\0", "\ud800", "x" * 2000, "' OR 1=1 --", "usr_" + "0" * 25, new_id("mer"), new_id("usr") + "\n", "%"]


@both
class TestATokenWithOddClaims:
    def test_lacks_one(self, forge, ask, kind):
        for claim in ("token_type", "exp", "jti", "sub", "sid", "aud", "iss"):
            assert refused(ask(kind, forge(kind, **{claim: ...}))), claim

    @pytest.mark.parametrize("claim", ["sub", "sid", "jti"])
    def test_names_nobody(self, forge, ask, kind, claim):
        """An access token's `jti` is never looked up, but must be one."""
        for value in (*NUMBERS, *NO_TEXT, *NO_ID):
            assert refused(ask(kind, forge(kind, **{claim: value}))), value

    @pytest.mark.parametrize("claim", ["iss", "aud", "token_type"])
    def test_is_for_somebody_else(self, forge, ask, kind, claim):
        for value in (*NUMBERS, *NO_TEXT, "", "\0", "\ud800", "http://testserver.evil", ["http://testserver/api", 5]):
            assert refused(ask(kind, forge(kind, **{claim: value}))), value

    def test_ends_at_no_time(self, forge, ask, kind):
        for value in (*NUMBERS, *NO_TEXT, -(10**17), "", "x", "\0", "9" * 12, "9" * 400, False):
            assert refused(ask(kind, forge(kind, exp=value))), value

    @pytest.mark.parametrize("claim", ["nbf", "iat"])
    def test_begins_in_the_future(self, forge, ask, kind, claim):
        assert refused(ask(kind, forge(kind, **{claim: int(time.time()) + 60})))
        for value in (10**400, 1e300, float("inf"), float("nan"), None, [], {}, "x"):
            assert refused(ask(kind, forge(kind, **{claim: value}))), value

    def test_is_of_another_installation(self, forge, ask, kind):
        assert refused(ask(kind, forge(kind, iss="http://elsewhere")))
        assert refused(ask(kind, forge(kind, aud="http://elsewhere/api")))
        assert refused(ask(kind, forge(kind, aud=conf.SITE_URL)))

    def test_is_of_somebody_else(self, forge, ask, kind):
        other = User.objects.create_user("eve@example.com", PASSWORD)
        assert refused(ask(kind, forge(kind, sub=other.pk)))
        assert refused(ask(kind, forge(kind, sid=new_id("login"))))

    def test_is_no_object(self, pair, ask, kind):
        for payload in ([], "x", 5, None):
            assert refused(ask(kind, sealed(payload, KEY, "HS256", {})))


class TestATokenOfTheOtherKind:
    def test_does_not_open_the_door(self, pair, ask):
        assert refused(ask("access", pair["refresh"]))

    def test_does_not_get_the_next_pair(self, pair, ask, refresh):
        assert refused(ask("refresh", pair["access"]))
        assert refresh(pair).status_code == 200

    def test_is_not_verified(self, pair, post):
        assert refused(post("auth/token/verify", token=pair["refresh"]))

    @pytest.mark.parametrize("kind", ["sliding", "Access", "ACCESS", ["access"]])
    def test_may_not_invent_one(self, forge, ask, kind):
        assert refused(ask("access", forge("access", token_type=kind)))


class TestTheHeader:
    def test_with_a_bad_credential_is_refused(self, api, db):
        for odd in (
            "nonsense", "a.b.c", "..", ".", "é" * 20, "\u0661.\u0662.\u0663", "x" * 10_000, "Bearer", "a b", "a\tb",
            "null", "undefined", "{}", "=" * 100, "sk_", "sk_sandbox_", "sk_live_" + "a" * 49, "SK_SANDBOX_", "%00",
            "", " ", "eyJhbGciOiJIUzI1NiJ9.e30.", "\x7f", "\xff\xfe", "[" * 3000,
        ):  # fmt: skip
            answer = api.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {odd}"})
            assert refusal(answer) in [(401, "token_invalid"), (401, "api_key_invalid")], odd
            assert answer["WWW-Authenticate"] == 'Bearer realm="Tillgate", error="invalid_token"'

    def test_without_a_bearer_is_refused(self, api, db):
        for header in ("", "Basic YWRhOng=", "Digest x", "Token x", "x", "Bearer:x", "\u00a0", "é é"):
            answer = api.get("/api/v1/auth/me", headers={"Authorization": header})
            assert refusal(answer) == (401, "not_authenticated"), header
            assert answer["WWW-Authenticate"] == 'Bearer realm="Tillgate"'

    def test_that_is_missing_is_refused(self, api, db):
        assert refusal(api.get("/api/v1/auth/me")) == (401, "not_authenticated")

    def test_that_holds_the_token_alone_is_refused(self, api, pair):
        assert api.get("/api/v1/auth/me", headers={"Authorization": pair["access"]}).status_code == 401

    def test_is_read_as_http_says(self, api, pair):
        """The scheme in any case, and one space or more (RFC 9110 §11)."""
        for scheme in ("Bearer ", "bearer ", "BEARER ", "Bearer  "):
            assert api.get("/api/v1/auth/me", headers={"Authorization": scheme + pair["access"]}).status_code == 200

    def test_is_the_only_place_for_a_token(self, api, pair):
        token = pair["access"]
        api.cookies["access"] = api.cookies["session"] = token
        assert api.get(f"/api/v1/auth/me?access={token}&token={token}&access_token={token}").status_code == 401
        del api.cookies["access"], api.cookies["session"]

    def test_is_not_replaced_by_a_session(self, client, ada):
        client.force_login(ada)
        assert client.get("/api/v1/auth/me").status_code == 401


class TestBodies:
    @pytest.mark.parametrize(("path", "field"), [("refresh", "refresh"), ("verify", "token")])
    def test_that_hold_no_token_are_refused(self, post, db, path, field):
        for odd in ("", "\0", "\ud800", "x" * 10_000, 5, None, True, [], {}):
            assert post(f"auth/token/{path}", **{field: odd}).status_code == 400, odd
        for odd in ("x", "é.é.é", " "):
            assert refused(post(f"auth/token/{path}", **{field: odd}))

    def test_need_a_token(self, post, db):
        assert refusal(post("auth/token/refresh")) == (400, "parameter_missing")
        assert refusal(post("auth/token/verify")) == (400, "parameter_missing")


class TestAnEnd:
    def test_comes_to_the_access_token_after_minutes(self, pair, me, later):
        later(minutes=9, seconds=58)
        assert me(pair).status_code == 200
        later(seconds=3)
        assert refused(me(pair))

    def test_comes_to_the_refresh_token_after_a_day(self, pair, refresh, later):
        later(hours=24, seconds=1)
        assert refused(refresh(pair))

    @both
    def test_comes_with_the_user_being_switched_off(self, pair, ask, kind):
        User.objects.update(is_active=False)
        assert refused(ask(kind, pair[kind]))
        User.objects.update(is_active=True)
        assert ask(kind, pair[kind]).status_code == 200

    @both
    def test_comes_with_the_user_being_gone(self, pair, ask, kind):
        User.objects.all().delete()
        assert refused(ask(kind, pair[kind]))

    @both
    def test_comes_with_the_log_in(self, pair, ask, kind):
        end_login(Login.objects.get())
        assert refused(ask(kind, pair[kind]))

    @both
    def test_is_for_ever(self, pair, ask, kind):
        login = Login.objects.get()
        end_login(login)
        first = Login.objects.get().ended_at
        end_login(login)
        assert Login.objects.get().ended_at == first

    def test_of_long_ago_is_forgotten(self, pair, log_in, later):
        later(days=90)
        log_in()
        assert prune_logins() == 0
        later(days=1, seconds=1)
        assert prune_logins() == 1
        assert Login.objects.count() == 1


class TestVerify:
    def test_says_whose_the_token_is_and_until_when(self, pair, post, ada):
        answer = post("auth/token/verify", token=pair["access"])
        assert answer.status_code == 200
        said = answer.json()["token"]
        assert said["user_id"] == ada.pk
        assert said["expires_at"].endswith("Z")

    def test_refuses_one_that_has_ended(self, pair, post):
        end_login(Login.objects.get())
        assert refused(post("auth/token/verify", token=pair["access"]))


class TestRefresh:
    def test_gives_the_next_pair(self, pair, refresh, me):
        answer = refresh(pair)
        assert answer.status_code == 200
        new = answer.json()["token"]
        assert me(new).status_code == 200
        assert refresh(new).status_code == 200
        assert Login.objects.count() == 1

    def test_leaves_the_access_token_good_until_it_ends(self, pair, refresh, me):
        refresh(pair)
        assert me(pair).status_code == 200

    def test_moves_the_end(self, pair, refresh, later):
        end = Login.objects.get().expires_at
        later(hours=23)
        new = refresh(pair).json()["token"]
        assert Login.objects.get().expires_at > end
        later(hours=23)
        assert refresh(new).status_code == 200

    def test_sends_the_same_token_no_second_time(self, pair, refresh):
        assert refresh(pair).status_code == 200
        assert refused(refresh(pair))


class TestATokenThatIsUsedTwice:
    def test_at_once_is_a_client_that_raced_itself(self, pair, refresh, me, later):
        new = refresh(pair).json()["token"]
        later(seconds=9)
        assert refused(refresh(pair))
        assert me(new).status_code == 200
        assert refresh(new).status_code == 200
        assert not Email.objects.exists()

    def test_later_has_been_copied_and_ends_everything(self, pair, refresh, me, later):
        new = refresh(pair).json()["token"]
        later(seconds=11)
        assert refused(refresh(pair))
        for ended in (pair, new):
            assert refused(me(ended))
            assert refused(refresh(ended))

    def test_tells_the_owner_once(self, pair, refresh, later):
        refresh(pair)
        later(seconds=11)
        for _n in range(3):
            refresh(pair)
        mail = Email.objects.get()
        assert (mail.template, mail.to) == ("tokens_revoked", ADA)
        assert told("tokens_revoked")["name"] == "Ada Lovelace"

    def test_leaves_other_log_ins_alone(self, pair, log_in, refresh, me, later):
        other = log_in()
        refresh(pair)
        later(seconds=11)
        refresh(pair)
        assert me(other).status_code == 200

    def test_after_logging_out_tells_nobody(self, pair, refresh, post, later):
        refresh(pair)
        post("auth/logout", access(pair))
        later(seconds=11)
        assert refused(refresh(pair))
        assert not Email.objects.exists()
