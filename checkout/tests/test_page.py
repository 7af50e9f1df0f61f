"""The page of a payment, in every state that it can be in."""

import pytest
from django.utils import timezone

from checkout.presentation import STATES
from checkout.tests.conftest import DECLINED, REDIRECT, ROWS


class TestPage:
    def test_every_state_has_a_row_in_this_table(self):
        assert set(ROWS) == set(STATES)

    @pytest.mark.parametrize("state", ROWS)
    def test_says_who_is_paid_how_much_for_what(self, open_page, in_state, state):
        row = in_state(state)
        response = open_page(row)
        html = response.content.decode()
        assert response.status_code == 200
        assert response.context["state"] == state
        for text in ("Acme", "$50.00", "Two loaves", row.reference, "order-1042", str(STATES[state][0])):
            assert text in html

    @pytest.mark.parametrize("state", ROWS)
    def test_asks_for_news_only_while_there_can_be_any(self, open_page, in_state, state):
        live = state in {"processing", "slow", "requires_action", "bank_transfer"}
        assert (b"hx-get" in open_page(in_state(state)).content) == live

    @pytest.mark.parametrize("state", ROWS)
    def test_reloads_itself_without_javascript_only_while_a_machine_is_at_work(self, open_page, in_state, state):
        html = open_page(in_state(state)).content
        assert (b'<noscript><meta http-equiv="refresh"' in html) == (state in {"processing", "slow"})

    @pytest.mark.parametrize("state", ROWS)
    def test_offers_the_form_only_when_the_payment_can_be_paid(self, open_page, in_state, state):
        assert (b'name="card_number"' in open_page(in_state(state)).content) == (state == "payable")

    @pytest.mark.parametrize("state", ROWS)
    def test_offers_to_cancel_only_what_waits_for_the_payer(self, open_page, in_state, state):
        waits = state in {"payable", "requires_action", "bank_transfer"}
        assert (b"/cancel" in open_page(in_state(state)).content) == waits

    @pytest.mark.parametrize("state", ROWS)
    def test_is_never_cached_and_keeps_the_strict_policy(self, open_page, in_state, state):
        response = open_page(in_state(state))
        assert "no-store" in response["Cache-Control"]
        assert "unsafe" not in response["Content-Security-Policy"]
        assert b" style=" not in response.content

    def test_a_payment_past_its_time_is_expired_before_the_worker_says_so(self, open_page, in_state):
        row = in_state("payable", expires_at=timezone.now())
        assert open_page(row).context["state"] == "expired"

    def test_a_verification_page_is_one_button_away(self, open_page, in_state):
        assert f'href="{REDIRECT["url"]}"' in open_page(in_state("requires_action")).content.decode()

    def test_an_action_without_an_address_offers_no_button(self, open_page, in_state):
        html = open_page(in_state("requires_action", next_action=None)).content
        assert b"Continue to" not in html

    def test_a_bank_transfer_shows_the_account_and_another_way(self, open_page, in_state):
        html = open_page(in_state("bank_transfer")).content.decode()
        for text in ("0123456789", "7K2M9QX4AB", "I have sent the transfer", "?change"):
            assert text in html

    def test_somebody_told_to_transfer_may_choose_again(self, open_page, in_state):
        assert open_page(in_state("bank_transfer"), "?change").context["state"] == "payable"

    def test_change_means_nothing_to_a_paid_payment(self, open_page, in_state):
        assert open_page(in_state("completed"), "?change").context["state"] == "completed"

    def test_the_method_of_the_request_is_chosen_already(self, open_page, payment):
        html = open_page(payment(payment_method="mobile_money")).content.decode()
        assert 'value="mobile_money" checked' in html

    def test_a_debit_card_stays_one(self, open_page, payment):
        assert 'value="debit_card" checked' in open_page(payment(payment_method="debit_card")).content.decode()

    def test_a_decline_shows_its_reason_over_the_form(self, open_page, in_state):
        html = open_page(in_state("payable", failure_code="insufficient_funds")).content.decode()
        assert "insufficient funds" in html
        assert 'name="card_number"' in html

    def test_a_card_in_flight_shows_progress_and_no_form(self, open_page, payment):
        row = payment(card_number=DECLINED, card_expiry_month=12, card_expiry_year=2040)
        assert open_page(row).context["state"] == "processing"

    def test_text_of_others_is_text_and_not_markup(self, open_page, payment):
        row = payment(description="<script>alert(1)</script>", customer_name="<b>x")
        assert b"<script>alert(1)" not in open_page(row).content

    def test_a_sandbox_merchants_page_says_so_and_lists_test_cards(self, open_page, in_state):
        html = open_page(in_state("payable")).content.decode()
        assert "no real money" in html
        assert "4242 4242 4242 4242" in html
        assert "3782 822463 10005" in html

    def test_a_live_merchants_page_has_no_card_inputs_and_no_test_cards(self, open_page, in_state):
        row = in_state("payable")
        row.merchant.mode = "live"
        row.merchant.save()
        html = open_page(row).content.decode()
        for text in ("no real money", "card_number", "4242"):
            assert text not in html

    @pytest.mark.parametrize("below", ["", "/status", "/return", "/receipt"])
    @pytest.mark.parametrize("payment_id", ["pay_01m7xt2s0arrqj7g231der0e2g", "pay_nonsense", "../admin"])
    def test_an_unknown_payment_is_a_friendly_404(self, client, db, payment_id, below):
        response = client.get(f"/pay/{payment_id}{below}")
        assert response.status_code == 404
        assert b"There is nothing here" in response.content

    def test_another_kind_of_id_is_a_404(self, client, shop):
        assert client.get(f"/pay/{shop.pk}").status_code == 404

    def test_other_methods_are_not_allowed(self, client, payment):
        assert client.delete(f"/pay/{payment().pk}").status_code == 405


class TestReturnLink:
    @pytest.mark.parametrize(
        ("url", "start"),
        [
            ("https://shop.example.com/done", "https://shop.example.com/done?"),
            ("https://shop.example.com/done?cart=7&x=#paid", "https://shop.example.com/done?cart=7&x=&"),
        ],
    )
    def test_adds_the_payment_and_its_status_to_the_query(self, open_page, in_state, url, start):
        row = in_state("completed", return_url=url)
        link = open_page(row).context["return_link"]
        assert link.startswith(f"{start}payment_id={row.pk}&status=completed")
        assert link.endswith("#paid") == url.endswith("#paid")

    def test_there_is_none_without_a_return_url(self, open_page, in_state):
        response = open_page(in_state("completed"))
        assert response.context["return_link"] == ""
        assert b"Return to" not in response.content


class TestLanguage:
    def test_speaks_french_to_a_french_browser(self, open_page, in_state):
        response = open_page(in_state("payable"), headers={"Accept-Language": "fr-CA,fr;q=0.9"})
        html = response.content.decode()
        assert response["Content-Language"] == "fr"
        assert "Accept-Language" in response["Vary"]
        for text in ('<html lang="fr">', "Comment souhaitez-vous payer", "Numéro de carte"):
            assert text in html
        assert "How would you like" not in html

    def test_writes_the_amount_as_the_french_do(self, open_page, in_state):
        html = open_page(in_state("payable"), headers={"Accept-Language": "fr"}).content.decode()
        assert "50,00\N{NO-BREAK SPACE}$US" in html

    def test_speaks_english_to_anybody_else(self, open_page, in_state):
        response = open_page(in_state("payable"), headers={"Accept-Language": "ja"})
        assert "How would you like to pay?" in response.content.decode()

    @pytest.mark.parametrize(("currency", "amount", "shown"), [("JPY", 5000, "¥5,000"), ("KWD", "1.234", "1.234")])
    def test_shows_the_decimals_of_the_currency(self, open_page, payment, currency, amount, shown):
        assert shown in open_page(payment(currency=currency, amount=amount)).content.decode()
