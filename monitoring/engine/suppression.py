"""Which cells of a table stay away, so that no total tells a small one: complementary suppression.

Rows are counted over several axes (groups of people, label, prediction). A count under the floor is
hidden, and with it as many others as it takes: wherever a sum is shown, either none of its parts is
hidden, or at least two that come to the floor together. If a sum has too few parts for that, it is
hidden too, as a part of the sums above it. Nothing (0) is no one's secret and stays.

The rule is that of cell suppression in statistical offices (Hundepool et al., Statistical Disclosure
Control, 2012, chapter 4), one line at a time: it does not solve systems of equations of several lines.
"""

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

Axes = tuple[str, ...]
Key = tuple[Hashable, ...]
Node = tuple[Axes, Key]
Margin = frozenset[tuple[str, Hashable]]
"""A count by what it is of: values by axis. The same in every table that has these axes."""

MOST_ATTRIBUTES = 3
"""Of more attributes only all together, and each alone, are looked at as sums."""


def hidden(counts: Sequence[int], floor: int) -> set[int]:
    """The places of the counts to hide, if all that is known beside them is their sum."""
    cells: dict[Key, int] = {(place,): n for place, n in enumerate(counts)}
    away = suppressed({("place",): cells}, [(("place",), ())], floor)
    return {place for place in range(len(counts)) if (("place",), (place,)) in away}


def suppressed(
    tables: Mapping[Axes, Mapping[Key, int]],
    sums: Iterable[tuple[Axes, Axes]],
    floor: int,
    beforehand: Iterable[Node] = (),
) -> set[Node]:
    """The cells to hide, of all tables.

    `tables` holds counts by their axes; `sums` pairs of axes (part, sum), where the cells of the sum are
    sums of those of the part. A sum whose axes are no table is known to everybody.
    """
    return _Tables(tables, list(sums), floor).hide(beforehand)


class _Line:
    """The parts of one sum along one set of axes, smallest first, and what of them is hidden."""

    __slots__ = ("away", "next", "parts", "total", "whole")

    def __init__(self, whole: Node) -> None:
        self.whole = whole
        self.parts: list[Node] = []
        self.away = self.total = self.next = 0


class _Tables:
    def __init__(
        self,
        tables: Mapping[Axes, Mapping[Key, int]],
        sums: Sequence[tuple[Axes, Axes]],
        floor: int,
    ) -> None:
        self._tables, self._floor = tables, floor
        self._hidden: set[Node] = set()
        self._waiting: deque[_Line] = deque()
        self._lines: dict[tuple[Node, Axes], _Line] = {}
        self._above: dict[Node, list[_Line]] = defaultdict(list)
        self._below: dict[Node, list[Node]] = defaultdict(list)
        ordered = {
            axes: sorted((n, repr(key), key) for key, n in cells.items() if n)
            for axes, cells in tables.items()
        }
        for part, whole in sums:
            places = [part.index(axis) for axis in whole]
            for _, _, key in ordered[part]:
                self._join((part, key), (whole, tuple(key[place] for place in places)))

    def _join(self, part: Node, whole: Node) -> None:
        line = self._lines.get((whole, part[0]))
        if line is None:
            self._lines[whole, part[0]] = line = _Line(whole)
        line.parts.append(part)
        self._above[part].append(line)
        self._below[whole].append(part)

    def hide(self, beforehand: Iterable[Node]) -> set[Node]:
        for axes, cells in self._tables.items():
            for key, n in cells.items():
                if 0 < n < self._floor:
                    self._away((axes, key))
        for node in beforehand:
            if self._tables.get(node[0], {}).get(node[1]):
                self._away(node)
        while self._waiting:
            self._look(self._waiting.popleft())
        return self._hidden

    def _away(self, node: Node) -> None:
        """Hide a cell, and with it what it is the sum of."""
        waiting = [node]
        while waiting:
            one = waiting.pop()
            if one in self._hidden:
                continue
            self._hidden.add(one)
            n = self._tables[one[0]][one[1]]
            for line in self._above[one]:
                line.away += 1
                line.total += n
                self._waiting.append(line)
            waiting += self._below[one]

    def _look(self, line: _Line) -> None:
        """Hide more of a line until its sum does not tell what is hidden, or the sum too."""
        if line.whole in self._hidden:
            return
        if line.away > 1 and line.total >= self._floor:
            return
        while line.next < len(line.parts) and line.parts[line.next] in self._hidden:
            line.next += 1
        if line.next < len(line.parts):
            self._away(line.parts[line.next])
        elif line.whole[0] in self._tables:
            self._away(line.whole)


def sums_of(attributes: Sequence[str], inner: Sequence[str]) -> list[tuple[Axes, Axes]]:
    """Pairs (part, sum) for counts over groups of people and, within these, `inner` axes in their order.

    Groups add up to groups of fewer attributes and at last to everybody, whose counts are published
    anyway; within a group, an inner axis adds up to those before it.
    """
    size = len(attributes)
    sizes = range(size + 1) if size <= MOST_ATTRIBUTES else (0, 1, size)
    kept = [tuple(combinations(attributes, one)) for one in sizes]
    found: list[tuple[Axes, Axes]] = []
    for fewer, sets in zip([(), *kept], kept, strict=False):
        for group in sets:
            if attributes and not group:
                continue
            for depth in range(len(inner) + 1):
                axes = (*group, *inner[:depth])
                found += [
                    (axes, (*less, *inner[:depth])) for less in fewer if set(less) < set(group)
                ]
                if depth:
                    found.append((axes, axes[:-1]))
    return found


@dataclass(frozen=True)
class Crossed:
    """Counts over groups of people and inner axes: a part of a cube, whose cells are to be shown.

    `cells` has a count for each (group..., inner...) in order.
    """

    attributes: tuple[str, ...]
    inner: tuple[str, ...]
    cells: Mapping[Key, int]
    floor: int

    @property
    def axes(self) -> Axes:
        return (*self.attributes, *self.inner)

    def hide(self, beforehand: Iterable[Margin] = ()) -> set[Node]:
        """The hidden cells of this part; sums over fewer axes are among them."""
        sums = sums_of(self.attributes, self.inner)
        wanted = sorted({part for part, _ in sums}, key=lambda one: (len(one), one))
        tables = {axes: self._over(axes) for axes in wanted}
        nodes = [node for one in beforehand for node in self._nodes(one)]
        return suppressed(tables, sums, self.floor, nodes)

    def _over(self, axes: Axes) -> dict[Key, int]:
        places = [self.axes.index(axis) for axis in axes]
        found: dict[Key, int] = {}
        for key, n in self.cells.items():
            short = tuple(key[place] for place in places)
            found[short] = found.get(short, 0) + n
        return found

    def _nodes(self, margin: Margin) -> Iterator[Node]:
        given = dict(margin)
        axes = tuple(axis for axis in self.axes if axis in given)
        if len(axes) == len(given):
            yield axes, tuple(given[axis] for axis in axes)

    def shown(self, away: set[Node]) -> dict[Key, int | str | None]:
        """Each cell's count, `<floor`, or None. Of a hidden group or sum no cell is missing, since a
        missing one would tell that there is nobody."""
        found: dict[Key, int | str | None] = {
            key: n if (self.axes, key) not in away else marked(n, self.floor)
            for key, n in self.cells.items()
        }
        width = len(self.attributes)
        occurring = dict.fromkeys(key[width:] for key in self.cells)
        for depth in reversed(range(len(self.inner))):
            axes = self.axes[: width + depth]
            for key, n in self._over(axes).items():
                if (axes, key) in away:
                    for inner in occurring:
                        if inner[:depth] == key[width:]:
                            found[(*key[:width], *inner)] = marked(n, self.floor)
        return found


def marked(n: int, floor: int) -> str | None:
    """What is told of a hidden count: that it is small, if it is."""
    return f"<{floor}" if n < floor else None


def margins(away: Iterable[Node], axes: Iterable[str]) -> set[Margin]:
    """The hidden cells over some of `axes`, as other tables know them."""
    shared = set(axes)
    return {frozenset(zip(one, key, strict=True)) for one, key in away if set(one) <= shared}


def together(parts: Mapping[str, Crossed], shared: Iterable[str]) -> dict[str, set[Node]]:
    """The hidden cells of several parts of one document.

    Parts count the same people over `shared` axes, so a sum that one of them hides no other tells.
    """
    axes = set(shared)
    known: dict[Margin, None] = {}
    while True:
        found = {name: one.hide(known) for name, one in parts.items()}
        now = set().union(*(margins(away, axes) for away in found.values()))
        if now <= known.keys() or len(parts) < 2:
            return found
        # In an order that does not hang on hashes.
        known = dict.fromkeys(sorted(now, key=lambda one: sorted(map(repr, one))))
