"""Controls on what is on record about a version, its use and its data."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from governance.controls import facts as read
from governance.controls import runs
from governance.controls.base import (
    Control,
    DatasetPurpose,
    Grade,
    Judgement,
    listed,
    parameter,
    show,
    spoken,
)
from governance.controls.facts import Facts, Missing
from governance.controls.results import Status

_COMMIT = re.compile(r"[0-9a-f]{7,64}")
# Formats that cannot run code when they are loaded. What a policy allows is a subset of these.
SAFE_FORMATS = ("onnx", "skops", "xgboost_json", "xgboost_ubj", "lightgbm")


@dataclass(frozen=True, kw_only=True)
class ArtifactPinned(Control):
    """`stored`: the bytes themselves must be held, not their digest alone."""

    kind: ClassVar[str] = "artifact_pinned"
    stored: bool = False

    def sentence(self) -> str:
        held = ", and its bytes are kept" if self.stored else ""
        return f"The artifact is pinned by its SHA-256{held}."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        digest = read.digest(facts, "version.artifact.digest")
        figure = {"label": "artifact", "value": digest}
        if self.stored and not read.flag(facts, "live.artifact_stored"):
            reason = "Only the digest of the artifact is known; its bytes are not kept."
            return Judgement(Status.FAIL, reason, [figure], [digest])
        return Judgement(Status.PASS, "The digest is on record.", [figure], [digest])


@dataclass(frozen=True, kw_only=True)
class ArtifactFormatSafe(Control):
    kind: ClassVar[str] = "artifact_format_safe"
    formats: tuple[str, ...] = parameter(SAFE_FORMATS, least=1)

    def sentence(self) -> str:
        return f"The artifact's format runs no code when loaded: {listed(self.formats, 'or')}."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        found = read.text(facts, "version.artifact.format")
        figure = {"label": "format", "value": found}
        if found in self.formats:
            return Judgement(Status.PASS, f"The format is {found}.", [figure])
        reason = f"The format is {found}, which is not one of {listed(self.formats)}."
        return Judgement(Status.FAIL, reason, [figure])

    def problems(self) -> Iterator[tuple[str, str]]:
        unsafe = [name for name in self.formats if name not in SAFE_FORMATS]
        if unsafe:
            yield "formats", f"{listed(unsafe)} is not known as safe; {listed(SAFE_FORMATS)} are"


@dataclass(frozen=True, kw_only=True)
class CodeCommitRecorded(Control):
    """`repository`: where the commit is to be found must be said too."""

    kind: ClassVar[str] = "code_commit_recorded"
    repository: bool = False

    def sentence(self) -> str:
        where = " and its repository" if self.repository else ""
        return f"The commit of the training code{where} is on record."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        commit = read.text(facts, "version.code_commit")
        if not _COMMIT.fullmatch(commit):
            raise Missing("version.code_commit", "is no commit's hash")
        figures = [{"label": "commit", "value": commit}]
        if self.repository:
            where = read.text(facts, "version.code_repository")
            figures.append({"label": "repository", "value": where})
        return Judgement(Status.PASS, f"Commit {commit[:12]} is on record.", figures)


@dataclass(frozen=True, kw_only=True)
class DatasetLineageComplete(Control):
    """Each purpose has a dataset, and each dataset says where it comes from."""

    kind: ClassVar[str] = "dataset_lineage_complete"
    purposes: tuple[DatasetPurpose, ...] = parameter(("training", "test"), least=1)

    def sentence(self) -> str:
        return (
            f"There is a dataset for {listed(self.purposes)}, each with its digest and with its "
            "source or the data it was made from."
        )

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        datasets = read.objects(facts, "datasets")
        found: dict[str, list[str]] = {purpose: [] for purpose in self.purposes}
        digests: list[str] = []
        for index, dataset in enumerate(datasets):
            purposes = read.items(dataset, "purposes", may_be_empty=True)
            # Data that others were made from has no purpose, and says where it is from all the same.
            self._origin(dataset, f"datasets[{index}]")
            for purpose in self.purposes:
                if purpose in purposes:
                    found[purpose].append(read.text(dataset, "name"))
            digests.append(read.digest(dataset, "digest"))
        figures = [
            {"label": f"{purpose} data", "value": ", ".join(names)}
            for purpose, names in found.items()
            if names
        ]
        absent = [purpose for purpose, names in found.items() if not names]
        if absent:
            reason = f"No dataset is on record for {listed(absent)}."
            return Judgement(Status.INSUFFICIENT, reason, figures, digests)
        return Judgement(Status.PASS, "Each dataset says where it is from.", figures, digests)

    def _origin(self, dataset: Mapping[str, Any], path: str) -> None:
        sources = dataset.get("sources")
        if isinstance(sources, list | tuple) and sources:
            return
        source = dataset.get("source")
        if not isinstance(source, str) or not source.strip():
            raise Missing(path, "states neither a source nor what it was made from")


@dataclass(frozen=True, kw_only=True)
class EvidencePresent(Control):
    """`evidence`: the kind of evidence. An addendum counts: it renews a statement."""

    kind: ClassVar[str] = "evidence_present"
    evidence: str = parameter(least=1)
    count: int = parameter(1, least=1)
    max_age_days: int | None = parameter(None, least=1)

    def sentence(self) -> str:
        young = f" not older than {self.max_age_days} days" if self.max_age_days else ""
        many = "Evidence" if self.count == 1 else f"At least {self.count} pieces of evidence"
        return f"{many} of the kind '{self.evidence}'{young} is on record."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        everything = [
            *read.objects(facts, "evidence", may_be_empty=True),
            *read.objects(facts, "live.evidence", may_be_empty=True),
        ]
        found = [one for one in everything if read.text(one, "kind") == self.evidence]
        digests = [read.digest(one, "digest") for one in found]
        if self.max_age_days is not None:
            found = [one for one in found if self._young(one, facts, now)]
        ids = [read.text(one, "id") for one in found]
        figure = {"label": f"evidence '{self.evidence}'", "value": len(found), "n": len(digests)}
        if len(found) >= self.count:
            return Judgement(Status.PASS, f"{len(found)} on record.", [figure], ids)
        reason = f"{len(found) or 'None'} on record that counts; {self.count} asked."
        return Judgement(Status.INSUFFICIENT, reason, [figure], ids)

    def _young(self, one: Mapping[str, Any], facts: Facts, now: datetime) -> bool:
        added = read.instant(facts, f"live.added.{read.text(one, 'id')}")
        age = read.age_days(added, now, "its addition")
        return self.max_age_days is None or age <= self.max_age_days


@dataclass(frozen=True, kw_only=True)
class SensitiveAttributeNotAnInput(Control):
    kind: ClassVar[str] = "sensitive_attribute_not_an_input"
    attributes: tuple[str, ...] = parameter(least=1)

    def sentence(self) -> str:
        return f"The model does not take {listed(self.attributes, 'or')} as input."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        inputs = input_columns(facts)
        columns = {name: sensitive_columns(facts, name) for name in self.attributes}
        taken = [name for name, own in columns.items() if {name.casefold(), *own} & inputs]
        figure = {"label": "inputs", "value": len(inputs)}
        if taken:
            return Judgement(Status.FAIL, f"The model takes {listed(taken)} as input.", [figure])
        reason = f"None of its {len(inputs)} inputs is one of them."
        return Judgement(Status.PASS, reason, [figure])


def input_columns(facts: Facts) -> set[str]:
    """The columns that the model takes, in lower case."""
    names: set[str] = set()
    for index, one in enumerate(read.objects(facts, "version.input_spec.features")):
        column = one.get("column")
        if not isinstance(column, str) or not column.strip():
            raise Missing(f"version.input_spec.features[{index}].column", "is not stated")
        names.add(column.strip().casefold())
    return names


def sensitive_columns(facts: Facts, attribute: str) -> set[str]:
    """The columns of the data, in lower case, that hold a sensitive attribute: one, or those of the
    probabilities of its groups.

    Raises:
        Missing: if the model's columns do not say; the name alone would prove nothing.
    """
    for one in read.items(facts, "columns.sensitive"):
        name = one.get("name") if isinstance(one, Mapping) else one
        if name == attribute:
            return {column.strip().casefold() for column in _columns_of(one, attribute)}
    raise Missing(f"the column of {attribute}", "is not declared")


def _columns_of(one: Any, attribute: str) -> list[str]:
    told: Mapping[str, Any] = one if isinstance(one, Mapping) else {"name": one}
    state = told.get("state", "measured")
    if state == "not_collected":
        raise Missing(f"the column of {attribute}", "is none: it is not collected")
    if state == "proxied":
        proxy = told.get("proxy")
        columns = proxy.get("columns") if isinstance(proxy, Mapping) else None
        found = list(columns.values()) if isinstance(columns, Mapping) else []
    else:
        found = [told.get("column") or told.get("name")]
    if not found or not all(isinstance(column, str) for column in found):
        raise Missing(f"the column of {attribute}", "is not a text")
    return found


UseField = Literal[
    "purpose", "affected_people", "excluded_uses", "success_criteria", "exposure", "operator_role"
]


@dataclass(frozen=True, kw_only=True)
class UseStated(Control):
    kind: ClassVar[str] = "use_stated"
    fields: tuple[UseField, ...] = parameter(
        ("purpose", "affected_people", "excluded_uses", "success_criteria"), least=1
    )

    def sentence(self) -> str:
        return f"The use states its {listed([spoken(name) for name in self.fields])}."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        for name in self.fields:
            if name in ("excluded_uses", "success_criteria"):
                read.texts(facts, f"use.{name}")
            else:
                read.text(facts, f"use.{name}")
        return Judgement(Status.PASS, f"The use '{read.text(facts, 'use.name')}' states them.")


@dataclass(frozen=True, kw_only=True)
class TierSet(Control):
    """`tiers`: those that the policy is for; 1 is the highest risk."""

    kind: ClassVar[str] = "tier_set"
    tiers: tuple[int, ...] = parameter((1, 2, 3, 4), least=1)

    def sentence(self) -> str:
        return f"The use has a risk tier: {listed([str(tier) for tier in self.tiers], 'or')}."

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        tier = read.whole(facts, "use.tier")
        figure = {"label": "tier", "value": tier}
        if tier in self.tiers:
            return Judgement(Status.PASS, f"The tier is {tier}.", [figure])
        return Judgement(Status.FAIL, f"The tier is {tier}.", [figure])

    def problems(self) -> Iterator[tuple[str, str]]:
        if any(not 1 <= tier <= 4 for tier in self.tiers):
            yield "tiers", "holds something other than 1 to 4"


@dataclass(frozen=True, kw_only=True)
class ClaimsMatch(Control):
    """What the developer claims is what was measured on the same purpose's data, by `tolerance`."""

    kind: ClassVar[str] = "claims_match"
    tolerance: float = parameter(least=0, most=1)
    dataset: DatasetPurpose | None = None
    grade: Grade = "recomputed"
    metrics: tuple[str, ...] = ()
    min_items: int = parameter(1, least=1)

    def sentence(self) -> str:
        which = listed(self.metrics) if self.metrics else f"at least {self.min_items} metric"
        return (
            f"The claims ({which}) agree with what was measured at grade {self.grade} or better, "
            f"within {self.tolerance:g}."
        )

    def judge(self, facts: Facts, now: datetime) -> Judgement:
        claims = [
            claim
            for claim in read.objects(facts, "version.claims")
            if not self.metrics or read.text(claim, "metric") in self.metrics
        ]
        absent = sorted(set(self.metrics) - {read.text(claim, "metric") for claim in claims})
        if absent:
            raise Missing("version.claims", f"says nothing about {listed(absent)}")
        if len(claims) < self.min_items:
            raise Missing("version.claims", f"are {len(claims)}; {self.min_items} are asked")
        figures, evidence, apart = [], [], []
        for claim in claims:
            figure, run = self._compare(claim, facts)
            figures.append(figure)
            evidence.append(run)
            if abs(figure["value"] - figure["claimed"]) > self.tolerance:
                claimed, value = show(figure["claimed"]), show(figure["value"])
                apart.append(f"{figure['label']}: {claimed} claimed, {value} measured.")
        evidence = sorted(set(evidence))
        if apart:
            return Judgement(Status.FAIL, " ".join(apart), figures, evidence)
        reason = f"{len(figures)} claims agree with what was measured."
        return Judgement(Status.PASS, reason, figures, evidence)

    def _compare(self, claim: Mapping[str, Any], facts: Facts) -> tuple[dict[str, Any], str]:
        metric, claimed = read.text(claim, "metric"), read.number(claim, "value")
        about = runs.slice_of(claim) if "slice" in claim else {}
        wanted = runs.Wanted(dataset=self.dataset, grade=self.grade)
        candidates = runs.dossier_runs(facts)
        if "dataset" in claim:
            name = read.text(claim, "dataset")
            candidates = [run for run in candidates if runs.dataset_name(run) == name]
        # Of its own slice: a newer run may have measured the same metric by group alone.
        run = runs.newest_with(candidates, metric, wanted, facts, about)
        if run is None or len(run.measurements) != 1:
            raise Missing(metric, "is claimed and was not measured")
        if runs.is_estimated(run.measurements[0]):
            raise Missing(metric, "is claimed of groups that were only estimated")
        value = read.number(run.measurements[0], "value")
        label = ", ".join([spoken(metric), *(f"{k} {v}" for k, v in sorted(about.items()))])
        figure = {"label": label, "value": value, "claimed": claimed, "run": run.id}
        return {**figure, "limit": self.tolerance}, run.id

    def problems(self) -> Iterator[tuple[str, str]]:
        if self.metrics and len(self.metrics) < self.min_items:
            yield "min_items", "is more than the metrics named"
