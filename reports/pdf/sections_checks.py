"""What was measured: a section for each kind of check, each figure with grade, interval and evidence."""

from collections.abc import Iterator
from typing import Final

from reportlab.platypus import Flowable

from monitoring.metrics import spoken
from reports import charts, numbers
from reports.bundle_schema import Check, Measurement, Observation, ReportBundle, Watched
from reports.pdf import fonts, text
from reports.pdf.figures import chart
from reports.pdf.tables import WIDTH, grid, pairs
from reports.pdf.words import figures_of, instant, slice_of
from reports.plots import BadPlot

SECTIONS: Final = (
    ("performance", "Performance"),
    ("fairness", "Fairness"),
    ("drift", "Drift"),
    ("explainability", "Explainability"),
    ("data_quality", "Data quality"),
    ("robustness", "Robustness"),
    ("oversight", "Human oversight"),
)
IF_RUN: Final = frozenset({"robustness", "oversight"})
"""Kinds whose absence is no gap of every model's record."""
LONG_CHART: Final = 24
"""A chart of more values than this is followed by a pointer into the bundle, not by a table."""


def checks(bundle: ReportBundle) -> Iterator[Flowable]:
    for kind, title in SECTIONS:
        runs = [c for c in bundle["checks"] if c["kind"] == kind]
        if not runs and kind in IF_RUN:
            continue
        yield text.heading(title, kind)
        if not runs:
            yield text.paragraph(
                text.plain(f"No {title.lower()} check was run on this version: ") + text.stated("")
            )
        for place, run in enumerate(runs, 1):
            yield from _run(run, f"{title} check {place} of {len(runs)}", f"{kind}-{place}")


def _run(run: Check, title: str, anchor: str) -> Iterator[Flowable]:
    yield text.heading(f"{title}, {run['purpose']}", anchor, level=2)
    cited = f" [{text.refs([run['ref']])}]"
    said = [
        ("State", text.plain(f"{run['state']}, attempt {run['attempt']}") + cited),
        ("Grade", text.stated(run["grade"])),
        ("Data", text.stated(_data(run)) + cited),
        ("Reference", text.plain(run["reference"] or "none")),
        ("Engine", text.stated(_engine(run))),
        ("Seed", text.plain(f"{run['seed']}") + cited),
        ("Finished", text.stated(instant(run["finished_at"]))),
        ("Cube SHA-256", text.mono(run["cube_digest"])),
    ]
    if run["superseded_by"]:
        newer = f"{text.plain('the same question was answered again by')} [{text.refs([run['superseded_by']])}]"
        said.append(("Superseded", newer))
    if run["error"]:
        said.insert(1, ("Error", text.plain(run["error"])))
    yield pairs(said, share=0.2)
    for plot in run["plots"]:
        yield from _plot(plot, run["ref"])
    if run["measurements"]:
        # One link for the table: a thousand rows need not each carry their own.
        yield text.paragraph(text.plain("Measurements", fonts.BOLD) + cited, text.CAPTION)
        yield from _measurements(run)
        yield from _methods(run["measurements"])
    yield from text.bullets(text.plain(note) + cited for note in run["notes"])


def _data(run: Check) -> str:
    rows = "" if run["rows"] is None else f", {numbers.figure(run['rows'], 'count')} rows"
    return run["dataset"] and run["dataset"] + rows


def _engine(run: Check) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in run["libraries"].items())
    return f"{run['engine']} ({libraries})" if libraries else run["engine"]


def _measurements(run: Check) -> Iterator[Flowable]:
    head = ("Metric", "Slice", "Value", "Interval", "n", "Evidence")
    rows = [
        [
            text.plain(spoken(m["metric"])),
            text.plain(slice_of(m["slice"])),
            _value(m, m["unit"]),
            _interval(m, m["unit"]),
            text.plain(_people(m)),
            text.plain(run["ref"]),
        ]
        for m in run["measurements"]
    ]
    return grid(head, rows, (0.25, 0.27, 0.14, 0.16, 0.09, 0.09), right=(2, 3, 4))


def _value(m: Measurement | Observation, unit: str) -> str:
    if m["value"] is None:
        return text.coloured(text.plain(f"undefined: {m['undefined'].replace('_', ' ')}"), "doubt")
    value = numbers.figure(m["value"], unit)
    return text.plain(f"{value}, estimated" if m.get("estimated") else value)


def _people(m: Measurement) -> str:
    """How many it rests on; of too few to be told, that there are fewer."""
    if m["n"] is None:
        return f"<{m['n_below']}" if m.get("n_below") else "–"
    return numbers.figure(m["n"], "count")


def _interval(m: Measurement | Observation, unit: str) -> str:
    if m["lower"] is None or m["upper"] is None:
        return "–"
    return text.plain(numbers.interval(m["lower"], m["upper"], unit))


def _methods(found: list[Measurement]) -> Iterator[Flowable]:
    """Methods and levels once, under the table, each with the metrics that it holds for."""
    methods: dict[str, list[str]] = {}
    for m in found:
        if m["value"] is None or not (m["method"] or m["level"]):
            continue
        level = f", interval at {numbers.percent(m['level'])}" if m["level"] is not None else ""
        names = methods.setdefault(f"{m['method'] or 'method not stated'}{level}", [])
        name = spoken(m["metric"])
        if name not in names:
            names.append(name)
    if methods:
        said = "; ".join(f"{numbers.listing(names)}: {how}" for how, names in methods.items())
        yield text.paragraph(f"{text.plain('Methods.')} {text.plain(said)}.", text.SMALL)


def _plot(plot: dict[str, object], ref: str) -> Iterator[Flowable]:
    yield text.paragraph(
        f"{text.plain(plot['title'], fonts.BOLD)} [{text.refs([ref])}]",
        text.CAPTION,
        tag="Caption",
    )
    try:
        drawn = chart(plot, WIDTH)
    except BadPlot as error:
        yield text.paragraph(
            text.plain(
                f"This chart cannot be drawn ({error}); what there is of it is in the bundle."
            ),
            text.SMALL,
        )
        return
    yield drawn
    head, rows = charts.table(plot)
    if len(rows) > LONG_CHART:
        yield text.paragraph(
            text.plain(f"The {len(rows)} values of this chart are in the attached bundle."),
            text.SMALL,
        )
        return
    shares = [2.2] + [1.0] * (len(head) - 1)
    yield from grid(
        head,
        [[text.plain(cell) for cell in row] for row in rows],
        shares,
        right=tuple(range(1, len(head))),
    )


def _watched(name: str, watched: Watched) -> Iterator[Flowable]:
    """One figure over the batches, with the limit that the monitor holds it against."""
    found = watched["observations"]
    if not found:
        return
    title = f"{name}: {spoken(watched['metric'])}, {slice_of(watched['slice'])}"
    yield text.paragraph(text.plain(title, fonts.BOLD), text.CAPTION, tag="Caption")
    points = [
        {"x": o["batch"], "y": o["value"], "lower": o["lower"], "upper": o["upper"]} for o in found
    ]
    plot = {
        "kind": "line",
        "title": title,
        "x_label": "batch",
        "y_label": spoken(watched["metric"]),
        "series": [{"name": watched["metric"], "points": points}],
        "limit": {"value": watched["value"], "label": watched["limit"]},
        "unit": watched["unit"],
    }
    yield chart(plot, WIDTH)
    rows = [
        [
            text.plain(o["batch"]),
            text.plain(instant(o["window_end"])),
            _value(o, watched["unit"]),
            _interval(o, watched["unit"]),
            text.plain(numbers.figure(o["n"], "count")) if o["n"] is not None else "–",
            text.refs([o["ref"]]),
        ]
        for o in found
    ]
    head = ("Batch", "Until", "Value", "Interval", "n", "Evidence")
    yield from grid(head, rows, (0.2, 0.26, 0.14, 0.2, 0.1, 0.1), right=(2, 3, 4))


def monitoring(bundle: ReportBundle) -> Iterator[Flowable]:
    yield text.heading("Monitoring and use in production", "monitoring")
    if bundle["monitors"]:
        rows = [
            [
                text.bold(m["name"]) + "<br/>" + text.plain(m["kind"].replace("_", " ")),
                text.plain(m["environment"]),
                "<br/>".join(text.plain(w["limit"]) for w in m["watched"]) or text.stated(""),
                text.plain(instant(m["last_run_at"]) or "none yet"),
                text.plain(f"{m['open_breaches']}"),
                text.refs([m["ref"]]),
            ]
            for m in bundle["monitors"]
        ]
        yield from grid(
            ("Monitor", "Environment", "Limits", "Last run", "Open breaches", "Evidence"),
            rows,
            (0.18, 0.14, 0.32, 0.15, 0.11, 0.1),
            right=(4,),
        )
        for monitor in bundle["monitors"]:
            for watched in monitor["watched"]:
                yield from _watched(monitor["name"], watched)
    else:
        yield text.paragraph(f"{text.plain('Monitors:')} {text.stated('')}")
    for title, key in (
        ("Deployments", "deployments"),
        ("Gate decisions", "gate_decisions"),
        ("Breaches", "breaches"),
        ("Suspensions", "suspensions"),
        ("Incidents", "incidents"),
    ):
        yield text.heading(title, key, level=2)
        events = bundle[key]  # type: ignore[literal-required]
        if not events:
            yield text.paragraph(text.plain("None on record at the cut-off."))
            continue
        rows = [
            [
                text.bold(e["what"]) + (f"<br/>{text.plain(e['place'])}" if e["place"] else ""),
                _span(e["at"], e["until"], e["open"]),
                "<br/>".join(
                    part
                    for part in (
                        text.plain(e["detail"]),
                        figures_of(e["figures"]) if e["figures"] else "",
                    )
                    if part
                )
                or "–",
                text.stated(e["by"]),
                text.refs([e["ref"]]),
            ]
            for e in events
        ]
        yield from grid(
            ("What", "When", "Detail", "By", "Evidence"), rows, (0.22, 0.2, 0.34, 0.14, 0.1)
        )


def _span(at: str, until: str | None, is_open: bool) -> str:
    if until:
        return f"{text.plain(instant(at))}<br/>{text.plain('to ' + instant(until))}"
    return text.plain(instant(at)) + (f"<br/>{text.plain('open')}" if is_open else "")
