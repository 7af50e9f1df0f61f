from corsheaders.signals import check_request_enabled
from django.apps import AppConfig

from config.cors import is_public


class ConfigConfig(AppConfig):
    """The composition root, an app so that commands which know every app have a home."""

    name = "config"

    def ready(self) -> None:
        check_request_enabled.connect(is_public)
