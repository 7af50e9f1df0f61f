import pytest
from django.core.exceptions import ImproperlyConfigured

from config.mail import SMTP, MailServer, read_mail_server


class TestReadMailServer:
    @pytest.mark.parametrize(
        ("url", "server"),
        [
            ("smtp://localhost", MailServer(SMTP, "localhost", 25)),
            ("smtp+tls://mail.example.com", MailServer(SMTP, "mail.example.com", 587, use_tls=True)),
            ("smtp+ssl://mail.example.com", MailServer(SMTP, "mail.example.com", 465, use_ssl=True)),
            ("smtp+tls://mail.example.com:2525/", MailServer(SMTP, "mail.example.com", 2525, use_tls=True)),
            (
                "smtp+tls://ann%40shop:a%2Fb+c%25%40d@mail.example.com:587",
                MailServer(SMTP, "mail.example.com", 587, "ann@shop", "a/b+c%@d", use_tls=True),
            ),
            ("consolemail://", MailServer("django.core.mail.backends.console.EmailBackend")),
            ("demomail://", MailServer("config.demo_mail.MailboxBackend")),
        ],
    )
    def test_reads(self, url, server):
        assert read_mail_server(url) == server

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "smtp",
            "smtp://",
            "smtps://u:hidden@host",
            "http://u:hidden@host",
            "smtp://u:hidden@host:port",
            "smtp://u:hidd/en@host",
            "smtp://u:hidd?en@host",
            "smtp://u:hidd#en@host",
            "smtp://u:hidden@[host",
            "smtp+tls://u:hidden@host:99999",
            "smtp://host/path",
        ],
    )
    def test_refuses_without_telling_the_password(self, url):
        with pytest.raises(ImproperlyConfigured, match=r"must look like smtp\+tls://") as refusal:
            read_mail_server(url)
        assert "hidd" not in str(refusal.value)
