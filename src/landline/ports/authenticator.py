"""Who sent this request, from the credential it carries."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from landline.model.callers import Caller

__all__ = ["Authenticator", "LiveAuthenticator"]


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


class LiveAuthenticator(Authenticator, Protocol):
    """What an authenticator may do besides; one that lacks a method is served without it.

    Without `holds` whatever is open stays open, without `act_for` every name may be acted for.
    """

    async def holds(self, caller: Caller) -> bool:
        """Tell whether the credential that made `caller` is still good; asked every few seconds for what is open (TRU-1)."""
        ...

    async def act_for(self, caller: Caller, user: str) -> Caller:
        """Return `caller`, who has the scope `delegate`, as `user` of its tenant (TRU-4).

        Raises:
            Forbidden: Nobody acts for that user now.
        """
        ...

    def running(self) -> AbstractAsyncContextManager[None]:
        """Do what has to be done beside requests while the server runs."""
        ...
