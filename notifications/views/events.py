"""Events: what happened, for who may read it."""

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.access import AccessView
from accounts.schema import LIST_ERRORS, described
from core.api import answer, answer_page, paginate
from notifications import services
from notifications.filters import EventFilters
from notifications.models import Event
from notifications.serializers import EventDetails

TAG = "Events"
SEEN = "Of what one may not read otherwise (payouts, say), one sees no events."


class EventsAccess(AccessView):
    """What both views of events share."""

    noun, plural = "event", "events"

    def events(self) -> QuerySet[Event]:
        return services.visible_events(self.merchant, self.access.permissions)


class EventsView(EventsAccess):
    """What happened."""

    needs = {"GET": "events:read"}

    @described(
        "listEvents",
        "List events",
        EventDetails(many=True),
        tag=TAG,
        errors=LIST_ERRORS,
        parameters=[EventFilters.described()],
        description=f"{SEEN} With the oldest first the list ends {services.COMMIT_SECONDS} seconds ago, so that a "
        "program which follows it by its cursors misses none.",
    )
    def get(self, request: Request) -> Response:
        listing = EventFilters(request.query_params, self.events()).listing()
        rows = services.settled(listing.rows) if listing.ascending else listing.rows
        page = paginate(request, rows, ascending=listing.ascending)
        return answer_page(self.plural, page, EventDetails(page.rows, many=True).data, listing.note or "Events.")


class EventView(EventsAccess):
    """One event."""

    needs = {"GET": "events:read"}

    @described("getEvent", "One event", EventDetails, tag=TAG, description=SEEN)
    def get(self, request: Request, event_id: str) -> Response:
        event = get_object_or_404(self.events(), pk=event_id)
        return answer(self.noun, EventDetails(event).data, event.type)
