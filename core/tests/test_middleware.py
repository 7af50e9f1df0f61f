import json
import logging
import re

import pytest

from core.ids import is_id
from core.middleware import RequestIdFilter
from core.request_id import current_request_id, set_request_id

PAYMENTS = "/api/v1/payments"
BODY = {"customer_name": "John Doe", "customer_email": "john@example.com", "amount": 50.00}


class TestRequestId:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/", 200),
            ("GET", "/nothing", 404),
            ("GET", "/api/v1/health", 200),
            ("GET", "/api/v1/health/ready", 200),
            ("GET", "/api/nothing", 404),
            ("POST", PAYMENTS, 400),
            ("PUT", PAYMENTS, 405),
            ("OPTIONS", PAYMENTS, 405),
            ("GET", "/admin", 302),
            ("GET", "/static/nothing.css", 404),
        ],
    )
    def test_is_on_every_answer(self, api, shop, method, path, status):
        response = api.generic(method, path, "{}", content_type="application/json")
        assert response.status_code == status
        assert is_id(response["Request-Id"], "req")

    def test_is_on_a_refused_host(self, api, db):
        response = api.get(PAYMENTS, headers={"Host": "evil.example"})
        assert response.status_code == 400
        assert response.json()["error"]["request_id"] == response["Request-Id"]
        assert "evil" not in response.content.decode()

    def test_is_new_each_time_and_never_the_clients(self, api, db):
        ids = {api.get("/api/v1/health", headers={"Request-Id": "req_mine"})["Request-Id"] for _n in range(20)}
        assert len(ids) == 20
        assert "req_mine" not in ids

    def test_ends_with_the_request(self, api, db):
        api.get("/api/v1/health")
        assert current_request_id() == ""

    def test_is_on_the_event_of_the_request(self, pay, shop):
        response = pay()
        assert shop.events.get().request_id == response["Request-Id"]

    def test_stands_on_the_log_line_of_a_refusal(self, api, db, caplog):
        caplog.handler.addFilter(RequestIdFilter())
        response = api.get("/api/nothing")
        assert [record.request_id for record in caplog.records] == [response["Request-Id"]]

    def test_stands_on_every_log_line(self):
        record = logging.LogRecord("x", logging.INFO, "", 0, "", (), None)
        assert RequestIdFilter().filter(record)
        assert record.request_id == "-"
        set_request_id("req_1")
        RequestIdFilter().filter(record)
        set_request_id("")
        assert record.request_id == "req_1"


class TestSlash:
    @pytest.mark.parametrize("path", [PAYMENTS, f"{PAYMENTS}/"])
    def test_makes_no_difference_to_a_post(self, api, shop, path):
        response = api.post(path, json.dumps(BODY), content_type="application/json")
        assert response.status_code == 201
        assert response.json()["payment"]["amount"] == 50

    def test_makes_no_difference_to_a_get(self, api, pay):
        payment = pay().json()["payment"]
        one, other = (api.get(f"{PAYMENTS}/{payment['id']}{slash}") for slash in ("", "/"))
        assert one.status_code == other.status_code == 200
        assert one.content == other.content

    @pytest.mark.parametrize(
        "path",
        [
            "/api/v1/health/", "/api/v1/health/ready/", "/api/schema/", "/api/docs/", "/api/errors/",
        ],
    )  # fmt: skip
    def test_makes_no_difference_to_any_path_of_the_api(self, api, db, path):
        assert api.get(path).status_code == api.get(path[:-1]).status_code == 200

    def test_keeps_the_query(self, api, pay):
        payment = pay().json()["payment"]
        assert api.get(f"{PAYMENTS}/{payment['id']}/?x=/").status_code == 200

    @pytest.mark.parametrize("path", [f"{PAYMENTS}//", f"{PAYMENTS}///"])
    def test_twice_is_no_path(self, api, db, path):
        assert api.post(path, "{}", content_type="application/json").status_code == 404


class TestHeaders:
    def test_of_an_answer_tell_browsers_not_to_guess(self, pay):
        response = pay()
        assert response["Content-Type"] == "application/json"
        assert response["X-Content-Type-Options"] == "nosniff"
        assert response["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in response["Content-Security-Policy"]

    def test_of_the_api_set_no_cookie(self, pay, api):
        payment = pay()
        assert not payment.cookies
        assert not api.get(f"{PAYMENTS}/{payment.json()['payment']['id']}").cookies


class TestHealth:
    def test_answers_without_a_database(self, api):
        assert api.get("/api/v1/health").json() == {"health": {"web": "ok"}, "status": "success", "message": "Healthy."}

    def test_ready_names_each_part(self, api, db):
        response = api.get("/api/v1/health/ready")
        assert response.json()["health"] == {"database": "ok", "cache": "ok", "worker": "ok"}

    def test_is_not_ready_with_late_jobs(self, api, db, monkeypatch):
        monkeypatch.setattr("core.health.late_rows", lambda: {"Payment": 2, "Transaction": 1})
        response = api.get("/api/v1/health/ready")
        assert response.status_code == 503
        assert response["Retry-After"]
        assert response.json()["message"] == "database: ok, cache: ok, worker: late (3 jobs)"

    def test_is_not_ready_without_a_cache(self, api, db, monkeypatch):
        monkeypatch.setattr("core.health.cache.set", lambda *args, **kwargs: 1 / 0)
        assert re.search("cache: down", api.get("/api/v1/health/ready").json()["message"])


class TestLanguage:
    def test_of_the_api_is_english_whatever_the_client_reads(self, pay):
        response = pay(customer_name="", headers={"Accept-Language": "fr"})
        assert response.json()["message"] == "This field may not be blank."
        assert response["Content-Language"] == "en"

    def test_of_a_page_is_the_readers(self, client):
        assert client.get("/nowhere", headers={"Accept-Language": "fr"})["Content-Language"] == "fr"
