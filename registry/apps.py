from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"

    def ready(self) -> None:
        from accounts.access import register_source
        from registry import checks, entries  # noqa: F401
        from registry.grants import RegistryRoles

        register_source(RegistryRoles())
