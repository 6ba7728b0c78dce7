"""What other tools take for the same question. Imports nothing of ours: each runs in its environment.

`python bench/checks/peers.py SUBJECT ROUNDS FILE [FILE]` prints the same JSON as `bench.checks.ours`.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ |= {
    "DO_NOT_TRACK": "1",
    "NML_DISABLE_USAGE_LOGGING": "1",
    "WHYLOGS_NO_ANALYTICS": "True",
}
warnings.simplefilter("ignore")

import rounds  # noqa: E402

Once = Callable[[], dict[str, Any]]


def fairlearn(path: str) -> Once:
    """MetricFrame on the rows; no intervals: `n_boot` would multiply the time by its replicates."""
    import fairlearn.metrics as fair
    import pandas as pd
    from sklearn.metrics import accuracy_score

    functions = {
        "selection_rate": fair.selection_rate,
        "true_positive_rate": fair.true_positive_rate,
        "false_positive_rate": fair.false_positive_rate,
        "false_negative_rate": fair.false_negative_rate,
        "accuracy": accuracy_score,
    }
    gaps = {
        "demographic_parity_difference": "selection_rate",
        "equal_opportunity_difference": "true_positive_rate",
        "false_positive_rate_difference": "false_positive_rate",
        "accuracy_difference": "accuracy",
    }

    def once() -> dict[str, Any]:
        rows = pd.read_parquet(path)
        frame = fair.MetricFrame(
            metrics=functions,
            y_true=rows["label"],
            y_pred=rows["prediction"],
            sensitive_features=rows[["race", "sex"]],
        )
        found = {
            f"{metric}|{race}|{sex}": float(value)
            for metric in functions
            for (race, sex), value in frame.by_group[metric].items()
        }
        differences = frame.difference(method="between_groups")
        found |= {f"{name}|*|*": float(differences[metric]) for name, metric in gaps.items()}
        return found

    return once


def aequitas(path: str) -> Once:
    import pandas as pd
    from aequitas.bias import Bias
    from aequitas.group import Group

    def once() -> dict[str, Any]:
        rows = pd.read_parquet(path)
        both = rows["race"].astype(str) + "|" + rows["sex"].astype(str)
        frame = pd.DataFrame(
            {"score": rows["prediction"], "label_value": rows["label"], "both": both}
        )
        counts, _ = Group().get_crosstabs(frame, attr_cols=["both"])
        Bias().get_disparity_major_group(counts, original_df=frame, mask_significance=False)
        found = {}
        for _, row in counts.iterrows():
            found[f"true_positive_rate|{row['attribute_value']}"] = float(row["tpr"])
            found[f"false_positive_rate|{row['attribute_value']}"] = float(row["fpr"])
        return found

    return once


def _columns() -> tuple[list[str], list[str]]:
    return [f"n{number:02d}" for number in range(20)], [f"c{number}" for number in range(5)]


def _frames(reference: str, current: str) -> tuple[Any, Any]:
    import pandas as pd

    frames = [pd.read_parquet(path) for path in (reference, current)]
    for frame in frames:
        for name in _columns()[1]:
            frame[name] = frame[name].astype(str)
    return frames[0], frames[1]


def evidently(reference: str, current: str) -> Once:
    """DataDriftPreset as it comes: one statistic a column."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    def once() -> dict[str, Any]:
        numeric, categorical = _columns()
        definition = DataDefinition(numerical_columns=numeric, categorical_columns=categorical)
        before, after = (
            Dataset.from_pandas(frame, data_definition=definition)
            for frame in _frames(reference, current)
        )
        snapshot = Report([DataDriftPreset()]).run(after, before)
        found = {}
        for metric in snapshot.dict()["metrics"]:
            config = metric.get("config", {})
            column = config.get("column")
            if column is not None and not isinstance(metric["value"], dict):
                name = "wasserstein_normed" if column in numeric else "jensen_shannon"
                found[f"{name}|{column}"] = float(metric["value"])
        return found

    return once


def nannyml(reference: str, current: str) -> Once:
    """Univariate drift by Jensen-Shannon, whole file against whole file."""
    import nannyml as nml

    def once() -> dict[str, Any]:
        numeric, categorical = _columns()
        before, after = _frames(reference, current)
        calculator = nml.UnivariateDriftCalculator(
            column_names=numeric + categorical,
            treat_as_categorical=categorical,
            continuous_methods=["jensen_shannon"],
            categorical_methods=["jensen_shannon"],
            chunk_number=1,
        )
        calculator.fit(before)
        calculator.calculate(after)
        return {}

    return once


def whylogs(reference: str, current: str) -> Once:
    """Profiles of both files and the drift scores of their columns."""
    import whylogs as why

    def once() -> dict[str, Any]:
        for frame in _frames(reference, current):
            why.log(frame).view()
        return {}

    return once


SUBJECTS: dict[str, Callable[..., Once]] = {
    "fairlearn": fairlearn,
    "aequitas": aequitas,
    "evidently": evidently,
    "nannyml": nannyml,
    "whylogs": whylogs,
}


def main(arguments: list[str]) -> int:
    subject, count, *files = arguments
    once = SUBJECTS[subject](*files)
    found = rounds.report(once, int(count))
    # Some tools print; the answer is the last line.
    sys.stdout.write("\n" + json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
