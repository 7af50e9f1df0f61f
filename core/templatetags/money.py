from django import template
from django.utils.translation import get_language

from core.money import Money

register = template.Library()


@register.filter
def money(value: Money) -> str:
    """`{{ payment.money|money }}`: the amount for people, in the language of the page."""
    return value.format(get_language() or "en")
