"""A strict content security policy, and requests that no database could be asked for."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from kernel.rest.problems import MEDIA_TYPE, problem

POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


class ContentSecurityPolicy:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        return response


class NoNullCharacters:
    """PostgreSQL keeps no null character in a text, and answers a query for one with an error."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if "\x00" in request.path_info or "%00" in request.META.get("QUERY_STRING", ""):
            body = problem(400, "Invalid input", "a null character has no place in an address")
            return JsonResponse(body, status=400, content_type=MEDIA_TYPE)
        return self._get_response(request)
