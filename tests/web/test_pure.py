"""The pure parts: words, comparisons, series, drafts."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.controls.results import Status
from governance.gate import Answer
from governance.models import Finding, Incident, Review, Validation
from governance.standing import Standing
from monitoring.limits import parse_limits
from monitoring.models import CheckRun
from reports.models import Report
from reports.plots import read
from web import drafts, vocabulary, windows
from web.comparison import Change, changes, shifts
from web.results import arrange, headline
from web.templatetags import countersign as tags
from web.timeline import Event, by_day

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


class TestWords:
    def test_every_state_that_a_page_shows_has_a_tone_of_its_own_choice(self) -> None:
        words = [
            *Status,
            *Answer,
            *Standing,
            *CheckRun.State.values,
            *Review.State.values,
            *Incident.State.values,
            *Report.State.values,
            *Finding.Severity.values,
            *Validation.Rating.values,
        ]
        chosen = vocabulary._TONE_OF
        assert [word for word in words if vocabulary.key(word) not in chosen] == []

    def test_what_denies_is_never_good(self) -> None:
        for standing in Standing:
            if not standing.in_force:
                assert vocabulary.tone(standing) != "good"
        for status in (Status.FAIL, Status.INSUFFICIENT, Status.WAIVED):
            assert vocabulary.tone(status) != "good"

    def test_an_unknown_word_is_quiet(self) -> None:
        assert vocabulary.tone("approvedish") == "quiet"

    def test_tones_differ_by_mark_too(self) -> None:
        marks = [
            vocabulary.mark(word) for word in ("pass", "fail", "insufficient", "open", "retired")
        ]
        assert len(set(marks)) == len(marks)

    @pytest.mark.parametrize(
        ("word", "label"),
        [
            ("not_approved", "Not approved"),
            ("re-performed", "Re-performed"),
            ("data_quality", "Data quality"),
            ("psi_deciles", "Population stability index by deciles"),
            ("auc", "Area under the ROC curve"),
        ],
    )
    def test_labels(self, word: str, label: str) -> None:
        assert vocabulary.label(word) == label


class TestComparison:
    def test_nested_fields_are_named_by_path(self) -> None:
        before = {"a": 1, "parameters": {"depth": 5, "rate": 0.1}}
        after = {"a": 1, "parameters": {"depth": 4, "rate": 0.1, "seed": 7}}
        assert changes(before, after) == [
            Change("parameters: depth", 5, 4),
            Change("parameters: seed", "–", 7),
        ]

    @given(st.dictionaries(st.text(max_size=4), JSON, max_size=4))
    def test_nothing_differs_from_itself(self, record: dict[str, Any]) -> None:
        assert changes(record, record) == []

    @given(
        st.dictionaries(st.text(max_size=4), st.integers(), max_size=4),
        st.dictionaries(st.text(max_size=4), st.integers(), max_size=4),
    )
    def test_each_difference_is_told_once(
        self, before: dict[str, int], after: dict[str, int]
    ) -> None:
        missing = object()
        wanted = {
            name
            for name in before.keys() | after.keys()
            if before.get(name, missing) != after.get(name, missing)
        }
        assert sorted(one.field for one in changes(before, after)) == sorted(wanted)

    def test_figures_are_paired_by_metric_and_group(self) -> None:
        women, men = {"sex": "F"}, {"sex": "M"}
        before = [Measured("recall", 0.4, women), Measured("recall", 0.5, men)]
        after = [Measured("recall", 0.45, women), Measured("accuracy", 0.9)]
        (found,) = shifts(before, after)
        assert (found.before.value, found.after.value, found.slice) == (0.4, 0.45, women)


@dataclass
class Measured:
    metric: str
    value: float | None
    slice: dict[str, str] = field(default_factory=dict)
    attribute: str = ""
    unit: str = "rate"
    run_id: int = 0
    lower: float | None = None
    upper: float | None = None
    n: int | None = None
    undefined: str = ""
    grade: str = "recomputed"
    method: str = ""


@dataclass
class Window:
    """As `monitoring.models.Window`, of a day."""

    day: int
    outcomes: list[dict[str, Any]]
    state: str = "judged"
    rows: int | None = 400
    acts: list[str] = field(default_factory=list)
    hours: int = 24

    @property
    def start(self) -> datetime:
        return START + timedelta(days=self.day)

    @property
    def end(self) -> datetime:
        return self.start + timedelta(hours=self.hours)


def outcome(key: str, value: float | None, **more: Any) -> dict[str, Any]:
    known = {"key": key, "value": value, "outcome": "kept", "breaks": False, "reason": "it is so"}
    return {**known, **more}


START = datetime(2026, 1, 1, tzinfo=UTC)


class TestWindows:
    def test_points_stand_in_the_order_of_their_windows_and_gaps_stay_gaps(self) -> None:
        (limit,) = parse_limits(
            [{"metric": "recall", "attribute": "sex", "op": "<=", "value": 0.1}]
        )
        rows = [
            Window(2, [outcome(limit.key, 0.2)]),
            Window(1, [outcome(limit.key, None, outcome="not_measured", undefined="insufficient")]),
            Window(0, [outcome(limit.key, 0.1), outcome("recall{sex=F} <=", 0.9)]),
            Window(3, [outcome(limit.key, None, outcome="too_few_rows")], state="insufficient"),
        ]
        (plot,) = windows.over_time([limit], rows, whole=False)
        assert [point["y"] for point in plot["series"][0]["points"]] == [0.1, None, 0.2]
        assert plot["title"] == "Recall by sex, by batch"
        chart = read(plot)
        assert chart.limit == {"value": 0.1, "label": "at most 0.1"}

    def test_a_limit_that_was_never_measured_draws_nothing(self) -> None:
        limits = parse_limits([{"metric": "recall", "op": ">=", "value": 0.8}])
        assert windows.over_time(limits, [], whole=True) == []
        assert windows.volume([], 100) is None

    def test_short_windows_are_told_by_the_hour_and_their_rows_are_drawn(self) -> None:
        plot = windows.volume([Window(0, [], hours=6), Window(1, [], rows=3)], 100)
        assert plot is not None
        points = plot["series"][0]["points"]
        assert [(one["x"], one["y"]) for one in points] == [
            ("2026-01-01 00:00", 400.0), ("2026-01-02", 3.0),
        ]  # fmt: skip
        assert read(plot).limit == {"value": 100.0, "label": "at least 100"}

    @pytest.mark.parametrize(
        ("window", "word"),
        [
            (Window(0, [outcome("k", 1.0)]), "ok"),
            (Window(0, [outcome("k", 1.0, breaks=True)]), "warn"),
            (Window(0, [outcome("k", 1.0, breaks=True)], acts=["k"]), "breach"),
            (Window(0, [outcome("k", None, outcome="not_measured")]), "insufficient"),
            (Window(0, [], state="insufficient"), "insufficient"),
            (Window(0, [], state="failed"), "failed"),
            (Window(0, [], state="queued"), "queued"),
        ],
    )
    def test_a_window_is_told_in_a_word(self, window: Window, word: str) -> None:
        assert windows.told(window).word == word


class TestResults:
    def test_groups_of_one_attribute_are_crossed_with_metrics(self) -> None:
        women, men, between = {"sex": "F"}, {"sex": "M"}, {"sex": "*"}
        found = arrange(
            [
                Measured("recall", 0.4, women),
                Measured("recall", 0.5, men),
                Measured("precision", 0.7, men),
                Measured("recall_difference", 0.1, between),
                Measured("accuracy", 0.9),
                Measured("recall", 0.3, {"sex": "F", "age": "old"}),
            ]
        )
        (table,) = found.crossings
        assert [column.metric for column in table.columns] == ["recall", "precision"]
        (_, (first, missing)), (_, (_, last)) = table.rows
        assert (first and first.value, missing, last and last.value) == (0.4, None, 0.7)
        assert [one.metric for one in found.listed] == ["recall_difference", "accuracy", "recall"]

    def test_one_group_alone_is_listed(self) -> None:
        found = arrange([Measured("recall", 0.4, {"sex": "F"})])
        assert (len(found.listed), found.crossings) == (1, [])

    @given(
        st.lists(
            st.builds(
                Measured,
                st.sampled_from(["a", "b", "c"]),
                st.floats(0, 1),
                st.sampled_from([{}, {"x": "*"}, {"x": "1"}, {"x": "2"}, {"y": "1"}]),
            ),
            unique_by=lambda one: (one.metric, str(one.slice)),
        )
    )
    def test_no_measurement_is_lost_or_doubled(self, measured: list[Measured]) -> None:
        found = arrange(measured)
        crossed = [
            one for table in found.crossings for _, cells in table.rows for one in cells if one
        ]
        shown = [id(one) for one in [*crossed, *found.listed]]
        assert sorted(shown) == sorted(map(id, measured))

    def test_the_first_line_compares_groups_where_fairness_is_asked(self) -> None:
        between = Measured("equal_opportunity_difference", 0.1, {"sex": "*"})
        assert headline("fairness", [Measured("accuracy", 0.9), between]) == [between]
        assert headline("unknown", [between]) == []


class TestTimeline:
    def test_everyday_events_in_a_row_fold_and_others_stand(self) -> None:
        found = [
            Event(START + timedelta(hours=hour), text, sort=sort)
            for hour, text, sort in (
                (9, "Approved", ""),
                (8, "Gate", "answer of the gate"),
                (7, "Drift", "check"),
                (6, "Bias", "check"),
                (5, "Submitted", ""),
                (4, "Note", "piece of evidence"),
            )
        ] + [Event(START - timedelta(days=1), "Registered")]
        (today, lines), (_, before) = by_day(found)
        assert today == START.date()
        assert [line.summary or (line.event and line.event.text) for line in lines] == [
            "Approved",
            "1 answer of the gate, 2 checks",
            "Submitted",
            "Note",
        ]
        assert [line.event and line.event.text for line in before] == ["Registered"]


class TestDrafts:
    @pytest.mark.parametrize(
        ("path", "home"),
        [
            (
                "/reviews/01a1f968-de96-7b35-a55b-5e0f09d17643/sign/",
                "/reviews/01a1f968-de96-7b35-a55b-5e0f09d17643/",
            ),
            (
                "/reviews/01a1f968-de96-7b35-a55b-5e0f09d17643/",
                "/reviews/01a1f968-de96-7b35-a55b-5e0f09d17643/",
            ),
            ("/reports/request/", "/reports/request/"),
            ("/models/income/versions/3/reopen/", "/models/income/versions/3/"),
            ("/account/token/", "/account/"),
        ],
    )
    def test_the_page_that_holds_a_form(self, path: str, home: str) -> None:
        assert drafts.home_of(path) == home


class TestTags:
    def test_a_control_result_without_figures_or_units(self) -> None:
        shown = tags.seen_figure({"value": 0.1234})
        assert (shown["value"], shown["limit"], shown["interval"]) == ("0.123", "", "")
        assert tags.seen_figure({"label": "x"})["value"] == "undefined"

    def test_a_chart_that_contradicts_itself_says_so_and_nothing_breaks(self) -> None:
        for plot in (
            {},
            {"title": "T", "kind": "bar", "series": []},
            {"title": "T", "kind": "pie"},
        ):
            assert tags.chart(plot)["problem"]

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "less than a minute"), (61, "1 minute"), (7200, "2 hours"), (86_400 * 800, "2 years")],
    )
    def test_distances(self, seconds: int, text: str) -> None:
        assert tags.distance(seconds) == text
        assert tags.distance(-seconds) == text

    @given(st.integers(min_value=0, max_value=10**14))
    def test_sizes_never_fail(self, amount: int) -> None:
        assert tags.size(amount).split()[1] in ("bytes", "KiB", "MiB", "GiB")

    def test_a_digest_in_a_list_keeps_the_whole_in_its_title(self) -> None:
        digest = "ab" * 32
        assert digest in tags.digest(digest, short=True)
        assert "<code>sha256:" + digest in tags.digest(digest)
        assert "none" in tags.digest("")


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (90, "90 seconds"),
        (120, "2 minutes"),
        (3_600, "1 hour"),
        (90_000, "25 hours"),
        (3_888_000, "45 days"),
    ],
)
def test_a_length_of_time_is_told_in_its_largest_whole_unit(seconds: int, told: str) -> None:
    assert tags.lasting(seconds) == told
