"""Finding, among the runs of checks in the facts, the measurements that a control asks for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from governance.controls import facts as read
from governance.controls.base import at_least
from governance.controls.facts import Facts, Missing
from monitoring.metrics import is_estimate

BETWEEN = "*"
"""In a measurement's slice: a comparison between the groups of this attribute."""


@dataclass(frozen=True)
class Wanted:
    """Which runs count. None: any."""

    check: str | None = None
    dataset: str | None = None
    grade: str = "claimed"


@dataclass(frozen=True)
class Run:
    id: str
    finished_at: datetime
    facts: Mapping[str, Any]
    measurements: tuple[Mapping[str, Any], ...] = ()


def dossier_runs(facts: Facts) -> list[Mapping[str, Any]]:
    return read.objects(facts, "runs")


def addenda(facts: Facts) -> list[Mapping[str, Any]]:
    """Runs that were asked for after submission."""
    return read.objects(facts, "live.runs", may_be_empty=True)


def is_about(run: Mapping[str, Any], check: str | None, purpose: str | None, facts: Facts) -> bool:
    """True for a validation run of the check on a dataset that the version uses for the purpose."""
    if read.text(run, "purpose") != "validation":
        return False
    if check is not None and read.text(run, "kind") != check:
        return False
    return purpose is None or purpose in _purposes(run, facts)


def _purposes(run: Mapping[str, Any], facts: Facts) -> set[Any]:
    if not isinstance(run.get("dataset"), Mapping):
        return set()
    digest = read.digest(run, "dataset.digest")
    return {
        purpose
        for dataset in read.objects(facts, "datasets")
        if read.digest(dataset, "digest") == digest
        for purpose in read.items(dataset, "purposes", may_be_empty=True)
    }


def succeeded(
    runs: Iterable[Mapping[str, Any]], wanted: Wanted, facts: Facts
) -> list[Mapping[str, Any]]:
    """The runs on the whole of the data that ended well, of whatever grade."""
    return [run for run in _ended_well(runs, wanted, facts) if is_whole(run)]


def _ended_well(
    runs: Iterable[Mapping[str, Any]], wanted: Wanted, facts: Facts
) -> list[Mapping[str, Any]]:
    return [
        run
        for run in runs
        if is_about(run, wanted.check, wanted.dataset, facts)
        and read.text(run, "state") == "succeeded"
    ]


def is_whole(run: Mapping[str, Any]) -> bool:
    """Did the run look at all rows of its data? Who asks for a check may narrow it to some of them, and
    what holds of rows that somebody chose says nothing of the others."""
    config = run.get("config", {})
    if not isinstance(config, Mapping):
        raise Missing("config", "of the run is not an object")
    return not (config.get("filters") or config.get("reference_filters"))


def newest(runs: Iterable[Mapping[str, Any]]) -> Run | None:
    dated = [Run(read.text(run, "id"), read.instant(run, "finished_at"), run) for run in runs]
    return max(dated, key=lambda run: (run.finished_at, run.id), default=None)


def newest_with(
    runs: Iterable[Mapping[str, Any]],
    metric: str,
    wanted: Wanted,
    facts: Facts,
    about: Mapping[str, str] | None = None,
) -> Run | None:
    """The newest run of at least the grade wanted that measured `metric`: at all, or of one slice.

    Raises:
        Missing: if it was measured, but never at that grade, or never on the whole of the data.
    """
    measured = [
        (run, found)
        for run in _ended_well(runs, wanted, facts)
        if (found := tuple(_of(run, metric, about)))
    ]
    held = [(run, found) for run, found in measured if is_whole(run)]
    if measured and not held:
        raise Missing(metric, "was measured on a chosen part of the data only")
    graded = [(run, found) for run, found in held if has_grade(run, wanted.grade)]
    if held and not graded:
        grades = ", ".join(sorted({_grade(run) for run, _ in held}))
        raise Missing(metric, f"was measured at grade {grades} only; {wanted.grade} is asked")
    found_by_id = {read.text(run, "id"): found for run, found in graded}
    latest = newest(run for run, _ in graded)
    if latest is None:
        return None
    return Run(latest.id, latest.finished_at, latest.facts, found_by_id[latest.id])


def _of(
    run: Mapping[str, Any], metric: str, about: Mapping[str, str] | None
) -> Iterable[Mapping[str, Any]]:
    if is_estimate(metric):
        raise Missing(metric, "is an estimate from scores, not measured")
    return (
        one
        for one in read.objects(run, "measurements", may_be_empty=True)
        if one.get("metric") == metric and (about is None or slice_of(one) == about)
    )


def is_estimated(measurement: Mapping[str, Any]) -> bool:
    """Is it a figure of groups whose members a proxy estimated?"""
    detail = measurement.get("detail")
    return isinstance(detail, Mapping) and bool(detail.get("estimated"))


def has_grade(run: Mapping[str, Any], wanted: str) -> bool:
    return at_least(_grade(run), wanted)


def _grade(run: Mapping[str, Any]) -> str:
    grade = run.get("grade")
    return grade if isinstance(grade, str) else ""


def dataset_name(run: Mapping[str, Any]) -> str:
    """The name of the data that a run measured on; "" if it had none."""
    dataset = run.get("dataset")
    return read.text(dataset, "name") if isinstance(dataset, Mapping) else ""


def slice_of(measurement: Mapping[str, Any]) -> dict[str, str]:
    """What the measurement is about; {} is everybody.

    Raises:
        Missing: if there is no slice, or if it is no object of texts.
    """
    if "slice" not in measurement:
        raise Missing("slice", "is missing")
    found = read.mapping(measurement, "slice")
    if not all(isinstance(key, str) and isinstance(group, str) for key, group in found.items()):
        raise Missing("slice", "holds something other than texts")
    return dict(found)
