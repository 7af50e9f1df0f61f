"""The payment providers, an adapter a file."""

from payments.providers.base import (
    ChargeRequest,
    Movement,
    OperationRequest,
    OperationResult,
    Provider,
    ProviderUnavailable,
    Result,
)
from payments.providers.sandbox import SandboxProvider

PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in [SandboxProvider()]}

__all__ = [
    "PROVIDERS",
    "ChargeRequest",
    "Movement",
    "OperationRequest",
    "OperationResult",
    "Provider",
    "ProviderUnavailable",
    "Result",
]
