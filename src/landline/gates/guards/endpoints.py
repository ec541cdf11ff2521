"""Guards that ask a server of the owner's: `moderation` speaks OpenAI's moderation API, `llamaguard` asks a LlamaGuard
model behind an OpenAI-compatible chat API. Both judge finished pieces as a whole.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec

from landline.model.errors import LandlineError, Unavailable
from landline.ports.egress import Egress
from landline.ports.guards import Action, Stage, Verdict

__all__ = ["Endpoint", "LlamaGuard", "ModerationGuard"]

PIECE = 200
"""Characters that a piece of a stream has at least: about two sentences, so that an answer costs few requests."""

LONGEST_PIECE = 2_000
"""A piece is cut here when no sentence ends."""

BACKWARD = 2_000
"""Characters before a piece that are sent along: what a sentence means depends on those before it."""

ANSWER_BYTES = 256 * 1024
"""An answer has a few hundred bytes."""

_END = re.compile(r"[.!?…。！？][\"'”’)\]]{0,2}\s|\n")


class Endpoint:
    """A server that judges: `url` is its base (`…/v1`), `key` is sent as `Authorization: Bearer`.

    The URL's origin may be private: the owner named it. No redirect is followed and no other origin is called.
    """

    def __init__(self, egress: Egress, url: str, *, model: str | None = None, key: str | None = None) -> None:
        self._egress, self._url, self.model = egress, url.rstrip("/"), model
        self._headers = {"authorization": f"Bearer {key}"} if key else {}

    async def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """Post JSON and return the answer's.

        Raises:
            Unavailable: There is no answer that can be read.
        """
        try:
            async with self._egress.client(
                trusted=(self._url,), headers=self._headers, max_bytes=ANSWER_BYTES
            ) as client:
                answer = await client.post(
                    self._url + path,
                    content=msgspec.json.encode(body),
                    headers={"content-type": "application/json"},
                )
                if answer.status_code != 200:
                    raise _unavailable(f"it answered {answer.status_code}")
                return msgspec.json.decode(answer.content)
        except (httpx.HTTPError, msgspec.DecodeError, LandlineError) as error:
            if isinstance(error, Unavailable):
                raise
            raise _unavailable("it could not be asked, or its answer is no JSON") from error


class _Asking:
    """What both have: they judge finished pieces as a whole, at a server."""

    stages: frozenset[Stage] = frozenset({"input", "output"})
    whole = True

    def __init__(self, endpoint: Endpoint, action: Action = "block") -> None:
        self._endpoint = endpoint
        self._action: Action = action

    def settled(self, text: str, start: int) -> int:
        """Return where the last piece ends that is long enough: at the end of a sentence or paragraph."""
        ends = [found.end() for found in _END.finditer(text, start)]
        if ends and ends[-1] - start >= PIECE:
            return ends[-1]
        return len(text) if len(text) - start >= LONGEST_PIECE else start


class ModerationGuard(_Asking):
    """Asks `POST {url}/moderations`; what is flagged there trips, its categories are told."""

    name = "moderation"

    async def check(self, text: str, stage: Stage, start: int = 0) -> Verdict:
        """Judge `text`; see the port."""
        body: dict[str, Any] = {"input": text[max(0, start - BACKWARD) :]}
        if self._endpoint.model is not None:
            body["model"] = self._endpoint.model
        answer = await self._endpoint.ask("/moderations", body)
        try:
            results: Sequence[Any] = answer["results"]
            flagged = [result for result in results if _true(result["flagged"])]
            named = sorted(
                {
                    str(name)
                    for result in flagged
                    for name, hit in dict(result.get("categories") or {}).items()
                    if hit is True
                }
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise _unavailable("its answer has no results") from error
        if not results:
            raise _unavailable("its answer has no results")
        return Verdict(action=self._action, info={"categories": named}) if flagged else Verdict()


class LlamaGuard(_Asking):
    """Asks a LlamaGuard model: it answers `safe`, or `unsafe` and the hazards' numbers, such as `S1,S10`."""

    name = "llamaguard"

    async def check(self, text: str, stage: Stage, start: int = 0) -> Verdict:
        """Judge `text`; see the port."""
        told = {"role": "user", "content": text[max(0, start - BACKWARD) :]}
        messages = [told]
        if stage == "output":
            # It judges the last message; one of the assistant's needs a user's before it.
            messages = [{"role": "user", "content": "…"}, {**told, "role": "assistant"}]
        answer = await self._endpoint.ask(
            "/chat/completions",
            {"model": self._endpoint.model, "messages": messages, "temperature": 0, "max_tokens": 32},
        )
        try:
            said = str(answer["choices"][0]["message"]["content"]).split()
        except (KeyError, IndexError, TypeError) as error:
            raise _unavailable("its answer has no text") from error
        match [word.lower() for word in said]:
            case ["safe"]:
                return Verdict()
            case ["unsafe", *_]:
                hazards = re.findall(r"S\d{1,2}\b", " ".join(said[1:]))
                return Verdict(action=self._action, info={"categories": sorted(set(hazards))})
            case _:
                raise _unavailable("it said neither safe nor unsafe")


def _true(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("`flagged` is true or false")
    return value


def _unavailable(why: str) -> Unavailable:
    return Unavailable(f"The guard's server cannot judge now: {why}.", code="guard_unavailable")
