"""What people see of long work: one line that is written over on a terminal, plain lines elsewhere."""

import json
import sys
from typing import Any


class Bar:
    """A progress bar on standard error. On something that is no terminal it prints each tenth."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._tenth = -1
        self._terminal = sys.stderr.isatty()

    def show(self, share: float, note: str = "") -> None:
        share = min(max(share, 0.0), 1.0)
        if self._terminal:
            filled = round(share * 30)
            bar = "█" * filled + "·" * (30 - filled)
            sys.stderr.write(f"\r\x1b[K{self._label} {bar} {share:4.0%} {note}")
            sys.stderr.flush()
        elif int(share * 10) > self._tenth:
            self._tenth = int(share * 10)
            sys.stderr.write(f"{self._label} {share:.0%} {note}\n")

    def bytes(self, sent: int, total: int) -> None:
        self.show(sent / total if total else 1.0, f"{sent / 1e6:.1f} of {total / 1e6:.1f} MB")

    def done(self) -> None:
        if self._terminal:
            sys.stderr.write("\n")


def say(text: str) -> None:
    print(text)


def warn(text: str) -> None:
    print(text, file=sys.stderr)


def show_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
