from django.urls import path

from accounts.views import auth, customers, keys, members, merchants

urlpatterns = [
    path("auth/register", auth.RegisterView.as_view(), name="register"),
    path("auth/token", auth.TokenView.as_view(), name="token"),
    path("auth/token/refresh", auth.RefreshView.as_view(), name="token_refresh"),
    path("auth/token/verify", auth.VerifyView.as_view(), name="token_verify"),
    path("auth/logout", auth.LogoutView.as_view(), name="logout"),
    path("auth/me", auth.MeView.as_view(), name="me"),
    path("auth/email/verify", auth.EmailVerifyView.as_view(), name="email_verify"),
    path("auth/email/resend", auth.EmailResendView.as_view(), name="email_resend"),
    path("auth/password/change", auth.PasswordChangeView.as_view(), name="password_change"),
    path("auth/password/reset", auth.PasswordResetView.as_view(), name="password_reset"),
    path("auth/password/reset/confirm", auth.PasswordResetConfirmView.as_view(), name="password_reset_confirm"),
    path("merchants", merchants.MerchantsView.as_view(), name="merchants"),
    path("merchant", merchants.MerchantView.as_view(), name="merchant"),
    path("members", members.MembersView.as_view(), name="members"),
    path("members/accept", members.AcceptView.as_view(), name="accept"),
    path("members/<id:member_id>", members.MemberView.as_view(), name="member"),
    path("members/<id:member_id>/resend", members.InvitationView.as_view(), name="resend"),
    path("api-keys", keys.KeysView.as_view(), name="api_keys"),
    path("api-keys/<id:key_id>", keys.KeyView.as_view(), name="api_key"),
    path("api-keys/<id:key_id>/roll", keys.RollView.as_view(), name="roll"),
    path("customers", customers.CustomersView.as_view(), name="customers"),
    path("customers/<id:customer_id>", customers.CustomerView.as_view(), name="customer"),
]
