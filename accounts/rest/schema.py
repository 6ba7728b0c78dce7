"""How a request says who asks, for the OpenAPI document. Imported where that is made."""

from drf_spectacular.authentication import SessionScheme
from drf_spectacular.extensions import OpenApiAuthenticationExtension


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """A bearer token, `cs_…`."""

    target_class = "accounts.rest.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token, as made at tokens/.",
        }


class PageSessionScheme(SessionScheme):  # type: ignore[no-untyped-call]
    """The cookie of a person who signed in at the pages; a write needs the CSRF token as well."""

    target_class = "accounts.rest.authentication.SessionAuthentication"
    name = "session"
