"""A valid request for every route and method: what the walks over the URLconf send, so that only the sender counts."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.services.logins import start_login
from accounts.services.members import INVITATION_SALT
from accounts.services.registration import VERIFY_SALT
from checkout.branding import digest_of, stylesheet
from core.ids import new_id
from payments.models import Status
from sandbox.models import Charge
from tests.policy_table import ROLES
from tests.routes import Route
from tests.tenants import PAYERS, Headers, Tenant, logged_in, new_tenant

PASSWORD = "a-password-of-tests-1"
NEW_PASSWORD = "another-password-2"
COLOUR = "0d6b52"
MAIL_ID = new_id("eml")

Body = dict[str, Any]


@dataclass
class World:
    """Two merchants, the people who pay there, and one who has only just registered."""

    own: Tenant
    rival: Tenant
    payers: list[User]
    newcomer: User
    charge: Charge
    login: dict[str, Any]  # a pair of tokens of the own merchant's viewer
    users: dict[str, User] = field(default_factory=dict)  # by persona
    headers: dict[str, Headers] = field(default_factory=dict)  # by persona


def new_world() -> World:
    own, rival = new_tenant("zebra", 1), new_tenant("quokka", 2)
    payers = [_account(email, verified=True) for email in PAYERS]
    newcomer = _account("newcomer@people.example", verified=False)
    world = World(own, rival, payers, newcomer, _charge(), start_login(own.users["viewer"]))
    world.users = {"new": newcomer, "cust": payers[0], "rival": rival.users["owner"]}
    world.users |= {persona: own.users[role] for persona, role in ROLES.items()}
    for user in world.users.values():
        user.set_password(PASSWORD)
        user.save()
    world.headers = {persona: logged_in(user) for persona, user in world.users.items()}
    world.headers |= {"anon": {}, **{key: own.headers[key] for key in ("gone", "read", "full")}}
    return world


def _account(email: str, *, verified: bool) -> User:
    at = timezone.now() if verified else None
    return User.objects.create(email=email, name=email.partition("@")[0], email_verified_at=at)


def _charge() -> Charge:
    """One that waits for its payer on the sandbox's page."""
    return Charge.objects.create(
        key=new_id("txn"),
        account="zebra",
        account_name="zebra",
        amount=5000,
        currency="USD",
        method=Charge.Method.PAYPAL,
        capture=True,
        return_url="http://testserver/",
        status=Charge.Status.REQUIRES_ACTION,
    )


# --- Which object a route is about ------------------------------------------------------------
def arguments(world: World, route: Route, tenant: Tenant) -> dict[str, str]:
    """The values of the route's arguments, all of this tenant."""
    return {name: _argument(route, name)(world, tenant) for name in route.arguments}


def _argument(route: Route, name: str) -> Callable[[World, Tenant], str]:
    """Raises KeyError for a route that ARGUMENTS says nothing of."""
    own = f"{route.name}.{name}"
    return ARGUMENTS[own if own in ARGUMENTS else name]


ARGUMENTS: dict[str, Callable[[World, Tenant], str]] = {
    "payment_id": lambda world, tenant: tenant.payments[Status.PENDING].pk,
    "checkout_receipt.payment_id": lambda world, tenant: tenant.payments[Status.COMPLETED].pk,
    "capture.payment_id": lambda world, tenant: tenant.payments[Status.AUTHORIZED].pk,
    "refund_payment.payment_id": lambda world, tenant: tenant.payments[Status.COMPLETED].pk,
    "refund_id": lambda world, tenant: tenant.refund.pk,
    "account_id": lambda world, tenant: tenant.bank_account.pk,
    "payout_id": lambda world, tenant: tenant.payout.pk,
    "event_id": lambda world, tenant: tenant.delivery.event_id,
    "endpoint_id": lambda world, tenant: tenant.endpoint.pk,
    "webhook_enable.endpoint_id": lambda world, tenant: tenant.silent.pk,
    "delivery_id": lambda world, tenant: tenant.delivery.pk,
    "order_id": lambda world, tenant: "order-0",
    "transaction_id": lambda world, tenant: tenant.transactions[0].pk,
    "member_id": lambda world, tenant: tenant.members["support"].pk,
    "resend.member_id": lambda world, tenant: tenant.invited.pk,
    "key_id": lambda world, tenant: tenant.keys["spare"].pk,
    "customer_id": lambda world, tenant: tenant.idle.pk,
    "charge_id": lambda world, tenant: world.charge.pk,
    "email_id": lambda world, tenant: MAIL_ID,
    "digits": lambda world, tenant: COLOUR,
    "digest": lambda world, tenant: digest_of(stylesheet(f"#{COLOUR}")),
    "verify_email.token": lambda world, tenant: verification(world.newcomer),
    "reset_password.token": lambda world, tenant: reset(world.newcomer),
    "accept_invitation.token": lambda world, tenant: invitation(tenant),
}


def verification(user: User) -> str:
    return signing.dumps([user.pk, user.email], salt=VERIFY_SALT)


def reset(user: User) -> str:
    return f"{user.pk}.{default_token_generator.make_token(user)}"


def invitation(tenant: Tenant) -> str:
    return signing.dumps([tenant.invited.pk, tenant.invited.email], salt=INVITATION_SALT)


# --- What it is sent --------------------------------------------------------------------------
def body(world: World, route: Route, method: str, persona: str) -> Body:
    make = BODIES.get(f"{route.name} {method}", lambda world, user: {})
    return make(world, world.users.get(persona, world.newcomer))


BODIES: dict[str, Callable[[World, User], Body]] = {
    "verify_email POST": lambda world, user: {"password": PASSWORD},
    "ask_for_reset POST": lambda world, user: {"email": PAYERS[0]},
    "reset_password POST": lambda world, user: {"password": NEW_PASSWORD},
    "accept_invitation POST": lambda world, user: {"name": "Invited", "password": NEW_PASSWORD},
    "checkout POST": lambda world, user: {"attempt": 0, "method": "paypal"},
    "sandbox_charge POST": lambda world, user: {"decision": "approve"},
    "register POST": lambda world, user: {"email": "new@people.example", "password": NEW_PASSWORD, "name": "New"},
    "token POST": lambda world, user: {"email": PAYERS[0], "password": PASSWORD},
    "token_refresh POST": lambda world, user: {"refresh": world.login["refresh"]},
    "token_verify POST": lambda world, user: {"token": world.login["access"]},
    "me PATCH": lambda world, user: {"name": "Another name"},
    "email_verify POST": lambda world, user: {"token": verification(user)},
    "password_change POST": lambda world, user: {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
    "password_reset POST": lambda world, user: {"email": PAYERS[0]},
    "password_reset_confirm POST": lambda world, user: {"token": reset(world.newcomer), "new_password": NEW_PASSWORD},
    "merchants POST": lambda world, user: {"name": "A further one"},
    "merchant PATCH": lambda world, user: {"brand_name": "Another brand"},
    "members POST": lambda world, user: {"email": "colleague@people.example", "role": "viewer"},
    "accept POST": lambda world, user: {"token": invitation(world.own), "name": "Invited", "password": NEW_PASSWORD},
    "member PATCH": lambda world, user: {"role": "finance"},
    "api_keys POST": lambda world, user: {"name": "A program", "scopes": ["payments:read"]},
    "customers POST": lambda world, user: {"email": "customer@people.example", "name": "Customer"},
    "customer PATCH": lambda world, user: {"name": "Another name"},
    "payments POST": lambda world, user: {"customer_name": "Payer", "customer_email": PAYERS[0], "amount": 50},
    "payment PATCH": lambda world, user: {"description": "Other things"},
    "refunds POST": lambda world, user: {"payment_id": of(world, user).payments[Status.COMPLETED].pk},
    "bank_accounts POST": lambda world, user: {
        "currency": "EUR",
        "country": "DE",
        "holder": "Holder",
        "account_number": "DE89370400440532013000",
        "schedule": "monthly",
        "anchor": 15,
        "minimum": 100,
        "password": PASSWORD,
    },
    "bank_account PATCH": lambda world, user: {"schedule": "daily"},
    "bank_account_remove POST": lambda world, user: {"password": PASSWORD},
    "payouts POST": lambda world, user: {"amount": 1},
    "email_choices PATCH": lambda world, user: {"receipt": False, "payment_received": True},
    "webhook_endpoints POST": lambda world, user: {"url": "https://people.example/hook", "event_types": ["*"]},
    "webhook_endpoint PATCH": lambda world, user: {"description": "Another"},
    "webhook_debugger POST": lambda world, user: {"headers": "webhook-id: evt_1", "body": "{}", "secret": "whsec_x"},
    "webhook_diagnose POST": lambda world, user: {"headers": {"webhook-id": "evt_1"}, "body": "{}"},
    "webhook_replay POST": lambda world, user: {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"},
}


def of(world: World, user: User) -> Tenant:
    """The merchant that the user belongs to; a customer and a program: the own one."""
    return world.rival if user in world.rival.users.values() else world.own


def send(
    client: Client, method: str, path: str, body: Body | None = None, headers: Headers | None = None
) -> HttpResponse:
    """A form to a page, JSON to the API."""
    if method in ("GET", "HEAD"):
        return client.generic(method, path, headers=headers)
    if path.startswith("/api/"):
        return getattr(client, method.lower())(path, body or {}, content_type="application/json", headers=headers)
    if method == "POST":
        return client.post(path, body or {}, headers=headers)
    return client.generic(method, path, headers=headers)
