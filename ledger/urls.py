from django.urls import path

from ledger import views

urlpatterns = [
    path("balance", views.BalanceView.as_view(), name="balance"),
    path("balance/entries", views.EntriesView.as_view(), name="entries"),
    path("bank-accounts", views.BankAccountsView.as_view(), name="bank_accounts"),
    path("bank-accounts/<id:account_id>", views.OneBankAccountView.as_view(), name="bank_account"),
    path("bank-accounts/<id:account_id>/remove", views.RemoveBankAccountView.as_view(), name="bank_account_remove"),
    path("payouts", views.PayoutsView.as_view(), name="payouts"),
    path("payouts/<id:payout_id>", views.OnePayoutView.as_view(), name="payout"),
    path("payouts/<id:payout_id>/cancel", views.CancelPayoutView.as_view(), name="payout_cancel"),
    path("payouts/<id:payout_id>/entries", views.PayoutEntriesView.as_view(), name="payout_entries"),
]
