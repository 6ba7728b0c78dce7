"""What the demo prints: numbered steps, what was done, what was expected."""

import sys
import time


class StoryFailed(Exception):
    """A step did not end as told."""


class Teller:
    """Prints the story. `expect` ends it when something is not as told."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._colour = sys.stdout.isatty()

    def step(self, title: str) -> None:
        seconds = time.monotonic() - self._begun
        self._print(f"\n[{seconds:5.0f} s] {title}", "1;34")

    def tell(self, text: str) -> None:
        self._print(f"         {text}")

    def expect(self, holds: bool, what: str) -> None:
        if not holds:
            self._print(f"      ✗  {what}", "1;31")
            raise StoryFailed(what)
        self._print(f"      ✓  {what}", "32")

    def _print(self, text: str, colour: str = "") -> None:
        if colour and self._colour:
            text = f"\x1b[{colour}m{text}\x1b[0m"
        print(text, flush=True)
