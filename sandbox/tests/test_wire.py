"""The dials: an emulator that is slow, silent, down or talks nonsense."""

import pytest

from sandbox import services, wire
from sandbox.models import Charge, Operation
from sandbox.statements import list_movements

pytestmark = pytest.mark.django_db


@pytest.fixture
def calls(charge, paid):
    """Every function of the API, ready to be called."""
    held = paid(key="txn_held", capture=False)["id"]
    other = paid(key="txn_other", capture=False)["id"]
    captured = paid(key="txn_captured")["id"]
    return [
        lambda: charge(key="txn_new"),
        lambda: services.retrieve_charge(key="txn_held"),
        lambda: services.capture_charge(key="cap_1", charge_id=held, amount=100),
        lambda: services.void_charge(key="void_1", charge_id=other),
        lambda: services.create_refund(key="re_1", charge_id=captured, amount=100),
        lambda: services.retrieve_operation(key="re_1"),
        lambda: list_movements(account="mer_1"),
    ]


def everything_was_done():
    return (
        Charge.objects.filter(key="txn_new").exists()
        and Operation.objects.filter(status="succeeded", key__in=["cap_1", "void_1", "re_1"]).count() == 3
    )


class TestDials:
    def test_down_does_nothing_and_says_so(self, calls, settings):
        settings.SANDBOX_FAULT = "down"
        for call in calls:
            with pytest.raises(services.SandboxDown):
                call()
        assert not Charge.objects.filter(key="txn_new").exists()
        assert not Operation.objects.exists()

    def test_silent_does_the_work_and_never_answers(self, calls, settings):
        settings.SANDBOX_FAULT = "silent"
        for call in calls:
            with pytest.raises(services.SandboxTimeout):
                call()
        assert everything_was_done()

    def test_garbage_does_the_work_and_answers_nonsense(self, calls, settings):
        settings.SANDBOX_FAULT = "garbage"
        for call in calls:
            assert call() == wire.GARBAGE
        assert everything_was_done()

    def test_slow_works_after_a_while(self, calls, settings, monkeypatch):
        waited = []
        monkeypatch.setattr(wire.time, "sleep", waited.append)
        settings.SANDBOX_FAULT = "slow"
        for call in calls:
            assert "error" not in call()
        assert waited == [wire.SLOW_SECONDS] * len(calls)
        assert everything_was_done()

    @pytest.mark.parametrize(("fault", "arrives"), [("silent", False), ("garbage", True)])
    def test_refusals_do_not_arrive_either(self, charge, settings, fault, arrives):
        settings.SANDBOX_FAULT = fault
        for call in (lambda: charge(token="tok_nope"), lambda: services.retrieve_charge(key="txn_1")):
            if arrives:
                assert call() == wire.GARBAGE
            else:
                with pytest.raises(services.SandboxTimeout):
                    call()

    def test_asking_again_with_the_key_after_silence_charges_once(self, charge, settle, settings):
        settings.SANDBOX_FAULT = "silent"
        with pytest.raises(services.SandboxTimeout):
            charge()
        settings.SANDBOX_FAULT = ""
        settle()
        assert charge()["status"] == services.retrieve_charge(key="txn_1")["status"] == "succeeded"
        assert Charge.objects.count() == 1

    def test_the_payer_and_the_clock_do_not_feel_the_dials(self, charge, settle, settings):
        started = charge(method="paypal")
        settings.SANDBOX_FAULT = "down"
        assert services.decide(charge_id=started["id"], approve=True)
        settle()
        assert Charge.objects.get().status == "succeeded"
        assert services.pending_notices()

    def test_every_error_is_a_sandbox_error_and_none_an_api_error(self):
        kinds = [
            services.SandboxTimeout,
            services.SandboxDown,
            services.SandboxRefused,
            services.SandboxNotFound,
        ]
        assert all(issubclass(kind, services.SandboxError) for kind in kinds)
        assert services.SandboxError.__bases__ == (Exception,)
