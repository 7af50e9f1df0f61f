"""What reaches the application before any middleware does."""

import io
import json

import pytest
from django.conf import settings
from django.core.signals import request_started
from django.db import close_old_connections
from django.test import RequestFactory
from django.utils.module_loading import import_string

BODY = json.dumps({"customer_name": "Zoë", "customer_email": "john@example.com", "amount": 50}).encode()


@pytest.fixture
def application():
    """The one that is served, but it leaves the test's connection open."""
    request_started.disconnect(close_old_connections)
    yield import_string(settings.WSGI_APPLICATION)
    request_started.connect(close_old_connections)


@pytest.fixture
def call(application, shop):
    def request(content_type: str, query: str = "", body: bytes = BODY, **changes: str) -> tuple[int, bytes]:
        environ = RequestFactory().generic("POST", "/api/v1/payments", body).environ
        environ |= {"CONTENT_TYPE": content_type, "QUERY_STRING": query, "wsgi.input": io.BytesIO(body), **changes}
        statuses = []
        response = application(environ, lambda status, headers: statuses.append(int(status.split()[0])))
        return statuses[0], b"".join(response)

    return request


class TestCharset:
    @pytest.mark.parametrize(
        "charset",
        [
            "utf-8", "latin-1", "utf-16", "utf-7", "bz2", "zlib", "hex", "base64", "rot13", "undefined", "idna",
            "punycode", "unicode_escape", "x-unknown", "", "mbcs", "oem",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("query", ["", "x=%ff%00", "é"])
    def test_of_a_client_changes_nothing(self, call, charset, query):
        status, body = call(f"application/json; charset={charset}", query.encode().decode("latin-1"))
        assert status == 201
        assert json.loads(body)["payment"]["customer_name"] == "Zoë"

    @pytest.mark.parametrize(
        "content_type",
        ["application/x-www-form-urlencoded; charset=bz2", "multipart/form-data; charset=hex; boundary=x"],
    )
    def test_of_a_form_is_refused_as_any_form(self, call, content_type):
        assert call(content_type)[0] == 415


class TestTooManyParameters:
    @pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
    def test_are_refused(self, call, content_type):
        status, body = call(content_type, "&".join(f"{n}=" for n in range(1001)))
        assert status == 400
        assert json.loads(body)["error"]["code"] == "invalid_request"


class TestChunkedBody:
    """Without a Content-Length, as streaming clients send it; the server has put the chunks together."""

    CHUNKED = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}

    @pytest.mark.parametrize("size", [0, 64 * 1024])
    def test_is_read(self, call, size):
        status, body = call("application/json", body=BODY.ljust(size), **self.CHUNKED)
        assert status == 201
        assert json.loads(body)["payment"]["amount"] == 50

    @pytest.mark.parametrize("size", [64 * 1024 + 1, 1_000_000])
    def test_has_the_same_limit(self, call, size):
        status, body = call("application/json", body=BODY.ljust(size), **self.CHUNKED)
        assert (status, json.loads(body)["error"]["code"]) == (413, "body_too_large")

    def test_that_is_empty_is_empty(self, call):
        status, body = call("application/json", body=b"", **self.CHUNKED)
        assert (status, json.loads(body)["error"]["code"]) == (400, "parameter_missing")
