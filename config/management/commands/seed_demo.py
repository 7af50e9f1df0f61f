from django.core.management.base import BaseCommand
from accounts.models import Merchant
from accounts.services import create_merchant
class Command(BaseCommand):
    def handle(self, *a, **k):
        if not Merchant.objects.exists(): create_merchant(name="Demo Store", status="active", return_origins=["http://localhost:8000"])
