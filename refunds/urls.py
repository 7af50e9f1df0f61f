from django.urls import path

from refunds import views

urlpatterns = [
    path("payments/<id:payment_id>/refund", views.PaymentRefundView.as_view(), name="refund_payment"),
    path("refunds", views.RefundsView.as_view(), name="refunds"),
    path("refunds/<id:refund_id>", views.OneRefundView.as_view(), name="refund"),
    path("refunds/<id:refund_id>/cancel", views.CancelRefundView.as_view(), name="refund_cancel"),
    path("refunds/<id:refund_id>/approve", views.ApproveRefundView.as_view(), name="refund_approve"),
]
