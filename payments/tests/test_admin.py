"""Money in the back office: everything to see, nothing to edit, and a way to get unstuck."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from accounts.models import User
from accounts.services import support_group
from core.admin import LIST_LIMIT, BoundedPaginator
from core.ids import new_id
from notifications.models import Event
from payments.models import Payment, ProviderNotice, Transaction, new_reference
from payments.services import review
from payments.services.review import NothingToAsk, ask_again

pytestmark = pytest.mark.django_db

CARD = {"card_number": "4111111111111111", "card_expiry_month": 12, "card_expiry_year": 2040, "card_cvv": "123"}
PATHS = {
    Payment: "/admin/payments/payment/",
    Transaction: "/admin/payments/transaction/",
    ProviderNotice: "/admin/payments/providernotice/",
    Event: "/admin/notifications/event/",
}


@pytest.fixture
def superuser(client):
    client.force_login(User.objects.create_superuser("admin@example.com"))
    return client


@pytest.fixture
def desk(client):
    user = User.objects.create_user("support@example.com", is_staff=True)
    user.groups.add(support_group())
    client.force_login(user)
    return client


@pytest.fixture
def paid(pay, work):
    """Pays by card and answers with the payment; its transaction, notices and events are there too."""

    def make(**fields):
        response = pay(**{**CARD, **fields})
        work()
        return Payment.objects.get(pk=response.json()["payment"]["id"])

    return make


class TestReadOnly:
    @pytest.mark.parametrize("model", PATHS, ids=lambda model: model.__name__)
    def test_even_for_a_superuser(self, superuser, paid, model):
        paid()
        row = model.objects.first()
        before = list(model.objects.values())
        path = PATHS[model]
        assert superuser.get(f"{path}{row.pk}/change/").status_code == 200
        assert superuser.get(f"{path}add/").status_code == 403
        assert superuser.post(f"{path}add/", {}).status_code == 403
        assert superuser.post(f"{path}{row.pk}/change/", {"status": "completed", "amount": 1}).status_code == 403
        assert superuser.post(f"{path}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        superuser.post(path, {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"})
        assert list(model.objects.values()) == before

    @pytest.mark.parametrize("model", PATHS, ids=lambda model: model.__name__)
    def test_offers_no_deletion(self, superuser, paid, model):
        paid()
        page = superuser.get(PATHS[model]).content.decode()
        assert "delete_selected" not in page
        assert "/add/" not in page


class TestPaymentList:
    def test_shows_money_and_status_for_people(self, desk, paid):
        paid(amount=1250, currency="JPY", order_id="DS-1")
        paid(amount=1250)
        page = desk.get(PATHS[Payment]).content.decode()
        assert "1,250 JPY" in page
        assert "1,250.00 USD" in page
        assert "bg-green-100" in page

    @pytest.mark.parametrize("look", ["id", "id in capitals", "start of id", "reference", "email", "order", "customer"])
    def test_finds_a_payment(self, desk, paid, look):
        payment = paid(order_id="DS-1001", customer_email="Jane@Example.com")
        paid(order_id="DS-1002")
        term = {
            "id": payment.pk,
            "id in capitals": payment.pk.upper(),
            "start of id": payment.pk[:-1],
            "reference": payment.reference.lower(),
            "email": "jane@EXAMPLE.com",
            "order": "DS-1001",
            "customer": payment.customer_id,
        }[look]
        assert list(desk.get(PATHS[Payment], {"q": term}).context["cl"].result_list) == [payment]

    def test_finds_nothing_for_what_is_not_there(self, desk, paid):
        paid()
        for term in ("DS", "nobody@example.com", "pay_%", "TG-_", "'; --", "x" * 5000):
            response = desk.get(PATHS[Payment], {"q": term})
            assert response.status_code == 200
            assert response.context["cl"].result_count == 0

    def test_filters(self, desk, paid):
        payment = paid(order_id="DS-1")
        paid(currency="EUR", card_number="4000000000000002")
        for filters in (
            {"status__exact": "completed"},
            {"currency": "usd"},
            {"merchant__id__exact": payment.merchant_id},
        ):
            assert payment in desk.get(PATHS[Payment], filters).context["cl"].result_list
        assert desk.get(PATHS[Payment], {"currency": "usd"}).context["cl"].result_count == 1
        assert desk.get(PATHS[Payment], {"status__exact": "failed"}).context["cl"].result_count == 1

    @pytest.mark.parametrize(("days", "count"), [("1", 1), ("7", 2), ("30", 2), ("", 3), ("nonsense", 3)])
    def test_filters_by_age_through_the_id(self, desk, paid, days, count):
        payment = paid()
        for age in (3, 40):
            payment.pk = new_id("pay", at=timezone.now() - timedelta(days=age))
            payment.reference = new_reference()
            payment.save(force_insert=True)
        assert desk.get(PATHS[Payment], {"created": days}).context["cl"].result_count == count

    def test_pages_and_counts_only_so_far(self, paid):
        paid()
        pages = BoundedPaginator(Payment.objects.all(), 50)
        assert f"LIMIT {LIST_LIMIT}" in str(pages.object_list[:LIST_LIMIT].query)
        assert (pages.count, pages.is_full) == (1, False)


class TestQueryCount:
    @pytest.mark.parametrize("model", PATHS, ids=lambda model: model.__name__)
    def test_does_not_grow_with_the_list(self, desk, paid, model, django_assert_max_num_queries):
        paid(order_id="DS-1")
        desk.get(PATHS[model])
        with django_assert_max_num_queries(12) as queries:
            desk.get(PATHS[model])
            count = len(queries)
        for number in range(3):
            paid(order_id=f"DS-1{number}", customer_email=f"customer{number}@example.com")
        with django_assert_max_num_queries(count):
            desk.get(PATHS[model])


class TestPaymentDetail:
    def test_shows_transactions_and_events(self, desk, paid):
        payment = paid()
        page = desk.get(f"{PATHS[Payment]}{payment.pk}/change/").content.decode()
        transaction = payment.transactions.get()
        assert f"/admin/payments/transaction/{transaction.pk}/change/" in page
        for event in Event.objects.filter(object_id=payment.pk):
            assert f"/admin/notifications/event/{event.pk}/change/" in page
        assert "visa •••• 1111, 12/2040" in page
        assert "50.00 USD" in page

    def test_holds_no_markup_of_a_payer(self, desk, paid):
        payment = paid(customer_name="<script>alert(1)</script>", description="<img src=x>", metadata={"a": "<b>"})
        for path in (f"{PATHS[Payment]}{payment.pk}/change/", PATHS[Payment], "/admin/"):
            page = desk.get(path).content.decode()
            assert "<script>alert" not in page
            assert "<img src=x>" not in page
            assert "<b>" not in page

    def test_of_a_payload_keeps_the_numbers_as_they_were(self, desk, paid):
        paid()
        event = Event.objects.filter(type="payment.created").get()
        page = desk.get(f"{PATHS[Event]}{event.pk}/change/").content.decode()
        assert "&quot;amount&quot;: 50.00," in page


class TestAskAgain:
    @pytest.fixture
    def parked(self, paid):
        """A transaction that has been put aside for a person."""
        txn = paid().transactions.get()
        Transaction.objects.filter(pk=txn.pk).update(review_reason="The provider's amount is 1.00 USD.", due_at=None)
        return txn

    def test_makes_the_job_due_and_ends_the_review(self, parked):
        ask_again(parked.pk)
        parked.refresh_from_db()
        assert (parked.review_reason, parked.due_at <= timezone.now()) == ("", True)

    def test_goes_through_the_usual_door(self, parked, work):
        before = Payment.objects.values().get()
        ask_again(parked.pk)
        work()
        parked.refresh_from_db()
        assert (parked.status, parked.review_reason, parked.due_at) == ("succeeded", "", None)
        assert Payment.objects.values().get() == before

    def test_locks_the_payment_first(self, parked, monkeypatch):
        calls = []
        lock = review.lock
        monkeypatch.setattr(review, "lock", lambda pk: calls.append(pk) or lock(pk))
        ask_again(parked.pk)
        assert calls == [parked.pk]

    def test_refuses_a_closed_transaction_that_nobody_has_to_look_at(self, paid):
        txn = paid().transactions.get()
        with pytest.raises(NothingToAsk):
            ask_again(txn.pk)

    def test_is_done_from_the_list(self, desk, parked):
        page = desk.get(PATHS[Transaction], {"review": "waiting"})
        assert list(page.context["cl"].result_list) == [parked]
        desk.post(PATHS[Transaction], {"action": "ask_these", "_selected_action": [parked.pk]})
        parked.refresh_from_db()
        assert parked.review_reason == ""
        assert LogEntry.objects.get().object_id == parked.pk

    def test_is_done_from_the_page(self, desk, parked):
        path = f"{PATHS[Transaction]}{parked.pk}/"
        assert "/ask_this/" in desk.get(f"{path}change/").content.decode()
        assert desk.get(f"{path}ask_this/").status_code == 200
        assert Transaction.objects.get().review_reason
        assert "HX-Redirect" in desk.post(f"{path}ask_this/", {"_form_submitted": "True"})
        assert not Transaction.objects.get().review_reason

    def test_is_not_offered_for_a_closed_transaction(self, desk, paid):
        txn = paid().transactions.get()
        assert "/ask_this/" not in desk.get(f"{PATHS[Transaction]}{txn.pk}/change/").content.decode()
        response = desk.post(PATHS[Transaction], {"action": "ask_these", "_selected_action": [txn.pk]}, follow=True)
        assert NothingToAsk.message in response.content.decode()

    def test_shows_on_the_first_page(self, desk, parked):
        page = desk.get("/admin/")
        counts = {str(card["title"]): card["count"] for card in page.context["attention"]}
        assert counts == {
            "Transactions to review": 1,
            "Payouts to carry out": 0,
            "Payouts to review": 0,
            "Merchants to approve": 0,
            "Late jobs": 0,
        }
