"""The verifiers of docs/webhooks.md do what they say."""

import base64
import json
import re
import shutil
import subprocess
import time

import pytest
from django.conf import settings

from notifications.signatures import new_secret, signed_headers

PAGE = (settings.BASE_DIR / "docs" / "webhooks.md").read_text(encoding="utf-8")
BODY = '{"type":"payment.completed","data":{"amount":50.00,"name":"é"}}'.encode()
NODE = shutil.which("node")
CALL = """
const { secret, headers, body } = JSON.parse(require("node:fs").readFileSync(0));
process.stdout.write(String(verify(secret, headers, Buffer.from(body, "base64"))));
"""


def block(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[1]


def in_python(secret, headers, body):
    names = {}
    exec(block("python"), names)  # noqa: S102 our own page
    return names["verify"](secret, headers, body)


def in_node(secret, headers, body):
    if NODE is None:
        pytest.skip("no Node is installed")
    message = json.dumps({"secret": secret, "headers": headers, "body": base64.b64encode(body).decode()})
    done = subprocess.run([NODE, "-e", block("js") + CALL], input=message, capture_output=True, text=True, check=True)  # noqa: S603
    return {"true": True, "false": False}[done.stdout]


@pytest.fixture(params=[in_python, in_node], ids=lambda verify: verify.__name__)
def verify(request):
    return request.param


@pytest.fixture
def secret():
    return new_secret()


def message(*secrets, age=0):
    return signed_headers(secrets, message_id="evt_1", timestamp=int(time.time()) - age, body=BODY)


class TestVerifier:
    def test_takes_what_we_send(self, verify, secret):
        assert verify(secret, message(secret), BODY)

    def test_takes_both_secrets_while_they_rotate(self, verify, secret):
        old = new_secret()
        assert verify(old, message(secret, old), BODY)
        assert verify(secret, message(secret, old), BODY)

    @pytest.mark.parametrize("age", [400, -400])
    def test_refuses_what_is_too_old_or_too_new(self, verify, secret, age):
        assert not verify(secret, message(secret, age=age), BODY)

    @pytest.mark.parametrize(
        "changed",
        [
            {"webhook-id": "evt_2"},
            {"webhook-timestamp": "soon"},
            {"webhook-timestamp": ""},
            {"webhook-signature": ""},
            {"webhook-signature": "v1,"},
            {"webhook-signature": "v1,é"},
        ],
        ids=str,
    )
    def test_refuses_other_headers(self, verify, secret, changed):
        assert not verify(secret, {**message(secret), **changed}, BODY)

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_refuses_when_a_header_is_missing(self, verify, secret, name):
        headers = message(secret)
        del headers[name]
        assert not verify(secret, headers, BODY)

    def test_refuses_another_body_or_secret(self, verify, secret):
        assert not verify(secret, message(secret), BODY.replace(b"50.00", b"50"))
        assert not verify(new_secret(), message(secret), BODY)
