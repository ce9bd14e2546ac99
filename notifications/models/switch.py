"""The table of the types that staff have switched off. Used by `switching`, `sending` and the admin."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from notifications.models.base import Table
from notifications.types import KEY_CHARS


class TypeSwitch(Table):
    """A type of notification that staff have switched off, or on again. While it is off, nothing of it is stored.

    A type without a row has never been switched.
    """

    type = models.CharField(_("type"), max_length=KEY_CHARS, primary_key=True)
    off = models.BooleanField(_("switched off"), default=True)
    changed_at = models.DateTimeField(_("changed at"), default=timezone.now, editable=False)

    class Meta:
        # The admin lists all types, each with its switch.
        verbose_name = _("type of notification")
        verbose_name_plural = _("types of notifications")
        default_permissions = ["view"]
        permissions = [("switch_typeswitch", "Can switch types of notifications off and on")]

    def __str__(self) -> str:
        return self.type

    @classmethod
    def off_types(cls) -> frozenset[str]:
        """The types that staff have switched off."""
        return frozenset(cls.objects.filter(off=True).values_list("type", flat=True))

    @classmethod
    def is_off(cls, key: str) -> bool:
        """Whether staff have switched the type off."""
        return cls.objects.filter(type=key, off=True).exists()
