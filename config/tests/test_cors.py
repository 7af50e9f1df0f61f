"""Which requests a browser may make for pages of other origins."""

import pytest

PAGE = "https://page.example"
PAYMENT = "/api/v1/payments/pay_01m7xt2s0arrqj7g231der0e2g"


def preflight(api, path, method, headers="content-type,idempotency-key", origin=PAGE):
    asked = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return api.options(path, headers=asked)


class TestPublic:
    @pytest.mark.parametrize(("method", "path"), [("POST", "/api/v1/payments"), ("GET", PAYMENT)])
    def test_requests_are_open_to_every_page(self, api, method, path):
        answer = preflight(api, path, method)
        assert answer.status_code == 200
        assert answer["Access-Control-Allow-Origin"] == PAGE
        assert {"content-type", "idempotency-key"} <= set(answer["Access-Control-Allow-Headers"].split(", "))
        assert "Access-Control-Allow-Credentials" not in answer

    def test_answers_may_be_read(self, api, pay, db):
        answer = pay(headers={"Origin": PAGE})
        assert (answer.status_code, answer["Access-Control-Allow-Origin"]) == (201, PAGE)
        assert "Request-Id" in answer["Access-Control-Expose-Headers"]
        assert "origin" in answer["Vary"]

    def test_refusals_may_be_read_too(self, api, pay):
        refused = pay(headers={"Origin": PAGE}, amount="x")
        assert (refused.status_code, refused["Access-Control-Allow-Origin"]) == (400, PAGE)

    def test_with_a_slash_at_the_end_are_the_same(self, api):
        assert preflight(api, "/api/v1/payments/", "POST")["Access-Control-Allow-Origin"] == PAGE


class TestTheRest:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/api/v1/payments"),
            ("PATCH", PAYMENT),
            ("POST", f"{PAYMENT}/cancel"),
            ("GET", f"{PAYMENT}/transactions"),
            ("POST", "/api/v1/auth/token"),
            ("GET", "/api/v1/merchant"),
            ("POST", "/api/v1/api-keys"),
            ("POST", "/admin/login/"),
            ("POST", "/pay/pay_01m7xt2s0arrqj7g231der0e2g"),
        ],
    )
    def test_is_closed_to_pages_of_elsewhere(self, api, db, method, path):
        assert "Access-Control-Allow-Origin" not in preflight(api, path, method)

    def test_is_open_to_the_origins_in_the_settings(self, api, settings):
        settings.CORS_ALLOWED_ORIGINS = [PAGE]
        answer = preflight(api, "/api/v1/merchant", "PATCH", "authorization,tillgate-merchant")
        assert answer["Access-Control-Allow-Origin"] == PAGE
        assert {"authorization", "tillgate-merchant"} <= set(answer["Access-Control-Allow-Headers"].split(", "))
        other = preflight(api, "/api/v1/merchant", "PATCH", origin="https://page.example.evil")
        assert "Access-Control-Allow-Origin" not in other

    @pytest.mark.parametrize("origin", ["null", "x" * 5000, "é"])
    def test_survives_odd_origins(self, api, db, origin):
        assert preflight(api, "/api/v1/payments", "POST", origin=origin).status_code == 200
