"""Sign-ins as the store keeps them: one document for each, and every token that came of it stands and falls with it.

A refresh token is used once. When one comes a second time, its owner or a thief used it before, nobody can tell which: the
whole family ends (RFC 9700, 4.14.2). Kept is a hash, never the token.
"""

import hashlib
import hmac
import secrets
from typing import Final

import msgspec

from landline.gates.auth.compact import BadToken
from landline.model.callers import SYSTEM
from landline.model.errors import Conflict
from landline.model.ids import is_id, new_id
from landline.ports.clock import Clock
from landline.ports.documents import Document, Documents, DocumentWrite

__all__ = ["Families", "Family"]

PREFIX: Final = "lr_"
COLLECTION: Final = "auth.sign_ins"
IDLE_S: Final = 14 * 86_400.0
"""How long a refresh token waits for its use."""
WHOLE_S: Final = 90 * 86_400.0
"""How long one password is good for, however often its tokens are refreshed."""
MOST_PER_USER: Final = 20
"""Sign-ins of one user that hold at once; the oldest ends for the next."""


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one sign-in. `proof` is of the password it was made with; times are seconds since 1970."""

    id: str
    tenant: str
    user: str
    user_id: str
    proof: str
    refresh: str
    idle_until: float
    until: float


class Families:
    """Begins, turns over and ends sign-ins."""

    def __init__(self, documents: Documents, clock: Clock) -> None:
        self._documents, self._clock = documents, clock

    async def begin(self, *, tenant: str, user: str, user_id: str, proof: str) -> tuple[Family, str]:
        """Return a new sign-in and its first refresh token."""
        now, secret = self._clock.now().timestamp(), secrets.token_urlsafe(32)
        family = Family(
            id=new_id(),
            tenant=tenant,
            user=user,
            user_id=user_id,
            proof=proof,
            refresh=_hash(secret),
            idle_until=now + IDLE_S,
            until=now + WHOLE_S,
        )
        # Ended ones of the same user go now: nobody else would clean up after them.
        kept = await self._documents.list_documents(SYSTEM, COLLECTION, label=user_id)
        alive = [document for document in kept if self._read(document) is not None]
        ended = {document.key for document in kept} - {
            document.key for document in alive[: MOST_PER_USER - 1]
        }
        writes = [DocumentWrite(collection=COLLECTION, key=key, body=None) for key in ended]
        await self._documents.write_documents(SYSTEM, [*writes, _write(family, expected="")])
        return family, f"{PREFIX}{family.id}_{secret}"

    async def find(self, family_id: str) -> Family | None:
        """Return a sign-in that holds."""
        found = await self._documents.read_documents(SYSTEM, COLLECTION, [family_id])
        return self._read(found[0]) if found else None

    async def turn(self, token: str) -> tuple[Family, str]:
        """Return the sign-in of a refresh token, and the next token. Raises BadToken."""
        family_id, secret = _parts(token)
        family = await self.find(family_id)
        if family is None:
            raise BadToken("no such sign-in")
        if not hmac.compare_digest(family.refresh, _hash(secret)):
            await self.end(family_id)
            raise BadToken("used before")
        following = secrets.token_urlsafe(32)
        idle_until = self._clock.now().timestamp() + IDLE_S
        new = msgspec.structs.replace(family, refresh=_hash(following), idle_until=idle_until)
        try:
            await self._documents.write_documents(SYSTEM, [_write(new, expected=family.refresh)])
        except Conflict:  # two came with the same token at once: one of them had a copy
            await self.end(family_id)
            raise BadToken("used at once") from None
        return new, f"{PREFIX}{family_id}_{following}"

    async def end(self, family_id: str) -> None:
        """End a sign-in; one that has ended stays so."""
        await self._documents.write_documents(
            SYSTEM, [DocumentWrite(collection=COLLECTION, key=family_id, body=None)]
        )

    async def end_by(self, token: str) -> None:
        """End the sign-in of a refresh token, also of one that was used before. Raises BadToken for a made-up one."""
        family_id, _ = _parts(token)
        await self.end(family_id)

    def _read(self, document: Document) -> Family | None:
        family = _decoder.decode(document.body)
        return family if self._clock.now().timestamp() < min(family.idle_until, family.until) else None


def _write(family: Family, *, expected: str) -> DocumentWrite:
    return DocumentWrite(
        collection=COLLECTION,
        key=family.id,
        body=msgspec.json.encode(family),
        version=family.refresh,
        expected=expected,
        label=family.user_id,
    )


def _parts(token: str) -> tuple[str, str]:
    family_id, _, secret = token.removeprefix(PREFIX).partition("_")
    if not token.startswith(PREFIX) or not is_id(family_id) or not secret or len(secret) > 100:
        raise BadToken("no refresh token")
    return family_id, secret


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


_decoder: Final = msgspec.json.Decoder(Family)
