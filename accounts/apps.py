from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from accounts import access, entries, erasure  # noqa: F401  (defines the entry types)
        from accounts.actors import names_of
        from accounts.rest import schema  # noqa: F401  (describes the ways to sign in)
        from audit import administration, further, permission

        permission.decide_by(access.require)
        administration.name_by(names_of)
        further.also(erasure.lost_pseudonyms)
