"""EMAIL_URL, read into what Django's settings want to know of a mail server."""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

SMTP = "django.core.mail.backends.smtp.EmailBackend"
PORTS = {
    "smtp": 25,  # in the clear: for a server on this machine or in its network
    "smtp+tls": 587,  # STARTTLS (RFC 6409)
    "smtp+ssl": 465,  # TLS from the start (RFC 8314)
}
OTHERS = {
    "consolemail": "django.core.mail.backends.console.EmailBackend",  # printed
    "demomail": "config.demo_mail.MailboxBackend",  # kept for /demo/mail
}
FORMS = "smtp+tls://user:password@host:587, smtp+ssl://user:password@host:465, smtp://host:25 or consolemail://"


class MailServer(NamedTuple):
    backend: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    use_tls: bool = False
    use_ssl: bool = False


def read_mail_server(url: str) -> MailServer:
    """The server that an EMAIL_URL names. Characters that mean something in a URL stand percent-encoded in user and
    password ("/" as %2F).

    Raises ImproperlyConfigured, which never repeats the URL: it holds a password.
    """
    scheme = url.partition(":")[0]
    if scheme in OTHERS:
        return MailServer(OTHERS[scheme])
    if scheme not in PORTS:
        raise ImproperlyConfigured(f"EMAIL_URL must look like {FORMS}.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or PORTS[scheme]
    except ValueError:
        raise ImproperlyConfigured(f"EMAIL_URL cannot be read. It must look like {FORMS}.") from None
    if not host or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ImproperlyConfigured(f"EMAIL_URL names no server. It must look like {FORMS}.")
    return MailServer(
        SMTP,
        host,
        port,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        use_tls=scheme == "smtp+tls",
        use_ssl=scheme == "smtp+ssl",
    )
