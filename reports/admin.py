"""The read-only back office: what there is, with no way to change it past a service."""

from django.contrib import admin

from kernel.admin import ReadOnlyAdmin
from reports.models import Report


@admin.register(Report)
class ReportAdmin(ReadOnlyAdmin):
    list_display = ("id", "version", "use", "environment", "state", "attempt", "issued_at")
    list_filter = ("kind", "state")
    list_select_related = ("version__model", "use__model", "environment")
