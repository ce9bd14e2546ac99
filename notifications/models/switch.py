"""The table of the types that staff have switched off. Used by `sending` and the admin."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from notifications.models.base import Table


class TypeSwitch(Table):
    """A type of notification that staff have switched off: nothing of it is stored or sent."""

    type = models.CharField(_("type"), max_length=64, unique=True)
    off = models.BooleanField(_("switched off"), default=True)
    changed_at = models.DateTimeField(_("changed at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("switch of a type")
        verbose_name_plural = _("switches of types")

    def __str__(self) -> str:
        return self.type
