"""Why a webhook does not verify: step by step, by API and on the public page."""

import json
import logging
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.services import create_merchant
from notifications.diagnosis import MAX_BODY, STEPS, TOLERANCE_SECONDS, diagnose
from notifications.services import preview, rotate_secret
from notifications.signatures import new_secret, signed_headers

TEXT = '{"type":"payment.completed","data":{"amount":50.00}}'
BODY = TEXT.encode()
PAGE = "/webhooks/debugger"
JSON = "application/json"


def signed(secret, body=BODY, age=0):
    """The headers of a message, signed so many seconds ago."""
    timestamp = int(timezone.now().timestamp()) - age
    return signed_headers([secret], message_id="evt_1", timestamp=timestamp, body=body)


class TestSteps:
    @pytest.fixture
    def secret(self):
        return new_secret()

    @pytest.fixture
    def look_at(self, secret):
        """The last step that was reached, and its fault, for a good message with something changed."""

        def look(body=BODY, secret=secret, sent=None, age=0, **headers):
            good = signed(look.secret, age=age)
            given = {**good, **{f"webhook-{name}": value for name, value in headers.items()}}
            given = {name: value for name, value in given.items() if value is not None}
            last = diagnose(body, given, [secret], now=timezone.now(), sent=sent)[-1]
            return last.name, last.fault

        look.secret = secret
        return look

    def test_find_nothing_wrong_with_a_good_message(self, look_at):
        assert look_at() == ("clock", "")
        assert look_at(sent=BODY) == ("clock", "")

    def test_are_named(self, secret):
        steps = diagnose(BODY, signed(secret), [secret], now=timezone.now(), sent=BODY)
        assert [step.name for step in steps] == list(STEPS)

    def test_leave_out_the_body_when_nobody_knows_what_was_sent(self, secret):
        steps = diagnose(BODY, signed(secret), [secret], now=timezone.now())
        assert [step.name for step in steps] == [name for name in STEPS if name != "body"]

    def test_read_headers_in_any_case(self, secret):
        shouted = {name.upper(): f" {value} " for name, value in signed(secret).items()}
        assert not diagnose(BODY, shouted, [secret], now=timezone.now())[-1].fault

    def test_take_any_of_the_secrets_that_are_valid(self, secret):
        old = new_secret()
        for one in (old, secret):
            assert not diagnose(BODY, signed(one), [secret, old], now=timezone.now())[-1].fault

    @pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
    def test_name_a_header_that_is_missing(self, look_at, name):
        assert look_at(**{name: None}) == ("headers", f"Missing: webhook-{name}.")

    @pytest.mark.parametrize("wrong", ["", "abc", "whsec_", "whsec_ä", "whsec_MfKQ9r8G", "whsec_a", "WHSEC_MfKQ9r8G"])
    def test_know_what_is_no_secret(self, look_at, wrong):
        assert look_at(secret=wrong)[0] == "secret"

    @pytest.mark.parametrize("wrong", ["now", "-1", "1.5", "²", "9" * 30, "9" * 5000])
    def test_know_what_is_no_time(self, look_at, wrong):
        assert look_at(timestamp=wrong)[0] == "timestamp"

    @pytest.mark.parametrize("wrong", ["abc", "v2,abc", "v1abc", "v1a,abc"])
    def test_know_what_is_no_signature(self, look_at, wrong):
        assert look_at(signature=wrong)[0] == "form"

    @pytest.mark.parametrize("age", [TOLERANCE_SECONDS - 5, 5 - TOLERANCE_SECONDS])
    def test_forgive_a_clock_that_is_a_little_wrong(self, look_at, age):
        assert look_at(age=age) == ("clock", "")

    @pytest.mark.parametrize(("age", "word"), [(TOLERANCE_SECONDS + 5, "ago"), (-TOLERANCE_SECONDS - 5, "ahead")])
    def test_know_a_message_that_is_too_old_or_too_new(self, look_at, age, word):
        name, fault = look_at(age=age)
        assert name == "clock"
        assert word in fault

    def test_tell_of_an_old_message_first_what_else_is_wrong(self, look_at):
        assert look_at(age=3600, body=b"{}")[0] == "signature"

    def test_show_where_a_body_differs_from_what_was_sent(self, look_at):
        name, fault = look_at(body=BODY.replace(b"50.00", b"50.0"), sent=BODY)
        assert name == "body"
        assert "byte 49: " in fault
        assert "written anew" in fault

    def test_know_a_line_end_at_the_end(self, look_at):
        assert look_at(body=BODY + b"\n", sent=BODY)[0] == "body"
        assert "white space" in look_at(body=BODY + b"\n")[1]

    @pytest.mark.parametrize("body", [b"", b"{}", BODY.replace(b":", b": "), b"\xff\x00"])
    def test_know_another_body(self, look_at, body):
        assert look_at(body=body)[0] == "signature"
        assert look_at(body=body, sent=BODY)[0] == "body"

    def test_know_another_secret(self, look_at):
        assert "another endpoint" in look_at(secret=new_secret(), sent=BODY)[1]
        assert "neither this body nor this secret" in look_at(secret=new_secret())[1]
        assert look_at(signature="v1,ä v1,abc")[0] == "signature"

    def test_know_another_id_or_time(self, look_at):
        assert look_at(id="evt_2", sent=BODY)[0] == look_at(timestamp="1795262400", sent=BODY)[0] == "signature"


class TestApi:
    @pytest.fixture
    def delivery(self, endpoint, tell):
        endpoint()
        return tell(amount="é").deliveries.get()

    @pytest.fixture
    def ask(self, api, member):
        """`ask(delivery, body=…)`: the steps that failed, and the sentence, as a developer of the shop."""
        headers = member("developer")

        def post(delivery, **given):
            message = preview(delivery)
            given = {"body": message.body.decode(), "headers": message.headers, **given}
            path = f"/api/v1/webhook-endpoints/{delivery.endpoint_id}/diagnose"
            answer = api.post(path, given, content_type=JSON, headers=headers)
            assert answer.status_code == 200, answer.content
            shown = answer.json()
            faults = [step["name"] for step in shown["diagnosis"]["steps"] if step["fault"]]
            assert shown["diagnosis"]["verified"] == (faults == [])
            return faults, shown["message"]

        return post

    def test_verifies_what_was_sent(self, ask, delivery):
        assert ask(delivery) == ([], "It verifies with the secret of this endpoint.")

    def test_verifies_with_both_secrets_while_they_rotate(self, ask, delivery):
        before = preview(delivery)
        rotate_secret(delivery.endpoint)
        assert ask(delivery, headers=before.headers)[0] == []
        assert ask(delivery)[0] == []

    def test_tells_a_changed_body_from_a_wrong_secret(self, ask, delivery):
        message = preview(delivery)
        anew = json.dumps(json.loads(message.body))
        assert ask(delivery, body=anew)[0] == ["body"]
        other = signed_headers([new_secret()], message_id=delivery.event_id, timestamp=1, body=message.body)
        assert ask(delivery, headers=other)[0] == ["signature"]

    def test_knows_an_old_message(self, ask, delivery, time_machine):
        message = preview(delivery)
        time_machine.move_to(timezone.now() + timedelta(seconds=TOLERANCE_SECONDS + 5))
        assert ask(delivery, headers=message.headers)[0] == ["clock"]

    def test_shows_nothing_of_another_merchants_message(self, ask, delivery, endpoint, tell):
        rival = create_merchant(name="Rival")
        endpoint(merchant=rival)
        theirs = tell(merchant=rival, object_id="pay_2", secret_of="rivals").deliveries.get()
        faults, message = ask(delivery, body="{}", headers=preview(theirs).headers)
        assert faults == ["signature"]
        assert "rivals" not in message

    @pytest.mark.parametrize("value", ["", "x", "evt_", "evt_" + "0" * 26, "é", "x" * 5000, "%s", "' OR 1=1 --"])
    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_answers_whatever_the_headers_say(self, ask, delivery, name, value):
        message = preview(delivery)
        assert ask(delivery, headers={**message.headers, name: value})[0] != []

    @pytest.mark.parametrize(
        "given",
        [
            {"body": 5, "headers": {}},
            {"body": "{}", "headers": []},
            {"body": "{}", "headers": {"webhook-id": 5}},
            {"body": "{}", "headers": {"webhook-id": None}},
            {"body": "x" * (MAX_BODY + 1), "headers": {}},
            {"body": "{}"},
            {"headers": {}},
            {"body": "{}", "headers": {}, "secret": "whsec_"},
        ],
        ids=lambda given: str(given)[:40],
    )
    def test_refuses_what_is_no_message(self, api, owner, delivery, given):
        path = f"/api/v1/webhook-endpoints/{delivery.endpoint_id}/diagnose"
        assert api.post(path, given, content_type=JSON, headers=owner).status_code == 400

    def test_repeats_no_card_number_that_stands_for_a_header(self, api, owner, delivery):
        path = f"/api/v1/webhook-endpoints/{delivery.endpoint_id}/diagnose"
        given = {"body": "{}", "headers": {"4012888888881881": 5, "x" * 9000: 5}}
        answer = api.post(path, given, content_type=JSON, headers=owner)
        assert [field["param"] for field in answer.json()["error"]["fields"]] == ["headers.…", f"headers.{'x' * 64}"]
        assert "4012888888881881" not in answer.content.decode()


class TestPage:
    @pytest.fixture
    def paste(self, api, db):
        """Posts the form; the answer."""

        def post(headers=None, body=TEXT, secret="", **options):
            lines = "\r\n".join(f"{name}: {value}" for name, value in (headers or {}).items())
            return api.post(PAGE, {"headers": lines, "body": body, "secret": secret}, **options)

        return post

    def test_needs_no_log_in(self, api, db):
        answer = api.get(PAGE)
        assert answer.status_code == 200
        assert "no-store" in answer["Cache-Control"]
        assert "unsafe" not in answer["Content-Security-Policy"]

    def test_verifies_a_good_message_and_keeps_the_secret_to_itself(self, paste):
        secret = new_secret()
        page = paste(signed(secret), secret=f" {secret} ").content.decode()
        assert "It verifies</h2>" in page
        assert secret not in page
        assert "payment.completed" in page

    def test_reads_the_lines_of_a_whole_request(self, paste, api):
        secret = new_secret()
        lines = [f"< {name.title()}:{value}" for name, value in signed(secret).items()]
        text = "\n".join(["POST /hooks HTTP/1.1", "Host: shop.example.com", *lines, "", "nothing"])
        page = api.post(PAGE, {"headers": text, "body": TEXT, "secret": secret}).content.decode()
        assert "It verifies</h2>" in page

    def test_takes_the_line_ends_of_a_form_for_what_they_were(self, paste):
        secret, body = new_secret(), b'{\n "a": 1\n}'
        page = paste(signed(secret, body), body=body.decode().replace("\n", "\r\n"), secret=secret).content.decode()
        assert "It verifies</h2>" in page

    def test_shows_the_step_that_fails_and_what_it_has_not_looked_at(self, paste):
        page = paste(signed(new_secret()), secret="whsec_abc").content.decode()
        assert "It does not verify</h2>" in page
        assert page.count("step-good") == page.count("step-bad") == 1
        assert page.count("step-unseen") == len(STEPS) - 3  # the body that was sent is known to nobody here

    def test_says_that_an_old_message_would_verify(self, paste):
        secret = new_secret()
        assert "but it is not fresh</h2>" in paste(signed(secret, age=3600), secret=secret).content.decode()

    def test_speaks_the_readers_language(self, paste):
        page = paste({"webhook-id": "evt_1"}, secret="x", HTTP_ACCEPT_LANGUAGE="fr").content.decode()
        assert "Il manque : webhook-timestamp, webhook-signature." in page
        assert 'lang="fr"' in page

    @pytest.mark.parametrize("missing", ["headers", "body", "secret"])
    def test_asks_for_what_is_missing(self, api, db, missing):
        fields = {"headers": "webhook-id: evt_1", "body": "{}", "secret": "whsec_x"}
        answer = api.post(PAGE, {**fields, missing: ""})
        assert answer.status_code == 422
        assert answer.content.count(b'aria-invalid="true"') == 1

    def test_escapes_what_was_pasted(self, paste):
        page = paste({"<script>alert(1)</script>": "x"}, body="</textarea><script>", secret="x").content.decode()
        assert "<script>" not in page

    @pytest.mark.parametrize("name", ["headers", "body", "secret"])
    def test_bounds_what_is_pasted(self, api, db, name):
        fields = {"headers": "webhook-id: evt_1", "body": "{}", "secret": "whsec_x"}
        assert api.post(PAGE, {**fields, name: "x" * (MAX_BODY + 1)}).status_code == 422
        assert 400 <= api.post(PAGE, {**fields, name: "é" * 64 * 1024}).status_code < 500

    def test_is_for_people_who_came_by_it(self, db):
        assert Client(enforce_csrf_checks=True).post(PAGE, {"body": "{}"}).status_code == 403

    def test_takes_so_much_and_no_more_from_one_network(self, paste, monkeypatch, time_machine):
        time_machine.move_to(timezone.now(), tick=False)
        monkeypatch.setattr("notifications.pages.DebuggerThrottle.rate", "2/min", raising=False)
        secret = new_secret()
        assert [paste(signed(secret), secret=secret).status_code for _n in range(3)] == [200, 200, 429]
        refused = paste(signed(secret), secret=secret)
        assert 0 < int(refused["Retry-After"]) <= 61
        assert secret not in refused.content.decode()

    def test_logs_nothing_of_it(self, paste, caplog):
        caplog.set_level(logging.DEBUG)
        secret = new_secret()
        paste(signed(secret), secret=secret)
        paste(signed(secret), secret=secret + "x")
        paste({}, secret=secret)
        paste({"a": "b" * 70_000}, secret=secret)
        assert secret not in caplog.text
        assert "payment.completed" not in caplog.text

    def test_leaves_no_row(self, paste, django_assert_num_queries):
        secret = new_secret()
        with django_assert_num_queries(0):
            paste(signed(secret), secret=secret)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(headers=st.text(max_size=300), body=st.text(max_size=300), secret=st.text(max_size=80), whole=st.booleans())
    def test_never_fails_itself(self, api, db, headers, body, secret, whole):
        if whole:
            headers = f"webhook-id: {headers}\nwebhook-timestamp: {headers}\nwebhook-signature: v1,{headers}"
        fields = {"headers": headers, "body": body, "secret": f"whsec_{secret}" if whole else secret}
        fields = {name: text.encode(errors="surrogatepass").decode(errors="replace") for name, text in fields.items()}
        assert api.post(PAGE, fields).status_code in (200, 422)

    @pytest.mark.parametrize("raw", [b"headers=%ff&body=%00&secret=%ed%a0%80", b"%", b"&" * 2000, b"\xff\x00"])
    @pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "x"])
    def test_never_fails_on_forms_that_no_browser_sends(self, api, db, raw, kind):
        assert api.post(PAGE, raw, content_type=kind).status_code in (200, 400, 422)
