"""What is on record about places, in one query: everything of any time that a decision looks at.

A place is a version, a use and an environment. The tables are small and many, so they are read as the
legs of one UNION ALL, each row with the same columns.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import (
    BooleanField,
    CharField,
    DateTimeField,
    F,
    Field,
    IntegerField,
    QuerySet,
    TextField,
    UUIDField,
    Value,
)
from django.db.models.functions import Cast

from governance.models import (
    Approval,
    Finding,
    PolicyBinding,
    Review,
    Suspension,
    Validation,
    Waiver,
)
from monitoring.models import Breach
from monitoring.selectors import ended_runs
from registry.models import Evidence, RevisionChange, UseTier


@dataclass(frozen=True)
class Record:
    """One row of one of the tables. `kind` says which; what the other columns hold, its leg below.

    `version`, `use` and `environment` are None where a row is about all there are.
    """

    kind: str
    version: UUID | None
    use: UUID | None
    environment: UUID | None
    id: UUID | None
    other: UUID | None
    related: UUID | None
    text: str | None
    name: str | None
    digest: str | None
    number: int | None
    flag: bool | None
    at: datetime | None
    until: datetime | None
    ended: datetime | None


_TYPES: Final["dict[str, type[Field[Any, Any]]]"] = {
    **dict.fromkeys(("version", "use", "environment", "id", "other", "related"), UUIDField),
    **dict.fromkeys(("text", "name", "digest"), TextField),
    "number": IntegerField,
    "flag": BooleanField,
    **dict.fromkeys(("at", "until", "ended"), DateTimeField),
}
_VERSION = {"version": "version_id"}
_PLACE = {**_VERSION, "use": "use_id", "environment": "environment_id"}


@dataclass(frozen=True)
class Records:
    """The records about some places, by kind."""

    rows: tuple[Record, ...]

    def of(self, kind: str) -> list[Record]:
        return [one for one in self.rows if one.kind == kind]

    def ids(self, kind: str) -> list[UUID]:
        return [one.id for one in self.rows if one.kind == kind and one.id is not None]

    def about(self, version: UUID, use: UUID, environment: UUID) -> "Records":
        """Those that bear on one place."""
        place = (version, use, environment)
        return Records(
            tuple(
                one
                for one in self.rows
                if all(
                    said in (None, wanted)
                    for said, wanted in zip(
                        (one.version, one.use, one.environment), place, strict=True
                    )
                )
            )
        )


def of_standing(
    versions: Iterable[UUID], uses: Iterable[UUID], environments: Iterable[UUID]
) -> Records:
    """What the standing of these versions, for these uses, in these environments, hangs on."""
    return _read(_standing(list(versions), list(uses), list(environments)))


def of_place(version: UUID, use: UUID, environment: UUID) -> Records:
    """What the standing of one place hangs on."""
    return _planned(_standing_of_one, version, use, environment)


def _standing_of_one(version: UUID, use: UUID, environment: UUID) -> list[QuerySet[Any, Any]]:
    return _standing([version], [use], [environment])


def of_decision(version: UUID, use: UUID, environment: UUID) -> Records:
    """What a decision about one place hangs on: its standing, and what monitoring and people found."""
    return _planned(_decision, version, use, environment)


def _decision(version: UUID, use: UUID, environment: UUID) -> list[QuerySet[Any, Any]]:
    here = {"version": version, "use": use, "environment": environment}
    return [
        *_standing([version], [use], [environment]),
        *_beside(version, use),
        _leg("breach", Breach.objects.filter(**here, resolved_at=None), **_PLACE, id="pk"),
        _leg(
            "waiver",
            Waiver.objects.filter(**here, granted_at__isnull=False),
            **_PLACE,
            id="pk",
        ),
    ]


def beside_dossier(version: UUID, use: UUID) -> Records:
    """What is true of a version beside its dossier."""
    return _planned(_beside, version, use)


def _standing(
    versions: list[UUID], uses: list[UUID], environments: list[UUID]
) -> list[QuerySet[Any, Any]]:
    here = {"version__in": versions, "use__in": uses, "environment__in": environments}
    counting = [Review.State.OPEN, Review.State.APPROVED, Review.State.REJECTED]
    return [
        _leg(
            "approval",
            Approval.objects.filter(**here),
            **_PLACE,
            id="pk",
            other="policy_revision_id",
            related="review_id",
            number="revision",
            flag="is_conditional",
            at="granted_at",
            until="valid_until",
            ended="revoked_at",
        ),
        _leg(
            "review",
            Review.objects.filter(**here, state__in=counting),
            **_PLACE,
            id="pk",
            other="policy_revision_id",
            text="state",
            digest="dossier_id",
            number="revision",
            ended="closed_at",
        ),
        _leg(
            "suspension",
            Suspension.objects.filter(**here),
            **_PLACE,
            id="pk",
            text="effect",
            at="since",
            until="until",
        ),
        _leg(
            "revision",
            RevisionChange.objects.filter(version__in=versions),
            **_VERSION,
            number="revision",
            at="at",
        ),
        _leg(
            "tier",
            UseTier.objects.filter(use__in=uses),
            use="use_id",
            number="tier",
            at="since",
            until="until",
        ),
        _leg(
            "binding",
            PolicyBinding.objects.filter(environment__in=environments),
            environment="environment_id",
            other="policy_id",
            number="tier",
            at="since",
            until="until",
        ),
    ]


def _beside(version: UUID, use: UUID) -> list[QuerySet[Any, Any]]:
    return [
        _leg(
            "evidence",
            Evidence.objects.filter(version=version),
            **_VERSION,
            id="pk",
            text="kind",
            name="name",
            digest="blob_id",
            at="added_at",
        ),
        _leg(
            "validation",
            Validation.objects.filter(version=version, use=use),
            **_VERSION,
            use="use_id",
            id="pk",
            text="rating",
            digest="dossier_id",
            at="written_at",
        ),
        _leg(
            "finding",
            Finding.objects.filter(version=version, closed_at=None),
            **_VERSION,
            id="pk",
            text="severity",
            at="opened_at",
        ),
        _leg("run", ended_runs(version), **_VERSION, id="pk", ended="finished_at"),
    ]


def _leg(kind: str, rows: QuerySet[Any], **columns: str) -> QuerySet[Any, Any]:
    shown: list[Any] = [Value(kind, output_field=CharField())]
    for name, type_ in _TYPES.items():
        # PostgreSQL wants to know the type of each column in each leg, of one without a value too.
        missing = Cast(Value(None), type_())
        shown.append(F(columns[name]) if name in columns else missing)
    return rows.order_by().values_list(*shown)


def _read(legs: list[QuerySet[Any, Any]]) -> Records:
    first, *others = legs
    return Records(tuple(Record(*row) for row in first.union(*others, all=True)))


# What stands for the arguments in a plan, until a place is asked about.
_STAND_INS: Final = tuple(UUID(int=2**127 + number) for number in range(3))


def _planned(legs: Callable[..., list[QuerySet[Any, Any]]], *place: UUID) -> Records:
    """`_read` about one place. To put a query of ten legs together takes ten times as long as to ask
    it, so the SQL is made once, and asked with other ids."""
    sql, params, positions = _plan(connection.vendor, legs, len(place))
    field = UUIDField()
    ids = [field.get_db_prep_value(one, connection) for one in place]
    given = [
        param if (index := positions.get(at)) is None else ids[index]
        for at, param in enumerate(params)
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        rows = cursor.fetchall()
    return Records(tuple(_record(row) for row in rows))


@lru_cache(maxsize=16)
def _plan(
    vendor: str, legs: Callable[..., list[QuerySet[Any, Any]]], count: int
) -> tuple[str, tuple[Any, ...], dict[int, int]]:
    """The SQL, its parameters, and which of them is which argument."""
    first, *others = legs(*_STAND_INS[:count])
    sql, params = first.union(*others, all=True).query.sql_with_params()
    field = UUIDField()
    marks = {field.get_db_prep_value(one, connection): at for at, one in enumerate(_STAND_INS)}
    return sql, params, {at: marks[one] for at, one in enumerate(params) if one in marks}


def _record(row: Sequence[Any]) -> Record:
    """A row as the database gives it: SQLite has neither ids, nor instants, nor truth values."""
    kind, *values = row
    found = [
        _READ.get(type_, _as_it_is)(value)
        for type_, value in zip(_TYPES.values(), values, strict=True)
    ]
    return Record(kind, *found)


def _as_it_is(value: Any) -> Any:
    return value


def _uuid(value: Any) -> UUID | None:
    return UUID(value) if isinstance(value, str) else value


def _instant(value: Any) -> datetime | None:
    if value is None:
        return None
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    assert isinstance(found, datetime)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _truth(value: Any) -> bool | None:
    return None if value is None else bool(value)


_READ: Final["dict[type[Field[Any, Any]], Callable[[Any], Any]]"] = {
    UUIDField: _uuid,
    DateTimeField: _instant,
    BooleanField: _truth,
}
