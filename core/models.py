"""Django looks for models here."""

from core.mail import Email

__all__ = ["Email"]
