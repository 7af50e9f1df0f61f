"""`/health`: the process answers. `/health/ready`: so does everything it needs."""

from typing import Any

from django.core.cache import cache
from django.db import Error, connection
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.api import answer
from core.errors import Unavailable
from core.queue import late_rows
from core.schema import refusals


class NotReady(Unavailable):
    code, message = "not_ready", "A dependency does not answer, or jobs are late."


class Liveness(serializers.Serializer):
    web = serializers.CharField(help_text="`ok`: this process answers")

    examples = {"web": "ok"}


class Readiness(serializers.Serializer):
    database = serializers.CharField(help_text="`ok`: it answers a query")
    cache = serializers.CharField(help_text="`ok`: it keeps what it is given")
    worker = serializers.CharField(help_text="`ok`: no job is late")

    examples = {"database": "ok", "cache": "ok", "worker": "ok"}


class HealthView(APIView):
    """Whether the process answers."""

    permission_classes = [AllowAny]
    noun = "health"

    @extend_schema(operation_id="getHealth", summary="Is it up?", tags=["Health"], auth=[], responses={200: Liveness})
    def get(self, request: Request) -> Response:
        return answer(self.noun, {"web": "ok"}, "Healthy.")


class ReadyView(APIView):
    """Whether database, cache and worker do their part."""

    permission_classes = [AllowAny]
    noun = "health"

    @extend_schema(
        operation_id="getReadiness",
        summary="Does everything it needs answer?",
        tags=["Health"],
        auth=[],
        responses={200: Readiness, **refusals(NotReady)},
    )
    def get(self, request: Request) -> Response:
        parts = {"database": _database(), "cache": _cache()}
        parts["worker"] = _worker() if parts["database"] == "ok" else "unknown"
        if any(state != "ok" for state in parts.values()):
            raise NotReady(", ".join(f"{name}: {state}" for name, state in parts.items()))
        return answer(self.noun, parts, "Ready.")


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error:
        return "down"
    return "ok"


def _cache() -> str:
    try:
        cache.set("health", "ok", timeout=5)
        return cache.get("health") or "down"
    except Exception:
        return "down"


def _worker() -> str:
    """Judged by its work: no job is past due for long. A worker with nothing to do is not missed."""
    late: dict[str, Any] = {name: count for name, count in late_rows().items() if count}
    return f"late ({sum(late.values())} jobs)" if late else "ok"
