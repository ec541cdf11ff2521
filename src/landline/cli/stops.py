"""What a command says when it cannot go on: what, where, how to mend it, and a code (CLI-2).

Errors of the other rooms are put into this one shape here, so that they all read alike.
"""

import sys

from landline.app.faults import SetupError
from landline.cli.exits import Exit

REFUSALS = frozenset({"workers_need_postgresql"})
"""Codes of settings that are right as such and cannot work together."""


HINTS = {
    "database_locked": "stop the server that holds it, or name another folder: --data FOLDER",
    "database_newer": "pip install --upgrade landline",
    "database_unreadable": "name another folder: --data FOLDER",
}
"""What to do about errors whose own sentence does not say it."""


class Stop(SetupError):
    """The command ends here with `exit_code`."""

    def __init__(
        self,
        what: str,
        *,
        code: str,
        where: str | None = None,
        how: str | None = None,
        exit_code: Exit = Exit.FAILURE,
    ) -> None:
        super().__init__(what, code=code, where=where, how=how)
        self.exit_code = exit_code


def explain(error: Exception) -> Stop | None:
    """Return the error as a `Stop`, or None when it is a fault of Landline's own, which keeps its traceback."""
    from landline.model.errors import LandlineError

    if isinstance(error, Stop):
        return error
    if isinstance(error, SetupError):
        exit_code = Exit.REFUSED if error.code in REFUSALS else Exit.CONFIG
        return Stop(error.what, where=error.where, how=error.how, code=error.code, exit_code=exit_code)
    if isinstance(error, LandlineError):
        return Stop(error.detail, code=error.code, how=HINTS.get(error.code))
    return None


def warn(problem: SetupError, *, word: str = "error") -> None:
    """Write the problem to stderr; a message of somebody else's may hold a credential (TRU-17)."""
    from landline.model.redaction import redacted

    lines = [f"{word}: {problem.what}"]
    lines += [f"  where: {problem.where}"] if problem.where else []
    lines += [f"  fix:   {problem.how}"] if problem.how else []
    lines += [f"  code:  {problem.code}"]
    print(redacted("\n".join(lines)), file=sys.stderr)
