"""Where we may call: nothing but public hosts by https, however the URL is spelled."""

from ipaddress import ip_address

import pytest

from core.errors import UrlForbidden
from core.targets import check_url, is_public, read_allowed

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::200e", "::ffff:8.8.8.8"]
NOT_PUBLIC = [
    "0.0.0.0",  # noqa: S104
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:100.64.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
ALLOWED_URLS = [
    "https://hooks.shop.com",
    "https://hooks.shop.com/in?key=a%20b&c=",
    "https://HOOKS.Shop.com:8443/in",
    "https://hooks.shop.com:443/",
    "https://xn--bcher-kva.com/in",
    "https://a_b.shop.com/",
    "https://8.8.8.8/in",
    "https://[2606:4700:4700::1111]:8443/in",
]
FORBIDDEN_URLS = [
    "",
    "hooks.shop.com",
    "//hooks.shop.com",
    "https:",
    "https://",
    "https:///in",
    "https:hooks.shop.com",
    "http://hooks.shop.com",
    "ftp://hooks.shop.com",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_INFO",
    "javascript:alert(1)",
    "https://hooks.shop.com:80/",
    "https://hooks.shop.com:22/",
    "https://hooks.shop.com:0/",
    "https://hooks.shop.com:65536/",
    "https://hooks.shop.com:-1/",
    "https://hooks.shop.com:4 43/",
    "https://hooks.shop.com:٤٤٣/",
    "https://hooks.shop.com:/",
    "https://hooks.shop.com:0443/",
    "https://user@hooks.shop.com/",
    "https://user:password@hooks.shop.com/",
    "https://hooks.shop.com@127.0.0.1/",
    "https://@127.0.0.1/",
    "https://good.com\\@127.0.0.1/",
    "https://good.com\\.127.0.0.1/",
    "https://good.com#@127.0.0.1/",
    "https://hooks.shop.com/in#part",
    " https://hooks.shop.com/",
    "https://hooks.shop.com/ in",
    "https://hooks.shop.com/\r\nX-Injected: yes",
    "https://hooks.shop\t.com/",
    "https://hooks.shop.com/\x00",
    "https://bücher.com/",
    "https://ⓛocalhost/",
    "https://①②⑦.⓪.⓪.①/",
    "https://１２７.0.0.1/",
    "https://127。0。0。1/",
    "https://hooks.shop.com/é",
    "https://%31%32%37.0.0.1/",
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0177.0.0.1/",
    "https://127.0.0.01/",
    "https://127.0.0.1./",
    "https://shop.0x7f/",
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST/",
    "https://api.localhost/",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://router.home.arpa/",
    "https://intranet/",
    "https://shop.com./",
    "https://.shop.com/",
    "https://shop..com/",
    "https://-shop.com/",
    "https://shop-.com/",
    "https://shop.com-/",
    "https://[::1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[fe80::1%25eth0]/",
    "https://[::1].shop.com/",
    "https://[2606:4700:4700::1111].shop.com/",
    "https://[::1/",
    "https://::1/",
    "https://[127.0.0.1]/",
    "https://testserver/",
    "https://" + "a" * 64 + ".com/",
    "https://" + "a." * 127 + "com/",
    "https://hooks.shop.com/" + "a" * 2048,
]


class TestPublicAddresses:
    @pytest.mark.parametrize("address", PUBLIC)
    def test_may_be_called(self, address):
        assert is_public(ip_address(address))

    @pytest.mark.parametrize("address", NOT_PUBLIC)
    def test_are_no_others(self, address):
        assert not is_public(ip_address(address))


class TestUrlAtSave:
    @pytest.mark.parametrize("url", ALLOWED_URLS)
    def test_is_taken(self, url):
        assert check_url(url).scheme == "https"

    @pytest.mark.parametrize("url", FORBIDDEN_URLS)
    def test_is_refused(self, url):
        with pytest.raises(UrlForbidden) as caught:
            check_url(url, param="webhook")
        assert (caught.value.status, caught.value.code, caught.value.param) == (400, "url_forbidden", "webhook")

    @pytest.mark.parametrize("address", [text for text in NOT_PUBLIC if "%" not in text])
    def test_of_an_address_that_is_not_public_is_refused(self, address):
        with pytest.raises(UrlForbidden):
            check_url(f"https://[{address}]/" if ":" in address else f"https://{address}/")

    @pytest.mark.parametrize("host", ["pay.shop.com", "pay.shop.com:8443", "api.shop.com", "PAY.shop.com"])
    def test_of_this_service_itself_is_refused(self, settings, host):
        settings.SITE_URL, settings.ALLOWED_HOSTS = "https://pay.shop.com", ["api.shop.com"]
        with pytest.raises(UrlForbidden):
            check_url(f"https://{host}/")

    @pytest.mark.parametrize("host", ["shop.com", "api.shop.com", "deep.api.shop.com", "[2606:4700::6810:84e5]"])
    def test_of_this_services_domain_is_refused(self, settings, host):
        settings.ALLOWED_HOSTS = [".shop.com", "[2606:4700::6810:84e5]"]
        with pytest.raises(UrlForbidden):
            check_url(f"https://{host}/")

    def test_of_another_domain_may_be_called_where_any_host_serves(self, settings):
        settings.ALLOWED_HOSTS = ["*", ".shop.com"]
        for host in ("hooks.example.com", "othershop.com", "shop.com.example.com"):
            assert check_url(f"https://{host}/").host == host

    def test_is_read_once(self):
        target = check_url("https://Hooks.shop.com:8443/in?a=1")
        assert (target.host, target.port, target.path) == ("hooks.shop.com", 8443, "/in?a=1")
        assert target.authority == "hooks.shop.com:8443"
        assert check_url("https://[2606:4700:4700::1111]/").authority == "[2606:4700:4700::1111]"
        assert check_url("https://shop.com?a=1").path == "/?a=1"


class TestOperatorsList:
    @pytest.fixture(autouse=True)
    def _listed(self, settings):
        settings.OUTBOUND_ALLOWED = ["erp", "hooks.internal", "10.20.0.0/16", "fd00::5"]

    @pytest.mark.parametrize(
        "url", ["http://erp:8000/", "https://hooks.internal/", "http://10.20.3.4:81/in", "http://[fd00::5]/"]
    )
    def test_opens_hosts_ports_and_plain_http(self, url):
        assert check_url(url).is_listed

    @pytest.mark.parametrize(
        "url", ["http://crm/", "http://10.21.0.1/", "https://x.hooks.internal/", "http://a@erp/", "http://erp\\x/"]
    )
    def test_opens_nothing_else(self, url):
        with pytest.raises(UrlForbidden):
            check_url(url)

    @pytest.mark.parametrize("entry", ["10.0.0.0/33", "10.0.0.1/8", "a b", "http://erp", "", "300.1.1.1", "*"])
    def test_holds_nothing_that_cannot_be_read(self, entry):
        with pytest.raises(ValueError, match=r"does not appear|host bits"):
            read_allowed((entry,))
