"""The demo's mailbox: what would have been sent, on this machine only."""

import re

import pytest

from core.mail import queue_email, send_emails

LINK = "https://pay.example.com/verify/one-time-secret"


@pytest.fixture
def mailbox(settings, tmp_path):
    settings.EMAIL_BACKEND = "config.demo_mail.MailboxBackend"
    settings.DEMO_MAIL_DIR = tmp_path / "mail"
    return settings.DEMO_MAIL_DIR


@pytest.fixture
def sent(db, mailbox):
    """Sends a mail and answers with its path."""

    def send(name="Jane", **options):
        email = queue_email("verify_email", to="jane@example.com", context={"name": name, "url": LINK}, **options)
        send_emails()
        return f"/demo/mail/{email.pk}"

    return send


class TestMailbox:
    def test_is_empty_at_first(self, client, mailbox):
        assert "No mail yet" in client.get("/demo/mail").content.decode()

    def test_lists_the_newest_first(self, client, sent):
        sent()
        sent(language="fr")
        page = client.get("/demo/mail").content.decode()
        assert page.index("Confirmez votre adresse") < page.index("Confirm your email")

    def test_is_reached_from_the_first_page(self, client, db):
        assert 'href="/demo/mail"' in client.get("/").content.decode()

    def test_keeps_a_mail_once_that_is_sent_twice(self, sent, mailbox):
        email_id = sent().rpartition("/")[2]
        before = [path.name for path in mailbox.iterdir()]
        assert before == [f"{email_id}.eml"]


class TestMail:
    def test_shows_who_what_and_the_text(self, client, sent):
        page = client.get(sent(from_name="Müller & Söhne")).content.decode()
        for text in ("Confirm your email address", "jane@example.com", "Müller &amp; Söhne", "Hello Jane,", LINK):
            assert text in page

    def test_shows_names_as_text(self, client, sent):
        path = sent(name="<script>alert(1)</script>")
        for page in (client.get(path), client.get(f"{path}/html"), client.get("/demo/mail")):
            assert "<script>alert" not in page.content.decode()

    def test_frames_the_html_where_no_script_runs(self, client, sent):
        path = sent()
        page = client.get(path)
        sandbox = re.search(r'<iframe[^>]* src="([^"]+)" sandbox="([^"]+)"', page.content.decode())
        assert sandbox.groups() == (f"{path}/html", "allow-popups allow-popups-to-escape-sandbox")
        assert "unsafe" not in page["Content-Security-Policy"]

    def test_is_a_document_without_scripts_that_only_we_may_frame(self, client, sent):
        html = client.get(f"{sent()}/html")
        assert "<h1" in html.content.decode()
        policy = dict(part.strip().partition(" ")[::2] for part in html["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == policy["script-src"] == policy["form-action"] == "'none'"
        assert policy["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
        assert policy["frame-ancestors"] == "'self'"
        assert html["X-Frame-Options"] == "SAMEORIGIN"

    @pytest.mark.parametrize("below", ["", "/html"])
    @pytest.mark.parametrize("email_id", ["eml_01m7xt2s0arrqj7g231der0e2g", "..%2F..%2Fdemo", "eml_x"])
    def test_that_is_not_there_is_a_404(self, client, mailbox, email_id, below):
        assert client.get(f"/demo/mail/{email_id}{below}").status_code == 404


class TestOutsideTheDemo:
    def test_there_is_nothing(self, client, sent, settings):
        path = sent()
        settings.DEMO = False
        for hidden in ("/demo/mail", path, f"{path}/html"):
            assert client.get(hidden).status_code == 404

    def test_the_first_page_does_not_speak_of_it(self, client, db, settings):
        settings.DEMO = False
        assert "/demo/mail" not in client.get("/").content.decode()
