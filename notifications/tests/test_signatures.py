"""Our signatures, verified by the package that the authors of Standard Webhooks publish."""

import base64
import json
from datetime import timedelta

import pytest
import standardwebhooks
from django.utils import timezone

from notifications.services import preview, rotate_secret, send_test_event
from notifications.signatures import new_secret, sign


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
