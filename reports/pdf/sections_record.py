"""What was decided and by whom, what changed, what cannot be shown, and how to verify all of it."""

from collections.abc import Iterator

from reportlab.platypus import Flowable, PageBreak

from reports.bundle_schema import ReportBundle
from reports.pdf import fonts, text
from reports.pdf.figures import qr
from reports.pdf.sections_front import verify_target
from reports.pdf.tables import frame, grid, pairs
from reports.pdf.words import instant


def approvals(bundle: ReportBundle) -> Iterator[Flowable]:
    yield text.heading("Validation, approvals and sign-off", "approvals")
    standing, dossier = bundle["standing"], bundle["dossier"]
    yield pairs(
        [
            ("Standing at the cut-off", text.bold(standing["state"].replace("_", " "))),
            ("Reason", text.stated(standing["reason"])),
            (
                "Dossier SHA-256",
                text.mono(dossier["digest"]) + f" [{text.refs([dossier['ref']])}]"
                if dossier
                else text.stated(""),
            ),
            ("Dossier frozen", text.stated(instant(dossier["frozen_at"]) if dossier else "")),
        ]
    )
    yield text.heading("Validation", "validation", level=2)
    if not bundle["validations"]:
        yield text.paragraph(text.stated(""))
    for v in bundle["validations"]:
        yield pairs(
            [
                ("Rating", f"{text.bold(v['rating'].replace('_', ' '))} [{text.refs([v['ref']])}]"),
                ("Validator", text.plain(f"{v['by']}, {instant(v['at'])}")),
                ("Scope", text.stated(v["scope"])),
                ("Conclusion", text.stated(v["conclusion"])),
                ("Limitations", text.stated(v["limitations"])),
                ("Findings", text.refs(v["findings"]) if v["findings"] else text.plain("none")),
            ]
        )
    yield from _signatures(bundle)
    yield from _approvals(bundle)
    yield from _waivers(bundle)
    yield from _findings(bundle)


def _signatures(bundle: ReportBundle) -> Iterator[Flowable]:
    yield text.heading("Signatures", "signatures", level=2)
    rows = [
        [
            f"{text.bold(s['name'])}<br/>{text.plain(s['role'].replace('_', ' '))}",
            f"{text.plain(s['decision'])}<br/>{text.plain('meaning: ' + s['meaning'])}",
            f"{text.plain(instant(s['at']))}<br/>{text.plain('by ' + s['method'])}",
            f"{text.mono(s['signed_digest'])}<br/>{text.stated(s['reason'])}",
            text.refs([s["ref"]]),
        ]
        for s in bundle["signatures"]
    ]
    if not rows:
        yield text.paragraph(text.stated(""))
        return
    yield from grid(
        (
            "Name and role",
            "Decision",
            "Time (UTC) and method",
            "Signed SHA-256 and reason",
            "Evidence",
        ),
        rows,
        (0.2, 0.15, 0.2, 0.36, 0.09),
    )
    yield text.paragraph(
        text.plain(
            "Each signature followed a fresh re-authentication of that person, bound to the digest "
            "that was signed: the dossier, the use, the environment, the policy revision and the "
            "results of its controls."
        ),
        text.SMALL,
    )


def _approvals(bundle: ReportBundle) -> Iterator[Flowable]:
    yield text.heading("Approvals", "granted", level=2)
    rows = [
        [
            text.bold("conditional" if a["conditional"] else "approved")
            + f"<br/>{text.plain(a['use'] + ' in ' + a['environment'])}",
            text.plain(f"{a['revision']}, under policy revision {a['policy_revision']}"),
            f"{text.plain(instant(a['granted_at']))}<br/>{text.plain('to ' + (instant(a['valid_until']) or 'no date'))}",
            text.plain(
                "counted at the cut-off" if a["in_force"] else f"did not count: {a['ended']}"
            )
            + "".join(f"<br/>{text.plain('• ' + c)}" for c in a["conditions"]),
            text.refs([a["ref"]]),
        ]
        for a in bundle["approvals"]
    ]
    if rows:
        yield from grid(
            ("Approval", "Revision", "Granted, valid", "Effect and conditions", "Evidence"),
            rows,
            (0.2, 0.18, 0.22, 0.31, 0.09),
        )
    else:
        yield text.paragraph(text.plain("None on record at the cut-off."))


def _waivers(bundle: ReportBundle) -> Iterator[Flowable]:
    yield text.heading("Waivers", "waivers", level=2)
    rows = [
        [
            text.bold(", ".join(w["controls"])),
            text.plain(w["reason"])
            + f"<br/>{text.plain('Compensating: ')}{text.stated(w['compensating'])}",
            text.plain(f"{w['requested_by']}, seconded by {w['seconded_by'] or 'nobody'}"),
            text.plain(f"{instant(w['since'])} to {instant(w['until'])}"),
            text.refs([w["ref"]]),
        ]
        for w in bundle["waivers"]
    ]
    if rows:
        yield from grid(
            ("Controls", "Reason", "People", "Time", "Evidence"),
            rows,
            (0.18, 0.36, 0.19, 0.18, 0.09),
        )
    else:
        yield text.paragraph(text.plain("None on record at the cut-off."))


def _findings(bundle: ReportBundle) -> Iterator[Flowable]:
    yield text.heading("Findings", "findings", level=2)
    rows = [
        [
            text.plain(f["title"]),
            text.plain(f["severity"]),
            text.plain(f["state"]),
            text.stated(f["owner"]),
            text.stated(instant(f["due"])),
            text.refs([f["ref"]]),
        ]
        for f in bundle["findings"]
    ]
    if rows:
        yield from grid(
            ("Finding", "Severity", "State", "Owner", "Due", "Evidence"),
            rows,
            (0.36, 0.1, 0.1, 0.15, 0.2, 0.09),
        )
    else:
        yield text.paragraph(text.plain("None on record at the cut-off."))


def history(bundle: ReportBundle) -> Iterator[Flowable]:
    older = bundle["left_out"]["changes"]
    yield text.heading("Change history", "history")
    if not bundle["changes"]:
        yield text.paragraph(text.stated(""))
        return
    yield text.paragraph(
        text.plain(
            "From the audit log, oldest first; each line is one entry of it."
            + (f" {older} older lines are in the log." if older else "")
        )
    )
    rows = [
        [
            text.plain(instant(c["at"])),
            text.plain(c["what"]),
            text.stated(c["by"]),
            text.mono(c["entry"]),
        ]
        for c in bundle["changes"]
    ]
    yield from grid(
        ("Time", "What", "By", "Audit entry"), rows, (0.14, 0.36, 0.16, 0.34), row_heads=False
    )


_ALWAYS = (
    "It cannot show that the evidence is complete: only that what is listed was recorded, when, and "
    "has not changed since.",
    "It cannot show that a person understood what they signed, or that statements by people are true.",
    "Figures hold for the datasets named, at their dates; they say nothing about other people or times.",
    "The seal shows that this installation issued the file. It does not vouch for the installation; "
    "the log's witnesses and the verification steps do.",
)


def limitations(bundle: ReportBundle) -> Iterator[Flowable]:
    yield text.heading("Limitations, and what this report cannot show", "limitations")
    found = bundle["summary"]["limitations"]
    if found:
        yield text.heading("From the facts", "limits-facts", level=2)
        yield from text.bullets(
            text.plain(s["text"]) + (f" [{text.refs(s['refs'])}]" if s["refs"] else "")
            for s in found
        )
    stated = [v for v in bundle["validations"] if v["limitations"]]
    if stated:
        yield text.heading("Stated by the validator", "limits-stated", level=2)
        yield from text.bullets(
            f"{text.plain(v['limitations'])} [{text.refs([v['ref']])}]" for v in stated
        )
    yield text.heading("Of any such report", "limits-always", level=2)
    yield from text.bullets(map(text.plain, _ALWAYS))


def evidence(bundle: ReportBundle) -> Iterator[Flowable]:
    yield text.heading("Evidence index", "evidence")
    yield text.paragraph(
        text.plain(
            "Every number of this report points here. The id and the audit entry are those of the register."
        )
    )
    rows = [
        [
            f'<a name="{e["ref"]}"/>{text.bold(e["ref"])}',
            f"{text.bold(e['kind'])}<br/>{text.plain(e['title'])}",
            f"{text.mono(e['sha256']) if e['sha256'] else text.plain('recorded fact, held by its audit entry')}",
            f"{text.plain(instant(e['at']))}<br/>{text.stated(e['by'])}",
            f"{text.mono(e['id'])}<br/>{text.mono(e['entry'])}",
        ]
        for e in bundle["evidence"]
    ]
    yield from grid(
        ("Id", "Kind and title", "SHA-256", "When, by", "Record id, audit entry"),
        rows,
        (0.06, 0.165, 0.3, 0.135, 0.34),
    )


def verification(
    bundle: ReportBundle, digest: str, proof: str | None, template: str
) -> Iterator[Flowable]:
    report, log = bundle["report"], bundle["log"]
    yield PageBreak()
    yield text.heading("How to verify this report", "verification")
    yield text.paragraph(
        text.plain(
            "Anybody who holds this file can check it without an account and without trusting the "
            "installation that issued it. Nothing but the file is needed for the first three steps."
        )
    )
    yield frame(
        [[[qr(verify_target(bundle, digest), 100)], [_identities(bundle, digest, template)]]],
        (0.22, 0.78),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    )
    steps = (
        (
            "Open it in a PDF reader that checks signatures.",
            "The seal is valid and the document has not been changed since it was sealed.",
        ),
        (
            "Detach bundle.json and compute its SHA-256.",
            "Exactly the bundle's SHA-256 printed above.",
        ),
        (
            "Run: countersign verify <this file>.",
            "The seal is intact over the whole file, and the attachment has the SHA-256 printed "
            "above. It works offline; told whose seal to expect, it says whether it is theirs.",
        ),
        (
            "Open the address in the code.",
            "The register shows the same digest, and whether this report was replaced since. "
            "It shows nothing about the model.",
        ),
    )
    rows = [
        [text.bold(f"{n}"), text.plain(step), text.plain(expected)]
        for n, (step, expected) in enumerate(steps, 1)
    ]
    yield from grid(("Step", "What to do", "What to expect"), rows, (0.08, 0.4, 0.52))
    yield text.heading("The log", "log", level=2)
    if log is None:
        yield text.paragraph(
            text.plain("No checkpoint was available when the facts were frozen: ") + text.stated("")
        )
    else:
        yield pairs(
            [
                ("Origin", text.plain(log["origin"])),
                ("Entries", text.plain(f"{log['size']}") + f" [{text.refs([log['ref']])}]"),
                ("Root", text.mono(log["root"])),
            ],
            share=0.2,
        )
        yield text.paragraph(_note(log["checkpoint"]), text.CODE)
    yield text.paragraph(
        text.plain(
            "The digest of this bundle is itself an entry of the log; the proof of its inclusion is "
            "attached as bundle.tlog-proof."
            if proof
            else "The log had not yet given a proof of inclusion when this file was made; the register "
            f"at {report['verify_url']} has it."
        )
    )


def _identities(bundle: ReportBundle, digest: str, template: str) -> Flowable:
    report = bundle["report"]
    rows = [
        ("Report id", text.mono(report["id"])),
        ("Bundle SHA-256", text.mono(digest)),
        ("Register", text.plain(verify_target(bundle, digest))),
        (
            "Replaces",
            text.mono(report["supersedes"])
            if report["supersedes"]
            else text.plain("no earlier report"),
        ),
        ("Template", text.plain(template)),
    ]
    return pairs(rows, share=0.22, width=376)


def _note(checkpoint: str) -> str:
    return text.plain(checkpoint.strip(), fonts.MONO)
