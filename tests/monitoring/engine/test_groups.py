"""Groups that the data do not hold: estimated with what is not certain about it, or not collected."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel import canonical
from kernel.errors import Invalid
from monitoring.engine import cube
from monitoring.engine.checks import groups
from monitoring.engine.cube import Contingency
from monitoring.engine.results import CheckResult
from tests.monitoring.engine.making import (
    data_file,
    find,
    loan_job,
    loans,
    mapping,
    run,
    source_of,
    write,
)

PROXY = "0190a0b0-0000-7000-8000-000000000001"
RACE = {
    "name": "race",
    "state": "proxied",
    "proxy": {"version": PROXY, "columns": {"B": "p_b", "A": "p_a"}},
}
ABSENT = {"name": "religion", "state": "not_collected", "declaration": "d1", "until": "2027-01-01"}


def people(path, p_a, p_b, decision, label):
    return write(path, {"p_a": p_a, "p_b": p_b, "decision": decision, "paid": label})


def declared(*sensitive):
    return mapping(label="paid", prediction="decision", sensitive=list(sensitive))


def weighted(path, tmp_path):
    known = declared(RACE)
    return cube.estimated_contingency(source_of(path, tmp_path), known, known.proxied[0])


def test_a_row_counts_for_each_group_by_its_probability_and_for_one_in_all(tmp_path):
    path = people(
        tmp_path / "p.parquet",
        [0.25, 1 / 3, None, 0.1],
        [0.75, 1 / 3, 0.4, 0.2],
        [True, True, True, False],
        [True, True, False, None],
    )
    found = weighted(path, tmp_path)
    assert found.estimated
    assert found.rows == 4
    weights = {(c.group[0], c.label, c.prediction): c.n for c in found.cells}
    assert weights == {
        ("A", 1, 1): 250_000 + 333_333,
        ("B", 1, 1): 750_000 + 333_334,
        ("unknown", 1, 1): 333_333,
        ("unknown", 0, 1): 1_000_000,
        ("A", None, 0): 100_000,
        ("B", None, 0): 200_000,
        ("unknown", None, 0): 700_000,
    }
    again = json.loads(canonical.dumps(found.to_json()))
    assert Contingency.from_json(again) == found


@pytest.mark.parametrize(("a", "b"), [(1.2, 0.0), (-0.1, 0.5), (0.7, 0.7)])
def test_what_is_no_probability_is_refused(tmp_path, a, b):
    path = people(tmp_path / "p.parquet", [a], [b], [True], [True])
    with pytest.raises(Invalid, match="race"):
        weighted(path, tmp_path)


def test_days_add_up_and_the_order_of_rows_does_not_matter(tmp_path):
    rng = np.random.default_rng(2)
    p = rng.random(400)
    rows = [p, (1 - p) * rng.random(400), rng.random(400) < 0.5, rng.random(400) < 0.4]
    whole = weighted(people(tmp_path / "w.parquet", *rows), tmp_path)
    parts = [
        weighted(
            people(tmp_path / f"{at}.parquet", *[one[at : at + 200] for one in rows]), tmp_path
        )
        for at in (0, 200)
    ]
    assert cube.merge(*parts) == whole
    turned = people(tmp_path / "t.parquet", *[one[::-1] for one in rows])
    assert cube.seal(weighted(turned, tmp_path).to_json()) == cube.seal(whole.to_json())
    with pytest.raises(Invalid):
        cube.merge(whole, Contingency(("race",), ()))


def measured(counts, **config):
    known = declared(RACE)
    _, apart = groups.split(known, config)
    return groups.measure(known, {"race": counts}, apart)


def certain(rows):
    """Every membership is certain: estimated figures must be those of counts."""
    cells = [
        cube.Cell((group,), label, prediction, n * 10**6, n * 10**12)
        for group, label, prediction, n in rows
    ]
    return Contingency(("race",), tuple(cells), 10**6)


CELLS = [
    ("A", 1, 1, 60),
    ("A", 1, 0, 40),
    ("A", 0, 1, 10),
    ("A", 0, 0, 90),
    ("B", 1, 1, 30),
    ("B", 1, 0, 70),
    ("B", 0, 1, 20),
    ("B", 0, 0, 80),
    ("unknown", 1, 1, 5),
]


def test_of_certain_memberships_the_figures_are_those_of_counts():
    from monitoring.engine.checks import fairness

    counted = Contingency(("race",), tuple(cube.Cell((g,), y, p, n) for g, y, p, n in CELLS))
    plain = fairness.measure(counted, {}, 1)
    found = measured(certain(CELLS))
    for metric in groups._RATES:
        ours, theirs = (find(one, metric, race="A") for one in (found, plain))
        assert ours.value == theirs.value
        assert (ours.lower, ours.upper) == pytest.approx((theirs.lower, theirs.upper), abs=1e-12)
    for metric in groups.COMPARISONS:
        ours, theirs = (find(one, metric, race="*") for one in (found, plain))
        assert ours.value == pytest.approx(theirs.value, abs=1e-12)
        assert ours.lower <= ours.value <= ours.upper


def test_every_figure_says_that_it_is_estimated_and_by_what():
    found = measured(certain(CELLS))
    assert found.measurements
    for one in found.measurements:
        assert one.detail["estimated"] is True
        assert one.detail["proxy"] == PROXY
    assert [note.code for note in found.notes] == ["estimated_groups"]
    assert PROXY in found.notes[0].text


def test_uncertain_memberships_widen_the_interval_and_may_be_too_few():
    sure = measured(certain([("A", 1, 1, 50), ("A", 1, 0, 50), ("B", 1, 1, 50), ("B", 1, 0, 50)]))
    cells = [
        cube.Cell((group,), 1, prediction, 50 * 10**6, 50 * 10**12 // 2)
        for group in "AB"
        for prediction in (0, 1)
    ]
    halved = [cube.Cell(c.group, c.label, c.prediction, c.n, 2 * c.n * 10**6 // 1) for c in cells]
    wide = measured(Contingency(("race",), tuple(halved), 10**6))
    a, b = (find(one, "selection_rate", race="A") for one in (sure, wide))
    assert a.value == b.value == 0.5
    assert b.upper - b.lower > a.upper - a.lower
    few = measured(Contingency(("race",), tuple(halved), 10**6), minimum={"default": 60})
    assert find(few, "selection_rate", race="A").undefined_reason == "insufficient"
    assert find(few, "demographic_parity_difference", race="*").undefined_reason == "insufficient"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "B", "C", "unknown"]),
            st.sampled_from([0, 1, None]),
            st.sampled_from([0, 1, None]),
            st.integers(1, 10**9),
        ),
        max_size=14,
    )
)
@settings(max_examples=60, deadline=None)
def test_intervals_hold_their_value_whatever_the_weights(rows):
    cells = {(g, y, p): n for g, y, p, n in rows}
    counts = Contingency(
        ("race",),
        tuple(cube.Cell((g,), y, p, n, n * 1000) for (g, y, p), n in cells.items()),
        10**6,
    )
    for one in measured(counts, minimum={"default": 1}).measurements:
        if one.value is not None:
            assert one.lower - 1e-12 <= one.value <= one.upper + 1e-12
            assert all(math.isfinite(end) for end in (one.lower, one.upper))


def test_what_is_not_collected_has_no_value_and_says_why():
    for entry, reason in (
        (ABSENT, "not_collected"),
        ({"name": "religion", "state": "not_collected"}, "declaration_lapsed"),
    ):
        known = declared(entry)
        own, apart = groups.split(known, {})
        found = groups.measure(known, {}, apart)
        assert own is None
        assert {one.metric for one in found.measurements} == set(groups.COMPARISONS)
        for one in found.measurements:
            assert (one.value, one.undefined_reason) == (None, reason)
            assert one.slice == {"religion": "*"}


def test_a_check_measures_each_state_in_its_own_way(tmp_path):
    columns = loans(900)
    rng = np.random.default_rng(8)
    columns["p_a"] = rng.random(900)
    columns["p_b"] = 1 - columns["p_a"]
    columns["decision"] = columns["paid"]
    path = write(tmp_path / "x.parquet", columns)
    job = loan_job("fairness", path, None)
    job["mapping"] |= {"prediction": "decision", "sensitive": ["sex", RACE, ABSENT]}
    outcome = run(job, tmp_path / "w")
    assert "estimated" not in find(outcome, "selection_rate", sex="Male").detail
    assert find(outcome, "selection_rate", race="A").detail["estimated"]
    absent = find(outcome, "demographic_parity_ratio", religion="*")
    assert absent.undefined_reason == "not_collected"
    document = json.loads(outcome.cube)
    assert document["contingency"]["attributes"] == ["sex"]
    assert document["estimated"]["race"]["scale"] == 10**6
    alone = run({**job, "config": {"groupings": ["race"]}}, tmp_path / "v")
    assert {name for one in alone.measurements for name in one.slice} == {"race"}


def crossed(path, *sensitive):
    known = declared("sex", RACE)
    _, apart = groups.split(known, {"groupings": [list(sensitive)], "minimum": {"default": 5}})
    source = source_of(path, path.parent)
    counts = cube.estimated_contingency(
        source, known, known.proxied[0], apart.measured_with("race", known)
    )
    return counts, groups.measure(known, {"race": counts}, apart)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=4, deadline=None)
def test_a_row_keeps_its_weights_within_its_measured_group(tmp_path_factory, seed):
    """Rates, effective sizes and intervals are those of the rows of the measured group, weighted."""
    rng = np.random.default_rng(seed)
    p, sex = rng.random(200), rng.choice(["F", "M"], 200)
    said, label = rng.random(200) < 0.5, rng.random(200) < 0.4
    columns = {"p_a": p, "p_b": 1 - p, "decision": said, "paid": label, "sex": sex}
    path = write(tmp_path_factory.mktemp("crossed") / "x.parquet", columns)
    counts, found = crossed(path, "sex", "race")
    assert counts.attributes == ("race", "sex")
    assert counts.rows == 200
    weights = np.rint(p * 10**6)
    for group in "FM":
        rows = sex == group
        one = find(found, "selection_rate", sex=group, race="A")
        assert one.value == pytest.approx(
            weights[rows & said].sum() / weights[rows].sum(), abs=1e-9
        )
        effective = weights[rows].sum() ** 2 / (weights[rows] ** 2).sum()
        assert one.detail["effective_n"] == pytest.approx(effective, abs=1e-3)
        assert one.detail["estimated"]
        true = find(found, "true_positive_rate", sex=group, race="A")
        kept = rows & label
        assert true.value == pytest.approx(
            weights[kept & said].sum() / weights[kept].sum(), abs=1e-9
        )
    rates = [
        one.value
        for one in found.measurements
        if one.metric == "selection_rate"
        and one.value is not None
        and one.slice["race"] != "unknown"
    ]
    gap = find(found, "demographic_parity_difference", sex="*", race="*")
    assert gap.value == pytest.approx(max(rates) - min(rates), abs=1e-12)
    assert gap.lower <= gap.value <= gap.upper
    assert set(gap.detail["highest"]) == {"sex", "race"}
    assert "nor that it may be wrong more often for some groups of sex" in found.notes[0].text
    # Without the measured attribute it is what it was alone.
    known = declared(RACE)
    alone = cube.estimated_contingency(source_of(path, path.parent), known, known.proxied[0])
    assert counts.by(["race"]) == alone


def test_of_certain_memberships_a_crossing_is_that_of_counts(tmp_path):
    from monitoring.engine.checks import fairness

    columns = loans(600)
    columns["p_a"] = (np.asarray(columns["race"]) == "A").astype(float)
    columns["p_b"] = (np.asarray(columns["race"]) == "B").astype(float)
    columns["race"] = [one if one in "AB" else None for one in columns["race"]]
    columns["decision"] = columns["paid"]
    path = write(tmp_path / "x.parquet", columns)
    _, ours = crossed(path, "race", "sex")
    known = declared("sex", "race")
    counts = cube.contingency(source_of(path, tmp_path), known)
    config = {"groupings": [["race", "sex"]], "minimum": {"default": 5}}
    theirs = fairness.measure(counts, config, 1)
    for metric in ("demographic_parity_difference", "demographic_parity_ratio"):
        pair = [find(one, metric, race="*", sex="*").value for one in (ours, theirs)]
        assert pair[0] == pytest.approx(pair[1], abs=1e-12)
    for race in "AB":
        pair = [find(one, "selection_rate", race=race, sex="Male") for one in (ours, theirs)]
        assert pair[0].value == pair[1].value
        assert (pair[0].lower, pair[0].upper) == pytest.approx((pair[1].lower, pair[1].upper))


def test_small_crossed_groups_are_insufficient_and_people_of_no_group_are_left_out(tmp_path):
    columns = {
        "p_a": [0.5] * 60,
        "p_b": [0.4] * 60,
        "decision": [True, False] * 30,
        "paid": [True] * 60,
        "sex": ["F"] * 50 + ["M"] * 4 + [None] * 6,
    }
    _, found = crossed(write(tmp_path / "x.parquet", columns), "race", "sex")
    assert find(found, "selection_rate", race="A", sex="F").value == 0.5
    assert find(found, "selection_rate", race="A", sex="M").undefined_reason == "insufficient"
    between = find(found, "demographic_parity_difference", race="*", sex="*")
    reasons = {tuple(one["group"].values()): one["reason"] for one in between.detail["excluded"]}
    assert reasons[("A", "M")] == "insufficient"
    assert reasons[("A", "unknown")] == reasons[("unknown", "F")] == "missing_group"


def test_a_check_crosses_an_estimated_attribute_with_measured_ones(tmp_path):
    columns = loans(900)
    rng = np.random.default_rng(8)
    columns["p_a"] = rng.random(900)
    columns["p_b"] = 1 - columns["p_a"]
    columns["decision"] = columns["paid"]
    path = write(tmp_path / "x.parquet", columns)
    job = loan_job("fairness", path, None, config={"groupings": ["sex", ["race", "sex"]]})
    job["mapping"] |= {"prediction": "decision", "sensitive": ["sex", RACE]}
    outcome = run(job, tmp_path / "w")
    assert find(outcome, "selection_rate", race="A", sex="Male").detail["estimated"]
    assert json.loads(outcome.cube)["estimated"]["race"]["attributes"] == ["race", "sex"]
    assert {tuple(sorted(one.slice)) for one in outcome.measurements} == {("sex",), ("race", "sex")}
    assert "selection_rate_by_race_sex" in {plot.name for plot in outcome.plots}
    every = run({**job, "config": {"intersections": True}}, tmp_path / "v")
    found = {tuple(sorted(one.slice)) for one in every.measurements}
    assert found == {("sex",), ("race",), ("race", "sex")}


def test_small_crossed_groups_are_hidden_in_what_everybody_reads(tmp_path):
    columns = {
        "p_a": [0.5] * 60,
        "p_b": [0.5] * 60,
        "decision": [True, False] * 30,
        "paid": [True] * 60,
        "sex": ["F"] * 50 + ["M"] * 10,
    }
    path = write(tmp_path / "x.parquet", columns)
    job = loan_job("fairness", path, None, config={"groupings": [["race", "sex"]]})
    job["mapping"] = {"label": "paid", "prediction": "decision", "sensitive": ["sex", RACE]}
    outcome = run(job, tmp_path / "w")
    few = find(outcome, "selection_rate", race="A", sex="M")
    assert (few.value, few.n) == (None, None)
    assert outcome.public_cube is not None
    shown = json.loads(outcome.public_cube)["estimated"]["race"]["cells"]
    of_m = [cell for cell in shown if cell[0][1] == "M"]
    assert of_m
    assert all(not isinstance(cell[3], int) and not str(cell[3]).isdigit() for cell in of_m)


OTHER = {
    "name": "origin",
    "state": "proxied",
    "proxy": {"version": PROXY, "columns": {"X": "p_x", "Y": "p_y"}},
}


@pytest.mark.parametrize(
    ("grouping", "said"),
    [
        (["race", "origin"], "joint probabilities"),
        (["sex", "religion"], "not collected"),
        (["race", "religion"], "not collected"),
        (["race", "height"], "no sensitive attribute"),
        (["race", "sex", "race"], "different attributes"),
    ],
)
def test_what_cannot_be_crossed_names_its_grouping(grouping, said):
    known = declared("sex", RACE, OTHER, ABSENT)
    with pytest.raises(Invalid, match=said) as caught:
        groups.split(known, {"groupings": ["sex", grouping]})
    assert caught.value.field == "config.groupings[1]"
    if "race" in grouping[1:]:
        return
    from monitoring import configs

    with pytest.raises(Invalid, match=said) as caught:
        configs.check_mapping("fairness", _given(known), {"groupings": ["sex", grouping]})
    assert caught.value.field == "config.groupings[1]"


def _given(known):
    return {name: one for name, one in known.to_json().items() if one is not None}


def test_measured_groupings_are_the_measured_checks_own():
    own, apart = groups.split(declared("sex", RACE), {"groupings": ["sex"]})
    assert (own, apart.groupings) == ({"groupings": ["sex"]}, ())


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"name": "x", "state": "guessed"}, "mapping.sensitive[0].state"),
        ({**RACE, "proxy": {"version": "bisg", "columns": {"A": "p"}}}, ".proxy.version"),
        ({**RACE, "proxy": {"version": PROXY, "columns": {}}}, ".proxy.columns"),
        ({**RACE, "proxy": {"version": PROXY, "columns": {"A": "p", "B": "p"}}}, ".proxy.columns"),
        ({**RACE, "column": "race"}, ".column"),
        ({"name": "x", "state": "not_collected", "column": "x"}, ".column"),
    ],
)
def test_a_malformed_state_names_its_field(entry, field):
    with pytest.raises(Invalid) as caught:
        declared(entry)
    assert caught.value.field.endswith(field)


def test_a_mapping_survives_json_and_a_measured_one_is_as_before():
    known = declared("sex", RACE, ABSENT, {"name": "age", "state": "measured", "edges": [40]})
    assert mapping(**{k: v for k, v in known.to_json().items() if v is not None}) == known
    assert declared("sex").to_json()["sensitive"] == [{"name": "sex", "column": "sex", "edges": []}]
    with pytest.raises(Invalid):
        declared("race", RACE)


def test_a_column_of_probabilities_must_be_there(tmp_path):
    path = write(tmp_path / "x.parquet", {"paid": [True], "decision": [True], "p_a": ["x"]})
    with pytest.raises(Invalid) as caught:
        declared(RACE).check(source_of(path, tmp_path).schema)
    assert set(caught.value.fields) == {"mapping.sensitive.race.A", "mapping.sensitive.race.B"}


def test_joined_results_keep_both():
    one = CheckResult([])
    assert groups.joined(one, one) == one


@pytest.mark.parametrize("kind", ["fairness", "performance"])
def test_a_positive_value_that_never_occurs_is_said(tmp_path, kind):
    """Else everybody is decided about rightly and alike: the accuracy is 1 and no gap is there."""
    rng = np.random.default_rng(3)
    columns = {
        "paid": rng.choice(["Yes", "No"], 300),
        "decided": rng.choice(["Yes", "No"], 300),
        "sex": rng.choice(["f", "m"], 300),
    }
    path = write(tmp_path / "x.parquet", columns)

    def codes(positive):
        declared = {"label": "paid", "prediction": "decided", "sensitive": ["sex"]}
        job = {
            "kind": kind,
            "dataset": data_file(path),
            "mapping": {**declared, "positive": positive},
            "grade": "recomputed",
        }
        return [one.code for one in run(job, tmp_path / positive).notes]

    assert codes("yes") == ["one_outcome", "one_decision"]
    assert codes("Yes") == []


def spread_thin(share, rows=600):
    """Every row belongs to B with the same small probability, and to A with the rest."""
    weights = {"A": 10**6 - round(share * 10**6), "B": round(share * 10**6)}
    cells = [
        cube.Cell((group,), label, prediction, weight * rows // 4, weight**2 * rows // 4)
        for group, weight in weights.items()
        for label in (0, 1)
        for prediction in (0, 1)
    ]
    return Contingency(("race",), tuple(cells), 10**6)


def test_a_group_is_as_small_as_the_people_expected_in_it():
    """All weights are equal, so that Kish's effective size is that of all rows."""
    found = measured(spread_thin(0.002))
    few = find(found, "selection_rate", race="B")
    assert (few.value, few.lower, few.n, few.undefined_reason) == (None, None, 1, "insufficient")
    for name in ("demographic_parity_difference", "demographic_parity_ratio"):
        between = find(found, name, race="*")
        assert (between.value, between.undefined_reason) == (None, "insufficient")
        left = {"group": {"race": "B"}, "reason": "insufficient", "n": 1}
        assert between.detail["excluded"] == [left]
        assert find(found, name, race="B").undefined_reason == "insufficient"
    enough = measured(spread_thin(0.05))
    assert find(enough, "selection_rate", race="B").value == 0.5
    assert find(enough, "demographic_parity_difference", race="*").value == 0.0
    # Of 30 expected people 15 have the outcome: too few for a rate among those.
    assert find(enough, "true_positive_rate", race="B").undefined_reason == "insufficient"


def test_what_probabilities_leave_over_by_rounding_has_no_rate(tmp_path):
    share = np.random.default_rng(5).random(600)
    path = people(
        tmp_path / "p.parquet",
        share,
        0.999999 - share,
        [True, False] * 300,
        [True, True, False] * 200,
    )
    rest = find(measured(weighted(path, tmp_path)), "selection_rate", race="unknown")
    assert (rest.value, rest.lower, rest.undefined_reason) == (None, None, "insufficient")
