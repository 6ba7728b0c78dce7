"""What is on record about places, in one query: everything of any time that a decision looks at.

A place is a version, a use and an environment. The tables are small and many, so they are read as the
legs of one UNION ALL, each row with the same columns.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

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


def of_decision(version: UUID, use: UUID, environment: UUID) -> Records:
    """What a decision about one place hangs on: its standing, and what monitoring and people found."""
    here = {"version": version, "use": use, "environment": environment}
    return _read(
        [
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
    )


def beside_dossier(version: UUID, use: UUID) -> Records:
    """What is true of a version beside its dossier."""
    return _read(_beside(version, use))


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
