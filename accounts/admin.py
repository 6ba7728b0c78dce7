from django.contrib import admin
from django.contrib.auth.models import Group

from accounts import models
from kernel.admin import ReadOnlyAdmin

# Roles are not groups: Django's own page for them would be the one that writes.
admin.site.unregister(Group)


@admin.register(models.User)
class UserAdmin(ReadOnlyAdmin):
    list_display = ("username", "name", "kind", "is_active", "last_login")
    list_filter = ("kind", "is_active")
    search_fields = ("username", "name")
    exclude = ("password",)


@admin.register(models.OrganisationRole)
class OrganisationRoleAdmin(ReadOnlyAdmin):
    list_display = ("user", "role", "since", "until")


@admin.register(models.ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "user", "key", "expires_at", "last_used_at", "revoked_at")
    exclude = ("secret_hmac",)
