"""What the model is, what it is used for, which data it learned from, how it was made."""

from collections.abc import Iterator

from reportlab.platypus import Flowable

from reports import numbers
from reports.bundle_schema import Dataset, ReportBundle
from reports.pdf import fonts, text
from reports.pdf.tables import grid, pairs
from reports.pdf.words import data, instant, slice_of


def system(bundle: ReportBundle) -> Iterator[Flowable]:
    model, use = bundle["model"], bundle["use"]
    yield text.heading("System and purpose", "system")
    yield pairs(
        [
            ("Model", f"{text.plain(model['title'])} ({text.plain(model['name'])})"),
            ("Kind", text.stated(model["kind"])),
            ("Description", text.stated(model["description"])),
            ("Portfolio", text.stated(model["portfolio"])),
            ("Legal entity", text.stated(model["legal_entity"])),
        ]
    )
    yield text.heading(f"Use: {use['name']}", "use", level=2)
    tier = None if use["tier"] is None else f"{use['tier']} of 4, where 1 is the highest risk"
    yield pairs(
        [
            ("Purpose", text.stated(use["purpose"])),
            ("Excluded uses", _lines(use["excluded_uses"])),
            ("Success criteria", _lines(use["success_criteria"])),
            ("Affected people", text.stated(use["affected_people"])),
            ("Decision rule", text.stated(data(use["decision_rule"]))),
            ("Exposure", text.stated(use["exposure"])),
            ("Operator role", text.stated(use["operator_role"])),
            ("Legal entity", text.stated(use["legal_entity"])),
            ("Risk tier", text.stated(tier)),
            ("Reason of the tier", text.stated(use["tier_reason"])),
        ]
    )
    yield text.heading("People", "people", level=2)
    if model["people"]:
        rows = [
            [
                text.plain(p["name"]),
                text.plain(p["role"].replace("_", " ")),
                text.plain(instant(p["since"])),
            ]
            for p in model["people"]
        ]
        yield from grid(("Name", "Role", "Since"), rows, (0.4, 0.3, 0.3))
    else:
        yield text.paragraph(f"{text.plain('Roles:')} {text.stated('')}")
    if model["stakeholders"]:
        rows = [[text.plain(s["name"]), text.stated(s["interest"])] for s in model["stakeholders"]]
        yield from grid(("Stakeholder", "Interest"), rows, (0.4, 0.6))
    else:
        yield text.paragraph(f"{text.plain('Stakeholders:')} {text.stated('')}")


def _lines(items: list[str]) -> str:
    return "<br/>".join(f"{text.plain('•')} {text.plain(item)}" for item in items) or text.stated(
        ""
    )


def datasets(bundle: ReportBundle) -> Iterator[Flowable]:
    yield text.heading("Data", "data")
    if not bundle["datasets"]:
        yield text.paragraph(f"{text.plain('Datasets:')} {text.stated('')}")
    for dataset in bundle["datasets"]:
        purposes = numbers.listing(dataset["purposes"])
        yield text.heading(f"{dataset['title']} ({purposes})", f"data-{dataset['name']}", level=2)
        yield pairs(_dataset(dataset))
        if dataset["sources"]:
            rows = [
                [text.plain(s["name"]), text.stated(s["transformation"]), text.mono(s["digest"])]
                for s in dataset["sources"]
            ]
            yield text.paragraph(text.plain("Made from", fonts.BOLD), text.CAPTION)
            yield from grid(("Dataset", "By", "SHA-256"), rows, (0.22, 0.4, 0.38))


def _dataset(dataset: Dataset) -> list[tuple[str, str]]:
    period = [d for d in (dataset["collected_from"], dataset["collected_until"]) if d]
    rows = None if dataset["rows"] is None else numbers.figure(dataset["rows"], "count")
    cited = f" [{text.refs([dataset['ref']])}]"
    return [
        ("Name", f"{text.plain(dataset['name'])}{cited}"),
        ("SHA-256", text.mono(dataset["digest"])),
        ("Rows", text.stated(rows) + cited),
        ("Columns", _columns(dataset["columns"]) + cited),
        ("Source", text.stated(dataset["source"])),
        ("Licence", text.stated(dataset["licence"])),
        ("Collected", text.stated(" to ".join(period))),
        (
            "Personal data",
            text.plain("contained" if dataset["contains_personal_data"] else "none, as declared"),
        ),
    ]


def _columns(columns: list[str]) -> str:
    if not columns:
        return text.stated("")
    return text.plain(f"{len(columns)}: {', '.join(columns)}")


def development(bundle: ReportBundle) -> Iterator[Flowable]:
    version = bundle["version"]
    artifact = version["artifact"]
    cited = f" [{text.refs([version['ref']])}]"
    yield text.heading("Development and lineage", "development")
    size = (
        None if artifact["size"] is None else f"{numbers.figure(artifact['size'], 'count')} bytes"
    )
    parent = "none" if version["parent"] is None else f"version {version['parent']}"
    yield pairs(
        [
            ("Version", text.plain(f"{version['number']}") + cited),
            ("Label", text.stated(version["label"])),
            ("Revision of the record", text.plain(f"{version['revision']}") + cited),
            ("Description", text.stated(version["description"])),
            ("Artifact", text.plain(f"{artifact['name']}, format {artifact['format']}")),
            ("Artifact SHA-256", text.mono(artifact["digest"])),
            ("Artifact size", text.stated(size) + cited),
            ("Code repository", text.stated(version["code_repository"])),
            ("Code commit", text.mono(version["code_commit"])),
            ("Made from", text.plain(parent)),
            ("Author", text.plain(version["author"])),
            (
                "Registered",
                text.plain(f"{instant(version['registered_at'])} by {version['registered_by']}"),
            ),
            ("Retired", text.plain(instant(version["retired_at"]) or "no")),
        ]
    )
    for title, found in (
        ("Training parameters", version["parameters"]),
        ("Training environment", version["environment"]),
    ):
        yield text.heading(title, title.split()[1], level=2)
        if found:
            rows = [[text.plain(key), text.plain(data(value))] for key, value in found.items()]
            yield from grid(("Name", "Value"), rows, (0.35, 0.65))
            yield text.paragraph(
                f"{text.plain('Evidence')} {text.refs([version['ref']])}", text.SMALL
            )
        else:
            yield text.paragraph(text.stated(""))
    if version["claims"]:
        yield text.heading("Figures claimed by the developer", "claims", level=2)
        rows = [
            [
                text.plain(c["metric"]),
                text.plain(slice_of(c["slice"])),
                text.plain(numbers.figure(c["value"])),
                text.plain("claimed"),
                text.refs([version["ref"]]),
            ]
            for c in version["claims"]
        ]
        yield from grid(
            ("Metric", "Slice", "Value", "Grade", "Evidence"),
            rows,
            (0.34, 0.26, 0.14, 0.13, 0.13),
            right=(2,),
        )
