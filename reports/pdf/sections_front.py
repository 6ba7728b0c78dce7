"""The first pages: one glance, contents, scope and how to read."""

from collections.abc import Iterator

from reportlab.lib.colors import HexColor, white
from reportlab.platypus import Flowable, PageBreak, Spacer

from reports import numbers
from reports.bundle_schema import ControlResult, ReportBundle
from reports.pdf import fonts, text
from reports.pdf.document import Contents
from reports.pdf.figures import RULE, qr
from reports.pdf.tables import frame, grid, pairs
from reports.pdf.words import VERDICTS, WORDS, figures_of, instant, verdict_mark


def one_glance(bundle: ReportBundle, digest: str) -> Iterator[Flowable]:
    report, version, model = bundle["report"], bundle["version"], bundle["model"]
    label = f" ({version['label']})" if version["label"] else ""
    yield text.paragraph(text.plain(report["title"], fonts.BOLD), text.TITLE, tag="H1")
    yield text.paragraph(
        text.plain(f"{model['title']}, version {version['number']}{label}"), text.SUBTITLE
    )
    yield _word(bundle)
    yield pairs(_identity(bundle, digest), share=0.24)
    yield from _five(bundle)
    yield text.paragraph(text.plain("What needs attention", fonts.BOLD), text.CAPTION)
    concerns = bundle["summary"]["concerns"]
    if concerns:
        yield from text.bullets(
            text.plain(c["text"]) + (f" [{text.refs(c['refs'])}]" if c["refs"] else "")
            for c in concerns
        )
    else:
        yield text.paragraph(
            text.plain(
                "Nothing on record at the cut-off: no control failed or was insufficient, "
                "no breach, suspension, incident or finding is open."
            )
        )
    yield _foot(bundle, digest)
    yield PageBreak()


def _word(bundle: ReportBundle) -> Flowable:
    """The word, its mark and its reason, in a box whose colour only repeats what the mark says."""
    summary = bundle["summary"]
    mark, colour, tint = WORDS[summary["word"]]
    word = text.paragraph(
        text.coloured(
            f'<font size="15">{text.plain(mark, fonts.BOLD)} '
            f"{text.plain(summary['word'].capitalize(), fonts.BOLD)}</font>",
            colour,
        ),
        text.HEADING_BOX,
    )
    reason = text.paragraph(text.plain(summary["sentence"]), text.LEAD)
    return frame(
        [[[word], [reason]]],
        (0.30, 0.70),
        ("BACKGROUND", (0, 0), (-1, -1), HexColor(tint)),
        ("LINEBEFORE", (0, 0), (0, -1), 4, text.colour_of(colour)),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LEFTPADDING", (0, 0), (-1, -1), 10),
        ("TOPPADDING", (0, 0), (-1, -1), 7),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 5),
    )


def _identity(bundle: ReportBundle, digest: str) -> list[tuple[str, str]]:
    report, use, version = bundle["report"], bundle["use"], bundle["version"]
    framework = report["framework"]
    owners = [p["name"] for p in bundle["model"]["people"] if p["role"] == "owner"]
    tier = None if use["tier"] is None else f"{use['tier']} of 4, where 1 is the highest risk"
    place = bundle["standing"]["environment"]
    return [
        ("Model", f"{text.plain(bundle['model']['name'])} [{text.refs([version['ref']])}]"),
        ("Artifact SHA-256", text.mono(version["artifact"]["digest"])),
        ("Purpose", text.stated(use["purpose"])),
        ("Use and environment", text.plain(f"{use['name']}, {place}" if place else use["name"])),
        ("Risk tier", text.stated(tier)),
        ("Owner", text.stated(numbers.listing(owners))),
        ("Legal entity", text.stated(use["legal_entity"])),
        ("Signed by", _signed_by(bundle)),
        ("Evidence up to", text.plain(instant(report["cut_off"]))),
        ("Framework", text.plain(_framework(framework))),
        ("Report id", text.mono(report["id"])),
        ("Bundle SHA-256", text.mono(digest)),
    ]


def _signed_by(bundle: ReportBundle) -> str:
    """Who signed, as what, when: the printed name, meaning and time that a signed record must show."""
    lines = [
        text.plain(
            f"{s['name']}, {s['role'].replace('_', ' ')}: {s['decision']} (meaning: {s['meaning']}), "
            f"{instant(s['at'])}"
        )
        + f" [{text.refs([s['ref']])}]"
        for s in bundle["signatures"]
    ]
    return "<br/>".join(lines) or text.stated("")


def _framework(framework: dict[str, str] | None) -> str:
    if framework is None:
        return "None: the record of a version as it stands"
    return f"{framework['title']}, version {framework['version']}, applies from {framework['applies_from']}"


def _five(bundle: ReportBundle) -> Iterator[Flowable]:
    """The figures that a reader asks for first, each with its evidence."""
    head = ("Controls", "Signatures", "Open findings", "Open breaches", "Log entries")
    policy = bundle["policy"]
    controls = policy["controls"] if policy else []
    passed = sum(c["verdict"] == "pass" for c in controls)
    signed = [s for s in bundle["signatures"] if s["decision"] == "approve"]
    findings = [f for f in bundle["findings"] if f["closed_at"] is None]
    breaches = [b for b in bundle["breaches"] if b["open"]]
    log = bundle["log"]
    values = (
        (
            numbers.share(passed, len(controls)) + " passed" if policy else numbers.NOT_STATED,
            [policy["ref"]] if policy else [],
        ),
        (f"{len(signed)}", [s["ref"] for s in signed]),
        (f"{len(findings)}", [f["ref"] for f in findings]),
        (f"{len(breaches)}", [b["ref"] for b in breaches]),
        (f"{log['size']}" if log else numbers.NOT_STATED, [log["ref"]] if log else []),
    )
    row = [f"{text.bold(value)}<br/>{text.refs(refs)}" for value, refs in values]
    return grid(head, [row], (1, 1, 1, 1, 1), row_heads=False)


def _foot(bundle: ReportBundle, digest: str) -> Flowable:
    report, installation = bundle["report"], bundle["installation"]
    said = text.paragraph(
        text.plain(
            f"Issued by {installation['organisation']} with {installation['software']}, on facts "
            f"frozen {instant(report['cut_off'])}. This report states what the evidence on record "
            "supports. It is not legal advice and not a finding that any law is met. Scan the code "
            "or see the last page to verify it."
        ),
        text.SMALL,
    )
    code = qr(verify_target(bundle, digest), 66)
    return frame(
        [[[code], [Spacer(1, 8), said]]],
        (0.16, 0.84),
        ("LINEABOVE", (0, 0), (-1, 0), 0.5, RULE),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("BACKGROUND", (0, 0), (-1, -1), white),
    )


def verify_target(bundle: ReportBundle, digest: str) -> str:
    """What the QR code says: where this report is registered, and how its bundle's digest begins."""
    return f"{bundle['report']['verify_url']}#{digest[:16]}"


def contents() -> Iterator[Flowable]:
    yield text.paragraph(text.plain("Contents", fonts.BOLD), text.HEADING, tag="H2")
    yield Contents()


_READING = (
    (
        "E1, E2, ...",
        "are evidence ids. Each stands beside the numbers that it supports and leads to its row of "
        "the evidence index, with SHA-256 and audit entry.",
    ),
    (
        "Grades.",
        "claimed: a client sent the number. recomputed: the service computed it from supplied "
        "predictions. re-performed: the service scored the pinned artifact itself.",
    ),
    (
        "Intervals",
        "are two-sided, at the level that the table names. An undefined figure is printed with its "
        "reason and never counts as zero.",
    ),
    ("Rounding.", numbers.RULE),
    ("Not stated", "means that nobody recorded it. It never counts as met."),
    (
        "Supported, conditional, not supported",
        "say what the evidence on record supports. They are no finding of law.",
    ),
    (
        "[U+...]",
        "in a free text stands for a character that these fonts cannot draw; the bundle holds it.",
    ),
)


def scope(bundle: ReportBundle) -> Iterator[Flowable]:
    report = bundle["report"]
    yield text.heading("Scope and how to read", "scope")
    yield text.paragraph(
        text.plain(
            f"This report covers one version of one model, for one use, as recorded up to "
            f"{instant(report['cut_off'])}. Later events are not in it. Everything printed here is "
            "taken from the report bundle that is attached to this file; nothing was typed in by "
            "hand when the report was made."
        )
    )
    yield from text.bullets(f"{text.bold(term)} {text.plain(said)}" for term, said in _READING)
    missing = bundle["summary"]["not_stated"]
    yield text.heading("Not stated", "not-stated", level=2)
    if missing:
        yield text.paragraph(text.plain(f"Nobody recorded: {numbers.listing(missing)}."))
    else:
        yield text.paragraph(text.plain("Every field that this report asks for was recorded."))


def controls(bundle: ReportBundle) -> Iterator[Flowable]:
    yield text.heading("Controls of the policy", "controls")
    policy = bundle["policy"]
    if policy is None:
        yield text.paragraph(
            text.plain("No policy was in force at the cut-off. No control was judged.")
        )
        return
    judged = (
        f"published {instant(policy['published_at'])}, judged for {instant(policy['judged_at'])}."
    )
    yield text.paragraph(
        f"{text.plain('Policy')} {text.bold(policy['name'])}"
        f"{text.plain(', revision ' + str(policy['revision']))} [{text.refs([policy['ref']])}], "
        f"{text.plain(judged)}<br/>{text.plain('SHA-256')} {text.mono(policy['digest'])}"
    )
    order = {"fail": 0, "insufficient": 1, "pass": 2}
    modes = {"block": 0, "warn": 1}
    rows = [
        _control_row(control)
        for control in sorted(
            policy["controls"], key=lambda c: (order[c["verdict"]], modes.get(c["mode"], 2))
        )
    ]
    if rows:
        yield from grid(
            ("Control and what it asks", "Verdict", "Reason", "Figures and evidence"),
            rows,
            (0.30, 0.14, 0.28, 0.28),
        )
    counts = {v: sum(c["verdict"] == v for c in policy["controls"]) for v in VERDICTS}
    yield text.paragraph(
        text.plain(
            f"{numbers.share(counts['pass'], len(rows))} pass, {counts['fail']} fail, "
            f"{counts['insufficient']} insufficient. A control that lacks evidence is insufficient, "
            "which denies as a failure does."
        ),
        text.SMALL,
    )


def _control_row(control: ControlResult) -> list[str]:
    mode = {"block": "blocks", "warn": "warns"}.get(control["mode"], "is reported")
    clauses = (
        f"<br/>{text.coloured(text.plain(numbers.listing(control['clauses'])), 'soft')}"
        if control["clauses"]
        else ""
    )
    waived = (
        f"<br/>{text.plain('Waived')} [{text.refs([control['waiver']])}]"
        if control["waiver"]
        else ""
    )
    return [
        f"{text.bold(control['control'])}<br/>{text.plain(control['sentence'])}{clauses}",
        f"{verdict_mark(control['verdict'])}<br/>{text.plain(mode)}{waived}",
        text.stated(control["reason"]),
        figures_of(control["figures"]),
    ]
