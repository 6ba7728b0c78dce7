"""What a command ends with, as exit codes that a pipeline can act on."""

from collections.abc import Callable
from enum import IntEnum


class Exit(IntEnum):
    """0 is the only yes. A pipeline treats everything else as no."""

    YES = 0
    NO = 1
    PENDING = 2
    CANNOT_DECIDE = 3
    USAGE = 64


class ClientError(Exception):
    """A command cannot go on. `exit_code` is what the process ends with."""

    def __init__(self, message: str, exit_code: Exit = Exit.CANNOT_DECIDE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(ClientError):
    """The command line, the manifest or the environment is wrong."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Exit.USAGE)


class Answer(ClientError):
    """The server answered with an error."""

    def __init__(
        self, status: int, problem: dict[str, object], field: Callable[[str], str] = str
    ) -> None:
        self.status = status
        self.problem = problem
        lines = [str(problem.get("detail") or problem.get("title") or f"HTTP {status}")]
        errors = problem.get("errors")
        if isinstance(errors, list) and errors:
            # Each field on its own line; `detail` says the same in one.
            lines = [str(problem.get("title") or f"HTTP {status}")]
            lines += [f"  {field(str(item.get('field')))}: {item.get('detail')}" for item in errors]
        super().__init__("\n".join(lines), Exit.CANNOT_DECIDE if status >= 500 else Exit.NO)

    def named(self, field: Callable[[str], str]) -> "Answer":
        """The same, its fields named as `field` names them."""
        return Answer(self.status, self.problem, field)
