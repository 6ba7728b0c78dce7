"""What decisions hang on: a version, for a use, in an environment. How entries say it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from django.db.models import Model

from audit.actor import Actor
from audit.models import Entry
from audit.recording import record
from kernel.errors import Invalid
from registry.models import Environment, ModelVersion, Use


class Placed(Protocol):
    """A row about a version, for a use, in an environment."""

    @property
    def version(self) -> ModelVersion: ...
    @property
    def use(self) -> Use: ...
    @property
    def environment(self) -> Environment: ...


def place(version: ModelVersion, use: Use, environment: Environment) -> dict[str, Any]:
    """The public facts that name the place."""
    return {
        "model": version.model.name,
        "number": version.number,
        "use": use.name,
        "environment": environment.name,
    }


def place_of(row: Placed) -> dict[str, Any]:
    return place(row.version, row.use, row.environment)


def demand_use(version: ModelVersion, use: Use) -> None:
    """Raises: Invalid if the use is another model's."""
    if use.model_id != version.model_id:
        raise Invalid("the use is of another model", field="use")


def note(
    type: str,
    row: Model,
    version: ModelVersion,
    *,
    actor: Actor,
    at: datetime,
    public: Mapping[str, Any],
    private: Mapping[str, Any] | None = None,
) -> Entry:
    """Record an entry about a row, in the scope of the version's model."""
    return record(
        type,
        actor=actor,
        at=at,
        object_type=row._meta.model_name or "",
        object_id=str(row.pk),
        public=public,
        private=private,
        scope=version.model_id,
    )
