"""Controls on what people and the service did: checks, validations, findings."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from governance.controls import facts as read
from governance.controls import runs
from governance.controls.base import (
    SEVERITIES,
    Check,
    Control,
    DatasetPurpose,
    Grade,
    Judgement,
    Severity,
    listed,
    parameter,
    spoken,
)
from governance.controls.facts import Facts, Missing
from governance.controls.results import Status

Rating = Literal["satisfactory", "satisfactory_with_findings", "unsatisfactory"]


@dataclass(frozen=True, kw_only=True)
class CheckRecent(Control):
    """A run beside the dossier counts: it is what renews."""

    kind: ClassVar[str] = "check_recent"
    check: Check
    max_age_days: int = parameter(least=1)
    dataset: DatasetPurpose | None = None
    grade: Grade = "recomputed"

    def sentence(self) -> str:
        on = f" on the {self.dataset} data" if self.dataset else ""
        return (
            f"A {spoken(self.check)} check{on} of grade {self.grade} or better is not older than "
            f"{self.max_age_days} days."
        )

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        wanted = runs.Wanted(self.check, self.dataset, self.grade)
        everything = [*runs.dossier_runs(facts), *runs.addenda(facts)]
        held = runs.succeeded(everything, wanted, facts)
        latest = runs.newest(run for run in held if runs.has_grade(run, self.grade))
        if latest is None:
            grades = sorted({str(run.get("grade")) for run in held})
            seen = f"only at grade {listed(grades)}" if grades else "not at all"
            raise Missing(f"the {spoken(self.check)} check", f"was run {seen}")
        age = read.age_days(latest.finished_at, now, f"run {latest.id}")
        figure = {
            "label": "age",
            "value": int(age),
            "unit": "days",
            "at_most": self.max_age_days,
            "run": latest.id,
        }
        if age > self.max_age_days:
            reason = f"It ran {age:.0f} days ago; {self.max_age_days} are allowed."
            return Judgement(Status.FAIL, reason, [figure], [latest.id])
        return Judgement(Status.PASS, f"It ran {age:.0f} days ago.", [figure], [latest.id])


@dataclass(frozen=True, kw_only=True)
class NoOpenFindings(Control):
    """The counts must be there: that nobody counted is not that there are none."""

    kind: ClassVar[str] = "no_open_findings"
    severity: Severity = "high"

    def sentence(self) -> str:
        return f"No finding of severity {self.severity} or worse is open."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        counted = SEVERITIES[SEVERITIES.index(self.severity) :]
        counts = {name: read.whole(facts, f"live.findings.counts.{name}") for name in counted}
        listed_ids = [
            read.text(finding, "id")
            for finding in read.objects(facts, "live.findings.open", may_be_empty=True)
            if read.text(finding, "severity") in counted
        ]
        total = sum(counts.values())
        if total != len(listed_ids):
            raise Missing("live.findings", "counts other findings than it lists")
        figures = [{"label": f"open, {name}", "value": count} for name, count in counts.items()]
        if total:
            says = "1 such finding is open." if total == 1 else f"{total} such findings are open."
            return Judgement(Status.FAIL, says, figures, listed_ids)
        return Judgement(Status.PASS, "None is open.", figures)


@dataclass(frozen=True, kw_only=True)
class ValidationWritten(Control):
    """On the dossier that is decided about; the newest one counts."""

    kind: ClassVar[str] = "validation_written"
    ratings: tuple[Rating, ...] = parameter(("satisfactory", "satisfactory_with_findings"), least=1)

    def sentence(self) -> str:
        ratings = listed([spoken(rating) for rating in self.ratings], "or")
        return f"An independent validator has rated this dossier {ratings}."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        dossier = read.digest(facts, "live.dossier")
        written = [
            validation
            for validation in read.objects(facts, "live.validations", may_be_empty=True)
            if read.digest(validation, "dossier") == dossier
        ]
        if not written:
            raise Missing("a validation of this dossier", "is not on record")
        latest = max(written, key=lambda one: (read.instant(one, "written_at"), one.get("id", "")))
        rating, identity = read.text(latest, "rating"), read.text(latest, "id")
        figure = {"label": "rating", "value": rating}
        status = Status.PASS if rating in self.ratings else Status.FAIL
        return Judgement(status, f"It is rated {spoken(rating)}.", [figure], [identity])


@dataclass(frozen=True, kw_only=True)
class MaxAttempts(Control):
    """Every run on the same data counts, failed and cancelled ones too: nobody tries until it fits."""

    kind: ClassVar[str] = "max_attempts"
    check: Check
    limit: int = parameter(least=1, most=1000)
    dataset: DatasetPurpose | None = None

    def sentence(self) -> str:
        on = f"the {self.dataset} data" if self.dataset else "the same data"
        return f"The {spoken(self.check)} check was run at most {self.limit} times on {on}."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        counted: dict[str, list[str]] = {}
        for run in [*runs.dossier_runs(facts), *runs.addenda(facts)]:
            if runs.is_about(run, self.check, self.dataset, facts):
                digest = read.digest(run, "dataset.digest")
                counted.setdefault(digest, []).append(read.text(run, "id"))
        if not counted:
            raise Missing(f"the {spoken(self.check)} check", "was never run")
        digest, ids = max(counted.items(), key=lambda item: (len(item[1]), item[0]))
        figure = {"label": "runs", "value": len(ids), "at_most": self.limit, "dataset": digest}
        status = Status.PASS if len(ids) <= self.limit else Status.FAIL
        return Judgement(status, f"It was run {len(ids)} times.", [figure], ids)


@dataclass(frozen=True, kw_only=True)
class DeterministicOutput(Control):
    """The server scored the same data more than once, and got the same each time.

    Two runs of one check on the same data tell it, and so does one check of explainability, which
    scores its rows in a second process, in another order and in other batches.
    """

    kind: ClassVar[str] = "deterministic_output"
    check: Check = "performance"
    dataset: DatasetPurpose | None = None

    def sentence(self) -> str:
        return "Scored again on the same data, the artifact gives the same output."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        wanted = runs.Wanted(self.check, self.dataset, "re-performed")
        everything = [*runs.dossier_runs(facts), *runs.addenda(facts)]
        cubes: dict[str, list[tuple[str, str]]] = {}
        for run in runs.succeeded(everything, wanted, facts):
            if runs.has_grade(run, wanted.grade):
                cubes.setdefault(_asked(run), []).append(
                    (read.digest(run, "cube"), read.text(run, "id"))
                )
        repeated = [found for found in cubes.values() if len(found) > 1]
        measured = self._measured(everything, facts)
        if not repeated and not measured:
            raise Missing("a second scoring of the same data", "is not on record")
        ids = sorted(
            [identity for found in repeated for _, identity in found] + [one for one, _ in measured]
        )
        figure = {"label": "scored alike", "value": len(ids)}
        if any(len({cube for cube, _ in found}) > 1 for found in repeated):
            return Judgement(Status.FAIL, "Two scorings differ.", [figure], ids)
        if any(value != 1 for _, value in measured):
            reason = "Rows that were scored again came out otherwise."
            return Judgement(Status.FAIL, reason, [figure], ids)
        if not repeated:
            return Judgement(Status.PASS, "Every row that was scored again agrees.", [figure], ids)
        return Judgement(Status.PASS, f"{len(ids)} scorings agree.", [figure], ids)

    def _measured(
        self, everything: list[Mapping[str, Any]], facts: Facts
    ) -> list[tuple[str, float]]:
        """What checks of explainability measured, by the id of the run."""
        wanted = runs.Wanted("explainability", self.dataset, "re-performed")
        found = []
        for run in runs.succeeded(everything, wanted, facts):
            if not runs.has_grade(run, wanted.grade):
                continue
            for one in read.objects(run, "measurements", may_be_empty=True):
                if one.get("metric") == self.kind:
                    found.append((read.text(run, "id"), read.number(one, "value")))
        return found


def _asked(run: Mapping[str, Any]) -> str:
    """The same question to the artifact: the same data and configuration."""
    return f"{read.digest(run, 'dataset.digest')} {read.digest(run, 'config_digest')}"
