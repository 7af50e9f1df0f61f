"""Accounts: register, log in and out, look after the password."""

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework_simplejwt.tokens import AccessToken

from accounts import services
from accounts.access import PUBLIC, SELF, AccessView
from accounts.models import Login
from accounts.schema import described
from accounts.serializers.people import (
    Credentials,
    EmailToken,
    LogoutRequest,
    Me,
    NewPassword,
    PasswordChange,
    RefreshRequest,
    Registered,
    Registration,
    Reset,
    ResetRequest,
    TokenPair,
    TokenState,
    UserChange,
    VerifyRequest,
)
from accounts.throttles import AccountThrottle, LogInThrottle, OwnAccountThrottle
from accounts.tokens import expiry_of, open_login, read_token
from core.api import answer, read_body
from core.errors import LockedOut

TAG = "Accounts"


class RegisterView(AccessView):
    """Make an account."""

    noun = "registration"
    needs = {"POST": PUBLIC}
    throttles = {"POST": [LogInThrottle, AccountThrottle]}

    @described(
        "register",
        "Make an account",
        Registered,
        status=201,
        tag=TAG,
        body=Registration,
        public=True,
        errors=(services.RegistrationClosed, services.PasswordWeak),
        description="With `merchant_name` you get a sandbox merchant, which takes payments at once. The answer is the "
        "same when the address has an account: then a mail says so. Only where the installation is open to all.",
    )
    def post(self, request: Request) -> Response:
        fields = read_body(Registration, request)
        services.register(**fields)
        return answer(self.noun, Registered(fields).data, "We sent a link to this address.", status=201)


class TokenView(AccessView):
    """Log in."""

    noun = "token"
    needs = {"POST": PUBLIC}
    throttles = {"POST": [LogInThrottle, AccountThrottle]}

    @described(
        "logIn",
        "Log in",
        TokenPair,
        tag=TAG,
        body=Credentials,
        public=True,
        errors=(services.CredentialsWrong, LockedOut),
        description="The access token is good for minutes; get the next pair with the refresh token.",
    )
    def post(self, request: Request) -> Response:
        pair = services.log_in(request._request, **read_body(Credentials, request))
        return answer(self.noun, pair, "Logged in.")


class RefreshView(AccessView):
    """Get the next pair of tokens."""

    noun = "token"
    needs = {"POST": PUBLIC}
    throttles = {"POST": [LogInThrottle]}

    @described(
        "refreshToken",
        "Get the next pair of tokens",
        TokenPair,
        tag=TAG,
        body=RefreshRequest,
        public=True,
        description="A refresh token is good once. One that is used again much later has been copied by somebody: "
        "then the whole log-in ends, and a mail says so.",
    )
    def post(self, request: Request) -> Response:
        pair = services.refresh_tokens(read_body(RefreshRequest, request)["refresh"])
        return answer(self.noun, pair, "Refreshed.")


class VerifyView(AccessView):
    """Ask whether an access token is good."""

    noun = "token"
    needs = {"POST": PUBLIC}
    throttles = {"POST": [LogInThrottle]}

    @described(
        "verifyToken", "Ask whether an access token is good", TokenState, tag=TAG, body=VerifyRequest, public=True
    )
    def post(self, request: Request) -> Response:
        token = read_token(AccessToken, read_body(VerifyRequest, request)["token"])
        state = {"user_id": open_login(token).user_id, "expires_at": expiry_of(token)}
        return answer(self.noun, state, "The token is good.")


class LogoutView(AccessView):
    """Log out."""

    noun = "user"
    needs = {"POST": SELF}

    @described(
        "logOut",
        "Log out",
        Me,
        tag=TAG,
        body=LogoutRequest,
        scoped=False,
        description="Ends the log-in of this access token: neither it nor its refresh token is good any more.",
    )
    def post(self, request: Request) -> Response:
        if read_body(LogoutRequest, request)["everywhere"]:
            services.end_logins(self.user)
        elif isinstance(request.auth, Login):
            services.end_login(request.auth)
        return answer(self.noun, Me(self.user).data, "Logged out.")


class MeView(AccessView):
    """Who you are."""

    noun = "user"
    needs = {"GET": SELF, "PATCH": SELF}

    @described("getMe", "Who you are", Me, tag=TAG, scoped=False)
    def get(self, request: Request) -> Response:
        return answer(self.noun, Me(self.user).data, "This is you.")

    @described("changeMe", "Change your name", Me, tag=TAG, body=UserChange, scoped=False)
    def patch(self, request: Request) -> Response:
        user = services.change_user(self.user, **read_body(UserChange, request))
        return answer(self.noun, Me(user).data, "Changed.")


class EmailVerifyView(AccessView):
    """Confirm your address."""

    noun = "user"
    needs = {"POST": SELF}

    @described(
        "verifyEmail",
        "Confirm your address",
        Me,
        tag=TAG,
        body=EmailToken,
        scoped=False,
        errors=(services.LinkInvalid,),
        description="With the token of the link that was mailed, while logged in.",
    )
    def post(self, request: Request) -> Response:
        user = services.verify_email(self.user, read_body(EmailToken, request)["token"])
        return answer(self.noun, Me(user).data, "Your address is confirmed.")


class EmailResendView(AccessView):
    """Have the link sent again."""

    noun = "user"
    needs = {"POST": SELF}
    throttles = {"POST": [LogInThrottle, OwnAccountThrottle]}

    @described("resendVerification", "Have the link to confirm your address sent again", Me, tag=TAG, scoped=False)
    def post(self, request: Request) -> Response:
        services.send_verification(self.user)
        return answer(self.noun, Me(self.user).data, "The link is on its way, unless the address is confirmed already.")


class PasswordChangeView(AccessView):
    """Change your password."""

    noun = "user"
    needs = {"POST": SELF}
    throttles = {"POST": [LogInThrottle, OwnAccountThrottle]}

    @described(
        "changePassword",
        "Change your password",
        Me,
        tag=TAG,
        body=PasswordChange,
        scoped=False,
        errors=(services.CurrentPasswordWrong, services.PasswordWeak),
        description="Ends every log-in, this one too: log in with the new password.",
    )
    def post(self, request: Request) -> Response:
        fields = read_body(PasswordChange, request)
        services.change_password(self.user, current=fields["current_password"], new=fields["new_password"])
        return answer(self.noun, Me(self.user).data, "The password is changed. Log in with the new one.")


class PasswordResetView(AccessView):
    """Forgot your password?"""

    noun = "reset"
    needs = {"POST": PUBLIC}
    throttles = {"POST": [LogInThrottle, AccountThrottle]}

    @described(
        "requestPasswordReset",
        "Have a link sent to set a new password",
        Reset,
        tag=TAG,
        body=ResetRequest,
        public=True,
        description="The answer is the same whether the address has an account or not.",
    )
    def post(self, request: Request) -> Response:
        fields = read_body(ResetRequest, request)
        services.ask_for_reset(fields["email"])
        return answer(self.noun, Reset(fields).data, "If this address has an account, a link is on its way.")


class PasswordResetConfirmView(AccessView):
    """Set a new password by the link."""

    noun = "user"
    needs = {"POST": PUBLIC}
    throttles = {"POST": [LogInThrottle]}

    @described(
        "resetPassword",
        "Set a new password by the link",
        Me,
        tag=TAG,
        body=NewPassword,
        public=True,
        errors=(services.LinkInvalid, services.PasswordWeak),
        description="Ends every log-in and confirms the address.",
    )
    def post(self, request: Request) -> Response:
        fields = read_body(NewPassword, request)
        user = services.reset_password(fields["token"], fields["new_password"])
        return answer(self.noun, Me(user).data, "The password is changed. Log in with it.")
