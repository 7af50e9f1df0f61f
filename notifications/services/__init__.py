"""Telling people. Other apps publish events; views, tasks and the back office call the rest, and nothing else."""

from notifications.services.deliveries import (
    Message,
    ReplayTooLarge,
    SecretUnreadable,
    diagnose_message,
    preview,
    replay,
    resend,
)
from notifications.services.dispatch import send_due
from notifications.services.endpoints import (
    EndpointDisabled,
    EventTypeUnknown,
    TooManyEndpoints,
    create_endpoint,
    delete_endpoint,
    disable_endpoint,
    enable_endpoint,
    forget_old_secrets,
    rotate_secret,
    send_test_event,
    update_endpoint,
)
from notifications.services.events import COMMIT_SECONDS, prune_events, publish, settled, visible_events
from notifications.services.mails import choose_emails, email_choices

__all__ = [
    "COMMIT_SECONDS",
    "EndpointDisabled",
    "EventTypeUnknown",
    "Message",
    "ReplayTooLarge",
    "SecretUnreadable",
    "TooManyEndpoints",
    "choose_emails",
    "create_endpoint",
    "delete_endpoint",
    "diagnose_message",
    "disable_endpoint",
    "email_choices",
    "enable_endpoint",
    "forget_old_secrets",
    "preview",
    "prune_events",
    "publish",
    "replay",
    "resend",
    "rotate_secret",
    "send_due",
    "send_test_event",
    "settled",
    "update_endpoint",
    "visible_events",
]
