"""The back office's view of the registry: to look, never to write."""

from django.contrib import admin

from kernel.admin import ReadOnlyAdmin
from registry import models


@admin.register(models.RegisteredModel)
class RegisteredModelAdmin(ReadOnlyAdmin):
    list_display = ("name", "title", "kind", "portfolio", "legal_entity", "retired_at")
    list_filter = ("kind", "portfolio")
    search_fields = ("name", "title")


@admin.register(models.ModelVersion)
class ModelVersionAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "label", "revision", "artifact_digest", "author", "registered_at")
    list_select_related = ("model", "author")
    search_fields = ("model__name", "artifact_digest", "label")


@admin.register(models.Use)
class UseAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "operator_role", "legal_entity", "is_default", "retired_at")
    list_select_related = ("model", "legal_entity")


@admin.register(models.UseTier)
class UseTierAdmin(ReadOnlyAdmin):
    list_display = ("use", "tier", "set_by", "since", "until")
    list_select_related = ("use__model", "set_by")


@admin.register(models.Evidence)
class EvidenceAdmin(ReadOnlyAdmin):
    list_display = ("name", "kind", "version", "blob_id", "is_addendum", "added_at")
    list_select_related = ("version__model",)
    list_filter = ("kind", "is_addendum")


@admin.register(models.Dataset)
class DatasetAdmin(ReadOnlyAdmin):
    list_display = ("name", "title", "digest", "rows", "registered_at")
    search_fields = ("name", "digest")


@admin.register(models.EnvironmentSetting)
class EnvironmentSettingAdmin(ReadOnlyAdmin):
    list_display = ("environment", "mode", "position", "since", "until", "seconded_by")
    list_select_related = ("environment", "seconded_by")


@admin.register(models.Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    list_display = ("version", "use", "environment", "kind", "live_from", "live_until")
    list_select_related = ("version__model", "use__model", "environment")


@admin.register(models.RoleGrant)
class RoleGrantAdmin(ReadOnlyAdmin):
    list_display = ("user", "role", "model", "portfolio", "since", "until")
    list_select_related = ("user", "model", "portfolio")


@admin.register(models.LegalEntity, models.Portfolio)
class NamedAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name")
