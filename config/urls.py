"""Every path of the installation."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, include, path, register_converter
from django.views.decorators.http import require_safe
from django.views.generic import RedirectView

from accounts.models import Merchant
from config.demo_mail import mail, mail_html, mailbox
from config.docs import RedocView, SchemaView, SwaggerView, errors, redoc_script
from core.health import HealthView, ReadyView
from core.ids import IdConverter

register_converter(IdConverter, "id")


@require_safe
def landing(request: HttpRequest) -> HttpResponse:
    context = {
        "site_url": settings.SITE_URL,
        "demo": settings.DEMO,
        "merchant": Merchant.objects.filter(is_default=True).first(),
    }
    return render(request, "landing.html", context)


api: list[URLPattern | URLResolver] = [
    path("health", HealthView.as_view(), name="health"),
    path("health/ready", ReadyView.as_view(), name="ready"),
    path("", include("accounts.urls")),
    path("", include("payments.urls")),
    path("", include("refunds.urls")),
    path("", include("ledger.urls")),
    path("", include("notifications.urls")),
]
urlpatterns = [
    path("", landing, name="landing"),
    path("", include("accounts.page_urls")),
    path("", include("checkout.urls")),
    path("", include("notifications.page_urls")),
    path("", include("sandbox.urls")),
    path("api/v1/", include(api)),
    path("api/schema", SchemaView.as_view(), name="schema"),
    path("api/docs", SwaggerView.as_view(), name="docs"),
    path("api/redoc", RedocView.as_view(), name="redoc"),
    path("api/redoc.js", redoc_script, name="redoc_script"),
    path("api/errors", errors, name="errors"),
    path("demo/mail", mailbox, name="demo_mailbox"),
    path("demo/mail/<id:email_id>", mail, name="demo_mail"),
    path("demo/mail/<id:email_id>/html", mail_html, name="demo_mail_html"),
    path("admin", require_safe(RedirectView.as_view(url="/admin/")), name="back_office"),
    path("admin/", admin.site.urls),
]

handler400 = "core.errors.bad_request"
handler403 = "core.errors.permission_denied"
handler404 = "core.errors.page_not_found"
handler500 = "core.errors.server_error"
