import json
import time
from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import ApiError, BodyTooLarge, DuplicateKey, JsonInvalid
from core.parsers import MAX_DEPTH, parse_object

LIMIT = 64 * 1024
CPU_SECONDS = 1


def nested(depth: int, opening: bytes = b'{"a":', closing: bytes = b"}") -> bytes:
    return opening * depth + b"1" + closing * depth


class TestTakes:
    @pytest.mark.parametrize(
        ("raw", "value"),
        [
            (b"{}", {}),
            (b' \t\r\n{"a" : 1 } \n', {"a": 1}),
            (b'{"a":50.00}', {"a": Decimal("50.00")}),
            (b'{"a":-0}', {"a": 0}),
            (b'{"a":[true,false,null,"x",{}]}', {"a": [True, False, None, "x", {}]}),
            (b'{"":""}', {"": ""}),
            (b'{"a":{"a":{"a":1}}}', {"a": {"a": {"a": 1}}}),
            (b'{"a":1,"A":2}', {"a": 1, "A": 2}),
            (b'{"a":"\\u0041\\n\\"\\\\\\/"}', {"a": 'A\n"\\/'}),
            (b'{"a":"\\ud83d\\ude00"}', {"a": "\U0001f600"}),
            ('{"é":"😀 ‮ \u2028"}'.encode(), {"é": "😀 ‮ \u2028"}),
            (b'{"a":"\x7f"}', {"a": "\x7f"}),
            (b'{"a":"[[[[{{{{"}', {"a": "[[[[{{{{"}),
            (b'{"a":"\\\\","b":"\\"["}', {"a": "\\", "b": '"['}),
            (b'{"a":' + b"9" * 64 + b"}", {"a": int("9" * 64)}),
            (b'{"a":0.' + b"1" * 62 + b"}", {"a": Decimal("0." + "1" * 62)}),
        ],
    )
    def test_an_object(self, raw, value):
        assert parse_object(raw) == value

    def test_fractions_as_decimals(self):
        assert type(parse_object(b'{"a":0.1}')["a"]) is Decimal

    @pytest.mark.parametrize("token", [b"5e1", b"5E-2", b"5.0e1", b"1e999999999", b"-1E+400"])
    def test_an_exponent_as_a_float_which_no_field_takes(self, token):
        assert type(parse_object(b'{"a":' + token + b"}")["a"]) is float

    def test_the_deepest_and_the_longest(self):
        assert parse_object(nested(MAX_DEPTH))
        assert parse_object(b'{"a":' + nested(MAX_DEPTH - 1, b"[", b"]") + b"}")
        assert parse_object(b"{}" + b" " * (LIMIT - 2)) == {}

    def test_what_only_looks_deep(self):
        assert parse_object(b'{"a":[' + b",".join([b"[]"] * 1000) + b"]}")


NOT_JSON = [
    # nothing, or no object
    b"", b" ", b"\n", b"null", b"true", b"false", b"0", b"1.5", b'""', b'"text"', b"[]", b"[{}]", b'[["a",1]]',
    # unfinished
    b"{", b"}", b"[", b"]", b'{"', b'{"a', b'{"a"', b'{"a":', b'{"a":1', b'{"a":1,', b'{"a":[', b'{"a":[1', b'{"a":[1,',
    b'{"a":"', b'{"a":"\\', b'{"a":"\\u', b'{"a":"\\u00', b'{"a":t', b'{"a":tru}', b'{"a":nul}', b'{"a":fals}',
    b'{"a":-',
    # more than one
    b"{}{}", b"{} {}", b"{}[]", b"{},", b"{}x", b"{}null", b'{"a":1}}', b"{};", b"{}\x00", b"{}\xff", b"{}/**/",
    b"{}//x",
    # commas, colons, brackets
    b'{,}', b'{"a":1,}', b'{,"a":1}', b'{"a":1,,"b":2}', b'{"a":1 "b":2}', b'{"a" 1}', b'{"a"::1}', b'{"a":}', b'{:1}',
    b'{"a":[1,]}', b'{"a":[,1]}', b'{"a":[1,,2]}', b'{"a":[1 2]}', b'{"a":[1}', b'{"a":{]}', b'{"a":(1)}', b'{"a"=1}',
    b'{"a":1;}',
    # names
    b"{a:1}", b"{'a':1}", b"{1:1}", b"{null:1}", b"{true:1}", b"{[]:1}", b'{"a"b:1}', b'{"a\n":1}', b"{`a`:1}",
    # numbers
    b'{"a":+1}', b'{"a":01}', b'{"a":-01}', b'{"a":.5}', b'{"a":5.}', b'{"a":-.5}', b'{"a":1e}', b'{"a":1e+}',
    b'{"a":1.e1}',
    b'{"a":0x10}', b'{"a":0b1}', b'{"a":0o7}', b'{"a":1_000}', b'{"a":1,000}', b'{"a":1 000}', b'{"a":--1}',
    b'{"a":1.2.3}', b'{"a":1/2}',
    b'{"a":NaN}', b'{"a":-NaN}', b'{"a":nan}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":+Infinity}',
    b'{"a":inf}', b'{"a":1n}',
    '{"a":٥}'.encode(), '{"a":５}'.encode(), '{"a":1٥}'.encode(), '{"a":1.٥}'.encode(), '{"a":−1}'.encode(),
    '{"a":½}'.encode(),
    b'{"a":' + b"9" * 65 + b"}", b'{"a":0.' + b"0" * 63 + b"}", b'{"a":1e' + b"9" * 63 + b"}",
    b'{"a":-' + b"1" * 5000 + b"}",
    # words
    b'{"a":True}', b'{"a":None}', b'{"a":TRUE}', b'{"a":undefined}', b'{"a":nullnull}', b'{"a":truefalse}', b'{"a":a}',
    # texts
    b"{'a':'b'}", b'{"a":\'b\'}', b'{"a":"b}', b'{"a":b"}', b'{"a":"\n"}', b'{"a":"\t"}', b'{"a":"\x1f"}',
    b'{"a":"\x00"}',
    b'{"a":"\\x41"}', b'{"a":"\\u004"}', b'{"a":"\\u{41}"}', b'{"a":"\\uGGGG"}', b'{"a":"\\U00000041"}',
    b'{"a":"\\a"}', b'{"a":"\\0"}', b'{"a":"\\\'"}',
    b'{"a":"x" "y"}', b'{"a":"x"+"y"}', b'{"a":"""x"""}',
    # what no database can keep
    b'{"a":"\\u0000"}', b'{"\\u0000":1}', b'{"a":"x\\u0000y"}', b'{"a":["\\u0000"]}', b'{"a":{"b":{"\\u0000":1}}}',
    b'{"a":"\\ud800"}', b'{"a":"\\udfff"}', b'{"a":"\\ude00\\ud83d"}', b'{"\\ud800":1}', b'{"a":"\\ud83dx"}',
    b'{"a":[[["\\udc00"]]]}',
    # encodings
    b"\xef\xbb\xbf{}", b'\xef\xbb\xbf{"a":1}', "{}".encode("utf-16"), '{"a":1}'.encode("utf-16-le"),
    '{"a":1}'.encode("utf-16-be"),
    "{}".encode("utf-32"), b'{"a":"\xe9"}', b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xc1\x81"}',
    b'{"a":"\xe0\x80\xaf"}',
    b'{"a":"\xed\xa0\x80"}', b'{"a":"\xed\xbf\xbf"}', b'{"a":"\xf4\x90\x80\x80"}', b'{"a":"\xf8\x88\x80\x80\x80"}',
    b'{"a":"\xe2\x82"}',
    b'{"a":"\x80"}', b"\xff\xfe", b"\x1f\x8b\x08\x00\x00", b"\x80\x04}\x94.", b"+ADw-",
    # white space that JSON does not know
    '\u00a0{}'.encode(), b"\x0b{}", b"\x0c{}", '{}\u2028'.encode(), '{"a":\u200b1}'.encode(), b'{"a"\x00:1}', b"\x00{}",
    # other languages
    b"a=1&b=2", b"<a/>", b"<?xml version='1.0'?><a/>", b"a: 1", b"---\na: 1", b"[a]\nb=1", b"{/*x*/}", b"//x\n{}",
    b"#x\n{}", b"callback({})", b")]}',\n{}",
    # deep
    nested(MAX_DEPTH + 1), b'{"a":' + nested(MAX_DEPTH, b"[", b"]") + b"}", nested(1000), nested(8000), b"[" * 60_000,
    b'{"a":' + b"[" * 60_000,
]  # fmt: skip


class TestRefuses:
    @pytest.mark.parametrize("raw", NOT_JSON, ids=lambda raw: repr(raw[:24]))
    def test_what_is_not_a_json_object(self, raw):
        with pytest.raises(JsonInvalid):
            parse_object(raw)

    @pytest.mark.parametrize(
        ("raw", "name"),
        [
            (b'{"amount":1,"amount":2}', "amount"),
            (b'{"amount":1,"amount":1}', "amount"),
            (b'{"a":1,"b":2,"\\u0061":3}', "a"),
            (b'{"x":{"y":1,"z":1,"y":2}}', "y"),
            (b'{"x":[{"y":1,"y":2}]}', "y"),
            (b'{"":1,"":2}', ""),
        ],
    )
    def test_a_key_that_stands_twice(self, raw, name):
        with pytest.raises(DuplicateKey) as caught:
            parse_object(raw)
        assert caught.value.param == name

    @pytest.mark.parametrize("raw", [b'{"\\u0000":1,"\\u0000":2}', b'{"\\ud800":1,"\\ud800":2}'])
    def test_a_key_twice_that_cannot_be_answered_with(self, raw):
        with pytest.raises(DuplicateKey) as caught:
            parse_object(raw)
        assert caught.value.param == "?"

    @pytest.mark.parametrize("raw", [b"{}" + b" " * (LIMIT - 1), b"[" * 100_000, nested(100_000), b"x" * 10_000_000])
    def test_more_than_64_kib(self, raw):
        with pytest.raises(BodyTooLarge):
            parse_object(raw)

    @pytest.mark.parametrize(
        "raw",
        [
            b"[" * LIMIT,
            nested(10_000),
            b'{"a":"' + b"\\" * 60_000 + b'"}',
            b'{"a":' + b"9" * 60_000 + b"}",
            b'{"a":1e' + b"9" * 60_000 + b"}",
            b'{"a":[' + b"1e99999999," * 5_000 + b"1]}",
            b'{"a":[' + b"[]," * 20_000 + b"1]}",
            b"{" + b",".join(b'"%d":1' % n for n in range(7_000)) + b"}",
        ],
        ids=["brackets", "objects", "backslashes", "digits", "exponent", "exponents", "arrays", "keys"],
    )
    def test_or_reads_within_bounded_time(self, raw):
        started = time.process_time()
        with suppress(ApiError):
            parse_object(raw)
        assert time.process_time() - started < CPU_SECONDS


class TestAnything:
    @given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")))
    def test_is_an_object_or_a_refusal(self, raw):
        try:
            assert isinstance(parse_object(raw), dict)
        except ApiError as error:
            assert error.status == 400  # noqa: PT017

    @given(
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(-(10**60), 10**60)
            | st.text(st.characters(codec="utf-8"), max_size=9),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
            max_leaves=12,
        )
    )
    def test_that_json_can_say_comes_through_as_it_is(self, value):
        raw = json.dumps({"value": value}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if "\\u0000" in raw.decode("utf-8", "replace"):
            with pytest.raises(JsonInvalid):
                parse_object(raw)
        else:
            assert parse_object(raw) == {"value": value}
