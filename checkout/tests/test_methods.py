"""The page offers what the merchant offers, in its order, and takes nothing else."""

import re

import pytest

EVERYTHING = ["credit_card", "debit_card", "paypal", "bank_transfer", "mobile_money"]


@pytest.fixture
def offer(shop):
    """The merchant offers these from now on."""

    def change(*methods):
        shop.payment_methods = list(methods)
        shop.save(update_fields=["payment_methods"])

    return change


def radios(response):
    """The methods to choose from, in the order of the page."""
    return re.findall(r'<input type="radio"[^>]* name="method" value="([a-z_]+)"', response.content.decode())


def chosen(response):
    return re.findall(r'name="method" value="([a-z_]+)" checked', response.content.decode())


class TestOffer:
    @pytest.mark.parametrize(
        ("offered", "shown"),
        [
            (EVERYTHING, ["credit_card", "paypal", "bank_transfer", "mobile_money"]),
            (["mobile_money", "paypal"], ["mobile_money", "paypal"]),
            (["bank_transfer", "credit_card"], ["bank_transfer", "credit_card"]),
            (["paypal", "debit_card", "mobile_money", "credit_card"], ["paypal", "debit_card", "mobile_money"]),
        ],
    )
    def test_is_the_merchants_in_its_order(self, open_page, payment, offer, offered, shown):
        offer(*offered)
        response = open_page(payment())
        assert radios(response) == shown
        assert chosen(response) == shown[:1]

    @pytest.mark.parametrize(
        ("cards", "label"),
        [(["credit_card", "debit_card"], "Card"), (["credit_card"], "Credit card"), (["debit_card"], "Debit card")],
    )
    def test_says_which_cards_unless_it_takes_both(self, open_page, payment, offer, cards, label):
        offer("paypal", *cards)
        assert f"<span>{label}</span>" in open_page(payment()).content.decode()

    @pytest.mark.parametrize("method", ["paypal", "debit_card", "mobile_money"])
    def test_has_the_method_of_the_request_chosen(self, open_page, payment, offer, method):
        offer(*EVERYTHING)
        assert chosen(open_page(payment(payment_method=method))) == [method]

    @pytest.mark.parametrize("method", ["paypal", "debit_card"])
    def test_no_longer_has_what_the_merchant_took_back(self, open_page, payment, offer, method):
        row = payment(payment_method=method)
        offer("bank_transfer", "credit_card")
        response = open_page(row)
        assert (radios(response), chosen(response)) == (["bank_transfer", "credit_card"], ["bank_transfer"])

    def test_of_no_cards_has_no_card_fields_and_no_test_cards(self, open_page, payment, offer):
        offer("paypal", "bank_transfer")
        html = open_page(payment()).content.decode()
        assert "card_number" not in html
        assert "4242" not in html

    def test_is_renewed_for_somebody_who_changes_from_a_bank_transfer(self, open_page, in_state, offer):
        offer("paypal", "mobile_money")
        assert radios(open_page(in_state("bank_transfer"), "?change")) == ["paypal", "mobile_money"]


class TestOneMethod:
    @pytest.mark.parametrize(
        ("method", "text"),
        [
            ("credit_card", 'name="card_number"'),
            ("debit_card", 'name="card_number"'),
            ("mobile_money", 'name="phone"'),
            ("paypal", "You log in to PayPal"),
            ("bank_transfer", "You get the account"),
        ],
    )
    def test_is_shown_without_a_choice(self, open_page, payment, offer, method, text):
        offer(method)
        response = open_page(payment())
        html = response.content.decode()
        assert radios(response) == []
        assert f'<input type="hidden" name="method" value="{method}"' in html
        assert text in html
        assert "How would you like to pay" not in html

    def test_is_paid_by(self, open_page, submit, payment, offer, work):
        offer("debit_card")
        row = payment()
        assert submit(row, method="debit_card").status_code == 303
        work()
        row.refresh_from_db()
        assert (row.status, row.payment_method) == ("completed", "debit_card")


class TestAttempt:
    @pytest.mark.parametrize(
        "fields",
        [
            {"method": "paypal"},
            {"method": "mobile_money", "phone": "+233 20 123 4567"},
            {"method": "debit_card"},
            {"method": "debit_card", "card_number": "", "card_cvc": ""},
        ],
    )
    def test_with_what_is_not_offered_is_refused(self, submit, payment, offer, fields):
        row = payment()
        offer("bank_transfer", "credit_card")
        response = submit(row, **fields)
        assert response.status_code == 422
        assert response.context["form"].errors == {"method": ["This way to pay is not available. Choose another one."]}
        assert radios(response) == ["bank_transfer", "credit_card"]
        assert row.transactions.count() == 0
