"""A merchant's customers."""

import pytest
from django.db import IntegrityError, connection

from accounts.models import Customer
from accounts.services import create_merchant

JOHN = {"email": "john@example.com", "name": "John Doe"}


@pytest.fixture
def add(api, owner):
    def post(headers=None, **body):
        headers = {**owner, **(headers or {})}
        return api.post("/api/v1/customers", {**JOHN, **body}, headers=headers, content_type="application/json")

    return post


@pytest.fixture
def john(add):
    return add(phone="+1 202 555 0143").json()["customer"]


@pytest.fixture
def change(api, owner, john):
    path = f"/api/v1/customers/{john['id']}"
    return lambda **body: api.patch(path, body, headers=owner, content_type="application/json")


class TestCreate:
    def test_answers_with_the_customer(self, add):
        answer = add(email="John@Example.com", location="Lagos")
        assert answer.status_code == 201
        customer = answer.json()["customer"]
        assert customer["id"].startswith("cus_")
        assert customer == {
            **JOHN,
            "id": customer["id"],
            "phone": None,
            "location": "Lagos",
            "created_at": customer["created_at"],
        }

    def test_an_address_belongs_to_one_customer(self, add, john):
        refused = add(email="JOHN@example.com")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "customer_exists")

    def test_another_merchant_may_have_the_same_address(self, add):
        Customer.objects.create(merchant=create_merchant(name="Rival"), **JOHN)
        assert add().status_code == 201

    def test_a_repeated_request_makes_one(self, add):
        first = add({"Idempotency-Key": "k"})
        again = add({"Idempotency-Key": "k"})
        assert (again.status_code, again.json(), again["Idempotent-Replayed"]) == (201, first.json(), "true")
        assert add({"Idempotency-Key": "k"}, name="Jane").json()["error"]["code"] == "idempotency_key_reused"

    @pytest.mark.parametrize(
        ("name", "value", "code"),
        [
            ("email", "john", "parameter_invalid"),
            ("email", None, "parameter_missing"),
            ("email", "jöhn@example.com", "parameter_invalid"),
            ("email", f"{'a' * 250}@example.com", "parameter_invalid"),
            ("name", " ", "parameter_missing"),
            ("name", "a" * 201, "parameter_invalid"),
            ("name", 5, "parameter_invalid"),
            ("phone", "1" * 33, "parameter_invalid"),
            ("id", "cus_01m7xt2s0arrqj7g231der0e2g", "parameter_unknown"),
            ("merchant", "x", "parameter_unknown"),
        ],
    )
    def test_refuses_nonsense(self, add, name, value, code):
        answer = add(**{name: value})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)
        assert not Customer.objects.exists()


class TestFoundFromPayments:
    def test_a_payment_makes_its_customer(self, api, pay, owner):
        pay(customer_email="Jane@Example.com", customer_name="Jane")
        customers = api.get("/api/v1/customers", headers=owner).json()["customers"]
        assert [(it["email"], it["name"]) for it in customers] == [("jane@example.com", "Jane")]

    def test_a_payment_finds_a_known_one_and_does_not_change_it(self, api, pay, john, owner):
        payment = pay(customer_name="Mallory", customer_phone="+666").json()["payment"]
        seen = api.get(f"/api/v1/payments/{payment['id']}", headers=owner).json()["payment"]
        assert seen["customer_id"] == john["id"]
        assert api.get(f"/api/v1/customers/{john['id']}", headers=owner).json()["customer"] == john


class TestChange:
    def test_changes_what_is_sent(self, change, john):
        assert change(name="Johnny", phone="").json()["customer"] == {**john, "name": "Johnny", "phone": None}

    def test_to_an_address_that_is_taken_is_refused(self, add, change):
        add(email="jane@example.com")
        assert change(email="Jane@example.com").json()["error"]["code"] == "customer_exists"

    def test_to_their_own_address_in_another_spelling_is_nothing(self, change, john):
        assert change(email="JOHN@EXAMPLE.COM").json()["customer"] == john

    def test_of_nothing_is_fine(self, change, john):
        assert change().json()["customer"] == john


class TestDelete:
    def test_one_without_payments_is_gone(self, api, owner, john):
        path = f"/api/v1/customers/{john['id']}"
        assert api.delete(path, headers=owner).json()["customer"] == john
        assert api.get(path, headers=owner).status_code == 404
        assert api.delete(path, headers=owner).status_code == 404

    def test_one_with_payments_stays(self, api, owner, pay, john):
        pay()
        refused = api.delete(f"/api/v1/customers/{john['id']}", headers=owner)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "customer_in_use")
        assert Customer.objects.filter(pk=john["id"]).exists()

    def test_one_that_pays_at_this_moment_stays(self, api, owner, john):
        """Paid between our look and the deletion: the database refuses it."""

        def paid(run, sql, *rest):
            if sql.startswith("DELETE"):
                raise IntegrityError("FOREIGN KEY constraint failed")
            return run(sql, *rest)

        with connection.execute_wrapper(paid):
            refused = api.delete(f"/api/v1/customers/{john['id']}", headers=owner)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "customer_in_use")


class TestList:
    def test_shows_the_newest_first_in_pages(self, api, owner, add):
        for number in range(5):
            add(email=f"c{number}@example.com")
        seen, url = [], "/api/v1/customers?page_size=2"
        while url:
            page = api.get(url, headers=owner).json()
            seen += [customer["email"] for customer in page["customers"]]
            url = page["next"]
        assert sorted(seen) == [f"c{number}@example.com" for number in range(5)]

    def test_finds_an_address_however_it_is_spelled(self, api, owner, add, john):
        add(email="jane@example.com")
        answer = api.get("/api/v1/customers?email=John@Example.COM", headers=owner)
        assert answer.json()["customers"] == [john]

    @pytest.mark.parametrize(
        "query",
        [
            "mail=x",
            "email=%00",
            "email=%F0%9F%98%80",
            "page_size=0",
            "page_size=1000000000",
            "page_size=x",
            "cursor=x",
            "cursor=after.pay_01m7xt2s0arrqj7g231der0e2g",
            "cursor=after.cus_01m7xt2s0arrqj7g231der0e2g%00",
        ],
    )
    def test_refuses_parameters_that_make_no_sense(self, api, owner, query):
        answer = api.get(f"/api/v1/customers?{query}", headers=owner)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] in query
