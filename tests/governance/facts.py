"""Facts under which the shipped policy passes, for tests to take things away from."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from governance import policies

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TEST, TRAINING, DOSSIER, CUBE = "1" * 64, "2" * 64, "3" * 64, "4" * 64
SHIPPED = Path(policies.__file__).parent / "policies" / "high-impact-screening.yaml"


def measurement(metric: str, value: float | None, **more: Any) -> dict[str, Any]:
    base = {
        "metric": metric,
        "slice": {},
        "value": value,
        "lower": None if value is None else value - 0.02,
        "upper": None if value is None else value + 0.02,
        "level": 0.95,
        "n": 5000,
        "undefined": "" if value is not None else "insufficient",
        "method": "wilson",
        "unit": "rate",
        "grade": "re-performed",
    }
    return base | more


def run(identity: str, kind: str, *measurements: dict[str, Any], **more: Any) -> dict[str, Any]:
    base = {
        "id": identity,
        "kind": kind,
        "purpose": "validation",
        "state": "succeeded",
        "grade": "re-performed",
        "dataset": {"name": "census-1995", "digest": TEST},
        "config_digest": "5" * 64,
        "cube": CUBE,
        "finished_at": "2026-11-01T10:00:00Z",
        "measurements": list(measurements),
    }
    return base | more


def good() -> dict[str, Any]:
    """A dossier with what is beside it, on which every control of the shipped policy passes."""
    return {
        "model": {"name": "income-screening", "kind": "machine_learned"},
        "version": {
            "number": 2,
            "artifact": {"name": "model.onnx", "digest": "a" * 64, "format": "onnx"},
            "code_commit": "0123456789abcdef",
            "code_repository": "https://example.org/code",
            "input_spec": {
                "features": [{"column": "age"}, {"column": "hours"}, {"column": "education"}]
            },
            "claims": [{"metric": "accuracy", "value": 0.93, "slice": {}}],
        },
        "columns": {"sensitive": ["sex", {"name": "race", "column": "RACE_CODE"}]},
        "use": {
            "name": "default",
            "tier": 1,
            "purpose": "screening",
            "affected_people": "applicants",
            "excluded_uses": ["credit"],
            "success_criteria": ["accuracy"],
        },
        "datasets": [
            {
                "name": "census-1994",
                "digest": TRAINING,
                "purposes": ["training"],
                "source": "US Census Bureau",
                "sources": [],
            },
            {
                "name": "census-1995",
                "digest": TEST,
                "purposes": ["test", "reference"],
                "source": "",
                "sources": [{"name": "census-1994", "digest": TRAINING, "transformation": "split"}],
            },
        ],
        "evidence": [{"id": "ev-1", "kind": "data_sheet", "digest": "6" * 64}],
        "runs": [
            run("run-p", "performance", measurement("accuracy", 0.936)),
            run(
                "run-f",
                "fairness",
                measurement(
                    "equal_opportunity_difference",
                    0.021,
                    lower=-0.017,
                    upper=0.059,
                    slice={"sex": "*"},
                ),
                measurement(
                    "equal_opportunity_difference",
                    0.03,
                    lower=0.01,
                    upper=0.08,
                    slice={"race": "*"},
                ),
                measurement("true_positive_rate", 0.7, slice={"sex": "Female"}),
                measurement("true_positive_rate", 0.72, slice={"sex": "Male"}),
            ),
            run("run-d", "drift", measurement("share_of_drifted_columns", 0.1)),
        ],
        "live": {
            "dossier": DOSSIER,
            "artifact_stored": True,
            "runs": [],
            "evidence": [],
            "added": {"ev-1": "2026-11-01T09:00:00Z"},
            "validations": [
                {
                    "id": "val-1",
                    "dossier": DOSSIER,
                    "rating": "satisfactory",
                    "written_at": "2026-11-10T10:00:00Z",
                }
            ],
            "findings": {
                "counts": {"low": 0, "medium": 0, "high": 0, "critical": 0},
                "open": [],
            },
        },
    }


def shipped() -> policies.Policy:
    return policies.parse(SHIPPED.read_text())
