from django.urls import path

from notifications import pages

urlpatterns = [path("webhooks/debugger", pages.debugger, name="webhook_debugger")]
