"""The stored profiles of an earlier run in place of a reference's rows.

A monitor that compares each day with one reference need not read the reference each day: the cube of
the run that read it holds the profiles of its columns, under a digest that is verified.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from kernel.errors import Invalid, Unprocessable
from kernel.identifiers import parse_digest
from monitoring.engine import column_profiles
from monitoring.engine.column_profiles import ColumnProfile
from monitoring.engine.documents import Fields
from monitoring.engine.results import Grade

Side = Literal["dataset", "reference"]
SIDES: tuple[Side, ...] = ("dataset", "reference")
KINDS = ("drift", "data_quality")
"""The kinds of check whose cubes hold profiles."""


@dataclass(frozen=True)
class StoredProfiles:
    """The profiles of features and of the model's answers, and which model gave the answers."""

    features: Mapping[str, ColumnProfile]
    answers: Mapping[str, ColumnProfile]
    model: Mapping[str, str] | None
    dataset: Mapping[str, Any] | None
    rows: int | None


@dataclass(frozen=True)
class ReferenceProfile:
    """The cube of an earlier run: where its bytes are, and their SHA-256.

    `side` is what that run measured (`dataset`) or what it compared that with (`reference`). `grade`
    is that run's: a comparison is worth no more than the lesser side of it.
    """

    path: Path
    digest: str
    side: Side = "dataset"
    grade: Grade = "recomputed"

    @classmethod
    def from_json(cls, value: object, path: str) -> "ReferenceProfile":
        fields = Fields(value, path, ("path", "digest", "side", "grade"))
        return cls(
            Path(fields.text("path")),
            parse_digest(fields.raw("digest"), fields.name("digest")),
            cast(Side, fields.choice("side", SIDES, "dataset")),
            cast(Grade, fields.choice("grade", ("recomputed", "re-performed"), "recomputed")),
        )

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), **self.identity(), "grade": self.grade}

    def identity(self) -> dict[str, Any]:
        return {"digest": self.digest, "side": self.side}

    def load(self) -> StoredProfiles:
        """Read the profiles.

        Raises:
            Unprocessable: the bytes are not those of the digest.
            Invalid: they are no cube with profiles.
        """
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise Invalid("the file cannot be read", field="reference_profile.path") from error
        if hashlib.sha256(data).hexdigest() != self.digest:
            raise Unprocessable(
                "the bytes are not those of the digest", field="reference_profile.digest"
            )
        return profiles_in(json.loads(data), self.side)


def profiles_in(cube: Mapping[str, Any], side: Side = "dataset") -> StoredProfiles:
    """The profiles that the cube of a run holds.

    Raises:
        Invalid: it holds none, or none of that side.
    """
    kind = cube.get("kind") if isinstance(cube, Mapping) else None
    found = cube.get("profiles") if kind in KINDS else None
    if not isinstance(found, Mapping):
        raise Invalid("the run's cube holds no profiles", field="reference_profile")
    answers: Mapping[str, Any] = {}
    if kind == "drift":
        place = "current" if side == "dataset" else "reference"
        answers = (found.get("answers") or {}).get(place) or {}
        found = found.get(place) or {}
    elif side != "dataset":
        raise Invalid("only a check of drift has a reference", field="reference_profile.side")
    where = "reference_profile.profiles"
    return StoredProfiles(
        {name: column_profiles.read(one, f"{where}.{name}") for name, one in found.items()},
        {name: column_profiles.read(one, f"{where}.{name}") for name, one in answers.items()},
        cube.get("model"),
        cube.get("dataset" if side == "dataset" else "reference"),
        cube.get("rows") if side == "dataset" else None,
    )
