"""`manage.py work`: runs every registered task in this process, without a broker."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from core.queue import Task, registry, run_task, stopping

JOIN_SECONDS = 60  # a job at hand is finished before the process ends


class Command(BaseCommand):
    help = "Runs the due jobs of every queue until SIGTERM or SIGINT; run as many of it as you like."

    def get_check_kwargs(self, options: dict[str, Any]) -> dict[Any, Any]:
        """The database's checks too: no job is done on one that compares or keeps badly."""
        return {**super().get_check_kwargs(options), "databases": ["default"]}

    def handle(self, *args: Any, **options: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        threads = [
            threading.Thread(target=_loop, args=(task,), name=task.name)
            for task in registry.values()
            for _turn in range(task.turns)
        ]
        for thread in threads:
            thread.start()
        self.stdout.write(f"worker: {', '.join(registry)}")
        stopping.wait()
        for thread in threads:
            thread.join(JOIN_SECONDS)


def _loop(task: Task) -> None:
    """A thread for each task: a slow provider delays no other kind of job."""
    while not stopping.is_set():
        if not run_task(task):
            stopping.wait(task.every)
