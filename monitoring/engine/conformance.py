"""Proof that the fast way gives the libraries' figures: both on the same rows, number by number.

Up to 20,000 rows of each sample, chosen by their digests, are counted and measured as always, and
given as rows to the libraries themselves: Evidently's Report with its drift methods, Fairlearn's
MetricFrame, scikit-learn's metrics. What differs by more than the tolerance is a finding. Where we
differ by intent, the document says so. Figures that would tell of a few people are compared and not
shown.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from monitoring.engine import columns, cube, rows
from monitoring.engine.mapping import UNKNOWN, ColumnMapping
from monitoring.engine.profiles import FLOOR
from monitoring.engine.results import BETWEEN, Attachment, CheckResult, MeasurementValue, Note
from monitoring.engine.sources import ROW, DataFile, Source, open_source

if TYPE_CHECKING:
    import pandas as pd

ROWS: Final = 20_000
_LARGEST: Final = 1e150
"""Columns of larger numbers, whose squares have no double, are nothing that Evidently takes."""
TOLERANCE: Final = 1e-9
_SMALLEST: Final = {"minimum": {"default": 1}}
_METHODS: Final = {
    "psi": "psi",
    "jensen_shannon": "jensenshannon",
    "hellinger": "hellinger",
    "wasserstein_normed": "wasserstein",
    "ks_statistic": "ks",
}
_ROOTS: Final = frozenset({"jensen_shannon", "hellinger"})
_INTENT: Final = {
    "drift": (
        "cramers_v: a two-sample chi-square test; Evidently's takes the reference for the truth",
        "missing_rate_difference: Evidently drops missing values",
        "psi_deciles: Evidently has no bins by quantiles",
    ),
    "fairness": (
        "a rate without a denominator is undefined; Fairlearn's is 0",
        "a missing sensitive value is a group that is not compared; Fairlearn refuses it",
    ),
}


@dataclass(frozen=True)
class Line:
    """One figure twice. `tolerance` is wider where our figure states how exact it is.

    A figure that rests on a group `below` so many is compared, and not told.
    """

    library: str
    metric: str
    about: Mapping[str, str]
    ours: float
    native: float
    difference: float
    tolerance: float = TOLERANCE
    below: int | None = None

    @property
    def agrees(self) -> bool:
        return self.difference <= self.tolerance

    def to_json(self) -> dict[str, Any]:
        told = {**vars(self), "about": dict(self.about), "agrees": self.agrees}
        if self.below is None:
            del told["below"]
            return told
        return {**told, "ours": None, "native": None, "difference": None}


def line(
    library: str,
    metric: str,
    about: Mapping[str, str],
    ours: float,
    native: float,
    tolerance: float = TOLERANCE,
) -> Line:
    """Compare relatively above 1. Distances that are roots are compared as their squares: the
    root of a rounding error of 1e-16 is 1e-8."""
    ours, native = float(ours), float(native)
    a, b = (ours**2, native**2) if metric in _ROOTS else (ours, native)
    difference = abs(a - b) / max(1.0, abs(b))
    return Line(library, metric, about, ours, native, difference, tolerance)


def document(kind: str, sizes: Mapping[str, int], lines: Sequence[Line]) -> tuple[Attachment, Note]:
    """The evidence, and what a person should know of it."""
    libraries = sorted({one.library for one in lines})
    wrong = [one for one in lines if not one.agrees]
    shown = [one for one in lines if one.tolerance == TOLERANCE and one.below is None]
    largest = max((one.difference for one in shown), default=0.0)
    content = {
        "schema": "countersign.conformance/1",
        "kind": kind,
        "rows": dict(sizes),
        "libraries": {name: metadata.version(name) for name in libraries},
        "tolerance": TOLERANCE,
        "largest_difference": largest,
        "differing": len(wrong),
        "compared": [one.to_json() for one in lines],
        "differs_by_intent": list(_INTENT[kind]),
    }
    data = json.dumps(content, indent=1, allow_nan=False).encode()
    counts = {"compared": len(lines), "differing": len(wrong)}
    if wrong:
        text = (
            f"{len(wrong)} of {len(lines)} figures differ from those of {', '.join(libraries)} "
            f"on the same rows, first {wrong[0].metric} of {dict(wrong[0].about)}"
        )
        note = Note("conformance_difference", text, counts, finding=True)
    else:
        text = f"{len(lines)} figures are those of {', '.join(libraries)} on the same rows"
        note = Note("conformance", text, counts)
    return Attachment("conformance.json", "application/json", data), note


def drift(
    reference: Source, current: Source, mapping: ColumnMapping, workdir: Path
) -> tuple[Attachment, Note]:
    """Each shared drift figure of each feature, ours and Evidently's."""
    from monitoring.engine.checks.drift import measure

    parts = [
        _sampled(one, mapping.features, workdir / f"conformance-{place}.parquet", workdir)
        for place, one in enumerate((reference, current))
    ]
    try:
        ours = measure(columns.gather(parts[0], parts[1], mapping)[1], {"minimum": 1})
        categorical = [
            name
            for name in mapping.features
            if name in mapping.categorical or parts[0].schema[name] != "numeric"
        ]
        frames = [_features(one, mapping, categorical) for one in parts]
        sizes = {"reference": parts[0].rows, "current": parts[1].rows}
    finally:
        for one in parts:
            one.close()
    numeric = [name for name in mapping.features if name not in categorical]
    large = {name for name in numeric if any(_has_large(one[name]) for one in frames)}
    wanted = [
        one
        for one in ours.measurements
        if one.metric in _METHODS
        and one.value is not None
        and one.slice.get("feature") in mapping.features
        and (one.slice["feature"] not in categorical or one.metric in ("psi", *_ROOTS))
        and one.slice["feature"] not in large
    ]
    native = _evidently(frames[0], frames[1], wanted, categorical)
    lines = [
        line("evidently", one.metric, one.slice, _comparable(one), value)
        for one, value in zip(wanted, native, strict=True)
        # Evidently leaves the root of a rounding error below 0 undefined; ours is 0.
        if math.isfinite(value)
    ]
    return document("drift", sizes, lines)


def _has_large(column: "pd.Series[Any]") -> bool:
    sizes = column.abs()
    return bool(((sizes > _LARGEST) & (sizes < math.inf)).any())


def _comparable(one: MeasurementValue) -> float:
    """Of the Kolmogorov-Smirnov test Evidently tells the p."""
    assert one.value is not None
    return float(one.detail["p"]) if one.metric == "ks_statistic" else one.value


def _evidently(
    reference: "pd.DataFrame",
    current: "pd.DataFrame",
    wanted: Sequence[MeasurementValue],
    categorical: Sequence[str],
) -> list[float]:
    """Evidently's own figures, by its Report on rows."""
    import os

    os.environ.setdefault("DO_NOT_TRACK", "1")
    from evidently import DataDefinition, Dataset, Report
    from evidently.metrics import ValueDrift

    if not wanted:
        return []
    numeric = [name for name in reference.columns if name not in categorical]
    definition = DataDefinition(numerical_columns=numeric, categorical_columns=list(categorical))
    before, after = (
        Dataset.from_pandas(frame, data_definition=definition) for frame in (reference, current)
    )
    metrics = [ValueDrift(column=m.slice["feature"], method=_METHODS[m.metric]) for m in wanted]
    found = Report(metrics).run(after, before).dict()["metrics"]
    return [float(one["value"]) for one in found]


def _features(source: Source, mapping: ColumnMapping, categorical: Sequence[str]) -> "pd.DataFrame":
    table = source.table.select(
        **{
            name: source.table[name].cast("string") if name in categorical else source.table[name]
            for name in mapping.features
        }
    )
    return table.to_pyarrow().to_pandas()


def fairness(
    source: Source, mapping: ColumnMapping, workdir: Path, seed: int, floor: int = FLOOR
) -> tuple[Attachment, Note]:
    """Rates by group, gaps between groups and figures of everybody, ours and the libraries'."""
    from monitoring.engine.checks import fairness as fair
    from monitoring.engine.checks import performance

    identity = [one.column for one in mapping.sensitive]
    for name in (mapping.label, mapping.prediction, mapping.score):
        identity += [name] if name and name not in identity else []
    part = _sampled(source, identity, workdir / "conformance.parquet", workdir)
    try:
        counts = cube.contingency(part, mapping)
        labelled = mapping.label is not None
        gaps = fair.measure(counts, _SMALLEST, seed, labelled=labelled)
        whole = performance.measure(counts, cube.score_cube(part, mapping), _SMALLEST, seed)
        frame = _decisions(part, mapping)
        size = part.rows
    finally:
        part.close()
    lines = _scikit_learn(whole, frame)
    for attribute in mapping.sensitive:
        lines += _fairlearn(gaps, frame, attribute.name, floor)
    return document("fairness", {"dataset": size}, lines)


def _decisions(source: Source, mapping: ColumnMapping) -> "pd.DataFrame":
    """A row's label, prediction, score and groups as the mapping says what they are."""
    found = {f"group {one.name}": cube.group_of(source, one) for one in mapping.sensitive}
    for name, of in (
        ("label", cube.label_of),
        ("prediction", cube.prediction_of),
        ("score", cube.score_of),
    ):
        expression = of(source, mapping)
        if expression is not None:
            found[name] = expression
    frame = source.table.select(**found).to_pyarrow().to_pandas()
    return frame if "label" in frame else frame.assign(label=None)


def _scikit_learn(ours: CheckResult, frame: "pd.DataFrame") -> list[Line]:
    from sklearn import metrics

    lines = []
    known = frame.dropna(subset=["label", "prediction"])
    pairs = []
    if len(known):
        value = metrics.accuracy_score(known["label"], known["prediction"])
        pairs.append(("accuracy", value))
    if "score" in frame:
        scored = frame.dropna(subset=["label", "score"])
        if scored["label"].nunique() == 2:
            labels = scored["label"].astype(int)
            pairs.append(("auc", metrics.roc_auc_score(labels, scored["score"])))
            pairs.append(("brier_score", metrics.brier_score_loss(labels, scored["score"])))
    for name, native in pairs:
        for one in _about(ours, name, {}):
            assert one.value is not None
            # The area comes from bins of scores, and with it how far off it can be at most.
            bound = float(one.detail.get("certified_error", 0.0)) if name == "auc" else 0.0
            lines.append(line("scikit-learn", name, {}, one.value, native, TOLERANCE + bound))
    return lines


def _fairlearn(ours: CheckResult, frame: "pd.DataFrame", attribute: str, floor: int) -> list[Line]:
    import fairlearn.metrics as fair
    from sklearn.metrics import accuracy_score

    group = f"group {attribute}"
    known = frame[frame[group] != UNKNOWN].dropna(subset=["prediction"])
    labelled = known.dropna(subset=["label"])
    lines: list[Line] = []
    rates = {
        "selection_rate": (fair.selection_rate, known.assign(label=0)),
        "true_positive_rate": (fair.true_positive_rate, _with(labelled, group, {1})),
        "false_positive_rate": (fair.false_positive_rate, _with(labelled, group, {0})),
        "accuracy": (accuracy_score, labelled),
    }
    for name, (function, rows_) in rates.items():
        if not len(rows_):
            continue
        by_group = fair.MetricFrame(
            metrics=function,
            y_true=rows_["label"].astype(int),
            y_pred=rows_["prediction"].astype(int),
            sensitive_features=rows_[group],
        ).by_group
        sizes = rows_[group].value_counts()
        for value, native in by_group.items():
            if sizes[value] < floor:
                continue
            about = {attribute: str(value)}
            lines += [
                line("fairlearn", name, about, one.value or 0.0, native)
                for one in _about(ours, name, about)
            ]
    gaps = {
        "demographic_parity_difference": known.assign(label=0),
        "demographic_parity_ratio": known.assign(label=0),
        "equal_opportunity_difference": _with(labelled, group, {1}),
        "equalized_odds_difference": _with(labelled, group, {0, 1}),
    }
    for name, rows_ in gaps.items():
        if rows_[group].nunique() < 2:
            continue
        native = getattr(fair, name)(
            rows_["label"].astype(int),
            rows_["prediction"].astype(int),
            sensitive_features=rows_[group],
        )
        about = {attribute: BETWEEN}
        few = rows_.groupby([group, "label"]).size().min() < floor
        lines += [
            replace(
                line("fairlearn", name, about, one.value or 0.0, native),
                below=floor if few else None,
            )
            for one in _about(ours, name, about)
        ]
    return lines


def _with(frame: "pd.DataFrame", group: str, labels: set[int]) -> "pd.DataFrame":
    """The rows of the groups in which each of these outcomes occurs."""
    seen = frame.groupby(group)["label"].agg(lambda column: labels <= set(column))
    return frame[frame[group].map(seen).astype(bool)]


def _about(ours: CheckResult, metric: str, about: Mapping[str, str]) -> Iterable[MeasurementValue]:
    return [
        one
        for one in ours.measurements
        if one.metric == metric and dict(one.slice) == dict(about) and one.value is not None
    ]


def _sampled(source: Source, identity: Sequence[str], path: Path, workdir: Path) -> Source:
    """Up to `ROWS` rows chosen by the digest of `identity`, in a file of their own, opened."""
    import pyarrow.parquet as pq

    everything = [name for name in source.table.columns if name != ROW]
    chosen = rows.chosen(source, identity, ROWS).select(*everything)
    pq.write_table(chosen.to_pyarrow(), path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return open_source(DataFile(path, digest, is_own=True), workdir, field="conformance")
