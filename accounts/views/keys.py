"""A merchant's API keys."""

from datetime import timedelta

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.access import AccessView
from accounts.models import ApiKey
from accounts.schema import LIST_ERRORS, PAGING, described
from accounts.serializers.merchants import KeyDetails, KeyRequest, NewKey, RollRequest
from core.api import answer, answer_page, created, paginate, read_body, refuse_parameters_but
from core.idempotency import take_key

TAG = "API keys"


def _with_secret(row: ApiKey, secret: str | None) -> dict[str, object]:
    return {**KeyDetails(row).data, "secret": secret}


class KeysView(AccessView):
    """The keys."""

    noun, plural = "api_key", "api_keys"
    needs = {"GET": "api_keys:read", "POST": "api_keys:write"}

    @described("listApiKeys", "The keys", KeyDetails(many=True), tag=TAG, parameters=PAGING, errors=LIST_ERRORS)
    def get(self, request: Request) -> Response:
        refuse_parameters_but(request, "cursor", "page_size")
        page = paginate(request, ApiKey.objects.filter(merchant=self.merchant))
        return answer_page(self.plural, page, KeyDetails(page.rows, many=True).data, "The merchant's keys.")

    @described(
        "createApiKey",
        "Make a key",
        NewKey,
        status=201,
        tag=TAG,
        body=KeyRequest,
        keyed=True,
        errors=(services.TooManyKeys,),
        description="The secret is shown in this answer and never again. The owners are told by mail.",
    )
    def post(self, request: Request) -> Response:
        fields = read_body(KeyRequest, request)
        key = take_key(request, fields)
        row, secret = services.create_key(self.merchant, by=self.user, by_role=self.access.role, key=key, **fields)
        return created(self.noun, _with_secret(row, secret), "Key made. Keep its secret.", replayed=secret is None)


class KeyView(AccessView):
    """One key."""

    noun = "api_key"
    needs = {"GET": "api_keys:read", "DELETE": "api_keys:write"}

    def find(self, key_id: str) -> ApiKey:
        return get_object_or_404(ApiKey, merchant=self.merchant, pk=key_id)

    @described("getApiKey", "One key", KeyDetails, tag=TAG)
    def get(self, request: Request, key_id: str) -> Response:
        row = self.find(key_id)
        return answer(self.noun, KeyDetails(row).data, f"Key is {row.status}.")

    @described("revokeApiKey", "Revoke a key", KeyDetails, tag=TAG, description="The next request with it is refused.")
    def delete(self, request: Request, key_id: str) -> Response:
        row = services.revoke_key(self.find(key_id))
        return answer(self.noun, KeyDetails(row).data, "Key revoked.")


class RollView(AccessView):
    """A key's successor."""

    noun = "api_key"
    needs = {"POST": "api_keys:write"}

    @described(
        "rollApiKey",
        "Replace a key",
        NewKey,
        status=201,
        tag=TAG,
        body=RollRequest,
        keyed=True,
        errors=(services.KeyInactive, services.TooManyKeys),
        description="A new key with the same scopes; the old one stays good for some hours, so that programs can "
        "change over one by one.",
    )
    def post(self, request: Request, key_id: str) -> Response:
        old = get_object_or_404(ApiKey.objects.select_related("merchant"), merchant=self.merchant, pk=key_id)
        fields = read_body(RollRequest, request)
        key, overlap = take_key(request, fields), timedelta(hours=fields["overlap_hours"])
        row, secret = services.roll_key(old, by=self.user, by_role=self.access.role, key=key, overlap=overlap)
        return created(self.noun, _with_secret(row, secret), "Key made. Keep its secret.", replayed=secret is None)
