from django.urls import path

from sandbox import views

urlpatterns = [path("sandbox/charges/<id:charge_id>", views.charge_page, name="sandbox_charge")]
