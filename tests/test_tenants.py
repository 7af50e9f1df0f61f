"""Nobody sees anything of another: not a row, not a number, not that it exists. Two merchants that share orders, payers
and idempotency keys, asked everything that can be asked, with everything that belongs to the other."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Customer, Membership, User
from accounts.services import add_member
from core.ids import new_id
from payments.models import Payment, Status, Transaction
from tests.questions import Query, documented, leaks, look, queries, takes_a_key, unlike
from tests.routes import Route, api_routes
from tests.tenants import PAYERS, Headers, logged_in, undone
from tests.valid_requests import World, arguments, body, send

pytestmark = pytest.mark.django_db

OWN = ("owner", "full")  # who may see most of a merchant: a person and a key
LISTS = ("/api/v1/payments", "/api/v1/transactions", "/api/v1/refunds")  # which take ?merchant_id=


def foreign_marks(world: World) -> set[str]:
    shared = set(Customer.objects.filter(email__in=PAYERS, merchant=world.own.merchant).values_list("email", flat=True))
    return world.rival.marks() - shared


def last_fours(response: Any) -> set[str]:
    return set(re.findall(r'"last4":"(\w{4})"', response.content.decode()))


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.fixture(params=OWN)
def own(request, world) -> Headers:
    """The headers of whoever may see most of the one merchant."""
    return world.headers[request.param]


def own_paths(world: World) -> Iterator[str]:
    """Every GET of the API, about the merchant's own objects."""
    for route in api_routes():
        yield route.path(arguments(world, route, world.own))


class TestReading:
    def test_finds_the_rival_where_it_looks_for_itself(self, world, client):
        """Or the others here would find nothing whatever happened."""
        for headers in (world.headers["rival"], world.rival.headers["full"]):
            assert leaks(client.get("/api/v1/payments", headers=headers), foreign_marks(world))

    def test_shows_nothing_of_another_merchant(self, world, client, own):
        marks = foreign_marks(world)
        last4 = {key.last4 for key in world.rival.keys.values()}
        for path in own_paths(world):
            response = client.get(path, headers=own)
            assert leaks(response, marks) == set(), path
            assert not last_fours(response) & last4, path

    def test_shows_nothing_whatever_is_asked_for(self, world, client, own):
        marks = foreign_marks(world)
        for path, query in self.questions(world):
            response = client.get(path, query, headers=own)
            assert response.status_code in (200, 400, 403, 404), (path, query)
            for sent in query.values():
                assert leaks(response, marks, sent=sent) == set(), (path, query)

    def test_tells_what_is_anothers_from_what_is_nobodys_by_nothing(self, world, client, own):
        marks = foreign_marks(world)
        theirs = {*marks, *(f"{direction}.{mark}" for mark in marks for direction in ("after", "before"))}
        asked = [(path, query) for path, query in self.questions(world) if theirs & set(query.values())]
        assert len(asked) > 100
        for path, query in asked:
            name, value = next(iter(query.items()))
            answers = [
                look(client.get(path, {**query, name: sent}, headers=own), sent) for sent in (value, unlike(value))
            ]
            assert answers[0] == answers[1], (path, query)

    @staticmethod
    def questions(world: World) -> Iterator[tuple[str, Query]]:
        own = {"order_id": "order-0", "payment_id": world.own.payments["pending"].pk, "payout_id": world.own.payout.pk}
        for template, parameters in documented().items():
            path = re.sub(r"{(\w+)}", lambda match: own.get(match[1], match[0]), template)
            for parameter in parameters:
                for query in queries(parameter, world.rival):
                    yield path, query

    @pytest.mark.parametrize("ordering", ["created", "-created"])
    def test_goes_through_all_of_its_own_page_by_page(self, world, client, own, ordering):
        for path, plural, rows in (
            ("/api/v1/payments", "payments", world.own.payments.values()),
            ("/api/v1/transactions", "transactions", world.own.transactions),
            ("/api/v1/refunds", "refunds", [world.own.refund]),
        ):
            seen, url = [], f"{path}?{urlencode({'ordering': ordering, 'page_size': 3})}"
            while url:
                page = client.get(url, headers=own).json()
                seen += [row["id"] for row in page[plural]]
                url = page["next"]
            assert seen == sorted((row.pk for row in rows), reverse=ordering == "-created")

    def test_shows_the_public_view_of_anothers_payment_as_to_anybody(self, world, client, own):
        path = f"/api/v1/payments/{world.rival.payments['completed'].pk}"
        shown, public = client.get(path, headers=own).json(), client.get(path).json()
        assert shown == public
        assert "metadata" not in shown["payment"]


class TestAnothersIds:
    def test_are_unknown_to_every_method(self, world, client, own):
        asked = set()
        for route, method in self.about_one_object():
            theirs = arguments(world, route, world.rival)
            nobodys = {name: unlike(value) for name, value in theirs.items()}
            answers = []
            for values in (theirs, nobodys):
                with undone():
                    response = send(client, method, route.path(values), body(world, route, method, "owner"), own)
                assert leaks(response, foreign_marks(world)) == set()
                answers.append(look(response, next(iter(values.values()))))
            assert answers[0] == answers[1], route
            assert answers[0][0] in (403, 404, 405), route
            asked.add(answers[0][0])
        assert 404 in asked

    @staticmethod
    def about_one_object() -> Iterator[tuple[Route, str]]:
        for route in api_routes():
            if route.arguments and route.arguments != ["order_id"]:
                for method in ("GET", "POST", "PATCH", "DELETE"):
                    if (route.name, method) != ("payment", "GET"):  # anybody with the id may read it
                        yield route, method

    def test_are_unknown_in_a_body_too(self, world, client, own):
        theirs = world.rival.payments["completed"].pk
        answers = [
            look(send(client, "POST", "/api/v1/refunds", {"payment_id": pk}, own), pk)
            for pk in (theirs, unlike(theirs))
        ]
        assert answers[0] == answers[1]
        assert answers[0][0] == 404

    def test_are_unknown_to_a_customer_too(self, world, client):
        theirs = [it for it in world.rival.payments.values() if it.customer_email != PAYERS[0]]
        paths = [(it.pk, f"/api/v1/payments/{it.pk}/transactions") for it in theirs]
        paths += [(it.pk, f"/api/v1/transactions/{it.pk}") for it in Transaction.objects.filter(payment__in=theirs)]
        for pk, path in paths:
            answers = [
                look(client.get(path.replace(pk, sent), headers=world.headers["cust"]), sent)
                for sent in (pk, unlike(pk))
            ]
            assert answers[0] == answers[1]
            assert answers[0][0] == 404


class TestWriting:
    def test_with_anothers_idempotency_key_is_a_request_of_its_own(self, world, client):
        keyed = [route for route in api_routes() if route.template in takes_a_key()]
        assert len(keyed) >= 6
        for route in keyed:
            with undone():
                for persona, tenant in (("rival", world.rival), ("owner", world.own)):
                    headers = {**world.headers[persona], "Idempotency-Key": "a-key-of-both"}
                    path, sent = route.path(arguments(world, route, tenant)), body(world, route, "POST", persona)
                    response = send(client, "POST", path, sent, headers)
                    assert response.status_code == 201, route
            assert "Idempotent-Replayed" not in response, route
            assert leaks(response, foreign_marks(world)) == set(), route

    def test_is_the_same_request_with_its_idempotency_key_in_the_body(self, world, client, own):
        for route in [route for route in api_routes() if route.template in takes_a_key()]:
            with undone():
                path, sent = route.path(arguments(world, route, world.own)), body(world, route, "POST", "owner")
                headers = world.headers["owner"]
                first = send(client, "POST", path, {**(sent or {}), "idempotency_key": "k"}, headers)
                again = send(client, "POST", path, sent, {**headers, "Idempotency-Key": "k"})
                assert (first.status_code, again.status_code) == (201, 201), route
                assert again["Idempotent-Replayed"] == "true", route

    def test_gets_its_own_row_for_a_key_that_both_have_used(self, world, client, own):
        answers = {}
        for name, headers in (("own", own), ("rival", world.rival.headers["full"])):
            fields = {"customer_name": "Payer", "customer_email": PAYERS[0], "amount": 50}
            for _again in range(2):
                response = send(
                    client, "POST", "/api/v1/payments", fields, {**headers, "Idempotency-Key": "a-key-of-both"}
                )
            assert response["Idempotent-Replayed"] == "true"
            answers[name] = response.json()["payment"]
        assert answers["own"]["id"] != answers["rival"]["id"]
        assert answers["own"]["merchant_id"] == world.own.merchant.pk

    def test_says_nothing_of_the_row_that_a_key_belongs_to(self, world, client, own):
        """order-0 is the idempotency key of a payment in both."""
        fields = {"customer_name": "Payer", "customer_email": PAYERS[0], "amount": 50}
        response = send(client, "POST", "/api/v1/payments", fields, {**own, "Idempotency-Key": "order-0"})
        assert (response.status_code, response.json()["error"]["code"]) == (422, "idempotency_key_reused")
        assert leaks(response, {*world.own.marks(), *foreign_marks(world)}) == set()

    def test_takes_an_order_that_is_paid_elsewhere(self, world, client, own):
        Payment.objects.filter(merchant=world.own.merchant, order_id="order-4").update(order_id="x", order_key=None)
        fields = {"customer_name": "Payer", "customer_email": PAYERS[0], "amount": 50, "order_id": "order-4"}
        assert send(client, "POST", "/api/v1/payments", fields, own).status_code == 201

    def test_takes_people_who_are_known_elsewhere_and_learns_nothing_of_them(self, world, client):
        for route, fields in (
            ("members", {"email": world.rival.users["admin"].email, "role": "viewer"}),
            ("customers", {"email": world.rival.idle.email, "name": "Somebody"}),
        ):
            response = send(client, "POST", f"/api/v1/{route}", fields, world.headers["owner"])
            assert response.status_code == 201
            assert leaks(response, foreign_marks(world), sent=fields["email"]) == set()


class TestNamingAMerchant:
    @pytest.mark.parametrize("persona", ["owner", "full", "cust", "new"])
    def test_that_is_anothers_is_naming_none(self, world, client, persona):
        headers = world.headers[persona]
        theirs, nobodys = world.rival.merchant.pk, new_id("mer")
        for path in LISTS:
            answers = [look(client.get(path, {"merchant_id": it}, headers=headers), it) for it in (theirs, nobodys)]
            assert answers[0] == answers[1]
            assert answers[0][0] == 404
        for path in own_paths(world):
            answers = [
                look(client.get(path, headers={**headers, "Tillgate-Merchant": it}), it) for it in (theirs, nobodys)
            ]
            assert answers[0] == answers[1]
            assert leaks(client.get(path, headers={**headers, "Tillgate-Merchant": theirs}), {theirs}) == set()

    def test_that_is_its_own_changes_nothing(self, world, client, own):
        pk = world.own.merchant.pk
        plain = client.get("/api/v1/payments", headers=own)
        for response in (
            client.get("/api/v1/payments", {"merchant_id": pk}, headers=own),
            client.get("/api/v1/payments", headers={**own, "Tillgate-Merchant": pk}),
        ):
            assert response.json()["payments"] == plain.json()["payments"]

    def test_twice_and_differently_is_refused(self, world, client, own):
        headers = {**own, "Tillgate-Merchant": world.own.merchant.pk}
        for other in (world.rival.merchant.pk, new_id("mer")):
            assert client.get("/api/v1/payments", {"merchant_id": other}, headers=headers).status_code == 400

    @pytest.mark.parametrize(
        "value", ["", "x", "mer_", "pay_01m7xt2s0arrqj7g231der0e2g", "%00", "é", "mer_" + "0" * 99]
    )
    def test_by_what_is_no_id_is_refused(self, world, client, own, value):
        assert client.get("/api/v1/payments", {"merchant_id": value}, headers=own).status_code == 400
        assert client.get("/api/v1/merchant", headers={**own, "Tillgate-Merchant": value}).status_code == 400


class TestAUserOfTwoMerchants:
    @pytest.fixture
    def both(self, world) -> Headers:
        """An owner of the one, who only looks at the other."""
        user = User.objects.create(email="both@people.example", name="Both", email_verified_at=timezone.now())
        add_member(world.own.merchant, user, Membership.Role.OWNER)
        add_member(world.rival.merchant, user, Membership.Role.VIEWER)
        return logged_in(user)

    def test_has_to_say_which(self, world, client, both):
        for path in ("payments", "transactions", "customers", "members", "api-keys", "merchant"):
            response = client.get(f"/api/v1/{path}", headers=both)
            assert (response.status_code, response.json()["error"]["code"]) == (400, "merchant_required")
            assert leaks(response, {*world.own.marks(), *foreign_marks(world)}) == set()

    @pytest.mark.parametrize("place", ["own", "rival"])
    def test_sees_the_one_that_is_named(self, world, client, both, place):
        tenant, other = (world.own, world.rival) if place == "own" else (world.rival, world.own)
        headers = {**both, "Tillgate-Merchant": tenant.merchant.pk}
        shared = {*PAYERS, "both@people.example"}
        for path in ("payments", "transactions", "customers", "members", "merchant"):
            response = client.get(f"/api/v1/{path}", {}, headers=headers)
            assert response.status_code == 200
            assert leaks(response, other.marks() - shared) == set()
            assert leaks(response, tenant.marks())

    def test_has_at_each_the_role_of_there(self, world, client, both):
        statuses = {}
        for tenant in (world.own, world.rival):
            headers = {**both, "Tillgate-Merchant": tenant.merchant.pk}
            invitation = {"email": "colleague@people.example", "role": "viewer"}
            statuses[tenant.word] = send(client, "POST", "/api/v1/members", invitation, headers).status_code
        assert statuses == {"zebra": 201, "quokka": 403}

    def test_cannot_reach_the_ones_rows_through_the_other(self, world, client, both):
        headers = {**both, "Tillgate-Merchant": world.own.merchant.pk}
        path = f"/api/v1/members/{world.rival.members['support'].pk}"
        assert client.get(path, headers=headers).status_code == 404
        assert send(client, "DELETE", path, {}, headers).status_code == 404

    def test_may_name_it_in_the_query_of_a_list(self, world, client, both):
        rows = client.get("/api/v1/payments", {"merchant_id": world.rival.merchant.pk}, headers=both).json()["payments"]
        assert {row["merchant_id"] for row in rows} == {world.rival.merchant.pk}
        assert len(rows) == len(Status)


class TestACustomer:
    """Payer one and payer two, who have both paid at both merchants."""

    @pytest.fixture
    def me(self, world) -> Headers:
        return world.headers["cust"]

    @staticmethod
    def others(world: World) -> set[str]:
        """What belongs to payments that somebody else has made."""
        payments = [
            it
            for it in chain(world.own.payments.values(), world.rival.payments.values())
            if it.customer_email != PAYERS[0]
        ]
        transactions = Transaction.objects.filter(payment__in=payments)
        marks = {PAYERS[1], *(it.customer_name for it in payments), *(it.reference for it in payments)}
        return marks | {it.pk for it in chain(payments, transactions)} | {str(it.money) for it in payments}

    def test_sees_what_they_paid_wherever_they_paid_it(self, world, client, me):
        rows = client.get("/api/v1/payments", {"page_size": 100}, headers=me).json()["payments"]
        assert {row["customer_email"] for row in rows} == {PAYERS[0]}
        assert {row["merchant_id"] for row in rows} == {world.own.merchant.pk, world.rival.merchant.pk}
        paid = Payment.objects.filter(customer_email=PAYERS[0])
        assert [row["id"] for row in rows] == list(paid.order_by("-pk").values_list("pk", flat=True))

    def test_sees_nothing_of_another_whatever_is_asked_for(self, world, client, me):
        others = self.others(world)
        for template, parameters in documented().items():
            mine = world.own.payments["pending"].pk
            path = template.replace("{payment_id}", mine).replace("{order_id}", "order-1")
            for parameter in parameters:
                for query in chain(queries(parameter, world.own), queries(parameter, world.rival)):
                    response = client.get(path, query, headers=me)
                    for sent in query.values():
                        assert leaks(response, others, sent=sent) == set(), (path, query)

    def test_sees_nothing_that_is_between_merchant_and_provider(self, world, client, me):
        transaction = next(it for it in world.own.transactions if it.payment.customer_email == PAYERS[0])
        for path in (
            "/api/v1/payments",
            "/api/v1/transactions",
            f"/api/v1/transactions/{transaction.pk}",
            f"/api/v1/payments/{transaction.payment_id}/transactions",
        ):
            response = client.get(path, headers=me)
            assert response.status_code == 200
            assert leaks(response, {"metadata", "customer_id", "provider", '"note"', "zebra reference"}) == set()

    def test_who_has_not_confirmed_the_address_sees_nothing(self, world, client):
        User.objects.filter(email=PAYERS[0]).update(email_verified_at=None)
        for path in ("/api/v1/payments", "/api/v1/transactions"):
            response = client.get(path, headers=world.headers["cust"])
            assert (response.status_code, response.json()["error"]["code"]) == (403, "email_unverified")
