"""Who gets what from every route and method, written by hand and apart from accounts/policy.py: the two must agree.

A new route takes a line here, with the status that each persona gets for a valid request; a line with one status is for
everybody. tests/valid_requests.py says what is sent.
"""

# anon   no credential                   supp dev fin …  a member of the merchant, by role
# new    an account not confirmed yet    rival           the owner of another merchant
# cust   a confirmed one, no merchant    gone            a revoked API key
# view   a member who only looks         read full       keys with all scopes to read, with all scopes
TABLE = """
                                anon new  cust view supp dev  fin  admin owner rival gone read full

landing                  GET    200
verify_email             GET    200
verify_email             POST   200
ask_for_reset            GET    200
ask_for_reset            POST   200
reset_password           GET    200
reset_password           POST   200
accept_invitation        GET    200
accept_invitation        POST   200

checkout                 GET    200
checkout                 POST   303
checkout_status          GET    303
checkout_return          GET    303
checkout_cancel          POST   303
checkout_receipt         GET    200
brand_stylesheet         GET    200
sandbox_charge           GET    200
sandbox_charge           POST   303
demo_payment             POST   303
webhook_debugger         GET    200
webhook_debugger         POST   200
demo_mailbox             GET    200
demo_mail                GET    200
demo_mail_html           GET    200

schema                   GET    200
docs                     GET    200
redoc                    GET    200
redoc_script             GET    200
errors                   GET    200
health                   GET    200
ready                    GET    200
back_office              GET    302

                                anon new  cust view supp dev  fin  admin owner rival gone read full

register                 POST   201  201  201  201  201  201  201  201   201   201   401  201  201
token                    POST   200  200  200  200  200  200  200  200   200   200   401  200  200
token_refresh            POST   200  200  200  200  200  200  200  200   200   200   401  200  200
token_verify             POST   200  200  200  200  200  200  200  200   200   200   401  200  200
password_reset           POST   200  200  200  200  200  200  200  200   200   200   401  200  200
password_reset_confirm   POST   200  200  200  200  200  200  200  200   200   200   401  200  200
accept                   POST   200  200  200  200  200  200  200  200   200   200   401  200  200

logout                   POST   401  200  200  200  200  200  200  200   200   200   401  403  403
me                       GET    401  200  200  200  200  200  200  200   200   200   401  403  403
me                       PATCH  401  200  200  200  200  200  200  200   200   200   401  403  403
email_verify             POST   401  200  200  200  200  200  200  200   200   200   401  403  403
email_resend             POST   401  200  200  200  200  200  200  200   200   200   401  403  403
password_change          POST   401  200  200  200  200  200  200  200   200   200   401  403  403
merchants                GET    401  200  200  200  200  200  200  200   200   200   401  403  403
merchants                POST   401  201  201  201  201  201  201  201   201   201   401  403  403

merchant                 GET    401  403  403  200  200  200  200  200   200   200   401  200  200
merchant                 PATCH  401  403  403  403  403  403  403  200   200   200   401  403  403
members                  GET    401  403  403  200  200  200  200  200   200   200   401  403  403
members                  POST   401  403  403  403  403  403  403  201   201   201   401  403  403
member                   GET    401  403  403  200  200  200  200  200   200   404   401  403  403
member                   PATCH  401  403  403  403  403  403  403  200   200   404   401  403  403
member                   DELETE 401  403  403  403  403  403  403  200   200   404   401  403  403
resend                   POST   401  403  403  403  403  403  403  200   200   404   401  403  403
api_keys                 GET    401  403  403  403  403  200  403  200   200   200   401  403  403
api_keys                 POST   401  403  403  403  403  201  403  201   201   201   401  403  403
api_key                  GET    401  403  403  403  403  200  403  200   200   404   401  403  403
api_key                  DELETE 401  403  403  403  403  200  403  200   200   404   401  403  403
roll                     POST   401  403  403  403  403  201  403  201   201   404   401  403  403

                                anon new  cust view supp dev  fin  admin owner rival gone read full

customers                GET    401  403  403  200  200  200  200  200   200   200   401  200  200
customers                POST   401  403  403  403  201  403  201  201   201   201   401  403  201
customer                 GET    401  403  403  200  200  200  200  200   200   404   401  200  200
customer                 PATCH  401  403  403  403  200  403  200  200   200   404   401  403  200
customer                 DELETE 401  403  403  403  200  403  200  200   200   404   401  403  200
payments                 GET    401  403  200  200  200  200  200  200   200   200   401  200  200
payments                 POST   201  201  201  201  201  201  201  201   201   201   401  201  201
payment                  GET    200  200  200  200  200  200  200  200   200   200   401  200  200
payment                  PATCH  401  403  403  403  200  403  200  200   200   404   401  403  200
capture                  POST   401  403  403  403  201  403  201  201   201   404   401  403  201
cancel                   POST   401  403  403  403  200  403  200  200   200   404   401  403  200
order_payments           GET    401  403  403  200  200  200  200  200   200   200   401  200  200
payment_transactions     GET    401  403  200  200  200  200  200  200   200   404   401  200  200
transactions             GET    401  403  200  200  200  200  200  200   200   200   401  200  200
transaction              GET    401  403  200  200  200  200  200  200   200   404   401  200  200
refund_payment           POST   401  403  403  403  201  403  201  201   201   404   401  403  201
refunds                  GET    401  403  403  200  200  200  200  200   200   200   401  200  200
refunds                  POST   401  403  403  403  201  403  201  201   201   201   401  403  201
refund                   GET    401  403  403  200  200  200  200  200   200   404   401  200  200
refund_cancel            POST   401  403  403  403  200  403  200  200   200   404   401  403  200
refund_approve           POST   401  403  403  403  200  403  200  200   200   404   401  403  403
balance                  GET    401  403  403  200  403  403  200  200   200   200   401  200  200
entries                  GET    401  403  403  200  403  403  200  200   200   200   401  200  200
bank_accounts            GET    401  403  403  200  403  403  200  200   200   200   401  200  200
bank_accounts            POST   401  403  403  403  403  403  201  201   201   201   401  403  403
bank_account             GET    401  403  403  200  403  403  200  200   200   404   401  200  200
bank_account             PATCH  401  403  403  403  403  403  200  200   200   404   401  403  200
bank_account_remove      POST   401  403  403  403  403  403  200  200   200   404   401  403  403
payouts                  GET    401  403  403  200  403  403  200  200   200   200   401  200  200
payouts                  POST   401  403  403  403  403  403  201  201   201   201   401  403  201
payout                   GET    401  403  403  200  403  403  200  200   200   404   401  200  200
payout_cancel            POST   401  403  403  403  403  403  200  200   200   404   401  403  200
payout_entries           GET    401  403  403  200  403  403  200  200   200   404   401  200  200

                                anon new  cust view supp dev  fin  admin owner rival gone read full

events                   GET    401  403  403  200  200  200  200  200   200   200   401  200  200
event                    GET    401  403  403  200  200  200  200  200   200   404   401  200  200
email_choices            GET    401  403  403  200  200  200  200  200   200   200   401  200  200
email_choices            PATCH  401  403  403  403  403  403  403  200   200   200   401  403  403
emails                   GET    401  403  403  200  200  200  200  200   200   200   401  200  200
webhook_endpoints        GET    401  403  403  403  403  200  403  200   200   200   401  200  200
webhook_endpoints        POST   401  403  403  403  403  201  403  201   201   201   401  403  201
webhook_endpoint         GET    401  403  403  403  403  200  403  200   200   404   401  200  200
webhook_endpoint         PATCH  401  403  403  403  403  200  403  200   200   404   401  403  200
webhook_endpoint         DELETE 401  403  403  403  403  200  403  200   200   404   401  403  200
webhook_rotate           POST   401  403  403  403  403  200  403  200   200   404   401  403  200
webhook_enable           POST   401  403  403  403  403  200  403  200   200   404   401  403  200
webhook_disable          POST   401  403  403  403  403  200  403  200   200   404   401  403  200
webhook_test             POST   401  403  403  403  403  200  403  200   200   404   401  403  200
webhook_replay           POST   401  403  403  403  403  200  403  200   200   404   401  403  200
webhook_diagnose         POST   401  403  403  403  403  200  403  200   200   404   401  403  200
webhook_deliveries       GET    401  403  403  403  403  200  403  200   200   200   401  200  200
webhook_delivery         GET    401  403  403  403  403  200  403  200   200   404   401  200  200
webhook_preview          GET    401  403  403  403  403  200  403  200   200   404   401  403  200
webhook_retry            POST   401  403  403  403  403  200  403  200   200   404   401  403  200
"""
PERSONAS = "anon new cust view supp dev fin admin owner rival gone read full".split()  # noqa: SIM905
ROLES = {"view": "viewer", "supp": "support", "dev": "developer", "fin": "finance", "admin": "admin", "owner": "owner"}

Statuses = dict[str, int]


def read_table(text: str = TABLE) -> dict[tuple[str, str], Statuses]:
    """The statuses by persona, of each route and method. Raises ValueError for a line that is not whole."""
    table: dict[tuple[str, str], Statuses] = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words == PERSONAS:
            continue
        route, method, *statuses = words
        if (route, method) in table:
            raise ValueError(f"{route} {method} stands twice.")
        statuses = statuses * len(PERSONAS) if len(statuses) == 1 else statuses
        table[route, method] = {name: int(status) for name, status in zip(PERSONAS, statuses, strict=True)}
    return table
