"""A database backend: Django's own for SQLite, whose transactions wait their turn in short steps.

SQLite has one writer at a time. Its own waiting sleeps longer the longer it waits, up to 100 ms, so
that under load newcomers overtake who waits already: with 8 writers one in a hundred waits seconds.
Here all wait alike. The names are those by which Django finds the parts of a backend.
"""

import random
import time

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

_SHORTEST, _LONGEST = 0.001, 0.005
_DEFAULT_TIMEOUT = 5.0
_BUSY = 5
"""SQLITE_BUSY; further bits of an error code tell why."""


class DatabaseWrapper(base.DatabaseWrapper):
    def _start_transaction_under_autocommit(self) -> None:
        """Begin, trying anew every few milliseconds while another writes.

        Raises:
            OperationalError: others wrote for all of the time that `OPTIONS["timeout"]` allows.
        """
        timeout = float(self.settings_dict["OPTIONS"].get("timeout", _DEFAULT_TIMEOUT))
        until = time.monotonic() + timeout
        self._wait_for_others(0)
        try:
            while True:
                try:
                    # The stubs do not tell of it.
                    super()._start_transaction_under_autocommit()  # type: ignore[misc]
                    return
                except OperationalError as error:
                    if not _busy(error) or time.monotonic() >= until:
                        raise
                time.sleep(random.uniform(_SHORTEST, _LONGEST))
        finally:
            self._wait_for_others(timeout)

    def _wait_for_others(self, seconds: float) -> None:
        """How long SQLite itself waits within a statement."""
        self.connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")


def _busy(error: OperationalError) -> bool:
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == _BUSY
