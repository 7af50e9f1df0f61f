from django.urls import path

from notifications.views import emails, events, webhooks

urlpatterns = [
    path("events", events.EventsView.as_view(), name="events"),
    path("events/<id:event_id>", events.EventView.as_view(), name="event"),
    path("merchant/emails", emails.EmailChoicesView.as_view(), name="email_choices"),
    path("emails", emails.EmailsView.as_view(), name="emails"),
    path("webhook-endpoints", webhooks.EndpointsView.as_view(), name="webhook_endpoints"),
    path("webhook-endpoints/<id:endpoint_id>", webhooks.OneEndpointView.as_view(), name="webhook_endpoint"),
    path("webhook-endpoints/<id:endpoint_id>/rotate-secret", webhooks.RotateView.as_view(), name="webhook_rotate"),
    path("webhook-endpoints/<id:endpoint_id>/enable", webhooks.EnableView.as_view(), name="webhook_enable"),
    path("webhook-endpoints/<id:endpoint_id>/disable", webhooks.DisableView.as_view(), name="webhook_disable"),
    path("webhook-endpoints/<id:endpoint_id>/test", webhooks.TestView.as_view(), name="webhook_test"),
    path("webhook-endpoints/<id:endpoint_id>/replay", webhooks.ReplayView.as_view(), name="webhook_replay"),
    path("webhook-endpoints/<id:endpoint_id>/diagnose", webhooks.DiagnoseView.as_view(), name="webhook_diagnose"),
    path("webhook-deliveries", webhooks.DeliveriesView.as_view(), name="webhook_deliveries"),
    path("webhook-deliveries/<id:delivery_id>", webhooks.OneDeliveryView.as_view(), name="webhook_delivery"),
    path("webhook-deliveries/<id:delivery_id>/retry", webhooks.RetryView.as_view(), name="webhook_retry"),
    path("webhook-deliveries/<id:delivery_id>/preview", webhooks.PreviewView.as_view(), name="webhook_preview"),
]
