"""What a monitor and a backtest of it have in common: checked, completed, with one digest for both."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kernel import canonical
from kernel.errors import Invalid, Unprocessable
from kernel.moments import rfc3339
from monitoring import configs, measurable, windows
from monitoring import limits as limit_rules
from monitoring.engine.inputs import InputSpec
from monitoring.engine.mapping import ColumnMapping
from monitoring.models import Watch
from monitoring.services.requests import Question, need_bytes, prepare, without_scoring
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
    data: Mapping[str, Dataset | None] | None = None,
) -> Definition:
    """Check what is to be watched of a version, and how. Reads alone.

    `data` is the dataset that is cut into windows by time, if one is, by the field that names it.

    Raises:
        Invalid: naming the field, as `limits[0].op`; also where a limit holds nothing (`measurable`).
        Conflict, Unprocessable: see `request_check`; also if the dataset cannot be cut by time.
    """
    windows.check(window)
    whole = {name: one for name, one in (data or {}).items() if one is not None}
    for name in whole:
        if window == windows.BATCH:
            raise Invalid(
                "a dataset is cut by time: name a stretch, as day or week", field="window"
            )
        if kind in configs.NEED_NO_COLUMNS:
            raise Invalid("what people decided comes by batches", field=name)
    config = without_scoring(kind, config, {**whole, "reference": reference})
    question: Question = prepare(version, kind, config=config, reference=reference)
    for name, one in whole.items():
        _check_cut(one, question, window, name)
    wanted = limit_rules.parse_limits(limits)
    measurable.check_limits(wanted, _asked(version, question))
    return Definition(
        {
            "kind": kind,
            "config": question.config,
            "mapping": question.mapping,
            "limits": [one.to_json() for one in wanted],
            "window": window,
            "min_rows": min_rows,
            "consecutive": consecutive,
        },
        reference,
    )


def _asked(version: ModelVersion, question: Question) -> measurable.Asked:
    inputs = None
    if question.kind in configs.NEED_MODEL and version.input_spec is not None:
        inputs = InputSpec.from_json(version.input_spec).columns()
    return measurable.Asked(
        question.kind,
        question.config,
        ColumnMapping.from_json(question.mapping),
        has_reference=question.reference is not None,
        inputs=inputs,
    )


def _check_cut(dataset: Dataset, question: Question, window: str, field: str) -> None:
    """Can the dataset be cut into such windows? Nothing is connected to; a file is not opened."""
    need_bytes(dataset, field)
    time = question.mapping.get("time")
    if not time:
        raise Unprocessable(
            "the mapping declares no column of the time, by which a dataset is cut into windows",
            field=field,
        )
    if dataset.digest_of == Dataset.DigestOf.BYTES:
        return
    kinds = {one["name"]: one["type"] for one in dataset.columns}
    if not kinds:
        # Registered with a digest and never read: the first check says what is wrong.
        return
    if time not in kinds:
        raise Unprocessable(
            f"the mapping's column of the time is {time}, and dataset {dataset.name} has none of "
            "that name",
            field=field,
        )
    if kinds[time] not in ("date", "timestamp"):
        raise Unprocessable(
            f"column {time} of dataset {dataset.name} is {kinds[time]}; windows are cut by a column "
            "of dates or timestamps",
            field=field,
        )
    if kinds[time] == "date" and windows.cuts_days(window):
        raise Invalid(
            f"column {time} of dataset {dataset.name} holds days, which {window} would divide; name "
            "day, week or month",
            field="window",
        )


def cut(watch: Watch, dataset: Dataset, start: datetime, end: datetime) -> Question:
    """What is asked of the rows of a dataset whose time lies in [start, end)."""
    within = {"column": watch.mapping["time"], "least": rfc3339(start), "below": rfc3339(end)}
    if dataset.digest_of == Dataset.DigestOf.RELATION:
        # No digest pins its columns: one that has become text since would be cut as texts sort.
        within["instants"] = True
    config = {**watch.config, "filters": [*watch.config.get("filters", []), within]}
    return Question(watch.kind, config, watch.mapping, watch.reference)


def check_place(
    version: ModelVersion, use: Use, name: str, min_rows: int, consecutive: int
) -> dict[str, str]:
    """What is wrong with the plain fields, by field; empty if nothing is."""
    errors = {}
    if use.model_id != version.model_id:
        errors["use"] = "the use is of another model"
    if not _NAME.fullmatch(name):
        errors["name"] = "expected lower-case letters, digits, - and _, up to 80"
    if not 1 <= min_rows <= windows.MOST_MIN_ROWS:
        errors["min_rows"] = f"expected a whole number from 1 to {windows.MOST_MIN_ROWS}"
    if not 1 <= consecutive <= 100:
        errors["consecutive"] = "expected a whole number from 1 to 100"
    return errors


def refuse(errors: dict[str, str]) -> None:
    """Raises Invalid if there are any."""
    if errors:
        raise Invalid.many(errors)
