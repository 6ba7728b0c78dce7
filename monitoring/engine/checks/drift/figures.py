"""The figures of one column, each with its test and with what chance alone would give."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from monitoring.engine import statistics
from monitoring.engine.checks.drift import chance, indices
from monitoring.engine.checks.drift.chance import Dealt, Test
from monitoring.engine.checks.drift.settings import DriftConfig
from monitoring.engine.comparing import Comparison, Histogram
from monitoring.engine.results import INSUFFICIENT, NO_DENOMINATOR, MeasurementValue

NOT_FINITE = "not_finite"
"""The values are too large for the figure to be a number."""
PRECISION_LOST = "precision_lost"
"""Integers too large for a float to tell them apart."""


@dataclass(frozen=True)
class Figure:
    """A measurement, the test that goes with it, and what it stays under without drift."""

    value: MeasurementValue
    test: Test | None = None
    chance: float = 0.0


def slice_of(one: Comparison, window: str | None = None) -> dict[str, str]:
    about = {"output" if one.answer else "feature": one.column}
    return {**about, "window": window} if window is not None else about


def figures(one: Comparison, config: DriftConfig, window: str | None = None) -> list[Figure]:
    """Everything measured of one column. Too few rows make all but missing values undefined."""
    return _Column(one, config, slice_of(one, window)).all()


class _Column:
    def __init__(self, one: Comparison, config: DriftConfig, about: Mapping[str, str]) -> None:
        self.one, self.config, self.about = one, config, about
        self._tests: dict[str, Test | None] = {}
        self._dealt: dict[Histogram, Dealt | None] = {}

    def all(self) -> list[Figure]:
        one, least = self.one, min(self.one.reference_n, self.one.current_n)
        found = [self._missing()]
        names = ["psi", "jensen_shannon", "hellinger"]
        if one.kind == "numeric":
            names += ["psi_deciles", "wasserstein_normed", "ks_statistic"]
        else:
            found.append(self._unseen())
            names.append("cramers_v")
            if one.answer:
                found.append(self._rate())
        if one.imprecise:
            return found + [self._undefined(name, PRECISION_LOST) for name in names]
        if least < self.config.minimum:
            reason = INSUFFICIENT if least else NO_DENOMINATOR
            return found + [self._undefined(name, reason) for name in names]
        for name in names:
            found += self._figure(name)
        return found

    def _figure(self, name: str) -> list[Figure]:
        if name in ("psi", "jensen_shannon", "hellinger", "psi_deciles"):
            return self._index(name)
        if name == "wasserstein_normed":
            return self._area()
        if name == "ks_statistic":
            return self._kolmogorov()
        test = self._test("bins", self.one.bins)
        value = indices.cramers_v(self.one.bins)
        limit = chance.association_chance(self.one.bins, 1 - self.config.alpha)
        method = "two-sample chi-square"
        return [self._measured(name, value, method, "association", test, limit, self._pooled())]

    def _index(self, name: str) -> list[Figure]:
        one = self.one
        bins, key, method = one.bins, "bins", one.binning
        if name == "psi_deciles":
            if one.deciles is None:
                return []
            bins, key, method = one.deciles, "deciles", "deciles of the reference"
        if name == "hellinger" and one.spread is not None:
            bins, method = one.spread, "evidently's bins of different values"
        formula = {
            "psi": indices.stability_index,
            "psi_deciles": indices.stability_index,
            "jensen_shannon": indices.jensen_shannon,
            "hellinger": indices.hellinger,
        }[name]
        value = float(formula(bins.reference, bins.current))
        limit = chance.index_chance(name, bins, 1 - self.config.alpha, self._deal(bins))
        unit = "index" if name.startswith("psi") else "distance"
        more = {"bins": len(bins.reference), **(self._pooled() if bins is one.bins else {})}
        test = self._test(key, one.deciles if key == "deciles" and one.deciles else one.bins)
        return [self._measured(name, value, method, unit, test, limit, more)]

    def _pooled(self) -> dict[str, int]:
        """The figure counts each category; the cube holds so many of them as one."""
        return {"pooled_in_cube": self.one.pooled} if self.one.pooled else {}

    def _area(self) -> list[Figure]:
        one = self.one
        if one.distance is None or one.deviation is None:
            return []
        deviation = max(one.deviation, 0.001)
        value = one.distance / deviation
        if not math.isfinite(value) or not math.isfinite(deviation):
            return [self._undefined("wasserstein_normed", NOT_FINITE)]
        test, limit = chance.area(one, 1 - self.config.alpha)
        method = "in standard deviations of the reference"
        more = {"bound": one.distance_bound / deviation} if one.distance_bound else {}
        return [
            self._measured(
                "wasserstein_normed", value, method, "deviations", test, limit / deviation, more
            )
        ]

    def _kolmogorov(self) -> list[Figure]:
        one = self.one
        if one.gap is None:
            return []
        test, limit = chance.kolmogorov(one, 1 - self.config.alpha)
        value = one.gap[0] / one.gap[1]
        more = {"bound": one.gap_bound} if one.gap_bound else {}
        return [self._measured("ks_statistic", value, "two samples", "distance", test, limit, more)]

    def _missing(self) -> Figure:
        """Growth of the share of missing values. They are drift, not rows to be dropped."""
        one = self.one
        before, after = one.reference_missing, one.current_missing
        shares = (after, after + one.current_n), (before, before + one.reference_n)
        return self._change("missing_rate_difference", *shares)

    def _rate(self) -> Figure:
        """Change of the share of positive answers or outcomes."""
        one = self.one
        before = dict(zip(one.bins.names, one.bins.reference, strict=True)).get("1", 0)
        after = dict(zip(one.bins.names, one.bins.current, strict=True)).get("1", 0)
        shares = (after, one.current_n), (before, one.reference_n)
        return self._change("positive_rate_difference", *shares)

    def _change(self, name: str, after: tuple[int, int], before: tuple[int, int]) -> Figure:
        n, m = after[1], before[1]
        if not m or not n:
            return self._undefined(name, NO_DENOMINATOR, n)
        interval = statistics.newcombe(after, before, self.config.level)
        detail = {"reference": before[0] / m, "current": after[0] / n}
        value = MeasurementValue(
            name,
            self.about,
            after[0] / n - before[0] / m,
            interval.lower,
            interval.upper,
            self.config.level,
            n,
            method="newcombe",
            unit="rate",
            detail=detail,
        )
        limit = chance.share_chance(after, before, 1 - self.config.alpha)
        return Figure(value, chance.shares_test(after, before, name), limit)

    def _unseen(self) -> Figure:
        one, n = self.one, self.one.current_n
        if not n:
            return self._undefined("unseen_category_rate", NO_DENOMINATOR, 0)
        interval = statistics.wilson(one.unseen, n, self.config.level)
        value = MeasurementValue(
            "unseen_category_rate",
            self.about,
            one.unseen / n,
            interval.lower,
            interval.upper,
            self.config.level,
            n,
            method="wilson",
            unit="rate",
        )
        if not one.reference_n:
            return Figure(value)
        test, limit = chance.unseen(one.bins, one.unseen, 1 - self.config.alpha)
        return Figure(value, test, limit)

    def _measured(
        self,
        name: str,
        value: float,
        method: str,
        unit: str,
        test: Test | None,
        limit: float,
        detail: Mapping[str, Any] | None = None,
    ) -> Figure:
        n = self.one.current_n
        measured = MeasurementValue(
            name, self.about, value, n=n, method=method, unit=unit, detail=detail or {}
        )
        return Figure(measured, test, limit)

    def _undefined(self, name: str, reason: str, n: int | None = None) -> Figure:
        n = self.one.current_n if n is None else n
        return Figure(MeasurementValue(name, self.about, None, n=n, undefined_reason=reason))

    def _test(self, key: str, bins: Histogram) -> Test | None:
        if key not in self._tests:
            self._tests[key] = chance.bins_test(bins, key)
        return self._tests[key]

    def _deal(self, bins: Histogram) -> Dealt | None:
        if bins not in self._dealt:
            self._dealt[bins] = chance.deal(bins, self._generator("chance", len(self._dealt)))
        return self._dealt[bins]

    def _generator(self, *names: object) -> np.random.Generator:
        about = [f"{name}={value}" for name, value in sorted(self.about.items())]
        return statistics.generator(self.config.seed, *about, *names)


def judged(found: list[Figure], config: DriftConfig) -> list[MeasurementValue]:
    """The measurements with threshold, chance, test and whether they drifted.

    Each test counts once in the correction, however many figures rest on it.
    """
    keys: dict[tuple[Any, ...], float] = {}
    for one in found:
        if one.test is not None:
            keys[_key(one, one.test)] = one.test.p
    p_values = list(keys.values())
    holm = dict(zip(keys, statistics.holm(p_values), strict=True))
    hochberg = dict(zip(keys, statistics.benjamini_hochberg(p_values), strict=True))
    corrected = {"holm": holm, "bh": hochberg, "none": keys}[config.correction]
    measured = []
    for one in found:
        if one.test is None or one.value.value is None:
            measured.append(one.value)
            continue
        key = _key(one, one.test)
        threshold = config.thresholds[one.value.metric]
        size = abs(one.value.value)
        effect, real = size >= threshold and size > one.chance, corrected[key] <= config.alpha
        detail = {
            **one.value.detail,
            "threshold": threshold,
            "chance": one.chance,
            "test": one.test.name,
            "p": one.test.p,
            "p_holm": holm[key],
            "p_bh": hochberg[key],
            "drifted": effect and real,
            "rule": rule(config, threshold),
        }
        measured.append(replace(one.value, detail=detail))
    return measured


def rule(config: DriftConfig, threshold: float) -> str:
    """What `drifted` means, as `at least 0.1, beyond chance, and p by holm at most 0.05`."""
    words = "p" if config.correction == "none" else f"p by {config.correction}"
    return f"at least {threshold:g}, beyond chance, and {words} at most {config.alpha:g}"


def _key(one: Figure, test: Test) -> tuple[Any, ...]:
    return (*sorted(one.value.slice.items()), test.key)
