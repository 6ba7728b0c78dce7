"""Adjusted p values: Holm (1979); Benjamini and Hochberg (1995)."""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values: reject those at or under the level, family-wise error held."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values under which the false discovery rate is held."""
    count = len(p_values)
    order = sorted(range(count), key=lambda index: p_values[index], reverse=True)
    adjusted = [1.0] * count
    lowest = 1.0
    for place, index in enumerate(order):
        lowest = min(lowest, p_values[index] * count / (count - place))
        adjusted[index] = lowest
    return adjusted
