"""The signature debugger, for whoever writes a receiver. What is pasted is neither kept nor logged, and the secret
does not even come back in the answer."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods
from rest_framework.request import Request

from core.api import CounterThrottle
from core.errors import RateLimited
from notifications.diagnosis import STEPS, diagnose
from notifications.forms import DebuggerForm

UNPROCESSABLE = 422
PAGE = "webhooks/debugger.html"


class DebuggerThrottle(CounterThrottle):
    """Counts what each network has looked at."""

    scope = "debugger"


@never_cache
@sensitive_post_parameters()
@sensitive_variables()
@require_http_methods(["GET", "HEAD", "POST"])
def debugger(request: HttpRequest) -> HttpResponse:
    """Body, headers and secret in, the step that differs out."""
    if request.method != "POST":
        return render(request, PAGE, {"form": DebuggerForm()})
    throttle = DebuggerThrottle()
    if not throttle.allow_request(Request(request), None):
        page = {"form": DebuggerForm(), "wait": throttle.wait()}
        response = render(request, PAGE, page, status=RateLimited.status)
        response["Retry-After"] = str(page["wait"])
        return response
    form = DebuggerForm(request.POST)
    if not form.is_valid():
        return render(request, PAGE, {"form": form}, status=UNPROCESSABLE)
    return render(request, PAGE, {"form": form, **_result(**form.cleaned_data)})


@sensitive_variables()
def _result(headers: dict[str, str], body: bytes, secret: str) -> dict[str, object]:
    """Every step, with what came of it; None where an earlier one has failed."""
    steps = {step.name: step for step in diagnose(body, headers, [secret], now=timezone.now())}
    shown = [(label, steps.get(name)) for name, label in STEPS.items() if name != "body"]  # what was sent is not known
    return {"steps": shown, "fault": next((step for step in steps.values() if step.fault), None)}
