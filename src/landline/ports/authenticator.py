"""Who sent this request, from the credential it carries."""

from typing import Protocol

from landline.model.callers import Caller

__all__ = ["Authenticator"]


class Authenticator(Protocol):
    """Turns a credential into a caller."""

    @property
    def open(self) -> bool:
        """Whether requests without a credential are a local user (a fresh install on loopback, TRU-6)."""
        ...

    async def authenticate(self, credential: str | None) -> Caller:
        """Return who this is.

        Raises:
            Unauthenticated: No credential where one is needed, or one that does not hold.
        """
        ...
