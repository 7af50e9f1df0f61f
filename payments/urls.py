from django.urls import path, register_converter
from django.urls.converters import StringConverter

from payments import views


class OrderIdConverter(StringConverter):
    """Anything else than an order id is a 404 before any query."""

    regex = r"[A-Za-z0-9._:-]{1,64}"


register_converter(OrderIdConverter, "order")

urlpatterns = [
    path("payments", views.PaymentsView.as_view(), name="payments"),
    path("payments/<id:payment_id>", views.PaymentView.as_view(), name="payment"),
    path("payments/<id:payment_id>/capture", views.CaptureView.as_view(), name="capture"),
    path("payments/<id:payment_id>/cancel", views.CancelView.as_view(), name="cancel"),
    path("payments/<id:payment_id>/transactions", views.PaymentTransactionsView.as_view(), name="payment_transactions"),
    path("payments/order/<order:order_id>", views.OrderPaymentsView.as_view(), name="order_payments"),
    path("transactions", views.TransactionsView.as_view(), name="transactions"),
    path("transactions/<id:transaction_id>", views.TransactionView.as_view(), name="transaction"),
]
