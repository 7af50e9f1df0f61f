from django.urls import path

from payments.views import PaymentsView, PaymentView

urlpatterns = [
    path("payments", PaymentsView.as_view(), name="payments"),
    path("payments/<id:payment_id>", PaymentView.as_view(), name="payment"),
]
