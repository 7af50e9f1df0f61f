import pytest

from accounts.models import Merchant
from payments.models import Payment
from payments.return_urls import UrlForbidden, read_return_url

ALLOWED = ["https://shop.example.com", "https://a.example.com:8443", "http://localhost:3000", "http://shop.example.com"]

GOOD = [
    "https://shop.example.com",
    "https://shop.example.com/",
    "https://shop.example.com/thanks?order=1&x=%20#done",
    "https://shop.example.com:443/thanks",
    "https://SHOP.Example.COM/thanks",
    "HTTPS://shop.example.com/",
    "https://a.example.com:8443/",
    "http://localhost:3000/back",
    "https://shop.example.com?next=//evil.example",
    "https://shop.example.com/#@evil.example",
    "https://shop.example.com/@evil.example",
    "https://shop.example.com//evil.example",
    "https://shop.example.com/..//evil.example",
]
BAD = [
    # nowhere, or on our own pages
    "", "x", "/", "/thanks", "//", "//shop.example.com/", "///shop.example.com", "shop.example.com", "?x", "#x", ".",
    "https",
    # other schemes
    "javascript:alert(1)", "JaVaScRiPt:alert(1)//https://shop.example.com", "data:text/html,x",
    "ftp://shop.example.com/",
    "file:///etc/passwd", "vbscript:x", "blob:https://shop.example.com/x", "intent://shop.example.com/",
    "wss://shop.example.com/",
    "http://shop.example.com/", "httpss://shop.example.com/", "https//shop.example.com", "mailto:x@shop.example.com",
    # no authority of its own
    "https:", "https:/", "https://", "https:///", "https:shop.example.com/", "https:/shop.example.com/",
    "https:///shop.example.com/",
    "https://?x=shop.example.com", "https://#shop.example.com", "https://:443/",
    # another host
    "https://evil.example/", "//evil.example/", "https://evil.example/shop.example.com",
    "https://evil.example?https://shop.example.com",
    "https://shop.example.com.evil.example/", "https://evilshop.example.com/", "https://shop-example.com/",
    "https://example.com/",
    "https://x.shop.example.com/", "https://shop.example.com./", "https://.shop.example.com/",
    "https://shop..example.com/",
    "https://shop.example.com%2eevil.example/", "https://shop%2eexample.com/",
    "https://shop.example.com%00.evil.example/",
    "https://shop.example.com%23@evil.example/", "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/",
    "https://[shop.example.com]/", "https://[/", "https://]/", "https://[::1", "https://*/", "https://*.example.com/",
    "https://shop,example.com/",
    "http://127.0.0.1/", "http://localhost/", "http://localhost:3001/", "https://localhost:3000/",
    # a user name
    "https://user@shop.example.com/", "https://user:pass@shop.example.com/", "https://@shop.example.com/",
    "https://:@shop.example.com/",
    "https://shop.example.com@evil.example/", "https://shop.example.com:443@evil.example/",
    "https://shop.example.com;@evil.example/",
    "https://evil.example@shop.example.com/", "https://a@b@shop.example.com/",
    # another port
    "https://shop.example.com:444/", "https://shop.example.com:80/", "https://shop.example.com:0/",
    "https://shop.example.com:00/",
    "https://shop.example.com:99999/", "https://shop.example.com:-1/", "https://shop.example.com:+443/",
    "https://shop.example.com:x/",
    "https://shop.example.com:443:443/", "https://shop.example.com:4_43/", "https://a.example.com/",
    "https://a.example.com:443/",
    # what browsers read otherwise than we do
    "https:\\\\shop.example.com", "https://shop.example.com\\@evil.example/",
    "https://evil.example\\@shop.example.com/", "\\\\evil.example",
    "https://shop.example.com\\.evil.example/", "/\\evil.example", "https:/\\evil.example",
    "https://shop.example.com/\\evil",
    "https://shop.exam\tple.com/", "java\tscript:alert(1)", "https://shop.example.com/\nx",
    "https://shop.example.com/\r\nLocation: https://evil.example",
    "https://shop.example.com/\x00", "https://shop.example.com/\x7f", "https://shop.example.com/ x",
    "https://shop .example.com/", "\x01https://shop.example.com/",
    "https://shop.example.com\u3002evil.example/", "https://shop\uff0eexample.com/", "https://\u24e2hop.example.com/",
    "https://sh\u043ep.example.com/",
    "https://shop.example.com/\u202e", "https://shop.example.com/\u00e9",
    "https://shop.example.com:\uff14\uff14\uff13/", "https://shop\u00ad.example.com/",
    "https\uff1a//shop.example.com/", "https://shop.example.com\u2044@evil.example/",
    "\ufeffhttps://shop.example.com/", "https://shop.example.com/" + "a" * 2048,
]  # fmt: skip


class TestOrigins:
    @pytest.mark.parametrize("url", GOOD)
    def test_that_are_allowed(self, url):
        assert read_return_url(url, ALLOWED, sandbox=True) == url

    @pytest.mark.parametrize("url", BAD, ids=range(len(BAD)))
    def test_that_are_not(self, url):
        with pytest.raises(UrlForbidden) as caught:
            read_return_url(url, ALLOWED, sandbox=True)
        assert caught.value.param == "return_url"

    @pytest.mark.parametrize("url", [*GOOD, *BAD], ids=range(len(GOOD) + len(BAD)))
    def test_are_none_when_none_are_given(self, url):
        for allowed in ([], ["", "x", "//", "https://", "https://[", "shop.example.com"]):
            with pytest.raises(UrlForbidden):
                read_return_url(url, allowed, sandbox=True)

    def test_of_a_live_merchant_are_https(self):
        with pytest.raises(UrlForbidden):
            read_return_url("http://localhost:3000/", ALLOWED, sandbox=False)
        assert read_return_url("https://shop.example.com/", ALLOWED, sandbox=False)


class TestOverHttp:
    def test_an_allowed_one_is_kept(self, pay):
        assert pay(return_url="https://shop.example.com/thanks").status_code == 201
        assert Payment.objects.get().return_url == "https://shop.example.com/thanks"

    @pytest.mark.parametrize("url", BAD, ids=range(len(BAD)))
    def test_any_other_is_refused(self, pay, url):
        Merchant.objects.update(return_origins=ALLOWED)
        response = pay(return_url=url)
        assert response.status_code == 400
        error = response.json()["error"]
        if error["code"] == "json_invalid":
            assert "\x00" in url
        else:
            assert error["code"] in ("url_forbidden", "parameter_invalid", "parameter_missing")
            assert error["param"] == "return_url"
        assert "evil" not in response.content.decode()
        assert not Payment.objects.exists()
