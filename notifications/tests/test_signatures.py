"""Our signatures, verified by the package that the authors of Standard Webhooks publish."""

import base64
import json
from datetime import timedelta

import pytest
import standardwebhooks
from django.utils import timezone

from notifications.diagnosis import diagnose
from notifications.services import preview, rotate_secret, send_test_event
from notifications.signatures import new_secret, sign, signed_headers

BODY = b'{"type":"payment.completed","data":{"amount":50.00}}'


@pytest.fixture
def delivery(endpoint):
    return send_test_event(endpoint())


def verify(secret, message):
    return standardwebhooks.Webhook(secret).verify(message.body, message.headers)


class TestSecret:
    def test_holds_as_many_random_bytes_as_the_standard_asks_for(self):
        secrets = {new_secret() for _n in range(100)}
        assert len(secrets) == 100
        for secret in secrets:
            assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"))) <= 64


class TestSignature:
    def test_is_that_of_the_standards_own_example(self):
        secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
        signature = sign(secret, message_id="msg_p5jXN8AQM9LWM0D4loKWxJek", timestamp=1614265330, body=body)
        assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

    def test_is_verified_by_the_standards_package(self, delivery):
        message = preview(delivery)
        assert verify(delivery.endpoint.secret, message) == json.loads(message.body)

    def test_is_refused_when_anything_was_changed(self, delivery):
        message = preview(delivery)
        changes = [
            (message.body + b" ", {}),
            (message.body, {"webhook-id": "evt_other"}),
            (message.body, {"webhook-timestamp": str(int(message.headers["webhook-timestamp"]) + 1)}),
        ]
        for body, headers in changes:
            with pytest.raises(standardwebhooks.WebhookVerificationError):
                standardwebhooks.Webhook(delivery.endpoint.secret).verify(body, {**message.headers, **headers})

    def test_verifies_with_both_secrets_for_a_day_after_a_rotation(self, delivery, time_machine):
        old = delivery.endpoint.secret
        _endpoint, new = rotate_secret(delivery.endpoint)
        delivery.refresh_from_db()
        start = timezone.now()

        assert len(preview(delivery).headers["webhook-signature"].split()) == 2
        verify(old, preview(delivery))
        verify(new, preview(delivery))

        time_machine.move_to(start + timedelta(hours=24, seconds=1))
        assert len(preview(delivery).headers["webhook-signature"].split()) == 1
        verify(new, preview(delivery))
        with pytest.raises(standardwebhooks.WebhookVerificationError):
            verify(old, preview(delivery))


class TestDiagnosis:
    @pytest.fixture
    def secret(self):
        return new_secret()

    @pytest.fixture
    def look_at(self, secret):
        """The first step that differs, for a good message with something changed."""
        now = timezone.now()
        good = signed_headers([secret], message_id="evt_1", timestamp=int(now.timestamp()), body=BODY)

        def look(body=BODY, secret=secret, sent=None, **headers):
            given = {**good, **{f"webhook-{name}": value for name, value in headers.items()}}
            given = {name: value for name, value in given.items() if value is not None}
            last = diagnose(body, given, secret, now=now, sent=sent)[-1]
            return last.name, last.fault

        return look

    def test_finds_nothing_wrong_with_a_good_message(self, look_at):
        assert look_at() == ("signature", "")
        assert look_at(sent=BODY) == ("signature", "")

    def test_reads_headers_in_any_case(self, secret):
        now = timezone.now()
        headers = signed_headers([secret], message_id="evt_1", timestamp=int(now.timestamp()), body=BODY)
        shouted = {name.upper(): f" {value} " for name, value in headers.items()}
        assert not diagnose(BODY, shouted, secret, now=now)[-1].fault

    @pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
    def test_names_a_header_that_is_missing(self, look_at, name):
        assert look_at(**{name: None}) == ("headers", f"Missing: webhook-{name}.")

    @pytest.mark.parametrize("wrong", ["", "abc", "whsec_", "whsec_ä", "whsec_MfKQ9r8G", "whsec_a", "WHSEC_MfKQ9r8G"])
    def test_knows_what_is_no_secret(self, look_at, wrong):
        assert look_at(secret=wrong)[0] == "secret"

    @pytest.mark.parametrize("wrong", ["now", "-1", "1.5", "²", "0", "9" * 30])
    def test_knows_a_time_that_is_none_or_too_far(self, look_at, wrong):
        assert look_at(timestamp=wrong)[0] == "timestamp"

    @pytest.mark.parametrize("wrong", ["abc", "v2,abc", "v1abc", "v1a,abc"])
    def test_knows_what_is_no_signature(self, look_at, wrong):
        assert look_at(signature=wrong)[0] == "signature header"

    def test_shows_where_a_body_differs_from_what_was_sent(self, look_at):
        name, fault = look_at(body=BODY.replace(b"50.00", b"50.0"), sent=BODY)
        assert name == "body"
        assert "byte 49: " in fault
        assert "written anew" in fault

    def test_knows_a_line_end_at_the_end(self, look_at):
        assert look_at(body=BODY + b"\n", sent=BODY)[0] == "body"
        assert "white space" in look_at(body=BODY + b"\n")[1]

    @pytest.mark.parametrize("body", [b"", b"{}", BODY.replace(b":", b": "), b"\xff\x00"])
    def test_knows_another_body(self, look_at, body):
        assert look_at(body=body)[0] == "signature"
        assert look_at(body=body, sent=BODY)[0] == "body"

    def test_knows_another_secret(self, look_at):
        assert look_at(secret=new_secret(), sent=BODY)[0] == "signature"
        assert look_at(signature="v1,ä v1,abc")[0] == "signature"
