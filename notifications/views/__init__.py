"""The API of events, mails and webhooks."""
