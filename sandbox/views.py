"""The pages that a payer meets at the emulated provider."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from sandbox import services
from sandbox.models import Charge

DECISIONS = {"approve": True, "decline": False}
TEMPLATES: dict[str, str] = {
    Charge.Method.CARD: "sandbox/three_d_secure.html",
    Charge.Method.PAYPAL: "sandbox/paypal.html",
    Charge.Method.MOBILE_MONEY: "sandbox/mobile_money.html",
    Charge.Method.BANK_TRANSFER: "sandbox/bank_transfer.html",
}


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def charge_page(request: HttpRequest, charge_id: str) -> HttpResponse:
    """The payer approves or declines, and goes back to the caller's `return_url`."""
    charge = get_object_or_404(Charge, pk=charge_id)
    if not charge.awaits_payer:
        return _done(request, charge)
    context: dict[str, Any] = {"charge": charge, "error": ""}
    if request.method != "POST":
        return render(request, TEMPLATES[charge.method], context)
    approve = DECISIONS.get(request.POST.get("decision", ""))
    if approve is None:
        context["error"] = _("Choose whether to approve or to decline.")
        return render(request, TEMPLATES[charge.method], context, status=400)
    counted = services.decide(charge_id=charge.id, approve=approve)
    if not counted or not charge.return_url:
        return _done(request, charge)
    return HttpResponseRedirect(charge.return_url, status=303)


def _done(request: HttpRequest, charge: Charge) -> HttpResponse:
    return render(request, "sandbox/done.html", {"charge": charge, "return_url": charge.return_url})
