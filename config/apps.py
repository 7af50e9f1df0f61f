from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """The composition root, an app so that commands which know every app have a home."""

    name = "config"
