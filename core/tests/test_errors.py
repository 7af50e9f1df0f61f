import json
import logging

import pytest
from django.core.exceptions import PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404
from rest_framework import exceptions as drf

from core.errors import (
    MAX_FAULTS,
    ApiError,
    Invalid,
    NotFound,
    NotPermitted,
    ServerError,
    Unavailable,
    as_api_error,
    error_classes,
    shown_name,
)

PAYMENTS = "/api/v1/payments"
UNKNOWN = f"{PAYMENTS}/pay_00000000000000000000000000"
TYPES = {"invalid_request", "authentication", "permission", "not_found", "conflict", "idempotency", "rate_limit"}
TYPES |= {"unavailable", "api_error"}


@pytest.fixture
def broken(monkeypatch):
    """`broken(error)`: creating a payment raises it."""

    def by(error):
        def create_payment(**fields):
            raise error

        monkeypatch.setattr("payments.views.services.create_payment", create_payment)

    return by


class TestEnvelope:
    def test_says_what_and_where_and_for_whom(self, pay):
        response = pay(amount=-1)
        body = response.json()
        assert body == {
            "status": "error",
            "message": body["error"]["message"],
            "error": {
                "type": "invalid_request",
                "code": "amount_invalid",
                "message": "The amount must be a number above zero in plain digits, such as 50.00.",
                "param": "amount",
                "request_id": response["Request-Id"],
                "doc_url": "http://testserver/api/errors#amount_invalid",
                "fields": [{"param": "amount", "code": "amount_invalid", "message": body["message"]}],
            },
        }

    def test_names_every_fault_and_the_first_as_the_error(self, pay):
        error = pay(customer_name=None, customer_email="x", amount="x", currency="usd", colour=1).json()["error"]
        assert [(fault["param"], fault["code"]) for fault in error["fields"]] == [
            ("customer_name", "parameter_missing"),
            ("customer_email", "parameter_invalid"),
            ("amount", "amount_invalid"),
            ("currency", "currency_invalid"),
            ("colour", "parameter_unknown"),
        ]
        assert (error["param"], error["code"]) == ("customer_name", "parameter_missing")

    def test_of_a_fault_that_shows_late_has_fields_too(self, pay):
        error = pay(amount="0.001").json()["error"]
        assert [(fault["param"], fault["code"]) for fault in error["fields"]] == [("amount", "amount_precision")]

    def test_names_no_more_faults_than_helps(self, api, shop):
        body = {f"field{n}": n for n in range(3000)}
        error = api.post(PAYMENTS, body, content_type="application/json").json()["error"]
        assert len(error["fields"]) == MAX_FAULTS


class TestCodes:
    def test_every_kind_of_error_has_one_of_its_own(self):
        codes = [cls.code for cls in error_classes()]
        assert len(codes) == len(set(codes))
        assert all(code.replace("_", "").isalpha() and code.islower() for code in codes)

    def test_every_kind_of_error_has_a_type_a_status_and_a_sentence(self):
        for cls in error_classes():
            assert cls.type in TYPES
            assert 400 <= cls.status < 600
            assert cls.message.endswith((".", "!"))

    def test_each_is_explained_on_the_page_of_codes(self, api, db):
        page = api.get("/api/errors").content.decode()
        assert [cls.code for cls in error_classes() if f'id="{cls.code}"' not in page] == []


class TestNotFound:
    @pytest.mark.parametrize(
        "path",
        [
            "/api", "/api/", "/api/v1", "/api/v1/", "/api/v2/payments", "/api/v1/payment", UNKNOWN, f"{UNKNOWN}/",
            "/api/x", f"{UNKNOWN}//", "/api//v1/payments", f"{PAYMENTS}//", f"{PAYMENTS}/../payments",
            "/api/v1/%F0%9F%98%80", "/api/%2e",
        ],
    )  # fmt: skip
    def test_is_json_under_api(self, api, db, path):
        response = api.get(path)
        assert response.status_code == 404
        assert response["Content-Type"] == "application/json"
        error = response.json()["error"]
        assert (error["type"], error["code"], error["param"]) == ("not_found", "not_found", None)
        assert error["request_id"] == response["Request-Id"]

    @pytest.mark.parametrize("path", ["/nothing", "/apix", "/pay/x", "/payments", "/API/v1/payments", "/%00", "/%ff"])
    def test_is_a_page_elsewhere(self, api, db, path):
        response = api.get(path)
        assert response.status_code == 404
        assert response["Content-Type"].startswith("text/html")
        assert b"<html" in response.content


class TestMethodNotAllowed:
    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "PROPFIND", "TRACE", "BREW", "post"])
    def test_of_payments_names_what_is(self, api, shop, method):
        response = api.generic(method, PAYMENTS, "{}", content_type="application/json")
        if method == "post":
            assert response.status_code == 400
        else:
            assert response.status_code == 405
            assert "POST" in response["Allow"]
            assert response.json()["error"]["code"] == "method_not_allowed"

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_of_a_payment_names_what_is(self, api, pay, method):
        payment = pay().json()["payment"]
        response = api.generic(method, f"{PAYMENTS}/{payment['id']}", "{}", content_type="application/json")
        assert response.status_code == 405
        assert "GET" in response["Allow"]
        assert response.json()["error"]["param"] is None


class TestNotAcceptable:
    @pytest.mark.parametrize(
        "accept",
        [
            "text/html", "application/xml", "text/plain", "image/png", "application/x", "x",
        ],
    )  # fmt: skip
    def test_is_answered_as_json_all_the_same(self, api, pay, accept):
        for response in (api.get(UNKNOWN, headers={"Accept": accept}), pay(headers={"Accept": accept})):
            assert response.status_code == 406
            assert response.json()["error"]["code"] == "not_acceptable"

    @pytest.mark.parametrize(
        "accept",
        [
            "application/json", "*/*", "application/*", "text/html, */*;q=0.1", "application/json; charset=utf-8",
        ],
    )  # fmt: skip
    def test_does_not_concern_who_takes_json(self, pay, accept):
        assert pay(headers={"Accept": accept}).status_code == 201


class TestServerError:
    def test_shows_the_request_id_and_nothing_else(self, pay, broken, caplog):
        broken(RuntimeError("secret of the house"))
        response = pay()
        assert response.status_code == 500
        assert response.json() == {
            "status": "error",
            "message": ServerError.message,
            "error": {
                "type": "api_error",
                "code": "api_error",
                "message": ServerError.message,
                "param": None,
                "request_id": response["Request-Id"],
                "doc_url": "http://testserver/api/errors#api_error",
            },
        }
        assert "secret of the house" in caplog.text

    def test_of_a_page_is_a_page(self, api, db, monkeypatch):
        def fail(*args, **kwargs):
            raise RuntimeError("secret of the house")

        monkeypatch.setattr("config.urls.render", fail)
        response = api.get("/")
        assert response.status_code == 500
        assert response["Content-Type"].startswith("text/html")
        assert b"secret" not in response.content
        assert response["Request-Id"].encode() in response.content

    def test_keeps_nothing(self, pay, broken, shop):
        broken(RuntimeError)
        pay(headers={"Idempotency-Key": "k"})
        assert not shop.payments.exists()


class TestUnavailable:
    @pytest.mark.parametrize(
        "error",
        [
            OperationalError(1213, "Deadlock found"), OperationalError("database is locked"),
            InterfaceError("closed"),
        ], ids=repr,
    )  # fmt: skip
    def test_is_a_database_that_is_busy(self, pay, broken, error):
        broken(error)
        response = pay()
        assert response.status_code == 503
        assert response["Retry-After"] == "2"
        assert (response.json()["error"]["type"], response.json()["error"]["code"]) == ("unavailable", "unavailable")

    def test_leaves_the_key_free(self, pay, monkeypatch, shop):
        with monkeypatch.context() as patch:
            patch.setattr(
                "payments.views.services.create_payment", lambda **fields: (_ for _ in ()).throw(OperationalError)
            )
            assert pay(headers={"Idempotency-Key": "k"}).status_code == 503
        response = pay(headers={"Idempotency-Key": "k"})
        assert response.status_code == 201
        assert "Idempotent-Replayed" not in response


class TestAsApiError:
    @pytest.mark.parametrize(
        ("raised", "status", "code"),
        [
            (NotFound(), 404, "not_found"),
            (Http404("x"), 404, "not_found"),
            (PermissionDenied("x"), 403, "permission_denied"),
            (drf.ParseError("x"), 400, "json_invalid"),
            (drf.AuthenticationFailed("x"), 401, "not_authenticated"),
            (drf.NotAuthenticated("x"), 401, "not_authenticated"),
            (drf.PermissionDenied("x"), 403, "permission_denied"),
            (drf.NotFound("x"), 404, "not_found"),
            (drf.MethodNotAllowed("x"), 405, "method_not_allowed"),
            (drf.NotAcceptable("x"), 406, "not_acceptable"),
            (drf.UnsupportedMediaType("x"), 415, "media_type_unsupported"),
            (drf.Throttled(7), 429, "rate_limited"),
            (drf.ValidationError({"a": ["x"]}), 400, "parameter_invalid"),
            (drf.ValidationError("x"), 400, "parameter_invalid"),
            (OperationalError("x"), 503, "unavailable"),
            (drf.APIException("x"), 500, "api_error"),
            (ValueError("x"), 500, "api_error"),
            (RecursionError("x"), 500, "api_error"),
        ],
        ids=repr,
    )
    def test_says_what_was_raised_to_a_client(self, raised, status, code):
        error = as_api_error(raised)
        assert (error.status, error.code) == (status, code)

    def test_keeps_the_wait_of_a_throttle(self):
        assert as_api_error(drf.Throttled(7.2)).retry_after == 8
        assert as_api_error(drf.Throttled()).retry_after == 1

    def test_flattens_nested_faults(self):
        detail = {"items": [{"price": ["x"]}, {}], "non_field_errors": [drf.ErrorDetail("y", "required")]}
        error = as_api_error(drf.ValidationError(detail))
        assert isinstance(error, Invalid)
        assert [(fault["param"], fault["code"]) for fault in error.fields] == [
            ("items.price", "parameter_invalid"),
            ("", "parameter_missing"),
        ]

    def test_logs_a_busy_database(self, caplog):
        with caplog.at_level(logging.WARNING):
            assert isinstance(as_api_error(OperationalError("x")), Unavailable)
        assert "database busy" in caplog.text


class TestApiError:
    def test_takes_a_sentence_of_its_own(self):
        assert NotPermitted("No.").message == "No."
        assert NotPermitted().message == NotPermitted.message
        assert str(ApiError("No.", param="x")) == "No."


class TestShownName:
    @pytest.mark.parametrize(
        ("name", "shown"),
        [
            ("colour", "colour"),
            ("x" * 100, "x" * 64),
            ("", ""),
            ("address2", "address2"),
            ("4012888888881881", "…"),
            ("card 4012 8888 8888 1881!", "card …!"),
            ("4012-8888-8888-1881", "…"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ],
    )
    def test_is_short_and_holds_no_card_number(self, name, shown):
        assert shown_name(name) == shown

    def test_is_what_an_answer_repeats_of_an_unknown_field(self, api, shop):
        body = json.dumps({"x4012888888881881": 1, "y" * 999: 1, "card_4012888888881881": 2})
        for raw in (body, '{"z4012888888881881": 1, "z4012888888881881": 1}'):
            answer = api.post(PAYMENTS, raw, content_type="application/json").content
            assert b"4012888888881881" not in answer
            assert b"y" * 65 not in answer
