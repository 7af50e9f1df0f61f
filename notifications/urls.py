from django.urls import path

from notifications import views

urlpatterns = [
    path("events", views.EventsView.as_view(), name="events"),
    path("events/<id:event_id>", views.EventView.as_view(), name="event"),
    path("webhook-endpoints", views.EndpointsView.as_view(), name="webhook_endpoints"),
    path("webhook-endpoints/<id:endpoint_id>", views.OneEndpointView.as_view(), name="webhook_endpoint"),
    path("webhook-endpoints/<id:endpoint_id>/rotate-secret", views.RotateView.as_view(), name="webhook_rotate"),
    path("webhook-endpoints/<id:endpoint_id>/enable", views.EnableView.as_view(), name="webhook_enable"),
    path("webhook-endpoints/<id:endpoint_id>/disable", views.DisableView.as_view(), name="webhook_disable"),
    path("webhook-endpoints/<id:endpoint_id>/test", views.TestView.as_view(), name="webhook_test"),
    path("webhook-endpoints/<id:endpoint_id>/replay", views.ReplayView.as_view(), name="webhook_replay"),
    path("webhook-endpoints/<id:endpoint_id>/diagnose", views.DiagnoseView.as_view(), name="webhook_diagnose"),
    path("webhook-deliveries", views.DeliveriesView.as_view(), name="webhook_deliveries"),
    path("webhook-deliveries/<id:delivery_id>", views.OneDeliveryView.as_view(), name="webhook_delivery"),
    path("webhook-deliveries/<id:delivery_id>/retry", views.RetryView.as_view(), name="webhook_retry"),
    path("webhook-deliveries/<id:delivery_id>/preview", views.PreviewView.as_view(), name="webhook_preview"),
]
