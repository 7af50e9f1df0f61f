"""Who may do what: one table, for members by their role and for API keys by their scopes.

`docs/api.md` shows it as `manage.py policy` prints it; a test holds the two together. Another, tests/policy_table.py,
says by hand what follows for every route.
"""

from accounts.models import Membership

Role = Membership.Role

EVERYBODY = frozenset(Role)
MANAGERS = frozenset({Role.OWNER, Role.ADMIN})

# permission: the roles that have it
POLICY: dict[str, frozenset[Role]] = {
    "merchant:read": EVERYBODY,
    "merchant:write": MANAGERS,
    "members:read": EVERYBODY,
    "members:write": MANAGERS,
    "api_keys:read": MANAGERS | {Role.DEVELOPER},
    "api_keys:write": MANAGERS | {Role.DEVELOPER},
    "customers:read": EVERYBODY,
    "customers:write": MANAGERS | {Role.FINANCE, Role.SUPPORT},
    "payments:read": EVERYBODY,
    "payments:write": MANAGERS | {Role.FINANCE, Role.SUPPORT},
    "balance:read": MANAGERS | {Role.FINANCE, Role.VIEWER},
    "payouts:read": MANAGERS | {Role.FINANCE, Role.VIEWER},
    "payouts:write": MANAGERS | {Role.FINANCE},
    "bank_accounts:write": MANAGERS | {Role.FINANCE},
    "events:read": EVERYBODY,
    "webhooks:read": MANAGERS | {Role.DEVELOPER},
    "webhooks:write": MANAGERS | {Role.DEVELOPER},
    "refunds:read": EVERYBODY,
    "refunds:write": MANAGERS | {Role.FINANCE, Role.SUPPORT},
}
# A program does not hire people, make keys, change the merchant's settings or say where its money goes.
FOR_PEOPLE_ONLY = frozenset(
    {"merchant:write", "members:read", "members:write", "api_keys:read", "api_keys:write", "bank_accounts:write"}
)
SCOPES = [permission for permission in POLICY if permission not in FOR_PEOPLE_ONLY]


def permissions_of(role: str) -> frozenset[str]:
    return frozenset(permission for permission, roles in POLICY.items() if role in roles)


def roles_with(permission: str) -> list[str]:
    """In the order in which roles are declared, the most powerful first."""
    return [role.value for role in Role if role in POLICY[permission]]
