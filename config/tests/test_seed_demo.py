"""`manage.py seed_demo`: once, for the demo only."""

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from accounts.models import Membership, Merchant, User
from config.demo import ADMIN, OWNER, PASSWORD, SUPPORT, seed
from core.mail import Email
from notifications.models import Event

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo(db):
    return seed(timezone.now())


class TestCommand:
    def test_makes_the_store_and_its_people(self):
        call_command("seed_demo")
        store = Merchant.objects.get(is_default=True)
        assert (store.name, store.status, store.mode, store.country) == ("Demo Store", "active", "sandbox", "US")
        assert store.return_origins == ["http://testserver", "http://localhost:3000"]
        assert Membership.objects.get(merchant=store, role="owner").user.email == OWNER
        assert User.objects.get(email=SUPPORT).groups.get().name == "Support"
        assert User.objects.get(email=ADMIN).is_superuser
        assert all(user.check_password(PASSWORD) for user in User.objects.all())

    def test_does_nothing_the_second_time(self, demo, django_assert_max_num_queries):
        with django_assert_max_num_queries(3):
            call_command("seed_demo")
        assert Merchant.objects.count() == 1

    def test_sends_nobody_the_mails_of_the_past(self, demo):
        assert Event.objects.filter(type="payment.completed").exists()
        assert not Email.objects.exists()

    def test_follows_the_site_to_another_port(self, demo, settings):
        settings.SITE_URL = "http://localhost:8123"
        call_command("seed_demo")
        assert "http://localhost:8123" in Merchant.objects.get().return_origins

    def test_takes_the_default_flag_from_another_merchant(self):
        other = Merchant.objects.create(name="Other", is_default=True)
        call_command("seed_demo")
        other.refresh_from_db()
        assert other.is_default is None

    def test_refuses_outside_the_demo(self, settings):
        settings.DEMO = False
        with pytest.raises(CommandError):
            call_command("seed_demo")
        assert not User.objects.exists()
