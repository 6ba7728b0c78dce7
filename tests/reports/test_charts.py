"""Charts: one geometry, drawn for pages, with the values in words and in a table."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.engine import plots as engine
from monitoring.engine.results import MeasurementValue
from reports import charts, plots
from tests.reports import sample

NUMBER = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_nan=False))
SVG = "{http://www.w3.org/2000/svg}"


def interval_plot(points: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "kind": "interval",
        "title": "Rates",
        "x_label": "sex",
        "y_label": "rate",
        "series": [{"name": "rate", "points": points}],
        **more,
    }


def drawn(plot: Any) -> ElementTree.Element:
    return ElementTree.fromstring(charts.svg(plot))


def test_svg_is_named_described_and_free_of_inline_style() -> None:
    plot = interval_plot([{"label": "<script>", "value": 0.5, "lower": 0.4, "upper": 0.6}])
    markup = charts.svg(plot)
    root = ElementTree.fromstring(markup)
    assert root.get("role") == "img"
    assert root.get("aria-labelledby") == root.find("title").get("id")  # type: ignore[union-attr]
    assert "<script" not in markup
    assert "style=" not in markup
    assert not re.search(r"\son\w+=", markup)
    assert "0.500 (0.400 to 0.600)" in root.find("desc").text  # type: ignore[operator, union-attr]


def test_an_undefined_value_is_named_and_not_drawn() -> None:
    plot = interval_plot([{"label": "Other", "value": None, "reason": "no_denominator", "n": 3}])
    root = drawn(plot)
    assert not root.findall("circle")
    assert "undefined: no denominator" in "".join(root.itertext())
    assert charts.table(plot)[1] == [["Other", "undefined: no denominator", "3"]]


def test_a_limit_is_drawn_and_labelled() -> None:
    plot = interval_plot([{"label": "Female", "value": 0.02}], limit=0.1)
    root = drawn(plot)
    assert root.findall("polyline[@class='c-limit']")
    assert "limit 0.100" in "".join(root.itertext())


def test_a_gap_breaks_a_line() -> None:
    plot = {"kind": "line", "title": "t", "series": [{"name": "s", "points": [
        {"x": "Jan", "y": 1.0}, {"x": "Feb", "y": 2.0}, {"x": "Mar", "y": None}, {"x": "Apr", "y": 3.0}, {"x": "May", "y": 1.0},
    ]}]}  # fmt: skip
    assert len(drawn(plot).findall("polyline[@class='c-series-0']")) == 2


@pytest.mark.parametrize(
    ("plot", "named"),
    [
        ({"kind": "pie", "title": "t", "series": [{"name": "s", "points": []}]}, "kind"),
        ({"kind": "bar", "title": "t", "series": []}, "series"),
        (interval_plot([{"label": "a", "value": float("nan")}]), "value"),
        (interval_plot([{"label": "a", "value": "0.5"}]), "value"),
    ],
)
def test_a_plot_that_contradicts_itself_is_refused_by_field(plot: Any, named: str) -> None:
    with pytest.raises(plots.BadPlot, match=named):
        charts.scene(plot)


def test_plots_as_the_checks_make_them_are_read() -> None:
    measured = MeasurementValue("rate", {"sex": "Female"}, 0.2, 0.1, 0.3, 0.95, 40)
    made = [
        engine.interval_plot("i", "Interval", [("Female", measured)]),
        engine.bar_plot("b", "Bars", [("age", 0.4)], "feature", "importance"),
        engine.line_plot("l", "Lines", [("a", [(0.0, 0.0), (1.0, 1.0)])], "x", "y"),
        engine.histogram_plot("h", "Shares", [0.0, 0.5, 1.0], [("ref", [3, 4])], "score"),
        engine.confusion_plot("c", "Confusion", 1, 2, 3, 4),
    ]
    for plot in made:
        head, rows = charts.table(plot.to_json())
        assert drawn(plot.to_json()).findall("text")
        assert all(len(row) == len(head) for row in rows)


@given(
    kind=st.sampled_from(["bar", "interval"]),
    values=st.lists(st.tuples(st.text(max_size=60), NUMBER), min_size=1, max_size=12),
)
def test_every_mark_stays_within_the_picture(
    kind: str, values: list[tuple[str, float | None]]
) -> None:
    plot = {"kind": kind, "title": "t", "series": [{"name": "s", "points": [
        {"label": f"{k}{name}", "value": value} for k, (name, value) in enumerate(values)
    ]}]}  # fmt: skip
    scene = charts.scene(plot)
    for mark in scene.marks:
        places = mark.points if isinstance(mark, charts.Path | charts.Area) else ((mark.x, mark.y),)
        for x, y in places:
            assert -0.01 <= x <= scene.width + 0.01
            assert -0.01 <= y <= scene.height + 0.01


def test_the_same_plot_gives_the_same_picture() -> None:
    plot = sample.facts()["checks"][0]["plots"][1]
    assert charts.svg(plot) == charts.svg(plot)
