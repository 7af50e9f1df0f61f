"""Why a payment failed, in the one vocabulary that every provider's reasons are mapped to."""

from django.utils.translation import gettext_lazy as _

# Lost, stolen and suspected fraud are card_declined here: a thief learns nothing from the answer.
MESSAGES = {
    "card_declined": _("The card was declined. Try another card or method."),
    "insufficient_funds": _("The card has insufficient funds."),
    "expired_card": _("The card has expired."),
    "incorrect_cvc": _("The card's security code is incorrect."),
    "incorrect_number": _("The card number is incorrect."),
    "processing_error": _("The provider could not process the payment. Try again."),
    "authentication_failed": _("The payment was not confirmed. Try again."),
    "provider_unavailable": _("The provider could not be reached. Try again."),
    "order_already_paid": _("This order has been paid already."),
    "expired": _("The payment was not made in time."),
}
