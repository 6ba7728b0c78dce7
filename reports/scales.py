"""Scales and text widths for charts: where a value falls, which ticks are round, how long a word is."""

import math
from dataclasses import dataclass

from reports.numbers import MINUS


@dataclass(frozen=True)
class Scale:
    """A linear map from values to points, with ticks at round values."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...]

    def __call__(self, value: float) -> float:
        clamped = min(max(value, self.low), self.high)
        return self.start + (clamped - self.low) / (self.high - self.low) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high


def linear(low: float, high: float, start: float, end: float, wanted: int = 5) -> Scale:
    """A scale whose ends are round and which holds `low` and `high`."""
    # Below that, a step between them is no number any more.
    if high - low < 1e-300:
        low, high = (low - 0.5, high + 0.5) if low else (0.0, 1.0)
    step = _round_step((high - low) / wanted)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    ticks = tuple(
        (k * step, f"{k * step:,.{decimals}f}".replace("-", MINUS).replace(",", "\u202f"))
        for k in range(first, last + 1)
    )
    return Scale(first * step, last * step, start, end, ticks)


def _round_step(raw: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is not under `raw`."""
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * m for m in (1.0, 2.0, 5.0, 10.0) if raw <= power * m * (1 + 1e-9))


_WIDTHS = {
    **dict.fromkeys("ijl.,:;'|!I()[]", 0.31),
    **dict.fromkeys("tfr-/ ", 0.36),
    **dict.fromkeys("mwMWOQ@%", 0.87),
    **dict.fromkeys("0123456789", 0.572),
}


def text_width(text: str, size: float) -> float:
    """About how wide `text` is, in points: enough to keep labels apart, in any sans-serif face."""
    return size * sum(
        _WIDTHS.get(c) or (0.66 if c.isupper() else 0.57 if ord(c) < 0x2E80 else 1.0) for c in text
    )
