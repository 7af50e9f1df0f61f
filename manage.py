#!/usr/bin/env python
"""Django's command line for Tillgate."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:  # a missing variable, a missing driver: the sentence says all
        sys.exit(f"Tillgate is not configured: {error}")


if __name__ == "__main__":
    main()
