from django.urls import path

from accounts import pages

urlpatterns = [
    path("account/verify/<str:token>", pages.verify_email, name="verify_email"),
    path("account/reset", pages.ask_for_reset, name="ask_for_reset"),
    path("account/reset/<str:token>", pages.reset_password, name="reset_password"),
    path("account/join/<str:token>", pages.accept_invitation, name="accept_invitation"),
]
