"""A merchant's team."""

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import services
from accounts.access import PUBLIC, AccessView
from accounts.models import Membership
from accounts.schema import LIST_ERRORS, PAGING, described
from accounts.serializers.people import Acceptance, Invitation, MemberDetails, RoleChange
from accounts.throttles import LogInThrottle
from core.api import answer, answer_page, created, paginate, read_body, refuse_parameters_but
from core.idempotency import take_key

TAG = "Members"


class MembersView(AccessView):
    """The team."""

    noun, plural = "member", "members"
    needs = {"GET": "members:read", "POST": "members:write"}
    throttles = {"POST": [LogInThrottle]}

    @described("listMembers", "The team", MemberDetails(many=True), tag=TAG, parameters=PAGING, errors=LIST_ERRORS)
    def get(self, request: Request) -> Response:
        refuse_parameters_but(request, "cursor", "page_size")
        page = paginate(request, Membership.objects.select_related("user").filter(merchant=self.merchant))
        return answer_page(self.plural, page, MemberDetails(page.rows, many=True).data, "The team.")

    @described(
        "inviteMember",
        "Invite somebody",
        MemberDetails,
        status=201,
        tag=TAG,
        body=Invitation,
        keyed=True,
        errors=(services.AlreadyMember, services.EmailUnverified),
        description="They get a link by mail, good for a week. Only an owner makes owners.",
    )
    def post(self, request: Request) -> Response:
        fields = read_body(Invitation, request)
        key = take_key(request, fields)
        member, replayed = services.invite_member(
            self.merchant, by=self.user, by_role=self.access.role, key=key, **fields
        )
        return created(self.noun, MemberDetails(member).data, "Invitation sent.", replayed=replayed)


class MemberView(AccessView):
    """One of the team."""

    noun = "member"
    needs = {"GET": "members:read", "PATCH": "members:write", "DELETE": "members:write"}

    def find(self, member_id: str) -> Membership:
        members = Membership.objects.select_related("user", "merchant").filter(merchant=self.merchant)
        return get_object_or_404(members, pk=member_id)

    @described("getMember", "One of the team", MemberDetails, tag=TAG)
    def get(self, request: Request, member_id: str) -> Response:
        member = self.find(member_id)
        return answer(self.noun, MemberDetails(member).data, f"Member is {member.role}.")

    @described(
        "changeMember",
        "Give another role",
        MemberDetails,
        tag=TAG,
        body=RoleChange,
        errors=(services.LastOwner,),
        description="Counts from their next request on.",
    )
    def patch(self, request: Request, member_id: str) -> Response:
        role = read_body(RoleChange, request)["role"]
        member = services.change_role(self.find(member_id), by_role=self.access.role, role=role)
        return answer(self.noun, MemberDetails(member).data, "Role changed.")

    @described(
        "removeMember",
        "Take somebody off the team",
        MemberDetails,
        tag=TAG,
        errors=(services.LastOwner,),
        description="Their next request is refused. Takes an invitation back too.",
    )
    def delete(self, request: Request, member_id: str) -> Response:
        member = services.remove_member(self.find(member_id), by_role=self.access.role)
        return answer(self.noun, MemberDetails(member).data, "Removed.")


class InvitationView(AccessView):
    """An invitation that is not accepted yet."""

    noun = "member"
    needs = {"POST": "members:write"}
    throttles = {"POST": [LogInThrottle]}

    @described(
        "resendInvitation",
        "Send an invitation again",
        MemberDetails,
        tag=TAG,
        errors=(services.AlreadyJoined, services.EmailUnverified),
    )
    def post(self, request: Request, member_id: str) -> Response:
        members = Membership.objects.select_related("user", "merchant").filter(merchant=self.merchant)
        member = get_object_or_404(members, pk=member_id)
        services.send_invitation(member, by=self.user)
        return answer(self.noun, MemberDetails(member).data, "Invitation sent.")


class AcceptView(AccessView):
    """Join a team."""

    noun = "member"
    needs = {"POST": PUBLIC}
    throttles = {"POST": [LogInThrottle]}

    @described(
        "acceptInvitation",
        "Join a team by the link of an invitation",
        MemberDetails,
        tag=TAG,
        body=Acceptance,
        public=True,
        errors=(services.LinkInvalid, services.PasswordWeak, services.AlreadyMember),
        description="Name and password make the account when the address has none.",
    )
    def post(self, request: Request) -> Response:
        member = services.accept_invitation(**read_body(Acceptance, request))
        return answer(self.noun, MemberDetails(member).data, f"You have joined {member.merchant.name}.")
