"""What a monitor and a backtest of it have in common: checked, completed, with one digest for both."""

import re
from dataclasses import dataclass
from typing import Any

from kernel import canonical
from kernel.errors import Invalid
from monitoring import limits as limit_rules
from monitoring import windows
from monitoring.services.requests import Question, prepare
from registry.models import Dataset, ModelVersion, Use

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")


@dataclass(frozen=True)
class Definition:
    """What is asked of which stretches of data, and what breaks. `fields` are those of a row."""

    fields: dict[str, Any]
    reference: Dataset | None

    @property
    def question_digest(self) -> str:
        """The same monitor has the same, wherever it watches and whatever it does about a breach."""
        return canonical.digest({**self.fields, "reference": self._reference})

    def digest(self, **more: Any) -> str:
        return canonical.digest({**self.fields, **more, "reference": self._reference})

    @property
    def _reference(self) -> str | None:
        return self.reference.digest if self.reference else None


def define(
    version: ModelVersion,
    kind: str,
    *,
    limits: list[dict[str, Any]],
    config: dict[str, Any] | None,
    reference: Dataset | None,
    window: str,
    min_rows: int,
    consecutive: int,
) -> Definition:
    """Check what is to be watched of a version, and how. Reads alone.

    Raises:
        Invalid: naming the field, as `limits[0].op`.
        Conflict, Unprocessable: see `request_check`.
    """
    windows.check(window)
    question: Question = prepare(version, kind, config=config, reference=reference)
    return Definition(
        {
            "kind": kind,
            "config": question.config,
            "mapping": question.mapping,
            "limits": [one.to_json() for one in limit_rules.parse_limits(limits)],
            "window": window,
            "min_rows": min_rows,
            "consecutive": consecutive,
        },
        reference,
    )


def check_place(
    version: ModelVersion, use: Use, name: str, min_rows: int, consecutive: int
) -> dict[str, str]:
    """What is wrong with the plain fields, by field; empty if nothing is."""
    errors = {}
    if use.model_id != version.model_id:
        errors["use"] = "the use is of another model"
    if not _NAME.fullmatch(name):
        errors["name"] = "expected lower-case letters, digits, - and _, up to 80"
    if not 1 <= min_rows <= 2**31 - 1:
        errors["min_rows"] = "expected a whole number of at least 1"
    if not 1 <= consecutive <= 100:
        errors["consecutive"] = "expected a whole number from 1 to 100"
    return errors


def refuse(errors: dict[str, str]) -> None:
    """Raises Invalid if there are any."""
    if errors:
        raise Invalid.many(errors)
