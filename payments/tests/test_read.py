import pytest

from core.ids import new_id

PATH = "/api/v1/payments"
CARD = {"card_number": "4242424242424242", "card_expiry_month": 12, "card_expiry_year": 2040}


@pytest.fixture
def payment(pay):
    return pay(order_id="1").json()["payment"]


class TestRead:
    def test_gives_back_what_was_started(self, api, payment):
        response = api.get(f"{PATH}/{payment['id']}")
        assert response.status_code == 200
        assert response.json() == {"payment": payment, "status": "success", "message": "Payment is pending."}

    def test_needs_nothing_but_the_id(self, api, payment):
        for header in ({}, {"Authorization": "Basic \xff"}, {"Cookie": "session=x"}):
            assert api.get(f"{PATH}/{payment['id']}", headers=header).status_code == 200

    def test_refuses_a_credential_that_is_not_good(self, api, payment):
        response = api.get(f"{PATH}/{payment['id']}", headers={"Authorization": "Bearer x"})
        assert (response.status_code, response.json()["error"]["code"]) == (401, "token_invalid")

    def test_takes_one_query(self, api, payment, django_assert_num_queries):
        with django_assert_num_queries(1):
            api.get(f"{PATH}/{payment['id']}")

    def test_follows_the_payment(self, api, pay, work):
        payment = pay(**CARD).json()["payment"]
        work()
        response = api.get(f"{PATH}/{payment['id']}").json()
        assert response["message"] == "Payment is completed."
        assert {**response["payment"], "status": "pending", "updated_at": payment["updated_at"]} == payment

    def test_shows_what_the_payer_has_to_do(self, api, pay, work):
        payment = pay(**{**CARD, "card_number": "4000002500003155"}).json()["payment"]
        work()
        payment = api.get(f"{PATH}/{payment['id']}").json()["payment"]
        assert payment["status"] == "requires_action"
        assert payment["next_action"]["type"] == "redirect"
        assert payment["next_action"]["url"].startswith("http://testserver/sandbox/charges/ch_")

    def test_head_answers_without_a_body(self, api, payment):
        response = api.head(f"{PATH}/{payment['id']}")
        assert (response.status_code, response.content) == (200, b"")

    def test_ignores_a_query_and_a_body(self, api, payment):
        path = f"{PATH}/{payment['id']}"
        assert api.get(f"{path}?merchant_id=x&page_size=0&cursor=%00").status_code == 200
        assert api.generic("GET", path, b"\xff{", content_type="application/json").status_code == 200

    @pytest.mark.parametrize("language", ["fr", "de", "*", "x" * 5000, "\xff", "fr;q=x"])
    def test_speaks_to_anybody(self, api, payment, language):
        assert api.get(f"{PATH}/{payment['id']}", headers={"Accept-Language": language}).status_code == 200


class TestUnknown:
    def test_is_404(self, api, payment):
        for name in (new_id("pay"), new_id("cus"), payment["merchant_id"], payment["reference"]):
            response = api.get(f"{PATH}/{name}")
            assert response.status_code == 404
            assert response.json()["error"]["code"] == "not_found"

    def test_is_the_id_in_any_other_form(self, api, payment):
        pk = payment["id"]
        for name in (
            pk.upper(),
            pk.title(),
            pk[:-1],
            f"{pk}0",
            f"%20{pk}",
            f"{pk}%20",
            f"{pk}%0A",
            f"{pk}.json",
            f"{pk};x",
        ):
            assert api.get(f"{PATH}/{name}").status_code == 404

    def test_looks_the_same_as_any_other(self, api, db):
        one, other = (api.get(f"{PATH}/{name}").json() for name in (new_id("pay"), "nothing"))
        for body in (one, other):
            del body["error"]["request_id"]
        assert one == other
