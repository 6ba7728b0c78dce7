"""A progress bar for people; nothing at all where no terminal looks."""

from typing import Any


class Bar:
    """Shows `done` of `total`; call it as often as you like."""

    def __init__(self, stream: Any, what: str) -> None:
        self._stream, self._what = stream, what
        self._shown = -1
        self._visible = bool(getattr(stream, "isatty", bool)())

    def __call__(self, done: int, total: int) -> None:
        share = 100 if total == 0 else 100 * done // total
        if self._visible and share != self._shown:
            self._shown = share
            filled = "#" * (share * 30 // 100)
            self._stream.write(f"\r[{filled:30}] {share:3d} %  {done:,} of {total:,} {self._what}")
            self._stream.flush()
            if done >= total:
                self._stream.write("\n")
