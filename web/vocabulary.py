"""How a word of the record looks on a page: its label, its tone and its mark. Pure.

A tone is never shown alone: the word and the mark say the same, for those who see no colour.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from monitoring import metrics

Tone = Literal["good", "bad", "caution", "active", "quiet"]

_TONES: Final[dict[Tone, str]] = {
    "good": (
        "pass passed allow approved succeeded satisfactory supported closed resolved live ok "
        "granted delivered issued"
    ),
    "bad": (
        "fail failed deny denied revoked suspended rejected reject unsatisfactory breach confirmed "
        "critical high not_supported error stop"
    ),
    "caution": (
        "insufficient warn pending conditional expired lapsed waived suspected medium "
        "satisfactory_with_findings grandfathered late fall_back "
        "proxied unsigned"
    ),
    "active": "open queued running approve enforce champion requested frozen measured in_force",
    "quiet": (
        "retired withdrawn superseded cancelled not_approved dismissed observe low ended inactive "
        "not_applicable no_new_deployment not_collected"
    ),
}
_TONE_OF: Final[dict[str, Tone]] = {
    word: tone for tone, words in _TONES.items() for word in words.split()
}
_MARK_OF_TONE: Final[dict[Tone, str]] = {
    "good": "check",
    "bad": "cross",
    "caution": "alert",
    "active": "dot",
    "quiet": "dash",
}
_MARK_OF_WORD: Final[dict[str, str]] = {
    "insufficient": "question",
    "pending": "clock",
    "queued": "clock",
    "requested": "clock",
    "expired": "clock",
    "running": "turning",
    "frozen": "turning",
    "suspended": "pause",
    "approve": "check",
}
_NAMES: Final[dict[str, str]] = {
    "xgboost_json": "XGBoost JSON",
    "xgboost_ubj": "XGBoost UBJ",
    "lightgbm": "LightGBM text",
    "onnx": "ONNX",
}


def key(word: object) -> str:
    return str(word).strip().lower().replace(" ", "_").replace("-", "_")


def label(word: object) -> str:
    """`not_approved` as `Not approved`."""
    words = plain(word)
    return words[:1].upper() + words[1:]


def plain(word: object) -> str:
    """`data_quality` as `data quality`; a metric as it is called everywhere."""
    text = str(word)
    return _NAMES.get(text) or metrics.spoken(text.lower() if text.isupper() else text)


def moment(at: datetime) -> str:
    """An instant as pages print it: `20 Nov 2026, 15:52 UTC`."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def between(slice_: Mapping[str, str]) -> str:
    """Whom or what a measurement is about: `{"sex": "Female"}` as `sex: Female`.

    The empty slice is everybody, `*` compares groups, and of features it is the one that moved most.
    """
    if slice_ == {"feature": "*"}:
        return "the feature that moved most"
    if not slice_:
        return "overall"
    return ", ".join(
        metrics.between(name) if group == "*" else f"{name}: {group}"
        for name, group in slice_.items()
    )


def tone(word: object) -> Tone:
    """The tone of a word; an unknown one is quiet rather than wrongly good."""
    return _TONE_OF.get(key(word), "quiet")


def mark(word: object) -> str:
    return _MARK_OF_WORD.get(key(word)) or _MARK_OF_TONE[tone(word)]


# Drawn on a 16 by 16 grid with a stroke of the current colour.
MARKS: Final[dict[str, str]] = {
    "check": '<path d="M2.5 8.5 6.4 12.4 13.5 4"/>',
    "cross": '<path d="M3.5 3.5 12.5 12.5M12.5 3.5 3.5 12.5"/>',
    "alert": '<path d="M8 1.8 15 14H1z"/><path d="M8 6.2V9.6M8 11.6V12"/>',
    "question": (
        '<circle cx="8" cy="8" r="6.6"/>'
        '<path d="M5.9 6.3A2.1 2.1 0 1 1 8.6 8.2C8.2 8.4 8 8.7 8 9.3M8 11.4V11.8"/>'
    ),
    "clock": '<circle cx="8" cy="8" r="6.6"/><path d="M8 4V8L10.6 9.8"/>',
    "turning": '<path d="M14.2 8A6.2 6.2 0 1 1 8 1.8"/>',
    "pause": '<path d="M5 3V13M11 3V13"/>',
    "dot": '<circle cx="8" cy="8" r="4"/>',
    "dash": '<path d="M3 8H13"/>',
    "brand": '<path d="M1.4 8.6 4.8 12 11.4 3.6"/><path d="M7.6 11 8.6 12 15 3.8"/>',
}
