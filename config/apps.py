from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Here for its management commands alone: `up` and the demo wire all layers."""

    name = "config"
