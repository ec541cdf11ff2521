"""What is wrong with an installation, said to its owner: what, where, how to mend it, and a stable code (CLI-2).

Errors that a caller can meet are in `landline.model.errors`; these never leave the terminal and the log.
"""

__all__ = ["SetupError"]


class SetupError(Exception):
    """Landline cannot do what its owner asked; `where` is a file:line, or a key and its source."""

    def __init__(self, what: str, *, code: str, where: str | None = None, how: str | None = None) -> None:
        super().__init__(" | ".join(part for part in (what, where, how, code) if part))
        self.what = what
        self.code = code
        self.where = where
        self.how = how
