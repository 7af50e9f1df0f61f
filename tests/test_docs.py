"""The description of the API is complete and true, and its pages come from this machine alone."""

import re

import pytest
from django.conf import settings
from django.urls import get_resolver, resolve
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.validation import validate_schema

from core.errors import error_classes
from payments.cards import TEST_CARDS
from payments.failures import MESSAGES

# What any path may answer, and what only pages and the back office do; every other code belongs to an operation.
ANYWHERE = {"api_error", "invalid_request", "method_not_allowed", "not_acceptable"}
NOT_IN_THE_API = {
    "not_payable",
    "nothing_to_ask",
    "nothing_to_send",
    "payout_not_by_hand",
    "payout_with_nobody",
}
METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def codes():
    """Every error that the views can raise: the URLconf has imported them all."""
    get_resolver().url_patterns  # noqa: B018
    return {error.code for error in error_classes() if "tests" not in error.__module__}


@pytest.fixture
def description(client):
    return client.get("/api/schema").json()


@pytest.fixture
def operations(description):
    return [
        (path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


class TestDescription:
    def test_is_valid_openapi_3_1(self, description):
        assert description["openapi"] == "3.1.0"
        validate_schema(description)

    def test_is_made_once(self, client, monkeypatch):
        made = client.get("/api/schema").content
        monkeypatch.delattr(SchemaGenerator, "get_schema")
        assert client.get("/api/schema").content == made

    def test_is_yaml_when_asked(self, client):
        answer = client.get("/api/schema", headers={"Accept": "application/yaml"})
        assert answer["Content-Type"].startswith("application/yaml")
        assert answer.content.startswith(b"openapi: 3.1.0")

    @pytest.mark.parametrize("query", ["lang=fr", "lang=../../x", "version=%0d%0aX-Injected:%20yes", "version=%00"])
    def test_is_the_same_whatever_is_asked(self, client, description, query):
        answer = client.get(f"/api/schema?{query}", headers={"Accept-Language": "fr"})
        assert answer.status_code == 200
        assert answer.json() == description

    def test_names_paths_that_exist(self, operations):
        for path, method, operation in operations:
            example = re.sub(r"\{\w+\}", "pay_01m7xt2s0arrqj7g231der0e2g", path)
            view = resolve(example).func.view_class
            assert method.upper() in view().allowed_methods, operation["operationId"]

    def test_tells_every_operation_in_words(self, operations):
        for _path, _method, operation in operations:
            assert operation["summary"]
            assert operation["tags"]

    def test_explains_every_field_and_shows_one(self, description):
        schemas = {name: schema for name, schema in description["components"]["schemas"].items() if name != "Error"}
        bare = [
            f"{name}.{field}"
            for name, schema in schemas.items()
            for field, rules in schema.get("properties", {}).items()
            if not rules.get("description") or "examples" not in rules
        ]
        assert bare == []

    def test_lets_every_key_be_in_the_header_or_in_the_body(self, description, operations):
        keyed = [
            operation
            for _path, _method, operation in operations
            if any(it["name"] == "Idempotency-Key" for it in operation.get("parameters", []))
        ]
        assert keyed
        for operation in keyed:
            [body] = {media["schema"]["$ref"] for media in operation["requestBody"]["content"].values()}
            schema = description["components"]["schemas"][body.rpartition("/")[2]]
            assert schema["properties"]["idempotency_key"]["pattern"] == "^[!-~]{1,255}$", operation["operationId"]

    def test_shares_one_error(self, operations):
        for _path, _method, operation in operations:
            for status, answer in operation["responses"].items():
                schema = answer["content"]["application/json"]["schema"]
                assert (schema == {"$ref": "#/components/schemas/Error"}) == (int(status) >= 400)

    def test_names_errors_that_exist(self, operations, codes):
        for _path, _method, operation in operations:
            for status, answer in operation["responses"].items():
                for example in answer["content"]["application/json"].get("examples", {}).values():
                    error = example["value"].get("error")
                    assert error is None or (error["code"] in codes and int(status) >= 400)

    def test_names_every_error_that_exists(self, operations, codes):
        named = {
            example["value"]["error"]["code"]
            for _path, _method, operation in operations
            for status, answer in operation["responses"].items()
            for example in answer["content"]["application/json"].get("examples", {}).values()
            if int(status) >= 400
        }
        assert codes - named - ANYWHERE == NOT_IN_THE_API

    def test_tells_the_headers(self, operations):
        for _path, _method, operation in operations:
            for status, answer in operation["responses"].items():
                assert "Request-Id" in answer["headers"]
                assert ("Retry-After" in answer["headers"]) == (status in ("429", "503"))
                keyed = any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", []))
                assert ("Idempotent-Replayed" in answer["headers"]) == (keyed and status == "201")


class TestErrorsPage:
    def test_has_an_anchor_for_every_code(self, client, codes):
        page = client.get("/api/errors").content.decode()
        anchors = re.findall(r'id="([^"]+)"', page)
        assert set(anchors) >= codes | {f"failure-{code}" for code in MESSAGES}
        assert len(anchors) == len(set(anchors))

    def test_is_where_an_error_points_to(self, client, db):
        url = client.post("/api/v1/payments", {}, content_type="application/json").json()["error"]["doc_url"]
        path, _, anchor = url.removeprefix(settings.SITE_URL).partition("#")
        assert f'id="{anchor}"' in client.get(path).content.decode()

    def test_says_what_to_do_about_every_type(self, client):
        page = client.get("/api/errors").content.decode()
        for error in error_classes():
            assert f"<dt><code>{error.type}</code></dt>" in page

    def test_is_in_english_for_everybody(self, client):
        assert 'lang="en"' in client.get("/api/errors", headers={"Accept-Language": "fr"}).content.decode()


class TestPages:
    @pytest.mark.parametrize("path", ["/api/docs", "/api/redoc", "/api/errors"])
    def test_name_nothing_elsewhere(self, client, path):
        page = client.get(path).content.decode()
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)

    @pytest.mark.parametrize("path", ["/api/docs", "/api/redoc", "/api/errors"])
    def test_run_no_inline_script(self, client, path):
        policy = client.get(path)["Content-Security-Policy"]
        assert "script-src 'self';" in f"{policy};"
        assert "unsafe" not in policy

    @pytest.mark.parametrize("path", ["/api/docs/", "/api/redoc/", "/api/errors/", "/api/schema/"])
    def test_answer_with_a_slash_too(self, client, path):
        assert client.get(path).status_code == 200

    def test_bring_redoc_without_its_picture_from_a_cdn(self, client):
        script = client.get("/api/redoc.js")
        assert "cdn.redoc.ly" not in script.content.decode()
        assert "max-age" in script["Cache-Control"]

    @pytest.mark.parametrize("path", ["/api/docs", "/api/errors", "/api/redoc.js", "/api/schema"])
    def test_refuse_to_be_posted_to(self, client, path):
        assert client.post(path).status_code == 405


class TestMarkdown:
    FILES = sorted([*settings.BASE_DIR.glob("*.md"), *settings.BASE_DIR.glob("docs/**/*.md")])

    @pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
    def test_links_to_files_that_exist(self, file):
        links = re.findall(r"\]\((?!https?://|#)([^)#]+)", file.read_text(encoding="utf-8"))
        assert [link for link in links if not (file.parent / link).exists()] == []

    def test_tells_every_test_card(self):
        page = (settings.BASE_DIR / "docs" / "api.md").read_text(encoding="utf-8")
        assert re.findall(r"^\| ([0-9]{15,16}) \| (.+) \|$", page, re.MULTILINE) == [
            (number, card.outcome) for number, card in TEST_CARDS.items()
        ]
