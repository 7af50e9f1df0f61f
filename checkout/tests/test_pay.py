"""Paying on the page: the form, the worker behind it, and the way back."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from checkout.tests.conftest import DECLINED, THREE_D_SECURE, VISA
from payments.models import Payment
from payments.services.payments import MAX_PAYER_ATTEMPTS


def state(response):
    return response.context["state"]


class TestCard:
    def test_is_taken_and_completed(self, open_page, submit, payment, work):
        row = payment()
        response = submit(row)
        assert (response.status_code, response["Location"]) == (303, f"/pay/{row.pk}")
        assert state(open_page(row)) == "processing"
        work()
        page = open_page(row)
        assert state(page) == "completed"
        assert "4242" in page.content.decode()

    def test_a_decline_may_be_tried_again_with_another_card(self, open_page, submit, payment, work):
        row = payment()
        submit(row, card_number=DECLINED)
        work()
        declined = open_page(row)
        assert state(declined) == "payable"
        assert b"The card was declined" in declined.content
        submit(row)
        work()
        assert state(open_page(row)) == "completed"

    def test_the_fifth_decline_is_the_last(self, open_page, submit, payment, work):
        row = payment()
        for _attempt in range(MAX_PAYER_ATTEMPTS):
            submit(row, card_number=DECLINED)
            work()
        page = open_page(row)
        assert state(page) == "failed"
        assert b'name="card_number"' not in page.content

    def test_a_double_click_is_one_attempt(self, submit, payment, work):
        row = payment()
        submit(row, attempt=0)
        submit(row, attempt=0)
        work()
        assert submit(row, attempt=0).status_code == 303
        row.refresh_from_db()
        assert (row.payer_attempts, row.transactions.count(), row.status) == (1, 1, "completed")

    def test_a_form_that_was_open_too_long_shows_what_became_of_the_payment(self, open_page, submit, payment):
        row = payment()
        Payment.objects.filter(pk=row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
        assert submit(row).status_code == 303
        assert state(open_page(row)) == "expired"

    @pytest.mark.parametrize("written", ["12 / 40", "12/40", "1240", "12/2040", "12-40", " 12 / 40 "])
    def test_an_expiry_may_be_written_in_many_ways(self, submit, payment, written):
        row = payment()
        assert submit(row, card_expiry=written).status_code == 303
        row.refresh_from_db()
        assert (row.card_expiry_month, row.card_expiry_year) == (12, 2040)

    @pytest.mark.parametrize(
        ("field", "value", "error"),
        [
            ("card_number", "", "Enter the card number."),
            ("card_number", "4000056655665556", "This is not a test card."),
            ("card_number", "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢", "This is not a test card."),
            ("card_number", "4" * 33, "at most 32 characters"),
            ("card_number", "4242\x00", "Null characters"),
            ("card_expiry", "", "Enter the expiry"),
            ("card_expiry", "13 / 40", "Enter the expiry"),
            ("card_expiry", "00 / 40", "Enter the expiry"),
            ("card_expiry", "١٢ / ٤٠", "Enter the expiry"),
            ("card_expiry", "12 / 99", "Enter the expiry"),
            ("card_expiry", "01 / 20", "This card has expired."),
            ("card_cvc", "", "three or four digits"),
            ("card_cvc", "12", "three or four digits"),
            ("card_cvc", "١٢٣", "three or four digits"),
        ],
    )
    def test_an_error_stands_beside_its_field_and_above_the_form(self, submit, payment, field, value, error):
        row = payment()
        response = submit(row, **{field: value})
        html = response.content.decode()
        assert response.status_code == 422
        assert error in response.context["form"].errors[field][0]
        assert f'href="#id_{field}"' in html
        assert re.search(rf'name="{field}"[^>]*aria-invalid="true"[^>]*aria-describedby="([a-z-]+)"', html)
        assert row.transactions.count() == 0

    def test_every_mistake_is_named_at_once(self, submit, payment):
        response = submit(payment(), card_number="4000056655665556", card_expiry="01 / 20", card_cvc="x")
        assert set(response.context["form"].errors) == {"card_number", "card_expiry", "card_cvc"}

    @pytest.mark.parametrize("expiry", ["01 / 20", "12 / 40"])
    def test_number_and_code_are_never_sent_back(self, submit, payment, expiry):
        response = submit(payment(), card_number="4000056655665556", card_cvc="98765", card_expiry=expiry)
        html = response.content.decode()
        assert response.status_code == 422
        assert "4000056655665556" not in html
        assert "98765" not in html

    def test_number_and_code_are_stored_nowhere(self, submit, payment, work):
        row = payment()
        submit(row, card_number=VISA, card_cvc="987")
        work()
        rows = [Payment.objects.filter(pk=row.pk).values().get(), *row.transactions.values()]
        assert VISA not in str(rows)
        assert "'987'" not in str(rows)

    @pytest.mark.parametrize("method", [None, "", "cash", "credit_card\x00"])
    def test_a_way_to_pay_must_be_chosen(self, submit, payment, method):
        response = submit(payment(), method=method)
        assert response.status_code == 422
        assert "method" in response.context["form"].errors

    @pytest.mark.parametrize("attempt", [None, "", "x", "-1", "9" * 400])
    def test_a_broken_hidden_field_is_an_error_and_not_a_crash(self, submit, payment, attempt):
        row = payment()
        assert submit(row, attempt=attempt).status_code in (303, 422)
        assert row.transactions.count() == 0

    def test_a_live_merchants_page_takes_no_card(self, submit, payment):
        row = payment()
        row.merchant.mode = "live"
        row.merchant.save()
        response = submit(row)
        assert response.status_code == 422
        assert "not available" in response.context["form"].errors["method"][0]

    def test_a_forged_form_is_refused(self, payment):
        response = Client(enforce_csrf_checks=True).post(f"/pay/{payment().pk}", {"method": "paypal", "attempt": 0})
        assert response.status_code == 403
        assert b"This is not open to you" in response.content


class TestOtherMethods:
    @pytest.mark.parametrize(
        ("fields", "then"),
        [
            ({"method": "paypal"}, "requires_action"),
            ({"method": "mobile_money", "phone": "+233 20 123 4567"}, "requires_action"),
            ({"method": "bank_transfer"}, "bank_transfer"),
            ({"card_number": THREE_D_SECURE}, "requires_action"),
        ],
    )
    @pytest.mark.parametrize(("decision", "end"), [("approve", "completed"), ("decline", "payable")])
    def test_go_to_the_provider_and_come_back(
        self, client, open_page, submit, payment, work, fields, then, decision, end
    ):
        row = payment()
        submit(row, **fields)
        work()
        page = open_page(row)
        assert state(page) == then
        decided = client.post(page.context["action_url"].removeprefix("http://testserver"), {"decision": decision})
        assert decided["Location"] == f"/pay/{row.pk}/return"
        back = client.get(decided["Location"])
        assert (back.status_code, back["Location"]) == (303, f"/pay/{row.pk}?returned")
        work()
        assert state(open_page(row)) == end

    @pytest.mark.parametrize("phone", [None, "", "12345", "+1 23 45", "call me", "1" * 16, "+٢٣٣٢٠١٢٣٤٥٦٧"])
    def test_mobile_money_needs_a_number_that_can_be_called(self, submit, payment, phone):
        row = payment()
        response = submit(row, method="mobile_money", phone=phone)
        assert response.status_code == 422
        assert "country code" in response.context["form"].errors["phone"][0]
        assert row.transactions.count() == 0

    def test_a_number_typed_for_mobile_money_is_kept_in_the_form(self, submit, payment):
        response = submit(payment(), method="mobile_money", phone="12")
        assert 'value="12"' in response.content.decode()

    def test_coming_back_without_a_decision_offers_the_step_again(self, open_page, submit, seen, payment, work):
        row = payment()
        submit(row, card_number=THREE_D_SECURE)
        work()
        open_page(row, "/return")
        work()
        assert state(open_page(row, "?returned")) == "requires_action"
        assert "HX-Redirect" not in seen(row, "processing&returned").headers

    def test_a_transfer_that_was_sent_back_may_be_another_method(self, open_page, submit, payment, work):
        row = payment()
        submit(row, method="bank_transfer")
        work()
        assert submit(row, method="credit_card").status_code == 303
        work()
        assert state(open_page(row)) == "completed"

    def test_coming_back_proves_nothing(self, open_page, payment, work):
        row = payment()
        open_page(row, "/return")
        work()
        assert state(open_page(row)) == "payable"


class TestStatus:
    def test_is_silent_while_nothing_changes(self, seen, submit, payment):
        row = payment()
        submit(row)
        assert (seen(row, "processing").status_code, seen(row, "processing").content) == (204, b"")

    def test_brings_the_panel_in_its_new_state_and_the_title(self, seen, submit, payment, work):
        row = payment()
        submit(row)
        work()
        html = seen(row, "processing").content.decode()
        assert html.strip().startswith("<title>Payment complete")
        assert 'id="panel"' in html
        assert "hx-get" not in html
        assert "<html" not in html

    def test_brings_the_form_back_after_a_decline(self, seen, submit, payment, work):
        row = payment()
        submit(row, card_number=DECLINED)
        work()
        html = seen(row, "processing").content.decode()
        assert "The card was declined" in html
        assert "csrfmiddlewaretoken" in html

    def test_sends_the_payer_on_to_the_verification(self, seen, submit, payment, work):
        row = payment()
        submit(row, card_number=THREE_D_SECURE)
        work()
        row.refresh_from_db()
        assert seen(row, "processing")["HX-Redirect"] == row.next_action["url"]
        assert seen(row, "requires_action").status_code == 204

    def test_opened_by_hand_it_is_the_page(self, open_page, payment):
        row = payment()
        response = open_page(row, "/status")
        assert (response.status_code, response["Location"]) == (303, f"/pay/{row.pk}")


class TestCancel:
    def test_ends_a_payment_that_waits_for_its_payer(self, client, open_page, submit, payment):
        row = payment()
        assert client.post(f"/pay/{row.pk}/cancel")["Location"] == f"/pay/{row.pk}"
        page = open_page(row)
        assert state(page) == "cancelled"
        row.refresh_from_db()
        assert row.cancellation_reason == "requested_by_customer"
        assert submit(row).status_code == 303
        assert row.transactions.count() == 0

    def test_comes_too_late_for_a_paid_one(self, client, open_page, submit, payment, work):
        row = payment()
        submit(row)
        work()
        assert client.post(f"/pay/{row.pk}/cancel").status_code == 303
        assert state(open_page(row)) == "completed"

    def test_is_not_a_link(self, open_page, payment):
        assert open_page(payment(), "/cancel").status_code == 405


class TestReceipt:
    def test_says_all_that_a_receipt_must(self, open_page, submit, payment, work):
        row = payment(order_id="order-1042", description="Two loaves")
        submit(row)
        work()
        html = open_page(row, "/receipt").content.decode()
        for text in (
            "Receipt",
            "Acme",
            "$50.00",
            row.reference,
            "order-1042",
            "Two loaves",
            "John Doe",
            "Visa",
            "4242",
        ):
            assert text in html
        assert "no real money" in html

    def test_says_what_was_given_back(self, open_page, submit, payment, work):
        row = payment()
        submit(row)
        work()
        Payment.objects.filter(pk=row.pk).update(amount_refunded=1250)
        assert "$12.50" in open_page(row, "/receipt").content.decode()

    def test_there_is_none_before_the_money_is_there(self, open_page, payment):
        row = payment()
        assert open_page(row, "/receipt")["Location"] == f"/pay/{row.pk}"


class TestDemoPayment:
    def test_starts_a_payment_and_shows_its_page(self, client, shop):
        page = client.post("/demo/payment", follow=True)
        assert page.redirect_chain[0][1] == 303
        assert "$50.00" in page.content.decode()

    def test_exists_in_a_demo_only(self, client, shop, settings):
        settings.DEMO = False
        assert client.post("/demo/payment").status_code == 404
        assert not Payment.objects.exists()

    def test_is_refused_where_nobody_takes_payments(self, client, db):
        assert client.post("/demo/payment").status_code == 400

    def test_is_not_a_link(self, client, shop):
        assert client.get("/demo/payment").status_code == 405

    def test_the_front_page_has_the_button_and_the_first_request(self, client, shop):
        html = client.get("/").content.decode()
        assert 'action="/demo/payment"' in html
        assert "curl http://testserver/api/v1/payments" in html
