"""The verifiers of docs/webhooks.md do what they say. One whose language is not installed is skipped."""

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
IN_NODE = """
const { secret, headers, body } = JSON.parse(require("node:fs").readFileSync(0));
process.stdout.write(String(verify(secret, headers, Buffer.from(body, "base64"))));
"""
IN_PHP = """
$message = json_decode(file_get_contents('php://stdin'), true);
echo json_encode(verify($message['secret'], $message['headers'], base64_decode($message['body'])));
"""
IN_GO = """
func main() {
	var message struct {
		Secret  string
		Headers map[string]string
		Body    []byte
	}
	if err := json.NewDecoder(os.Stdin).Decode(&message); err != nil {
		panic(err)
	}
	header := http.Header{}
	for name, value := range message.Headers {
		header.Set(name, value)
	}
	fmt.Print(Verify(message.Secret, header, message.Body, 5*time.Minute))
}
"""
GO_PACKAGES = "crypto/hmac crypto/sha256 encoding/base64 encoding/json fmt net/http os strconv strings time"


def block(language):
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[1]


# --- A verifier in each language, made once: (secret, headers, body) -> bool -------------------
def in_python(folder):
    names = {}
    exec(block("python"), names)  # noqa: S102 our own page
    return names["verify"]


def in_node(folder):
    return program(installed("node"), "-e", block("js") + IN_NODE)


def in_php(folder):
    return program(installed("php"), "-r", block("php") + IN_PHP)


def in_go(folder):
    go, imports = installed("go"), "".join(f'import "{name}"\n' for name in GO_PACKAGES.split())
    (folder / "main.go").write_text(f"package main\n{imports}{block('go')}{IN_GO}", encoding="utf-8")
    subprocess.run([go, "build", "-o", "verifier", "main.go"], cwd=folder, check=True)  # noqa: S603
    return program(str(folder / "verifier"))


def installed(language):
    return shutil.which(language) or pytest.skip(f"no {language} is installed")


def program(*command):
    """Takes a message on its input, and says true or false."""

    def verify(secret, headers, body):
        message = json.dumps({"secret": secret, "headers": headers, "body": base64.b64encode(body).decode()})
        done = subprocess.run(command, input=message, capture_output=True, text=True, check=True)  # noqa: S603
        return {"true": True, "false": False}[done.stdout]

    return verify


@pytest.fixture(scope="module", params=[in_python, in_node, in_php, in_go], ids=lambda make: make.__name__)
def verify(request, tmp_path_factory):
    return request.param(tmp_path_factory.mktemp("verifier"))


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
            {"webhook-timestamp": "9" * 400},
            {"webhook-timestamp": "9" * 5000},
            {"webhook-timestamp": "-9223372036854775808"},
            {"webhook-timestamp": "nan"},
            {"webhook-timestamp": "²"},
            {"webhook-signature": ""},
            {"webhook-signature": "v1,"},
            {"webhook-signature": "v1,é"},
        ],
        ids=lambda changed: ascii(changed)[:50],
    )
    def test_refuses_other_headers(self, verify, secret, changed):
        assert not verify(secret, {**message(secret), **changed}, BODY)

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_refuses_when_a_header_is_missing(self, verify, secret, name):
        headers = message(secret)
        del headers[name]
        assert not verify(secret, headers, BODY)

    @pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
    def test_in_python_refuses_what_is_no_text(self, secret, name):
        """Half of a surrogate pair, as servers hand over bytes that are no UTF-8; only Python has such texts."""
        assert not in_python(None)(secret, {**message(secret), name: "v1,\udcff"}, BODY)

    def test_refuses_another_body_or_secret(self, verify, secret):
        assert not verify(secret, message(secret), BODY.replace(b"50.00", b"50"))
        assert not verify(new_secret(), message(secret), BODY)
