"""The story, step by step. Each step says what must come of it, and ends the story if it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from countersign_client.manifest import sha256_of

from demo import data, evidence, manifests, train
from demo.manifests import MODEL
from demo.receiver import Receiver
from demo.screen import Teller
from demo.stage import Stage
from kernel.moments import now

PRODUCTION = "production"


@dataclass
class Story:
    stage: Stage
    teller: Teller
    receiver: Receiver
    files: Mapping[str, data.MadeFile] = field(default_factory=dict)
    first: train.TrainedModel | None = None
    second: train.TrainedModel | None = None
    ended: dict[str, str] = field(default_factory=dict)
    """The one figure of each monitor's run that is over, by its id."""

    def play(self) -> None:
        """Play all steps. Raises `StoryFailed` at the first one that does not end as told."""
        self.register_first()
        self.check_first()
        self.mitigate()
        self.approve_second()
        self.lapse()
        self.drift_away()
        self.hand_over()

    def register_first(self) -> None:
        teller = self.teller
        teller.step("1  An ML engineer trains and registers a model that screens for income")
        self.files = data.make(self.stage.folder / "datasets")
        teller.tell(
            f"census, adults: {self.files['train_1994'].rows:,} rows of 1994 to train, "
            f"{self.files['validation_1994'].rows:,} to validate, "
            f"{self.files['production_1995'].rows:,} of 1995"
        )
        self.first = train.train_first(self.files["train_1994"].path, self.stage.folder / "models")
        manifest = manifests.write(
            self.stage.folder,
            self.first,
            self.files,
            label="plain",
            description="Gradient boosting; sex, race and origin are no inputs.",
            commit="3f1c9a7e5b2d4860917f0c2a6d8e4b1359c7a0d2",
            parent=None,
            claims=train.claims_on(self.first, self.files["validation_1994"].path),
        )
        self.stage.command("ada", "register", str(manifest))
        version = self._version(1)
        teller.expect(
            version["artifact_digest"] == self.first.digest, "version 1 is registered by its digest"
        )

    def check_first(self) -> None:
        teller = self.teller
        teller.step("2  The server checks version 1 itself; the gate is asked, and denies")
        self._check(1)
        gap = self._show_measurements(1)
        teller.expect(
            gap["value"] is not None and abs(gap["value"]) > 0.10, "the gap by sex is over 0.10"
        )
        teller.expect(
            gap["grade"] == "re-performed", "the server scored the pinned artifact itself"
        )
        assert self.first is not None
        decision = self._enforce(self.first.digest, expect=403)
        reason = next(
            one for one in decision["reasons"] if one["control"] == "equal-opportunity-by-sex"
        )
        teller.tell(f"{reason['status']}: {reason['sentence']} {reason['reason']}")
        teller.expect(
            reason["status"] == "fail", "enforce answers 403, naming the control and its numbers"
        )
        by_race = next(
            one for one in decision["reasons"] if one["control"] == "equal-opportunity-by-race"
        )
        teller.tell(f"{by_race['mode']} {by_race['status']}: {by_race['reason']}")
        teller.expect(by_race["mode"] == "warn", "by race it is reported, not blocking")

    def mitigate(self) -> None:
        teller = self.teller
        teller.step(
            "3a Version 2: Fairlearn's grid search, one deterministic member, no sensitive input"
        )
        self.second = train.train_second(
            self.files["train_1994"].path,
            self.stage.folder / "models",
            lambda share, text: teller.tell(text),
        )
        teller.tell(f"member {self.second.notes['chosen']} of {train.GRID['grid_size']} is taken")
        manifest = manifests.write(
            self.stage.folder,
            self.second,
            self.files,
            label="mitigated",
            description="One member of a grid search under parity of true positive rates by sex.",
            commit="a90b7d1f4c3e62588e0d9b7f1a2c3d4e5f607182",
            parent=1,
            claims=train.claims_on(self.second, self.files["validation_1994"].path),
        )
        self.stage.command("ada", "register", str(manifest))
        self._check(2)
        gap = self._show_measurements(2)
        teller.expect(
            gap["upper"] is not None and max(abs(gap["lower"]), abs(gap["upper"])) <= 0.10,
            "the whole 95 % interval of the gap by sex lies within 0.10",
        )

    def approve_second(self) -> None:
        teller = self.teller
        teller.step("3b It is submitted, validated and signed; its author may not sign")
        review = self._submit()
        refusal = self.stage.refused(
            lambda: self.stage.sign("ada", review, meaning="approval", reason="It is mine.")
        )
        teller.expect(
            refusal.status == 403 and "author" in str(refusal.problem["detail"]),
            f"Ada is refused: {refusal.problem['detail']}",
        )
        self._validate_and_sign(review)
        key = self._key()
        attestation = self.stage.folder / "attestation.json"
        assert self.second is not None
        self.stage.command(
            "pipeline", "gate", "--environment", PRODUCTION, "--artifact", str(self.second.path),
            "--key", str(key), "--out", str(attestation), "--run-id", "4711",
        )  # fmt: skip
        teller.expect(True, "the gate allows, with a signed attestation")
        self.stage.command(
            "pipeline", "verify", str(attestation), "--key", str(key),
            "--artifact", str(self.second.path), "--environment", PRODUCTION,
        )  # fmt: skip
        teller.expect(True, "the attestation verifies offline")
        self.stage.command(
            "pipeline", "deployed", "--model", MODEL, "--version", "2", "--environment", PRODUCTION,
            "--decision", self._newest_allow(),
        )  # fmt: skip
        live = self.stage.as_("iris").get("deployments/", model=MODEL)["results"]
        teller.expect(
            live[0]["version"] == 2 and live[0]["live_until"] is None, "the deployment is on record"
        )

    def lapse(self) -> None:
        teller = self.teller
        teller.step("4  One changed byte, new evidence, a reopened version")
        assert self.second is not None
        changed = self.stage.folder / "changed.json"
        content = bytearray(self.second.path.read_bytes())
        content[len(content) // 2] ^= 1
        changed.write_bytes(bytes(content))
        decision = self._enforce(sha256_of(changed), expect=403)
        teller.tell(decision["summary"])
        teller.expect(
            decision["version"] is None, "with one byte changed it belongs to no version: denied"
        )
        note = self.stage.folder / "model-card.md"
        note.write_text("# Income screening\n\nHow applicants are told about the estimate.\n")
        self.stage.command(
            "ada", "evidence", "--model", MODEL, "--version", "2", "--kind", "document", str(note)
        )
        self._enforce(self.second.digest, expect=200)
        teller.expect(True, "new evidence is an addendum: still allowed")
        self.stage.as_("omar").post(
            f"models/{MODEL}/versions/2/reopen/",
            {"reason": "The purpose statement needs a second look."},
        )
        decision = self._enforce(self.second.digest, expect=403)
        teller.expect(decision["standing"] == "lapsed", "reopened: the approval lapsed, denied")
        self._validate_and_sign(self._submit())
        self._enforce(self.second.digest, expect=200)
        teller.expect(True, "approved anew: allowed")

    def drift_away(self) -> None:
        teller = self.teller
        teller.step("5  1995 arrives month by month; the monitor finds the breach")
        breach = None
        for month in range(1, len(data.SHIFTED_SHARES) + 1):
            batch = self.files[f"batch_1995_{month:02d}"]
            row = self._send(month, batch)
            run = self.stage.until(
                f"the monitor's run on month {month}", partial(self._monitored, row)
            )
            teller.tell(f"1995-{month:02d}: {batch.rows:,} rows, {run}")
            breaches = self.stage.as_("rolf").get("breaches/", model=MODEL)["results"]
            if breaches:
                breach = breaches[0]
                break
        teller.expect(breach is not None, "the monitor found a breach")
        assert breach is not None
        assert self.second is not None
        teller.tell(f"breach: {_breach(breach)}")
        decision = self._enforce(self.second.digest, expect=403)
        teller.expect(
            decision["decision"] == "deny", f"the gate denies at once: {decision['standing']}"
        )
        self._loop()
        for later in range(month + 1, len(data.SHIFTED_SHARES) + 1):
            self._send(later, self.files[f"batch_1995_{later:02d}"])
        teller.tell("the remaining months of 1995 are sent as well")
        self._look_back()

    def _look_back(self) -> None:
        """How often would a stricter monitor have acted, had there been one?"""
        vera = self.stage.as_("vera")
        asked = vera.post(
            "monitors/backtests/",
            {
                "model": MODEL,
                "version": 2,
                "environment": PRODUCTION,
                "name": "stricter-accuracy",
                "kind": "performance",
                "limits": [{"metric": "accuracy", "op": ">=", "value": 0.93}],
                "min_rows": 300,
                "consecutive": 2,
                "since": "1995-01-01T00:00:00Z",
                "until": "1996-01-01T00:00:00Z",
            },
        )
        path = f"monitors/backtests/{asked['id']}/"
        self.stage.until("the backtest", lambda: vera.get(path)["state"] != "running")
        result = vera.get(path)["result"]
        self.teller.expect(
            result["judged"] == len(data.SHIFTED_SHARES),
            f"backtest: an accuracy under 0.93 twice in a row {result['summary']}",
        )

    def _loop(self) -> None:
        teller, rolf = self.teller, self.stage.as_("rolf")
        suspension = self.stage.until(
            "the suspension", lambda: rolf.get("suspensions/", model=MODEL)["results"]
        )
        teller.expect(suspension[0]["until"] is None, "version 2 is suspended")
        incident = self.stage.until(
            "the incident", lambda: rolf.get("incidents/", model=MODEL)["results"]
        )
        teller.expect(
            incident[0]["state"] == "suspected",
            "an incident is suspected, until a person signs its class",
        )
        wanted = {
            "monitoring.breach.opened",
            "governance.suspension.started",
            "governance.retraining.requested",
        }
        self.stage.until("the webhooks", lambda: wanted <= set(self.receiver.types()))
        teller.expect(
            self.receiver.refused == 0,
            "the receiver got signed webhooks: breach, suspension, retraining request",
        )

    def hand_over(self) -> None:
        teller = self.teller
        teller.step(
            "6  A signed report; the log exported and verified; one row altered behind our back"
        )
        pdf = self.stage.folder / f"{MODEL}-2.pdf"
        self.stage.command(
            "iris",
            "report",
            "--model",
            MODEL,
            "--version",
            "2",
            "--environment",
            PRODUCTION,
            "--out",
            str(pdf),
        )
        seal = self.stage.folder / "seal.pem"
        seal.write_text(evidence.seal_certificate())
        self.stage.command("iris", "verify", str(pdf), "--seal", str(seal))
        teller.expect(True, "the report's seal and attachment verify")
        export, vkey = evidence.export_log(self.stage.folder)
        self.stage.command("iris", "verify", str(export), "--vkey", str(vkey))
        teller.expect(True, "the exported log verifies offline")
        finding, altered = evidence.verify_altered(self.stage.folder)
        teller.tell(finding)
        teller.expect(altered in finding, f"the verification names the altered entry {altered}")

    def _version(self, number: int) -> dict[str, Any]:
        return dict(self.stage.as_("iris").get(f"models/{MODEL}/versions/{number}/"))

    def _check(self, number: int) -> None:
        model = self.first if number == 1 else self.second
        assert model is not None
        manifest = self.stage.folder / f"{model.path.stem}.toml"
        self.stage.command("ada", "check", "--manifest", str(manifest), "--version", str(number))

    def _show_measurements(self, number: int) -> dict[str, Any]:
        """Print the main figures and return the equal-opportunity difference by sex."""
        session = self.stage.as_("iris")
        runs = session.get(f"models/{MODEL}/versions/{number}/checks/")["results"]
        found: dict[str, dict[str, Any]] = {}
        for run in runs:
            for one in session.get(f"check-runs/{run['id']}/")["measurements"]:
                if one["attribute"] or not one["slice"]:
                    found.setdefault(f"{one['metric']} {one['attribute']}".strip(), one)
        for name in (
            "accuracy",
            "auc",
            "equal_opportunity_difference sex",
            "equal_opportunity_difference race",
        ):
            if name in found:
                self.teller.tell(f"{name}: {_figure(found[name])}")
        return found["equal_opportunity_difference sex"]

    def _enforce(self, digest: str, *, expect: int) -> dict[str, Any]:
        question = {"digest": digest, "model": MODEL, "environment": PRODUCTION}
        session = self.stage.as_("pipeline")
        if expect == 200:
            return dict(session.post("gate/enforce/", question))
        answer = self.stage.refused(lambda: session.post("gate/enforce/", question))
        self.teller.expect(answer.status == expect, f"enforce answers {answer.status}")
        return answer.problem

    def _submit(self) -> dict[str, Any]:
        self.stage.command(
            "ada", "submit", "--model", MODEL, "--version", "2", "--environment", PRODUCTION,
            "--note", "Mitigated; all blocking controls pass but those that need reviewers.",
        )  # fmt: skip
        queue = self.stage.as_("vera").get("reviews/", state="open", model=MODEL)["results"]
        return dict(self.stage.as_("vera").get(f"reviews/{queue[0]['id']}/"))

    def _validate_and_sign(self, review: dict[str, Any]) -> None:
        self.stage.as_("vera").post(
            f"reviews/{review['id']}/validations/",
            {
                "scope": "Conceptual soundness, data, performance, fairness by sex and race.",
                "rating": "satisfactory_with_findings",
                "conclusion": "Fit for pre-qualification. Small groups by race cannot be judged.",
                "limitations": "Income of 1994; groups under the minimum count are insufficient.",
                "findings": [
                    {
                        "title": "Small groups by race",
                        "detail": "Collect enough people to judge the groups that are insufficient.",
                        "severity": "medium",
                        "owner": "omar",
                        "due_at": str(now().date() + timedelta(days=90)),
                    }
                ],
            },
        )
        review = dict(self.stage.as_("vera").get(f"reviews/{review['id']}/"))
        self.stage.sign("vera", review, meaning="review", reason="I re-read every figure.")
        done = self.stage.sign("rolf", review, meaning="approval", reason="Within appetite.")
        self.teller.tell("Vera (validator) and Rolf (risk officer) signed, each re-authenticating")
        review = dict(self.stage.as_("rolf").get(f"reviews/{review['id']}/"))
        self.teller.expect(
            review["state"] == "approved", f"approved, signed digest {done['signed_digest'][:16]}…"
        )

    def _key(self) -> Path:
        path = self.stage.folder / "gate.pem"
        self.stage.as_("pipeline").download("/.well-known/countersign/attestation.pem", path)
        return path

    def _newest_allow(self) -> str:
        decisions = self.stage.as_("iris").get("gate/decisions/", model=MODEL)["results"]
        return str(next(one["id"] for one in decisions if one["decision"] == "allow"))

    def _send(self, month: int, batch: data.MadeFile) -> dict[str, Any]:
        end = f"1995-{month + 1:02d}-01" if month < 12 else "1996-01-01"
        fields = {
            "model": MODEL,
            "version": "2",
            "environment": PRODUCTION,
            "batch_id": f"1995-{month:02d}",
            "window_start": f"1995-{month:02d}-01T00:00:00Z",
            "window_end": f"{end}T00:00:00Z",
            "digest": batch.digest,
        }
        return dict(
            self.stage.as_("pipeline").upload("observations/", fields, {"file": batch.path})
        )

    def _monitored(self, batch: dict[str, Any]) -> str:
        """What the monitors measured on a batch, once all of them have."""
        rolf = self.stage.as_("rolf")
        ids = rolf.get(f"observations/{batch['id']}/")["runs"]
        for one in ids:
            if one not in self.ended:
                run = rolf.get(f"check-runs/{one}/")
                if run["state"] in {"queued", "running"}:
                    return ""
                self.ended[one] = _headline(run)
        if len(ids) < self._monitors():
            return ""
        return "; ".join(sorted(self.ended[one] for one in ids))

    def _monitors(self) -> int:
        rows = self.stage.as_("rolf").get("monitors/", model=MODEL)["results"]
        return sum(1 for row in rows if row["until"] is None)


def _breach(row: Mapping[str, Any]) -> str:
    limit, measured = row["detail"]["limit"], row["detail"].get("value")
    return f"{row['metric']} is {measured:.3f}, and the limit is {limit['op']} {limit['value']}"


HEADLINES = {
    "performance": ("accuracy", ""),
    "fairness": ("equal_opportunity_difference", "sex"),
    "drift": ("psi_deciles", "feature"),
}


def _headline(run: Mapping[str, Any]) -> str:
    """The one figure of a monitor's run that the story prints."""
    if run["state"] != "succeeded":
        return f"{run['kind']} {run['state']}: {run['error']}"
    metric, attribute = HEADLINES[run["kind"]]
    for one in run["measurements"]:
        overall = one["attribute"] == attribute and (attribute or not one["slice"])
        if one["metric"] == metric and overall and one["value"] is not None:
            interval = (
                f" ({one['lower']:.3f} to {one['upper']:.3f})" if one["lower"] is not None else ""
            )
            largest = one["detail"].get("feature", "") if metric == "psi_deciles" else ""
            return f"{metric.replace('_', ' ')} {largest} {one['value']:.3f}{interval}".replace(
                "  ", " "
            )
    return f"{run['kind']}: {metric} undefined"


def _figure(one: Mapping[str, Any]) -> str:
    if one["value"] is None:
        return f"undefined ({one['undefined']})"
    interval = ""
    if one["lower"] is not None:
        interval = f", {one['level']:.0%} interval {one['lower']:.4f} to {one['upper']:.4f}"
    return f"{one['value']:.4f}{interval}, n {one['n']:,}, {one['grade']}"
