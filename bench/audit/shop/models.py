"""One business row, five ways of keeping track of it. Every variant has the same columns."""

from auditlog.registry import auditlog
from django.db import models
from simple_history.models import HistoricalRecords


class _Item(models.Model):
    name = models.CharField(max_length=50)
    value = models.IntegerField(default=0)
    note = models.CharField(max_length=200, default="")

    class Meta:
        abstract = True
        app_label = "shop"


class PlainItem(_Item):
    """No audit at all; the log's and the chain's variants write to it too."""


class LoggedItem(_Item):
    """Watched by django-auditlog."""


class HistoryItem(_Item):
    """Watched by django-simple-history."""

    history = HistoricalRecords(app="shop")


class Link(models.Model):
    """A hash chain in the business transaction, as homemade audit trails have it."""

    previous = models.CharField(max_length=64)
    digest = models.CharField(max_length=64)
    body = models.JSONField()

    class Meta:
        app_label = "shop"


class Head(models.Model):
    """The chain's newest link, locked by each write."""

    digest = models.CharField(max_length=64, default="")

    class Meta:
        app_label = "shop"


auditlog.register(LoggedItem)
