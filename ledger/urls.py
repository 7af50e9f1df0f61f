from django.urls import path

from ledger import views

urlpatterns = [
    path("balance", views.BalanceView.as_view(), name="balance"),
    path("balance/entries", views.EntriesView.as_view(), name="entries"),
]
