"""A webhook leads to a public host: anything else is refused when it is saved, and gets no packet when it is sent."""

import pytest

from core.http import open_connection
from core.tests.calls import resolving
from notifications.models import WebhookAttempt, WebhookEndpoint
from notifications.services import create_endpoint
from notifications.signatures import new_secret
from tests.sinks import HOST

JSON = "application/json"
URL = "https://hooks.shop.com/in"
PUBLIC, ALSO_PUBLIC, PRIVATE = "93.184.215.14", "2606:4700:4700::1111", "10.0.0.1"
FORBIDDEN = {
    "private": "https://10.0.0.1/",
    "private 172": "https://172.16.0.1/",
    "private 192": "https://192.168.1.1/",
    "private v6": "https://[fd00::1]/",
    "shared": "https://100.64.0.1/",
    "loopback": "https://127.0.0.1/",
    "loopback v6": "https://[::1]/",
    "loopback mapped": "https://[::ffff:127.0.0.1]/",
    "loopback by name": "https://localhost/",
    "this host": "https://0.0.0.0/",
    "link-local": "https://169.254.1.1/",
    "link-local v6": "https://[fe80::1]/",
    "metadata": "https://169.254.169.254/latest/meta-data/",
    "metadata mapped": "https://[::ffff:169.254.169.254]/",
    "metadata by name": "https://metadata.google.internal/",
    "metadata v6": "https://[fd00:ec2::254]/",
    "metadata of Alibaba": "https://100.100.100.200/",
    "NAT64": "https://[64:ff9b::a9fe:a9fe]/",
    "NAT64 local": "https://[64:ff9b:1::a9fe:a9fe]/",
    "6to4": "https://[2002:a9fe:a9fe::]/",
    "6to4 relay": "https://192.88.99.1/",
    "Teredo": "https://[2001::1]/",
    "multicast": "https://224.0.0.1/",
    "multicast v6": "https://[ff02::1]/",
    "broadcast": "https://255.255.255.255/",
    "decimal": "https://2130706433/",
    "hexadecimal": "https://0x7f000001/",
    "octal": "https://0177.0.0.1/",
    "short": "https://127.1/",
    "unicode digits": "https://①②⑦.⓪.⓪.①/",
    "full-width digits": "https://１２７.0.0.1/",
    "ideographic stops": "https://127。0。0。1/",
    "userinfo": "https://user:password@hooks.shop.com/",
    "userinfo as host": "https://hooks.shop.com@127.0.0.1/",
    "backslash": "https://hooks.shop.com\\@127.0.0.1/",
    "port 22": "https://hooks.shop.com:22/",
    "port 80": "https://hooks.shop.com:80/",
    "port 6379": "https://127.0.0.1:6379/",
    "plain http": "http://hooks.shop.com/",
    "another scheme": "gopher://127.0.0.1:6379/_INFO",
    "no dot": "https://intranet/",
    "local domain": "https://printer.local/",
    "this service": "https://testserver/",
}
REFUSED = (400, "url_forbidden", "url")


@pytest.fixture
def saved(shop):
    """`saved(*urls)`: endpoints with these URLs, whatever the rules were when they were saved."""

    def make(*urls):
        for url in urls:
            fields = {"secret": new_secret(), "event_types": ["*"]}
            WebhookEndpoint.objects.create(merchant=shop, url=url, **fields)

    return make


@pytest.fixture
def wire(sink):
    """Connects to the sink whoever is to be called, and keeps who that was."""

    async def connect(host, port, **tls):
        connect.calls.append((host, port, tls["server_hostname"]))
        return await open_connection(HOST, sink.port)

    connect.calls = []
    return connect


class TestAtSave:
    @pytest.fixture
    def ask(self, api, owner):
        """The status of an answer, and its error."""

        def send(method, path, **body):
            answer = getattr(api, method)(f"/api/v1/{path}", body, headers=owner, content_type=JSON)
            error = answer.json().get("error", {})
            return answer.status_code, error.get("code"), error.get("param")

        return send

    def test_is_refused(self, ask):
        answers = {
            name: ask("post", "webhook-endpoints", url=url, event_types=["*"]) for name, url in FORBIDDEN.items()
        }
        assert {name: answer for name, answer in answers.items() if answer != REFUSED} == {}
        assert not WebhookEndpoint.objects.exists()

    def test_is_refused_as_a_change(self, ask, shop):
        endpoint, _secret = create_endpoint(shop, url=URL, event_types=["*"])
        answers = {name: ask("patch", f"webhook-endpoints/{endpoint.pk}", url=url) for name, url in FORBIDDEN.items()}
        assert {name: answer for name, answer in answers.items() if answer != REFUSED} == {}
        endpoint.refresh_from_db()
        assert endpoint.url == URL

    def test_is_anything_but_a_public_host(self, ask):
        assert ask("post", "webhook-endpoints", url=URL, event_types=["*"])[0] == 201


class TestAtDelivery:
    def test_gets_no_packet(self, saved, tell, send, called):
        saved(*FORBIDDEN.values())
        tell()
        assert send() == len(FORBIDDEN)
        assert called == []
        assert set(WebhookAttempt.objects.values_list("status", "error")) == {(None, "no_public_address")}

    @pytest.mark.parametrize(
        "answer",
        [
            [],
            [PRIVATE],
            ["127.0.0.1"],
            ["169.254.169.254"],  # what a CNAME to the metadata of a cloud comes to
            ["64:ff9b::a9fe:a9fe"],
            ["2002:a9fe:a9fe::"],
            ["ff02::1"],
            [PUBLIC, PRIVATE],
            [PRIVATE, PUBLIC],
            [ALSO_PUBLIC, "::1"],
        ],
        ids=str,
    )
    def test_gets_no_packet_when_an_address_of_its_name_is_private(self, saved, tell, send, called, answer):
        saved(URL)
        tell()
        assert send(resolve=resolving(answer)[0]) == 1
        assert called == []
        assert WebhookAttempt.objects.get().error == "no_public_address"

    def test_is_called_where_the_first_answer_led_although_the_name_was_bound_anew(
        self, saved, tell, send, called, wire, sink
    ):
        saved("https://hooks.shop.com/200")
        tell()
        assert send(resolve=resolving([PUBLIC], [PRIVATE])[0], connect=wire) == 1
        assert wire.calls == [(PUBLIC, 443, "hooks.shop.com")]
        assert called == [(HOST, sink.port)]  # the spy sees what is called
        assert WebhookAttempt.objects.get().status == 200

    def test_is_asked_for_anew_at_each_attempt(self, saved, tell, send, called):
        """A name that turns to a private address after it was saved, and called, is not called again."""
        saved(URL)
        for n in range(2):
            tell(object_id=f"pay_{n}")
            assert send(resolve=resolving([PRIVATE])[0]) == 1
        assert called == []
