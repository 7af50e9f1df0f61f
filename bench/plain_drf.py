"""The peer: an ordinary Django and REST framework app that writes the same six rows through generic views.

Default middleware, ModelSerializer, `objects.create`; the connections persist and commits are as durable as ours.
`python -m bench.plain_drf` makes its tables.
"""

import os

import django
from django.conf import settings
from environ import Env

from bench.database import LOCK_SECONDS, MYSQL, SQLITE

DATABASE = Env.db_url_config(os.environ["DATABASE_URL"]) | {"CONN_MAX_AGE": None}
OPTIONS = {
    "django.db.backends.sqlite3": {"transaction_mode": "IMMEDIATE", "timeout": LOCK_SECONDS, "init_command": SQLITE},
    "django.db.backends.mysql": {"charset": "utf8mb4", "init_command": MYSQL, "isolation_level": "read committed"},
}
settings.configure(
    SECRET_KEY="bench-only",  # noqa: S106
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="bench.plain_drf",
    DATABASES={"default": DATABASE | {"OPTIONS": OPTIONS.get(DATABASE["ENGINE"], {})}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "rest_framework", "bench"],
    MIDDLEWARE=[  # what `startproject` writes
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],  # ours reads the public view without one, too
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application
from django.db import connection, models, transaction
from django.urls import path
from rest_framework.generics import CreateAPIView, RetrieveAPIView
from rest_framework.serializers import ModelSerializer


class Row(models.Model):
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        abstract = True
        app_label = "bench"


class Merchant(Row):
    is_default = models.BooleanField(unique=True, null=True)
    currency = models.CharField(max_length=3, default="USD")


class Payment(Row):
    merchant = models.ForeignKey(Merchant, models.PROTECT)
    order_id = models.CharField(max_length=64, blank=True)
    status = models.CharField(max_length=16, default="pending")
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    currency = models.CharField(max_length=3, default="USD")
    customer_name = models.CharField(max_length=200)
    customer_email = models.EmailField()


class Transaction(Row):
    payment = models.ForeignKey(Payment, models.PROTECT)
    status = models.CharField(max_length=16, default="pending")
    amount = models.DecimalField(max_digits=14, decimal_places=2)


class Entry(Row):
    payment = models.ForeignKey(Payment, models.PROTECT)
    account = models.CharField(max_length=32)
    amount = models.DecimalField(max_digits=14, decimal_places=2)


class Event(Row):
    payment = models.ForeignKey(Payment, models.PROTECT)
    type = models.CharField(max_length=32)
    payload = models.JSONField()


class Key(Row):
    merchant = models.ForeignKey(Merchant, models.PROTECT)
    payment = models.ForeignKey(Payment, models.PROTECT)
    key = models.CharField(max_length=255)

    class Meta(Row.Meta):
        unique_together = [("merchant", "key")]


class PaymentSerializer(ModelSerializer):
    class Meta:
        model = Payment
        fields = "__all__"
        read_only_fields = ("merchant", "status", "currency")


class CreatePayment(CreateAPIView):
    serializer_class = PaymentSerializer

    @transaction.atomic
    def perform_create(self, serializer: PaymentSerializer) -> None:
        merchant = Merchant.objects.get(is_default=True)
        payment = serializer.save(merchant=merchant, currency=merchant.currency)
        Transaction.objects.create(payment=payment, amount=payment.amount)
        Entry.objects.create(payment=payment, account="provider_receivable", amount=payment.amount)
        Entry.objects.create(payment=payment, account="merchant_pending", amount=-payment.amount)
        Event.objects.create(payment=payment, type="payment.created", payload=serializer.data)
        Key.objects.create(merchant=merchant, payment=payment, key=self.request.headers["Idempotency-Key"])


class ReadPayment(RetrieveAPIView):
    serializer_class = PaymentSerializer
    queryset = Payment.objects.all()


urlpatterns = [
    path("api/v1/payments", CreatePayment.as_view()),
    path("api/v1/payments/<int:pk>", ReadPayment.as_view()),
]


def make_tables() -> None:
    with connection.schema_editor() as editor:
        for model in (Merchant, Payment, Transaction, Entry, Event, Key):
            editor.create_model(model)
    Merchant.objects.create(is_default=True)


if __name__ == "__main__":
    make_tables()
else:
    application = get_wsgi_application()
