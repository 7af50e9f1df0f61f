from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules

from core import checks  # noqa: F401 the import registers them


class CoreConfig(AppConfig):
    name = "core"

    def ready(self) -> None:
        # Every app registers its periodic tasks with core.queue as its tasks module is imported.
        autodiscover_modules("tasks")
