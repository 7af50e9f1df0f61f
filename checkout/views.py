"""The payer's pages. Every one works without JavaScript; htmx only saves the payer the reloading."""

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from accounts.models import Merchant
from accounts.services import merchant_to_pay
from checkout.branding import digest_of, stylesheet
from checkout.forms import METHOD_UNAVAILABLE, PayForm
from checkout.presentation import form_context, page_of, receipt_of
from core.errors import ApiError
from core.money import Money
from payments import services
from payments.models import CancellationReason, Payment

CONFLICT = 409
UNPROCESSABLE = 422
DEMO_MONEY = Money(50_00, "USD")
YEAR_SECONDS = 365 * 24 * 3600


@never_cache
@sensitive_post_parameters("card_number", "card_expiry", "card_cvc")
@require_http_methods(["GET", "HEAD", "POST"])
def checkout(request: HttpRequest, payment_id: str) -> HttpResponse:
    """The page of a payment in whatever state it is; a POST is an attempt to pay it."""
    payment = _payment(payment_id)
    if request.method != "POST":
        return _page(request, payment)
    form = PayForm(request.POST, merchant=payment.merchant)
    if form.is_valid() and _attempt(payment, form):
        return _see_other("checkout", payment.pk)
    return _page(request, payment, form)


def _attempt(payment: Payment, form: PayForm) -> bool:
    """Whether the page is to be shown anew. A payment that moved on meanwhile says so itself on its page."""
    fields = form.cleaned_data
    try:
        services.start_attempt(
            payment_id=payment.pk,
            attempt=fields["attempt"],
            method=fields["method"],
            card=form.card,
            phone=fields["phone"],
            language=get_language() or "en",
        )
    except ApiError as error:
        if error.status != CONFLICT:
            form.add_error("method", METHOD_UNAVAILABLE)
            return False
    return True


def _page(request: HttpRequest, payment: Payment, form: PayForm | None = None) -> HttpResponse:
    page = page_of(payment, change_method="change" in request.GET, returned="returned" in request.GET)
    if page["state"] == "payable":
        page |= form_context(payment, form)
    status = UNPROCESSABLE if form is not None and form.errors else 200
    return render(request, "checkout/page.html", page, status=status)


@never_cache
@require_safe
def checkout_status(request: HttpRequest, payment_id: str) -> HttpResponse:
    """htmx asks: is the state still the one that is `seen`? 204 when it is, the panel in its new state when not."""
    payment = _payment(payment_id)
    if not request.htmx:  # type: ignore[attr-defined]
        return _see_other("checkout", payment_id)
    page = page_of(payment, returned="returned" in request.GET)
    if page["state"] == request.GET.get("seen"):
        return HttpResponse(status=204)
    if page["state"] == "requires_action" and page["action_url"] and not page["returned"]:
        return HttpResponseClientRedirect(page["action_url"])
    if page["state"] == "payable":
        page |= form_context(payment)
    return render(request, "checkout/_panel.html", page)


@never_cache
@require_safe
def checkout_return(request: HttpRequest, payment_id: str) -> HttpResponse:
    """The provider sends the payer back to here. That proves nothing: it makes us ask."""
    _payment(payment_id)
    services.customer_returned(payment_id=payment_id)
    return _see_other("checkout", payment_id, "?returned")


@never_cache
@require_POST
def checkout_cancel(request: HttpRequest, payment_id: str) -> HttpResponse:
    """The payer gives up. When it is too late for that, the page says what became of the payment."""
    _payment(payment_id)
    try:
        services.cancel_payment(payment_id=payment_id, reason=CancellationReason.REQUESTED_BY_CUSTOMER)
    except ApiError as error:
        if error.status != CONFLICT:
            raise
    return _see_other("checkout", payment_id)


@never_cache
@require_safe
def checkout_receipt(request: HttpRequest, payment_id: str) -> HttpResponse:
    """The receipt of a paid payment; any other has only its page."""
    payment = _payment(payment_id)
    if payment.completed_at is None:
        return _see_other("checkout", payment_id)
    return render(request, "checkout/receipt.html", receipt_of(payment))


@require_safe
@cache_control(public=True, max_age=YEAR_SECONDS, immutable=True)
def brand_stylesheet(request: HttpRequest, digits: str, digest: str) -> HttpResponse:
    """A colour's stylesheet, whoever's colour it is. The address names what it says, so it never changes."""
    text = stylesheet(f"#{digits}")
    if digest != digest_of(text):
        raise Http404
    return HttpResponse(text, content_type="text/css; charset=utf-8")


@require_POST
def demo_payment(request: HttpRequest) -> HttpResponse:
    """A payment to try the checkout with; the landing page of a demo installation has the button."""
    if not settings.DEMO:
        raise Http404
    try:
        payment = _demo_payment(merchant_to_pay(None))
    except ApiError as error:  # no merchant yet, or one that takes no payments
        return render(request, "400.html", status=error.status)
    return _see_other("checkout", payment.pk)


def _demo_payment(merchant: Merchant) -> Payment:
    payment, _replayed = services.create_payment(
        merchant=merchant,
        money=DEMO_MONEY,
        key=None,
        customer_name="John Doe",
        customer_email="john@example.com",
        description=_("A payment to try it out"),
        return_url=f"{settings.SITE_URL}/" if settings.SITE_URL in merchant.return_origins else "",
    )
    return payment


def _payment(payment_id: str) -> Payment:
    return get_object_or_404(Payment.objects.select_related("merchant"), pk=payment_id)


def _see_other(name: str, payment_id: str, query: str = "") -> HttpResponse:
    return HttpResponseRedirect(reverse(name, args=[payment_id]) + query, status=303)
