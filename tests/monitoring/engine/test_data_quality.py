"""Data quality against what was declared: rules, columns, age, volume, ranges."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from kernel.errors import Invalid
from monitoring.engine.rules import read_rules
from tests.monitoring.engine.making import data_file, find, loan_job, loans, run, write

ROWS = 200
RULES = [
    {"column": "debt", "rule": "not_null", "least_share": 0.9},
    {"column": "rate", "rule": "not_null", "name": "rates are there"},
    {"column": "income", "rule": "between", "least": 0, "most": 100},
    {"column": "rate", "rule": "between", "least": 0.5},
    {"column": "region", "rule": "in", "values": ["north"]},
    {"column": "paid", "rule": "in", "values": [True, False]},
    {"column": "email", "rule": "matches", "pattern": "u\\d+@x[.]org"},
    {"column": "email", "rule": "unique"},
    {"column": "debt", "rule": "less_than_column", "other": "income"},
    {"column": "at", "rule": "between", "least": "2026-11-02", "most": "2026-11-30T00:00:00Z"},
    {
        "column": "at",
        "rule": "less_than_column",
        "other": "until",
        "or_equal": True,
        "name": "same",
    },
]


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quality")
    columns = loans(ROWS)
    start = datetime(2026, 11, 1, tzinfo=UTC)
    columns["at"] = [start + timedelta(hours=n) if n % 40 else None for n in range(ROWS)]
    columns["until"] = columns["at"]
    columns["email"] = [f"u{n % 190}@x.org" if n % 9 else "u1@x.org\nz" for n in range(ROWS)]
    columns["rate"] = [np.nan if n < 4 else n / ROWS for n in range(ROWS)]
    later = {**columns, "income": np.asarray(columns["income"]) + 60}
    return write(folder / "r.parquet", columns), write(folder / "c.parquet", later), columns


def job(files, config, **more):
    made = loan_job(
        "data_quality", files[1], None, reference=data_file(files[0]), config=config, **more
    )
    made["mapping"]["time"] = "at"
    return made


@pytest.fixture(scope="module")
def outcome(files, tmp_path_factory):
    config = {
        "rules": RULES,
        "ranges": True,
        "identity": ["email"],
        "freshness": {"most_days": 3},
        "volume": {"least": 100, "most": 150},
        "schema": {"income": "numeric", "sex": "boolean", "gone": "text"},
    }
    made = job(files, config, as_of="2026-11-20T00:00:00Z")
    return run(made, tmp_path_factory.mktemp("run"))


def share(outcome, rule):
    return find(outcome, "rule_share", rule=rule)


def test_rules_count_the_rows_they_are_about(outcome, files):
    columns = files[2]
    debt = [value for value in columns["debt"] if value is not None]
    later = np.asarray(columns["income"]) + 60
    missing = share(outcome, "debt not_null")
    assert (missing.value, missing.n) == (len(debt) / ROWS, ROWS)
    assert missing.lower < missing.value < missing.upper
    assert missing.detail["kept"]
    assert share(outcome, "rates are there").value == 196 / ROWS
    inside = share(outcome, "income between")
    assert inside.value == np.mean((later >= 0) & (later <= 100))
    assert inside.detail["violations"] == round(ROWS * (1 - inside.value))
    known = np.arange(4, ROWS) / ROWS
    assert (share(outcome, "rate between").n, share(outcome, "rate between").value) == (
        196,
        np.mean(known >= 0.5),
    )
    assert share(outcome, "region in").value == np.mean(np.asarray(columns["region"]) == "north")
    assert share(outcome, "paid in").value == 1
    less = share(outcome, "debt less_than_column")
    assert (less.value, less.n) == (1.0, len(debt))
    days = share(outcome, "at between")
    assert (days.n, days.value) == (195, 172 / 195)
    assert share(outcome, "same").value == 1


def test_a_pattern_matches_all_of_a_text(outcome, files):
    """A second line is not cut off."""
    good = sum("\n" not in text for text in files[2]["email"])
    assert share(outcome, "email matches").value == good / ROWS


def test_uniqueness_counts_rows_that_stand_alone(outcome, files):
    texts = files[2]["email"]
    alone = sum(texts.count(text) == 1 for text in texts)
    assert share(outcome, "email unique").value == alone / ROWS
    assert find(outcome, "duplicate_rate").value == (ROWS - len(set(texts))) / ROWS
    assert find(outcome, "duplicate_row_rate").value == 0


def test_broken_rules_are_counted(outcome):
    broken = find(outcome, "rules_broken")
    assert broken.value == 7
    assert broken.n == len(RULES)
    assert "debt not_null" not in broken.detail["broken"]
    assert "rules" in [one.name for one in outcome.plots]


def test_age_is_counted_to_the_moment_of_the_request(outcome):
    age = find(outcome, "age_days")
    # The newest row is 199 hours after 1 November.
    assert age.value == pytest.approx(19 - 199 / 24)
    assert age.detail["rows_without_time"] == 5
    assert find(outcome, "fresh").value == 0


def test_without_a_moment_age_is_not_available(files, tmp_path):
    got = run(job(files, {"freshness": {}}), tmp_path)
    assert find(got, "age_days").undefined_reason == "not_available"


def test_columns_volume_and_ranges_are_held_against_what_was_declared(outcome, files):
    match = find(outcome, "declared_schema_match")
    assert match.value == 0
    assert match.detail["absent"] == ["gone"]
    assert match.detail["changed"] == {"sex": {"declared": "boolean", "found": "text"}}
    assert find(outcome, "volume_ratio").value == 1
    assert find(outcome, "volume_kept").value == 0
    before = np.asarray(files[2]["income"])
    out = find(outcome, "out_of_range_rate", feature="income")
    assert out.value == np.mean(before + 60 > before.max())
    assert out.detail["below"] == 0
    assert find(outcome, "out_of_range_rate", feature="debt").value == 0
    assert find(outcome, "out_of_range_rate", feature="*").detail["feature"] == "income"


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"column": "gone", "rule": "not_null"}, "column"),
        ({"column": "debt", "rule": "less_than_column", "other": "gone"}, "other"),
        ({"column": "debt", "rule": "less_than_column", "other": "region"}, "other"),
        ({"column": "debt", "rule": "matches", "pattern": "x"}, "column"),
        ({"column": "region", "rule": "matches", "pattern": "(?=x)"}, "pattern"),
        ({"column": "region", "rule": "between", "least": 3}, "least"),
        ({"column": "at", "rule": "between", "most": "soon"}, "most"),
        ({"column": "paid", "rule": "between", "least": 0}, "column"),
        ({"column": "debt", "rule": "in", "values": ["1"]}, "values[0]"),
    ],
)
def test_a_rule_that_does_not_fit_the_data_is_named(files, tmp_path, rule, field):
    with pytest.raises(Invalid) as caught:
        run(job(files, {"rules": [rule]}), tmp_path)
    assert caught.value.field == f"config.rules[0].{field}"


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ([{"column": "a", "rule": "odd"}], "rules[0].rule"),
        ([{"column": "a", "rule": "between"}], "rules[0]"),
        ([{"column": "a", "rule": "in", "values": []}], "rules[0].values"),
        ([{"column": "a", "rule": "in", "values": ["a", 1]}], "rules[0].values"),
        ([{"column": "a", "rule": "not_null", "pattern": "x"}], "rules[0].pattern"),
        ([{"column": "a", "rule": "not_null", "least_share": 2}], "rules[0].least_share"),
        ([{"column": "a", "rule": "matches", "pattern": "x" * 501}], "rules[0].pattern"),
        ([{"column": "a", "rule": "unique"}, {"column": "a", "rule": "unique"}], "rules[1].name"),
        ({"column": "a"}, "rules"),
    ],
)
def test_a_malformed_rule_is_named(rules, field):
    with pytest.raises(Invalid) as caught:
        read_rules(rules, "rules")
    assert caught.value.field == field


def test_rules_come_back_as_they_were_read():
    rules = read_rules(RULES)
    assert read_rules([one.to_json() for one in rules]) == rules


# What nobody could judge is not kept


NOTHING = pa.array([None] * ROWS, pa.float64())


def judged(tmp_path, columns, config, reference=None, mapping=(), **more):
    made = {
        "kind": "data_quality",
        "dataset": data_file(write(tmp_path / "d.parquet", columns)),
        "mapping": {"features": ["x"], **dict(mapping)},
        "config": config,
        **more,
    }
    if reference is not None:
        made["reference"] = data_file(write(tmp_path / "r.parquet", reference))
    return run(made, tmp_path / "run")


def test_rules_that_no_row_could_be_judged_by_are_not_kept(tmp_path):
    between = {"column": "x", "rule": "between", "least": 0, "most": 1}
    got = judged(tmp_path, {"x": NOTHING}, {"rules": [between, {"column": "x", "rule": "unique"}]})
    broken = find(got, "rules_broken")
    assert (broken.value, broken.n, broken.undefined_reason) == (None, 0, "no_denominator")
    assert broken.detail["without_rows"] == ["x between", "x unique"]


def test_one_such_rule_leaves_open_whether_any_is_broken(tmp_path):
    rules = [{"column": "x", "rule": "between", "least": 0}, {"column": "z", "rule": "not_null"}]
    columns = {"x": NOTHING, "z": np.arange(ROWS)}
    got = judged(tmp_path, columns, {"rules": rules})
    assert find(got, "rules_broken").undefined_reason == "no_denominator"
    got = judged(tmp_path, columns, {"rules": [*rules, {"column": "x", "rule": "not_null"}]})
    assert find(got, "rules_broken").value == 1, "one is broken whatever becomes of the other"


def test_without_a_range_nothing_is_within_it(tmp_path):
    columns = {"x": np.arange(ROWS), "z": np.arange(ROWS)}
    reference = {"x": np.full(10, np.nan), "z": np.arange(10)}
    got = judged(tmp_path, columns, {"ranges": True}, reference)
    alone = find(got, "out_of_range_rate", feature="x")
    assert (alone.value, alone.undefined_reason) == (None, "not_available")
    assert find(got, "out_of_range_rate", feature="*").undefined_reason == "not_available"
    both = {"features": ["x", "z"]}
    largest = find(judged(tmp_path, columns, {"ranges": True}, reference, both), "out_of_range_rate",
                   feature="*")  # fmt: skip
    assert largest.value == (ROWS - 10) / ROWS
    assert largest.detail["undefined"] == ["x"]


def test_integers_that_floats_merge_have_a_range_too(tmp_path):
    before, after = (pa.array([2**62 + n + up for n in range(ROWS)]) for up in (0, 50))
    found = judged(tmp_path, {"x": after}, {"ranges": True}, {"x": before})
    assert find(found, "out_of_range_rate", feature="x").value == 50 / ROWS
    found = judged(tmp_path, {"x": pa.array([0.5, 2.0**63])}, {"ranges": True}, {"x": before})
    assert find(found, "out_of_range_rate", feature="x").detail == {"below": 1, "above": 1}


# Time


NOW = "2026-11-20T00:00:00Z"
FRESH = {"freshness": {"most_days": 7}}


def aged(tmp_path, times, as_of=NOW):
    columns = {"x": np.arange(len(times)), "t": times}
    return judged(tmp_path, columns, FRESH, mapping={"time": "t"}, as_of=as_of)


@pytest.mark.parametrize(
    "ahead", [datetime(2999, 1, 1, tzinfo=UTC), datetime(2026, 11, 21, 0, 1, tzinfo=UTC)]
)
def test_rows_of_a_time_that_has_not_come_make_no_data_fresh(tmp_path, ahead):
    got = aged(tmp_path, [datetime(2020, 1, 1, tzinfo=UTC)] * (ROWS - 1) + [ahead])
    assert find(got, "fresh").value == 0
    assert (
        find(got, "age_days").value
        == (datetime(2026, 11, 20, tzinfo=UTC) - datetime(2020, 1, 1, tzinfo=UTC)).days
    )
    future = find(got, "future_rate")
    assert (future.value, future.n, future.detail["rows"]) == (1 / ROWS, ROWS, 1)
    assert [(one.code, one.finding) for one in got.notes] == [("rows_in_the_future", True)]


def test_a_clock_may_be_a_day_ahead(tmp_path):
    got = aged(tmp_path, [datetime(2026, 11, 20, 23, tzinfo=UTC)] * ROWS)
    assert find(got, "fresh").value == 1
    assert find(got, "future_rate").value == 0
    assert not got.notes


def test_if_all_time_has_not_come_the_age_is_not_known(tmp_path):
    got = aged(tmp_path, pa.array([2**42] * ROWS, pa.timestamp("s")))
    for name in ("fresh", "age_days"):
        assert find(got, name).undefined_reason == "not_available"
    assert find(got, "future_rate").value == 1


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("2026-11-18T23:30:00-05:00", 1 - 4.5 / 24),
        ("2026-11-19T00:00:00+05:00", 1 + 5 / 24),
        ("2026-11-19 00:00:00Z", 1),
        ("2026-11-19", 1),
    ],
)
def test_instants_written_as_texts_keep_their_offset(tmp_path, text, days):
    got = aged(tmp_path, [text, "yesterday", None] * 10)
    assert find(got, "age_days").value == pytest.approx(days)
    assert find(got, "age_days").detail["rows_without_time"] == 20
