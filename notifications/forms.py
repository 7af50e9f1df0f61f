"""The form of the signature debugger."""

from django import forms
from django.utils.translation import gettext_lazy as _

from notifications.diagnosis import MAX_BODY, MAX_HEADERS

MAX_SECRET = 256  # characters


class DebuggerForm(forms.Form):
    """What a receiver has got, as it can be pasted."""

    headers = forms.CharField(max_length=MAX_HEADERS, error_messages={"required": _("Paste the headers.")})
    body = forms.CharField(max_length=MAX_BODY, strip=False, error_messages={"required": _("Paste the body.")})
    secret = forms.CharField(max_length=MAX_SECRET, error_messages={"required": _("Paste the endpoint's secret.")})

    def clean_headers(self) -> dict[str, str]:
        """By name, from lines `name: value`; other lines, such as the one of the request, say nothing. What curl shows
        begins with `<` or `>`."""
        lines = (line.partition(":") for line in self.cleaned_data["headers"].splitlines())
        return {name.strip("<> \t"): value for name, colon, value in lines if colon}

    def clean_body(self) -> bytes:
        """A form sends every line end as CR LF (HTML, "constructing the entry list"); webhooks hold none at all."""
        return self.cleaned_data["body"].replace("\r\n", "\n").encode()
