"""The pages that mailed links lead to. They work without JavaScript and without a log-in: the link says who it is.

Mail scanners follow links, so a GET changes nothing. A link that is bad, old or used is 410, with what to do now.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods
from rest_framework.request import Request

from accounts import services
from accounts.forms import AddressForm, NewAccountForm, PasswordForm
from accounts.throttles import AccountThrottle, LogInThrottle
from core.api import CounterThrottle
from core.errors import ParameterMissing, RateLimited

GONE = 410
UNPROCESSABLE = 422
# Nobody learns the path, which holds the token. Not `no-referrer`: under it browsers send a form with `Origin: null`
# (Fetch, "append a request Origin header"), and the protection against forged forms refuses that.
REFERRER_POLICY = "strict-origin"
USELESS = (services.LinkInvalid, services.AlreadyMember)

Page = Callable[..., HttpResponse]


class AddressThrottle(AccountThrottle):
    """The API's count, for an address in a form."""

    def email(self, request: Request) -> object:
        return request._request.POST.get("email")


def account_page(
    gone: str = "", throttles: Sequence[type[CounterThrottle]] = (LogInThrottle,)
) -> Callable[[Page], Page]:
    """A page that nobody keeps or indexes, and whose POSTs are counted; `gone` answers when its link is useless."""

    def decorate(page: Page) -> Page:
        @never_cache
        @sensitive_post_parameters("password")
        @require_http_methods(["GET", "HEAD", "POST"])
        @wraps(page)
        def guarded(request: HttpRequest, **arguments: str) -> HttpResponse:
            try:
                response = _too_often(request, throttles) or page(request, **arguments)
            except USELESS:
                response = render(request, gone, status=GONE)
            response["Referrer-Policy"] = REFERRER_POLICY
            response["X-Robots-Tag"] = "noindex"
            return response

        return guarded

    return decorate


@account_page(gone="account/verify_gone.html")
def verify_email(request: HttpRequest, token: str) -> HttpResponse:
    """Confirms an address. Whoever reads the mail may not be who made the account: the password tells them apart."""
    user = services.user_to_verify(token)
    if user.email_verified:
        return render(request, "account/verified.html", {"email": user.email}, status=GONE)
    form = _filled(PasswordForm, request)
    status = None
    if form.is_valid():
        if services.check_credentials(request, email=user.email, **form.cleaned_data) is not None:
            services.verify_email(user, token)
            return render(request, "account/verified.html", {"email": user.email})
        form.add_error("password", _("This is not the password of the account."))
        status = services.CredentialsWrong.status
    return _page(request, "account/verify.html", form, status=status, email=user.email)


@account_page(throttles=(LogInThrottle, AddressThrottle))
def ask_for_reset(request: HttpRequest) -> HttpResponse:
    """Has a link sent; who asks does not learn whether the address has an account."""
    form = _filled(AddressForm, request)
    if form.is_valid():
        services.ask_for_reset(form.cleaned_data["email"])
        return render(request, "account/reset_sent.html", form.cleaned_data)
    return _page(request, "account/ask_for_reset.html", form)


@account_page(gone="account/reset_gone.html")
def reset_password(request: HttpRequest, token: str) -> HttpResponse:
    """Sets a new password."""
    user = services.user_to_reset(token)
    form = _filled(PasswordForm, request)
    if form.is_valid():
        try:
            services.reset_password(token, **form.cleaned_data)
        except services.PasswordWeak as error:
            form.add_error("password", error.message)
        else:
            return render(request, "account/reset_done.html", {"email": user.email})
    return _page(request, "account/reset.html", form, email=user.email)


@account_page(gone="account/join_gone.html")
def accept_invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Joins a team, with the account of the address or with a new one."""
    member = services.invited_member(token)
    known = services.account_of(member.email) is not None
    form = _filled(forms.Form if known else NewAccountForm, request)
    if form.is_valid():
        try:
            services.accept_invitation(token, **form.cleaned_data)
        except services.PasswordWeak as error:
            form.add_error("password", error.message)
        except ParameterMissing:  # the account is gone since we looked: ask for a new one
            return HttpResponseRedirect(request.path, status=303)
        else:
            return render(request, "account/joined.html", {"member": member})
    return _page(request, "account/join.html", form, member=member, known=known)


def _filled(kind: type[forms.Form], request: HttpRequest) -> forms.Form:
    return kind(request.POST if request.method == "POST" else None)


def _page(
    request: HttpRequest, template: str, form: forms.Form, *, status: int | None = None, **context: Any
) -> HttpResponse:
    status = status or (UNPROCESSABLE if form.errors else 200)
    return render(request, template, {"form": form, **context}, status=status)


def _too_often(request: HttpRequest, throttles: Sequence[type[CounterThrottle]]) -> HttpResponse | None:
    """The answer to a POST too many, from this network or about this address."""
    if request.method != "POST":
        return None
    for throttle in (kind() for kind in throttles):
        if not throttle.allow_request(Request(request), None):
            response = render(request, "429.html", status=RateLimited.status)
            response["Retry-After"] = str(throttle.wait())
            return response
    return None
