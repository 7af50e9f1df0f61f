"""The pages that a payer meets."""

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from sandbox import services
from sandbox.models import Charge, Dispute, Notice, Operation
from sandbox.tests.conftest import RETURN_URL

pytestmark = pytest.mark.django_db

PAGES = {
    "card": "sandbox/three_d_secure.html",
    "mobile_money": "sandbox/mobile_money.html",
    "paypal": "sandbox/paypal.html",
    "bank_transfer": "sandbox/bank_transfer.html",
}


@pytest.fixture
def page(charge, settle):
    """The address of a charge that waits for its payer."""

    def start(method="card", **parameters):
        if method == "card":
            parameters["token"] = "tok_three_d_secure"
        answer = charge(method=method, **parameters)
        settle()
        return f"/sandbox/charges/{answer['id']}"

    return start


def templates(response):
    return [template.name for template in response.templates]


class TestPage:
    @pytest.mark.parametrize(("method", "template"), PAGES.items())
    def test_shows_what_is_paid_to_each_kind_of_payer(self, client, page, method, template):
        response = client.get(page(method))
        assert response.status_code == 200
        assert template in templates(response)
        assert b'name="decision"' in response.content
        assert b"Two loaves" in response.content
        assert "no-store" in response["Cache-Control"]

    def test_is_the_address_in_next_action(self, client, page):
        path = page()
        url = services.retrieve_charge(key="txn_1")["next_action"]["url"]
        assert url == f"http://testserver{path}"

    @pytest.mark.parametrize("method", PAGES)
    @pytest.mark.parametrize(("decision", "status"), [("approve", "succeeded"), ("decline", "failed")])
    def test_takes_the_decision_and_goes_back_to_the_caller(self, client, page, settle, method, decision, status):
        response = client.post(page(method), {"decision": decision})
        assert (response.status_code, response["Location"]) == (303, RETURN_URL)
        settle()
        assert Charge.objects.get().status == status

    @pytest.mark.parametrize("decision", [{}, {"decision": "perhaps"}, {"decision": ""}])
    def test_asks_again_when_the_decision_makes_no_sense(self, client, page, decision):
        response = client.post(page(), decision)
        assert response.status_code == 400
        assert b"Choose whether" in response.content
        assert Charge.objects.get().status == "requires_action"

    def test_a_second_decision_shows_the_end_and_changes_nothing(self, client, page, settle):
        path = page()
        client.post(path, {"decision": "approve"})
        response = client.post(path, {"decision": "decline"})
        assert (response.status_code, "sandbox/done.html" in templates(response)) == (200, True)
        assert RETURN_URL.encode() in response.content
        settle()
        assert Charge.objects.get().status == "succeeded"

    def test_a_charge_that_waits_for_nobody_shows_the_end(self, client, paid):
        response = client.get(f"/sandbox/charges/{paid()['id']}")
        assert "sandbox/done.html" in templates(response)
        assert b'name="decision"' not in response.content

    def test_ends_on_its_own_page_when_the_caller_gave_no_address(self, client, page):
        response = client.post(page(return_url=""), {"decision": "approve"})
        assert (response.status_code, "sandbox/done.html" in templates(response)) == (200, True)

    def test_decides_once_when_two_decisions_cross(self, client, page, monkeypatch):
        path = page()
        monkeypatch.setattr(services, "decide", lambda **_: False)
        response = client.post(path, {"decision": "approve"})
        assert "sandbox/done.html" in templates(response)

    @pytest.mark.parametrize("charge_id", ["ch_01m7xt2s0arrqj7g231der0e2g", "ch_nonsense", "1"])
    def test_an_unknown_charge_is_404(self, client, charge_id):
        assert client.get(f"/sandbox/charges/{charge_id}").status_code == 404
        assert client.post(f"/sandbox/charges/{charge_id}", {"decision": "approve"}).status_code == 404

    def test_other_methods_are_not_allowed(self, client, page):
        assert client.delete(page()).status_code == 405

    def test_a_forged_form_is_refused(self, page):
        response = Client(enforce_csrf_checks=True).post(page(), {"decision": "approve"})
        assert response.status_code == 403
        assert Charge.objects.get().status == "requires_action"

    def test_a_description_is_text_and_not_markup(self, client, page):
        response = client.get(page(description="<script>alert(1)</script>"))
        assert b"<script>alert(1)" not in response.content


class TestAdmin:
    @pytest.mark.parametrize("model", [Charge, Operation, Dispute, Notice])
    def test_shows_the_books_and_changes_nothing(self, client, paid, later, model):
        answer = paid(token="tok_dispute_fraudulent")
        services.create_refund(key="re_1", charge_id=answer["id"], amount=1000)
        later()
        client.force_login(get_user_model().objects.create_superuser("admin@example.com"))
        books = f"/admin/sandbox/{model._meta.model_name}/"
        row = f"{books}{model.objects.first().pk}/"
        assert client.get(books, {"q": "txn_1"}).status_code == 200
        assert client.get(f"{row}change/").status_code == 200
        assert client.get(f"{books}add/").status_code == 403
        assert client.post(f"{row}change/", {}).status_code == 403
        assert client.post(f"{row}delete/", {"post": "yes"}).status_code == 403
