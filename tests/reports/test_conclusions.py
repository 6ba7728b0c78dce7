"""The word on page one, and what is said to be missing."""

from typing import Any

import pytest

from reports.conclusions import summarise
from tests.reports import sample


def changed(**changes: Any) -> Any:
    return {**sample.facts(), **changes}


def standing(state: str) -> dict[str, str]:
    return {"environment": "production", "state": state, "reason": "because"}


def test_approved_with_all_blocking_controls_passed_is_supported() -> None:
    summary = summarise(sample.facts())
    assert summary["word"] == "supported"
    assert "fairness-by-race is reported with a warning" in summary["sentence"]


@pytest.mark.parametrize(
    ("state", "word"),
    [
        ("approved", "supported"),
        ("conditional", "conditional"),
        ("grandfathered", "conditional"),
        ("lapsed", "not supported"),
        ("expired", "not supported"),
        ("suspended", "not supported"),
        ("revoked", "not supported"),
        ("retired", "not supported"),
        ("not_approved", "not supported"),
        ("a word unknown here", "not supported"),
    ],
)
def test_the_standing_decides(state: str, word: str) -> None:
    assert summarise(changed(standing=standing(state)))["word"] == word


@pytest.mark.parametrize("verdict", ["fail", "insufficient"])
def test_a_blocking_control_that_did_not_pass_lowers_an_approval(verdict: str) -> None:
    facts: Any = sample.facts()
    facts["policy"]["controls"][0]["verdict"] = verdict
    summary = summarise(facts)
    assert summary["word"] == "not supported"
    assert "fairness-by-sex" in summary["sentence"]
    facts["policy"]["controls"][0]["waiver"] = "E19"
    assert summarise(facts)["word"] == "conditional"


@pytest.mark.parametrize("key", ["breaches", "suspensions"])
def test_an_open_event_lowers_an_approval(key: str) -> None:
    event = sample.event("E14", "psi over its limit", open=True)
    summary = summarise(changed(**{key: [event]}))
    assert summary["word"] == "not supported"
    assert "E14" in [ref for concern in summary["concerns"] for ref in concern["refs"]]


def test_no_word_of_law_is_used() -> None:
    for state in ("approved", "conditional", "lapsed"):
        said = repr(summarise(changed(standing=standing(state)))).lower()
        assert "complian" not in said


def test_what_nobody_stated_is_listed() -> None:
    facts: Any = sample.facts()
    facts["use"]["purpose"] = ""
    facts["datasets"][0]["licence"] = ""
    missing = summarise(facts)["not_stated"]
    assert "purpose of the use" in missing
    assert "exposure" in missing
    assert "licence of the dataset census-1994-train" in missing


def test_limits_follow_from_the_facts() -> None:
    facts: Any = sample.facts()
    facts["checks"][1]["measurements"][0]["n"] = 12
    said = " ".join(s["text"] for s in summarise(facts)["limitations"])
    assert "1 of 5 measurements are undefined" in said
    assert "fewer than 30 cases" in said
    assert "No data quality check" in said
