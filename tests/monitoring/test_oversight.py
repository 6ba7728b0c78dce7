"""Human decisions: pseudonyms before anything is kept, counts with no small group alone, honest rates."""

import csv
import io
import json
import math

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Role
from kernel import keys
from kernel.canonical import sha256_hex
from kernel.errors import Conflict, Invalid, Unprocessable
from monitoring import executor, services
from monitoring.engine.checks import oversight as check
from monitoring.engine.checks.oversight import OTHERS, Counts, measure, together
from monitoring.models import CheckRun, ObservationBatch
from monitoring.oversight import pseudonymise
from registry.store import open_blob
from tests import factories
from tests.monitoring import helpers

HEADER = (
    "decision_id,model_output,human_decision,reason_code,seconds,reviewer,outcome,sex,decided_at"
)
LIMIT = {"metric": "override_rate", "op": ">=", "value": 0.05, "bound": "upper"}


def decisions(count=200, *, overrides=20, slow=30.0, fast=1.0, reviewers=2, days=4):
    """A file in which every tenth decision overrides; overriders take their time."""
    lines = [HEADER]
    for index in range(count):
        changed = index < overrides
        output = "deny" if index % 2 else "approve"
        decision = ("approve" if output == "deny" else "deny") if changed else output
        cells = (
            f"case-{index}", output, decision, "new-facts" if changed else "",
            slow if changed else fast, f"Rita {index % reviewers}", decision,
            "FM"[index % 2], f"2026-01-{index % days + 1:02d}T09:30:00Z",
        )  # fmt: skip
        lines.append(",".join(map(str, cells)))
    return ("\n".join(lines) + "\n").encode()


def hidden(data: bytes, pepper: bytes = b"p" * 32, model: str = "m") -> bytes:
    target = io.BytesIO()
    pseudonymise(io.BytesIO(data), target, pepper, model)
    return target.getvalue()


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode())))


def value(result, metric, **about):
    found = next(
        one for one in result.measurements if one.metric == metric and dict(one.slice) == about
    )
    return found.value if found.value is not None else found.undefined_reason


# Pseudonyms


def test_no_id_and_no_name_is_kept():
    kept = hidden(decisions())
    assert b"case-" not in kept
    assert b"Rita" not in kept
    first = table(kept)[0]
    assert len(first["decision"]) == 64
    assert first["reviewer"].startswith("r")
    assert first["decided_at"] == "2026-01-01T09:00:00Z", "to the hour"


def test_a_reviewer_is_one_within_a_model_and_nobody_across_models():
    same = {row["reviewer"] for row in table(hidden(decisions()))}
    assert same == {row["reviewer"] for row in table(hidden(decisions(count=50)))}
    assert not same & {row["reviewer"] for row in table(hidden(decisions(), model="other"))}
    assert not same & {row["reviewer"] for row in table(hidden(decisions(), pepper=b"q" * 32))}


def test_a_senders_own_hmac_is_taken_as_it_is():
    own = sha256_hex(b"case")
    kept = hidden(f"decision_hmac,model_output,human_decision\n{own},yes,no\n".encode())
    assert table(kept) == [{"decision": own, "model_output": "yes", "human_decision": "no"}]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "decision_id and decision_hmac"),
        ("decision_id,decision_hmac,model_output,human_decision\n", "one of the columns"),
        ("decision_id,model_output\n", "no column human_decision"),
        ("decision_id,model_output,human_decision,model_output\n", "twice"),
        ("decision_id,model_output,human_decision,Full Name\n", "slice's column"),
        ("decision_id,model_output,human_decision\na,yes\n", "line 2"),
        ("decision_id,model_output,human_decision\n,yes,no\n", "line 2 has no decision_id"),
        ("decision_id,model_output,human_decision\na,,no\n", "line 2 has no model_output"),
        ("decision_hmac,model_output,human_decision\ncase-1,yes,no\n", "64 lower-case hex"),
        ("decision_id,model_output,human_decision,seconds\na,yes,no,-1\n", "seconds"),
        ("decision_id,model_output,human_decision,seconds\na,yes,no,nan\n", "seconds"),
        ("decision_id,model_output,human_decision,decided_at\na,yes,no,soon\n", "RFC 3339"),
        (f"decision_id,model_output,human_decision\na,{'x' * 101},no\n", "model_output"),
        ('decision_id,model_output,human_decision\na,"yes"x,no\n', "no CSV"),
    ],
)
def test_a_wrong_file_is_told_by_line_and_repeats_no_value(data, says):
    with pytest.raises(Invalid) as caught:
        hidden(data.encode())
    assert caught.value.field == "file"
    assert says in caught.value.detail
    assert "case-1" not in caught.value.detail


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(Invalid, match="UTF-8"):
        hidden(b"decision_id,model_output,human_decision\n\xff\xfe,yes,no\n")


# Counting


def test_small_groups_are_told_together_or_not_at_all():
    assert together({"a": (1, 50), "b": (0, 4), "c": (2, 9)}) == {"a": (1, 50), OTHERS: (2, 13)}
    assert together({"a": (1, 50), "b": (0, 4)}) == {OTHERS: (1, 54)}, "else a difference tells b"
    assert together({"b": (0, 4)}) == {}
    assert together({"a": (1, 50)}) == {"a": (1, 50)}


@given(
    st.dictionaries(
        st.text("abc", min_size=1), st.integers(1, 40).map(lambda n: (n // 2, n)), max_size=8
    )
)
def test_no_group_told_is_small(groups):
    told = together(groups)
    assert all(n >= check.SMALL for _, n in told.values())
    assert sum(n for _, n in told.values()) in (0, sum(n for _, n in groups.values())) or set(
        told
    ) <= set(groups)


def test_rates_have_wilsons_interval_and_small_ones_are_insufficient():
    counts = Counts({("yes", "yes", None): 90, ("yes", "no", None): 10, ("no", "no", None): 5})
    result = measure(counts, {})
    assert value(result, "override_rate") == pytest.approx(10 / 105)
    assert value(result, "agreement_rate") == pytest.approx(95 / 105)
    assert value(result, "override_rate", model_output=OTHERS) == pytest.approx(10 / 105)
    overall = result.measurements[1]
    assert overall.lower < overall.value < overall.upper
    assert value(measure(counts, {"minimum": 200}), "override_rate") == "insufficient"
    assert value(result, "override_rate_when_wrong") == "not_available"
    assert value(result, "fast_decision_rate") == "not_available"


def test_when_the_model_is_wrong_it_is_seen_whether_people_notice():
    counts = Counts({("yes", "no", "no"): 30, ("yes", "yes", "no"): 70, ("yes", "yes", "yes"): 100})
    result = measure(counts, {})
    assert value(result, "override_rate_when_wrong") == pytest.approx(0.3)
    assert value(result, "override_rate_when_right") == 0
    assert value(result, "human_accuracy") == pytest.approx(0.65)
    assert value(result, "model_accuracy_overseen") == pytest.approx(0.5)


def test_seconds_are_interpolated_and_the_open_bin_gives_its_edge():
    bins = [(0, 0)] * len(check.EDGES)
    bins[3] = (0, 100)
    result = measure(Counts({("y", "y", None): 100}, bins=bins), {})
    assert value(result, "decision_seconds_p50") == pytest.approx(7.5)
    bins[3], bins[-1] = (0, 0), (0, 100)
    result = measure(Counts({("y", "y", None): 100}, bins=bins), {})
    assert value(result, "decision_seconds_p90") == check.EDGES[-1]


def test_overriding_less_as_time_goes_by_is_a_change_below_zero():
    days = {"2026-01-01": (20, 100), "2026-01-02": (18, 100), "2026-01-03": (2, 100)}
    counts = Counts({("y", "y", None): 260, ("y", "n", None): 40}, days=days)
    change = next(
        one for one in measure(counts, {}).measurements if one.metric == "override_rate_change"
    )
    assert change.value == pytest.approx(0.02 - 0.19)
    assert change.upper < 0
    assert change.detail["since"] == "2026-01-03"


@given(
    st.dictionaries(
        st.tuples(st.sampled_from("ab"), st.sampled_from("ab"), st.sampled_from(["a", "b", None])),
        st.integers(0, 50),
        max_size=8,
    )
)
def test_every_rate_is_one_or_says_why_not(pairs):
    for one in measure(Counts(pairs), {}).measurements:
        assert (one.value is None) == (one.undefined_reason is not None)
        if one.unit == "rate" and one.value is not None and one.lower is not None:
            assert -1 <= one.lower <= one.value + 1e-12
            assert one.value <= one.upper + 1e-12
            assert math.isfinite(one.value)


# A batch, from its upload to its measurements


@pytest.fixture
def watch(db):
    return helpers.monitor(
        kind="oversight", name="people", limits=[LIMIT], config={"slices": ["sex"]}, min_rows=50
    )


def send(watch, day=0, data=None, **fields):
    return helpers.batch(watch, day, data=data or decisions(), kind="oversight", **fields)


def test_a_batch_is_measured_and_nothing_of_it_was_kept_in_clear(watch, settings):
    sent = decisions()
    batch = send(watch, data=sent)
    assert (batch.kind, batch.sent_digest) == ("oversight", sha256_hex(sent))
    with open_blob(batch.blob_id) as stored:
        assert b"Rita" not in stored.read()
    run = executor.execute(CheckRun.objects.get(batch=batch).pk, beat=None)
    assert (run.state, run.grade, run.rows) == ("succeeded", "recomputed", 200), run.error
    found = {(one.metric, json.dumps(one.slice)): one.value for one in run.measurements.all()}
    assert found["override_rate", "{}"] == pytest.approx(0.1)
    assert found["decisions", "{}"] == 200
    assert found["override_rate", '{"sex": "F"}'] == pytest.approx(0.1)
    assert found["fast_decision_rate", "{}"] == pytest.approx(0.9)
    assert found["override_rate_speed_gap", "{}"] == pytest.approx(1.0)
    assert found["reason_missing_rate", "{}"] == 0
    assert found["reviewers", "{}"] == 2
    assert run.window.state == "judged"
    leftover = [one for one in settings.COUNTERSIGN.data_dir.iterdir() if one.is_file()]
    assert not any(b"Rita" in one.read_bytes() for one in leftover)


def test_the_same_batch_again_is_one_batch_and_other_decisions_are_another(watch):
    first = send(watch)
    assert send(watch) == first
    assert ObservationBatch.objects.count() == 1
    with pytest.raises(Conflict):
        send(watch, data=decisions(overrides=21))
    keys.ring().rotate("pepper")
    assert send(watch) == first, "the digest of what was sent tells, whatever the pepper"


REVISED = [
    "case-1,approve,deny,,5,Rita,,2026-01-02T09:10:00Z",
    "case-1,approve,approve,,5,Rita,,2026-01-02T09:40:00Z",
    "case-1,approve,deny,,5,Rita,,2026-01-01T09:00:00Z",
    "case-1,approve,deny,,5,Rita,,",
    *(f"other-{n},deny,deny,,5,Rita,,2026-01-01T09:00:00Z" for n in range(19)),
]
DATED = "decision_id,model_output,human_decision,reason_code,seconds,reviewer,day,decided_at"


def counted(watch, lines, header=DATED):
    data = "\n".join([f"{header},sex", *(f"{line},F" for line in lines), ""])
    batch = send(watch, data=data.encode())
    run = executor.execute(CheckRun.objects.get(batch=batch).pk, beat=None)
    assert run.state == "succeeded", run.error
    found = {(one.metric, json.dumps(one.slice)): one.value for one in run.measurements.all()}
    return found, [one for one in run.notes if one["code"] == "decision_repeated"]


def test_a_decision_counts_once_by_its_last_row(watch):
    """The latest of decided_at, which is kept to the hour, and of one hour the last in the file."""
    found, notes = counted(watch, REVISED)
    assert found["decisions", "{}"] == 20
    assert found["override_rate", "{}"] == 0
    assert [(one["counts"]["repeated"], one["finding"]) for one in notes] == [(3, True)]


def test_without_times_the_last_row_of_a_decision_counts(watch):
    header = "decision_id,model_output,human_decision"
    rows = [f"case-{n % 20},yes,{'yes' if n < 20 else 'no'}" for n in range(40)]
    found, _ = counted(watch, rows, header)
    assert (found["decisions", "{}"], found["override_rate", "{}"]) == (20, 1)


def test_fifty_rows_of_one_decision_are_one_decision(watch):
    rows = ["case,deny,deny"] * 50
    found, notes = counted(watch, rows, "decision_id,model_output,human_decision")
    assert found["decisions", "{}"] == 1
    assert found["override_rate", "{}"] is None
    assert notes[0]["counts"]["repeated"] == 49


def test_digests_and_types_of_what_was_sent_are_checked(watch):
    assert send(watch, digest=sha256_hex(decisions()))
    with pytest.raises(Unprocessable) as caught:
        send(watch, 1, digest="0" * 64)
    assert caught.value.field == "digest"
    with pytest.raises(Unprocessable) as caught:
        send(watch, 1, media_type="application/vnd.apache.parquet")
    assert caught.value.field == "media_type"
    assert ObservationBatch.objects.count() == 1


def test_monitors_look_at_batches_of_their_kind_alone(watch):
    accuracy = helpers.monitor(watch.version, environment=watch.environment)
    data = helpers.batch(accuracy, 5)
    people = send(watch)
    assert [run.monitor for run in data.runs.all()] == [accuracy]
    assert [run.monitor for run in people.runs.all()] == [watch]
    with pytest.raises(Invalid) as caught:
        services.evaluate_monitor(watch, data, actor=helpers.SYSTEM)
    assert caught.value.field == "batch"


def test_people_who_stop_overriding_open_a_breach(watch):
    batch = send(watch, data=decisions(overrides=0))
    executor.execute(CheckRun.objects.get(batch=batch).pk, beat=None)
    (breach,) = watch.breaches.all()
    assert breach.metric == "override_rate"


def test_it_is_never_asked_of_the_server_to_do_the_people_over(watch):
    with pytest.raises(Invalid) as caught:
        helpers.monitor(
            watch.version, kind="oversight", limits=[LIMIT], config={"grade": "re-performed"}
        )
    assert caught.value.field == "config.grade"


def test_a_dataset_of_decisions_in_clear_is_refused_by_the_check(db):
    actor = factories.actor_of(factories.make_user(None, Role.DEVELOPER))
    clear = b"decision,model_output,human_decision\ncase-1,yes,no\n"
    run = services.request_check(
        helpers.version(), "oversight", dataset=helpers.dataset(clear), actor=actor
    )
    done = executor.execute(run.pk, beat=None)
    assert done.state == "failed"
    assert "HMAC-SHA256" in done.error


@pytest.mark.parametrize(("role", "status"), [(Role.OPERATOR, 201), (Role.AUDITOR, 403)])
def test_decisions_come_by_the_same_route(watch, client, role, status):
    form = {
        "model": watch.version.model.name,
        "version": str(watch.version.number),
        "environment": watch.environment.name,
        "batch_id": "week-1",
        "kind": "oversight",
        "window_start": "2026-01-01T00:00:00Z",
        "window_end": "2026-01-08T00:00:00Z",
        "file": SimpleUploadedFile("decisions.csv", decisions(), content_type="text/csv"),
    }
    asker = factories.bearer(factories.make_user(None, role))
    answer = client.post("/api/v1/observations/", form, headers=asker)
    assert answer.status_code == status, answer.content
    if status == 201:
        assert answer.json()["kind"] == "oversight"
        assert answer.json()["sent_digest"] == sha256_hex(decisions())
        assert len(answer.json()["runs"]) == 1
    else:
        assert not ObservationBatch.objects.exists()
        assert helpers.entries("audit.write.refused")
