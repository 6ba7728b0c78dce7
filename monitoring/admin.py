"""The read-only back office: what there is, with no way to change it past a service."""

from django.contrib import admin

from kernel.admin import ReadOnlyAdmin
from monitoring.models import (
    Breach,
    CheckAttachment,
    CheckRun,
    CubeErasure,
    Measurement,
    Monitor,
    NotCollectedDeclaration,
    ObservationBatch,
)


@admin.register(CheckRun)
class CheckRunAdmin(ReadOnlyAdmin):
    list_display = ("id", "version", "kind", "purpose", "state", "attempt", "grade", "finished_at")
    list_filter = ("kind", "purpose", "state")
    list_select_related = ("version__model",)


@admin.register(Measurement)
class MeasurementAdmin(ReadOnlyAdmin):
    list_display = ("run", "metric", "slice", "value", "undefined", "grade")
    list_select_related = ("run",)


@admin.register(CheckAttachment)
class CheckAttachmentAdmin(ReadOnlyAdmin):
    list_display = ("run", "name", "media_type", "blob")


@admin.register(ObservationBatch)
class ObservationBatchAdmin(ReadOnlyAdmin):
    list_display = ("version", "environment", "batch_id", "window_start", "received_at")
    list_select_related = ("version__model", "environment")


@admin.register(Monitor)
class MonitorAdmin(ReadOnlyAdmin):
    list_display = ("name", "version", "use", "environment", "kind", "since", "until")
    list_select_related = ("version__model", "use__model", "environment")


@admin.register(Breach)
class BreachAdmin(ReadOnlyAdmin):
    list_display = ("version", "environment", "metric", "opened_at", "resolved_at")
    list_select_related = ("version__model", "environment")


@admin.register(NotCollectedDeclaration)
class NotCollectedDeclarationAdmin(ReadOnlyAdmin):
    list_display = ("model", "attribute", "since", "until", "withdrawn_at")
    list_select_related = ("model",)


@admin.register(CubeErasure)
class CubeErasureAdmin(ReadOnlyAdmin):
    list_display = ("run", "cube", "erased_at", "erased_by")
    list_select_related = ("run", "erased_by")
