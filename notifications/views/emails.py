"""Which mails are sent, and what became of them."""

from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import AccessView
from accounts.models import Merchant
from accounts.schema import LIST_ERRORS, described
from core.api import answer, answer_page, paginate, read_body
from core.mail import Email
from notifications import services
from notifications.filters import EmailFilters
from notifications.serializers import EmailChange, EmailChoices, EmailDetails

TAG = "Emails"


class EmailChoicesView(AccessView):
    """Which mails the merchant's customers and team get."""

    noun = "email_choices"
    needs = {"GET": "merchant:read", "PATCH": "merchant:write"}

    @described("getEmailChoices", "Which mails are sent", EmailChoices, tag=TAG)
    def get(self, request: Request) -> Response:
        return self.show(self.merchant, "The mails that can be switched.")

    @described(
        "changeEmailChoices",
        "Switch mails on or off",
        EmailChoices,
        tag=TAG,
        body=EmailChange,
        description="Only those that are sent change. Mails about an account (a new log-in, say) cannot be switched.",
    )
    def patch(self, request: Request) -> Response:
        changed = services.choose_emails(self.merchant, read_body(EmailChange, request))
        return self.show(changed, "Switched.")

    def show(self, merchant: Merchant, message: str) -> Response:
        return answer(self.noun, EmailChoices({"emails": services.email_choices(merchant)}).data, message)


class EmailsView(AccessView):
    """What was sent to whom, and why not."""

    plural = "emails"
    needs = {"GET": "emails:read"}

    @described(
        "listEmails",
        "List mails",
        EmailDetails(many=True),
        tag=TAG,
        errors=LIST_ERRORS,
        parameters=[EmailFilters.described()],
        description="Kept for 90 days, without what they said.",
    )
    def get(self, request: Request) -> Response:
        rows = Email.objects.defer("context").filter(merchant_id=self.merchant.pk)
        listing = EmailFilters(request.query_params, rows).listing()
        page = paginate(request, listing.rows, ascending=listing.ascending)
        return answer_page(self.plural, page, EmailDetails(page.rows, many=True).data, listing.note or "Emails.")
