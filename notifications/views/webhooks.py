"""Where a merchant is told of events, and what was told."""

from datetime import timedelta

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import AccessView
from accounts.schema import LIST_ERRORS, PAGING, described
from core.api import answer, answer_page, created, paginate, read_body, refuse_parameters_but
from core.idempotency import take_key
from core.state import IllegalTransition
from core.targets import UrlForbidden
from notifications import services
from notifications.filters import DeliveryFilters
from notifications.models import WebhookDelivery, WebhookEndpoint
from notifications.serializers import (
    DeliveryDetails,
    DeliveryWithLog,
    DiagnoseRequest,
    Diagnosis,
    EndpointDetails,
    EndpointRequest,
    MessageDetails,
    NewEndpoint,
    NewEndpointRequest,
    Replayed,
    ReplayRequest,
    RotateRequest,
)

TAG = "Webhooks"
NEW_ENDPOINT = "Endpoint made. Keep its secret."


# --- Endpoints --------------------------------------------------------------------------------
class EndpointView(AccessView):
    """What the views of endpoints share."""

    noun, plural = "webhook_endpoint", "webhook_endpoints"

    def endpoints(self) -> QuerySet[WebhookEndpoint]:
        return WebhookEndpoint.objects.kept().sealed().filter(merchant=self.merchant)

    def find(self, endpoint_id: str) -> WebhookEndpoint:
        return get_object_or_404(self.endpoints(), pk=endpoint_id)

    def show(self, endpoint: WebhookEndpoint, message: str) -> Response:
        return answer(self.noun, EndpointDetails(endpoint).data, message)


class EndpointsView(EndpointView):
    """Where the merchant is told."""

    needs = {"GET": "webhooks:read", "POST": "webhooks:write"}

    @described(
        "listWebhookEndpoints",
        "List webhook endpoints",
        EndpointDetails(many=True),
        tag=TAG,
        errors=LIST_ERRORS,
        parameters=PAGING,
    )
    def get(self, request: Request) -> Response:
        refuse_parameters_but(request, "cursor", "page_size")
        page = paginate(request, self.endpoints())
        return answer_page(self.plural, page, EndpointDetails(page.rows, many=True).data, "Webhook endpoints.")

    @described(
        "createWebhookEndpoint",
        "Be told of events",
        NewEndpoint,
        status=201,
        tag=TAG,
        body=NewEndpointRequest,
        keyed=True,
        errors=(UrlForbidden, services.EventTypeUnknown, services.TooManyEndpoints),
        description="The secret is shown in this answer and never again. Messages are signed by Standard Webhooks.",
    )
    def post(self, request: Request) -> Response:
        fields = read_body(NewEndpointRequest, request)
        key = take_key(request, fields)
        endpoint, secret = services.create_endpoint(self.merchant, key=key, **fields)
        shown = {**EndpointDetails(endpoint).data, "secret": secret}
        message = f"Endpoint was made before, and is {endpoint.status}." if secret is None else NEW_ENDPOINT
        return created(self.noun, shown, message, replayed=secret is None)


class OneEndpointView(EndpointView):
    """One endpoint."""

    needs = {"GET": "webhooks:read", "PATCH": "webhooks:write", "DELETE": "webhooks:write"}

    @described("getWebhookEndpoint", "One webhook endpoint", EndpointDetails, tag=TAG)
    def get(self, request: Request, endpoint_id: str) -> Response:
        endpoint = self.find(endpoint_id)
        return self.show(endpoint, f"Endpoint is {endpoint.status}.")

    @described(
        "changeWebhookEndpoint",
        "Change a webhook endpoint",
        EndpointDetails,
        tag=TAG,
        body=EndpointRequest,
        errors=(UrlForbidden, services.EventTypeUnknown),
        description="Only what is sent changes. It holds for what is still to be delivered, too.",
    )
    def patch(self, request: Request, endpoint_id: str) -> Response:
        changes = read_body(EndpointRequest, request, partial=True)
        return self.show(services.update_endpoint(self.find(endpoint_id), **changes), "Endpoint changed.")

    @described("deleteWebhookEndpoint", "Delete a webhook endpoint", EndpointDetails, tag=TAG)
    def delete(self, request: Request, endpoint_id: str) -> Response:
        return self.show(services.delete_endpoint(self.find(endpoint_id)), "Endpoint deleted.")


class RotateView(EndpointView):
    """An endpoint's next secret."""

    needs = {"POST": "webhooks:write"}

    @described(
        "rotateWebhookSecret",
        "Replace the secret",
        NewEndpoint,
        tag=TAG,
        body=RotateRequest,
        description="Meanwhile messages carry a signature by each of them. When the answer is lost, ask again: the "
        "secret that your server has goes on.",
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        overlap = timedelta(hours=read_body(RotateRequest, request)["overlap_hours"])
        endpoint, secret = services.rotate_secret(self.find(endpoint_id), overlap=overlap)
        return answer(self.noun, {**EndpointDetails(endpoint).data, "secret": secret}, "Keep the new secret.")


class EnableView(EndpointView):
    """Tell an endpoint again."""

    needs = {"POST": "webhooks:write"}

    @described("enableWebhookEndpoint", "Enable an endpoint", EndpointDetails, tag=TAG, errors=(IllegalTransition,))
    def post(self, request: Request, endpoint_id: str) -> Response:
        return self.show(services.enable_endpoint(self.find(endpoint_id)), "Endpoint is enabled.")


class DisableView(EndpointView):
    """Tell an endpoint no more."""

    needs = {"POST": "webhooks:write"}

    @described("disableWebhookEndpoint", "Disable an endpoint", EndpointDetails, tag=TAG, errors=(IllegalTransition,))
    def post(self, request: Request, endpoint_id: str) -> Response:
        return self.show(services.disable_endpoint(self.find(endpoint_id)), "Endpoint is disabled.")


class TestView(EndpointView):
    """Try an endpoint."""

    noun = "webhook_delivery"
    needs = {"POST": "webhooks:write"}

    @described(
        "testWebhookEndpoint",
        "Send an endpoint a test event",
        DeliveryDetails,
        tag=TAG,
        errors=(services.EndpointDisabled,),
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        delivery = services.send_test_event(self.find(endpoint_id))
        return answer(self.noun, DeliveryDetails(delivery).data, "The test event is on its way.")


class ReplayView(EndpointView):
    """Send what was missed."""

    noun = "replay"
    needs = {"POST": "webhooks:write"}

    @described(
        "replayEvents",
        "Send an endpoint what it missed",
        Replayed,
        tag=TAG,
        body=ReplayRequest,
        errors=(services.EndpointDisabled, services.ReplayTooLarge),
        description="What failed, and what happened while it was disabled or did not exist yet.",
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        number = services.replay(self.find(endpoint_id), **read_body(ReplayRequest, request))
        return answer(self.noun, Replayed({"events": number}).data, "They are on their way.")


class DiagnoseView(EndpointView):
    """Why a message does not verify: it shows parts of what was sent, as PreviewView does."""

    noun = "diagnosis"
    needs = {"POST": "webhooks:write"}

    @described(
        "diagnoseWebhook",
        "Learn why a message does not verify",
        Diagnosis,
        tag=TAG,
        body=DiagnoseRequest,
        errors=(services.SecretUnreadable,),
        description="Holds what your server has got against the endpoint's secret and the body that was sent. "
        "Nothing of it is kept.",
    )
    def post(self, request: Request, endpoint_id: str) -> Response:
        steps = services.diagnose_message(self.find(endpoint_id), **read_body(DiagnoseRequest, request))
        shown = Diagnosis({"verified": not steps[-1].fault, "steps": steps}).data
        return answer(self.noun, shown, steps[-1].fault or "It verifies with the secret of this endpoint.")


# --- Deliveries -------------------------------------------------------------------------------
class DeliveryView(AccessView):
    """What the views of deliveries share."""

    noun, plural = "webhook_delivery", "webhook_deliveries"

    def find(self, delivery_id: str) -> WebhookDelivery:
        deliveries = WebhookDelivery.objects.select_related("event").filter(merchant=self.merchant)
        return get_object_or_404(deliveries, pk=delivery_id)


class DeliveriesView(DeliveryView):
    """What was told to whom."""

    needs = {"GET": "webhooks:read"}

    @described(
        "listWebhookDeliveries",
        "List deliveries",
        DeliveryDetails(many=True),
        tag=TAG,
        errors=LIST_ERRORS,
        parameters=[DeliveryFilters.described()],
    )
    def get(self, request: Request) -> Response:
        rows = WebhookDelivery.objects.select_related("event").filter(merchant=self.merchant)
        listing = DeliveryFilters(request.query_params, rows).listing()
        page = paginate(request, listing.rows, ascending=listing.ascending)
        return answer_page(self.plural, page, DeliveryDetails(page.rows, many=True).data, listing.note or "Deliveries.")


class OneDeliveryView(DeliveryView):
    """One delivery."""

    needs = {"GET": "webhooks:read"}

    @described("getWebhookDelivery", "One delivery, with every attempt", DeliveryWithLog, tag=TAG)
    def get(self, request: Request, delivery_id: str) -> Response:
        delivery = self.find(delivery_id)
        return answer(self.noun, DeliveryWithLog(delivery).data, f"Delivery is {delivery.status}.")


class RetryView(DeliveryView):
    """Send again."""

    needs = {"POST": "webhooks:write"}

    @described(
        "retryWebhookDelivery",
        "Send a delivery again, whatever became of it",
        DeliveryDetails,
        tag=TAG,
        errors=(services.EndpointDisabled,),
    )
    def post(self, request: Request, delivery_id: str) -> Response:
        services.resend(self.find(delivery_id))
        return answer(self.noun, DeliveryDetails(self.find(delivery_id)).data, "It is on its way.")


class PreviewView(DeliveryView):
    """A dry run. It shows objects that its reader may have no permission for, and signs them: for who may send them to
    a server of their own."""

    noun = "webhook"
    needs = {"GET": "webhooks:write"}

    @described(
        "previewWebhookDelivery",
        "What would be sent now",
        MessageDetails,
        tag=TAG,
        errors=(services.SecretUnreadable,),
        description="Headers with their signature, and the body byte for byte. Nothing is sent.",
    )
    def get(self, request: Request, delivery_id: str) -> Response:
        message = services.preview(self.find(delivery_id))
        shown = {"url": message.url, "headers": message.headers, "body": message.body.decode()}
        return answer(self.noun, shown, "Nothing was sent.")
