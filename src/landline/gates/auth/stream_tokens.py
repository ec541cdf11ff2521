"""Stream tokens: a caller, a thread and a minute, signed (TRU-7). Nothing is kept of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from landline.gates.auth.compact import BadToken
from landline.gates.auth.own_tokens import STREAM, Signer
from landline.model.callers import Caller
from landline.model.errors import Invalid, Unauthenticated
from landline.ports.stream_tokens import STREAM_TOKEN_S, STREAM_TOKEN_SCOPES

__all__ = ["SignedStreamTokens"]

MOST_CHARS: Final = 4096
"""A URL that every proxy takes."""
REFUSED: Final = "The stream token does not hold; ask for another."

Holds = Callable[[Caller], Awaitable[bool]]


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedStreamTokens:
    """The port `StreamTokens`. `holds` tells whether the credential that a caller came with is still good."""

    signer: Signer
    holds: Holds | None = None

    async def sign(self, caller: Caller, thread_id: str) -> str:
        """Return a token; see the port. Raises Invalid for a caller whose agents are too many for a URL."""
        told: dict[str, Any] = {
            "sub": caller.user,
            "tenant": caller.tenant,
            "thread": thread_id,
            "scopes": sorted(caller.scopes & STREAM_TOKEN_SCOPES),
            "roles": sorted(caller.roles),
            "agents": None if caller.agents is None else sorted(caller.agents),
            "tier": caller.tier,
            "key": caller.key_id,
            "credential": caller.credential,
            "limits": None if caller.limits is None else dict(caller.limits),
        }
        claims = {name: value for name, value in told.items() if value is not None}
        token = self.signer.sign(STREAM, claims, lives_s=STREAM_TOKEN_S)
        if len(token) > MOST_CHARS:
            raise Invalid(
                "The agents or limits of this key are too many for a token in a URL.",
                code="stream_token_too_long",
            )
        return token

    async def open(self, token: str) -> tuple[Caller, str]:
        """Return whose token it is, and of which thread; see the port."""
        try:
            claims = await self.signer.read(STREAM, token)
        except BadToken:
            raise Unauthenticated(REFUSED) from None
        agents: Sequence[str] | None = claims.get("agents")
        caller = Caller(
            tenant=claims["tenant"],
            user=claims["sub"],
            scopes=frozenset(claims["scopes"]),
            roles=frozenset(claims["roles"]),
            agents=None if agents is None else frozenset(agents),
            tier=claims["tier"],
            key_id=claims.get("key"),
            credential=claims.get("credential"),
            limits=claims.get("limits"),
        )
        if self.holds is not None and not await self.holds(caller):
            raise Unauthenticated(REFUSED)
        return caller, claims["thread"]
