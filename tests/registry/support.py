"""Reading the log back in tests."""

from typing import Any

from audit.models import Entry


def entries(type_: str) -> list[Entry]:
    return list(Entry.objects.filter(type=type_).order_by("id"))


def last(type_: str) -> Entry:
    found = entries(type_)
    assert found, (
        f"no entry {type_}; there are {sorted(set(Entry.objects.values_list('type', flat=True)))}"
    )
    return found[-1]


def refusals() -> list[dict[str, Any]]:
    return [entry.public for entry in entries("audit.write.refused")]


def fields_of(response: Any) -> list[str]:
    """The fields that problem details name."""
    assert response.headers["Content-Type"].startswith("application/problem+json"), response.content
    return [error["field"] for error in response.json().get("errors", [])]
