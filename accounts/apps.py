from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import access, entries  # noqa: F401  (defines the entry types)
        from audit import permission

        permission.decide_by(access.require)
