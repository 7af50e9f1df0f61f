"""Our signatures, verified by the package that the authors of Standard Webhooks publish."""

import base64
import json
from datetime import timedelta

import pytest
import standardwebhooks
from django.utils import timezone

from notifications.services import forget_old_secrets, preview, rotate_secret, send_test_event
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


class TestSeveralRotations:
    @pytest.fixture
    def signing(self, delivery):
        """`signing(*secrets)`: those of them that a message of now is signed with."""

        def those(*secrets):
            delivery.refresh_from_db()
            signatures = preview(delivery).headers["webhook-signature"].split()
            fitting = [secret for secret in secrets if self.fits(secret, preview(delivery))]
            assert len(signatures) == len(fitting)
            return fitting

        return those

    def fits(self, secret, message):
        try:
            verify(secret, message)
        except standardwebhooks.WebhookVerificationError:
            return False
        return True

    def test_in_a_day_leave_the_secret_that_the_server_has(self, delivery, signing):
        """The answers of the first ones were lost."""
        old, *new = delivery.endpoint.secret, *(rotate_secret(delivery.endpoint)[1] for _n in range(4))
        assert signing(old, *new) == [old, new[2], new[3]]

    def test_let_each_old_secret_end_after_a_day_of_its_own(self, delivery, signing, time_machine):
        start, secrets = timezone.now(), [delivery.endpoint.secret]
        for hours in (0, 20):
            time_machine.move_to(start + timedelta(hours=hours))
            secrets.append(rotate_secret(delivery.endpoint)[1])
        assert signing(*secrets) == secrets
        time_machine.move_to(start + timedelta(hours=24, seconds=1))
        assert signing(*secrets) == secrets[1:]
        secrets.append(rotate_secret(delivery.endpoint)[1])
        assert signing(*secrets) == secrets[1:]
        time_machine.move_to(start + timedelta(hours=44, seconds=1))
        assert signing(*secrets) == secrets[2:]

    def test_end_the_old_secrets_at_once_when_they_have_leaked(self, delivery, signing):
        old, new = delivery.endpoint.secret, rotate_secret(delivery.endpoint)[1]
        endpoint, newest = rotate_secret(delivery.endpoint, overlap=timedelta(0))
        assert signing(old, new, newest) == [newest]
        assert (endpoint.previous_secret, endpoint.older_secret) == (None, None)

    def test_let_no_old_secret_sign_longer_than_is_asked(self, delivery, signing, time_machine):
        start, old = timezone.now(), delivery.endpoint.secret
        new = rotate_secret(delivery.endpoint)[1]
        newest = rotate_secret(delivery.endpoint, overlap=timedelta(hours=1))[1]
        assert signing(old, new, newest) == [old, new, newest]
        time_machine.move_to(start + timedelta(hours=1, minutes=1))
        assert signing(old, new, newest) == [newest]

    def test_leave_no_secret_behind_whose_time_is_over(self, delivery, time_machine):
        start, endpoint = timezone.now(), delivery.endpoint
        for hours in (0, 20):
            time_machine.move_to(start + timedelta(hours=hours))
            rotate_secret(endpoint)
        assert forget_old_secrets() == 0
        time_machine.move_to(start + timedelta(hours=24, seconds=1))
        assert forget_old_secrets() == 1
        endpoint.refresh_from_db()
        assert (endpoint.older_secret, endpoint.older_secret_until) == (None, None)
        assert endpoint.previous_secret
        time_machine.move_to(start + timedelta(hours=44, seconds=1))
        assert forget_old_secrets() == 1
        endpoint.refresh_from_db()
        assert (endpoint.previous_secret, endpoint.previous_secret_until) == (None, None)
        assert endpoint.secret
