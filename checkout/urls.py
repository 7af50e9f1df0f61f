from django.urls import path, re_path

from checkout import views

urlpatterns = [
    path("pay/<id:payment_id>", views.checkout, name="checkout"),
    path("pay/<id:payment_id>/status", views.checkout_status, name="checkout_status"),
    path("pay/<id:payment_id>/return", views.checkout_return, name="checkout_return"),
    path("pay/<id:payment_id>/cancel", views.checkout_cancel, name="checkout_cancel"),
    path("pay/<id:payment_id>/receipt", views.checkout_receipt, name="checkout_receipt"),
    re_path(
        r"^brand/(?P<digits>[0-9a-f]{6})\.(?P<digest>[0-9a-f]{8})\.css\Z",
        views.brand_stylesheet,
        name="brand_stylesheet",
    ),
    path("demo/payment", views.demo_payment, name="demo_payment"),
]
