"""Passwords: hashed with argon2id, checked off the loop, as slow for nobody as for somebody (TRU-3)."""

import asyncio
import threading
import time
from statistics import median

import pytest

from landline.gates.auth import passwords
from landline.gates.auth.passwords import MAX_PASSWORD_CHARS, hash_password, verify_password


@pytest.mark.contract("TRU-3")
async def test_a_password_holds_against_its_own_hash_only() -> None:
    kept, again = await hash_password("gå på tur"), await hash_password("gå på tur")
    assert kept.startswith("$argon2id$")
    assert kept != again
    assert await verify_password("gå på tur", kept)
    assert await verify_password("gå på tur", again)
    for wrong in ("gå på tur ", "", "\ud800", "y" * (MAX_PASSWORD_CHARS + 1)):
        assert not await verify_password(wrong, kept)


@pytest.mark.contract("TRU-3")
@pytest.mark.parametrize(
    "kept", [None, "", "x", "$argon2id$v=19$m=1,t=1,p=1$AAAA$AAAA", "$2b$12$" + "a" * 53]
)
async def test_nothing_holds_against_no_hash_or_one_of_another_kind(kept: str | None) -> None:
    for tried in ("nobody's password", "x"):
        assert not await verify_password(tried, kept)


@pytest.mark.contract("TRU-3")
async def test_who_does_not_exist_takes_as_long_as_a_wrong_password() -> None:
    kept = await hash_password("right")
    await verify_password("x", None)  # the hash to compare with is made once

    async def took(hash_: str | None) -> float:
        began = time.perf_counter()
        await verify_password("wrong", hash_)
        return time.perf_counter() - began

    # In turns, so that what else the machine does meets both alike.
    pairs = [(await took(None), await took(kept)) for _ in range(7)]
    assert 0.3 < median(nobody / somebody for nobody, somebody in pairs) < 3


@pytest.mark.contract("TRU-3")
async def test_the_loop_goes_on_while_a_password_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    here, seen = threading.get_ident(), list[int]()
    kept = await hash_password("right")
    real = passwords._verify  # pyright: ignore[reportPrivateUsage] - where it runs is what is asked

    def noted(password: str, hash_: str | None) -> bool:
        seen.append(threading.get_ident())
        return real(password, hash_)

    monkeypatch.setattr(passwords, "_verify", noted)
    assert await asyncio.gather(*(verify_password("right", kept) for _ in range(3))) == [True] * 3
    assert len(seen) == 3
    assert here not in seen


@pytest.mark.parametrize("bad", ["", "x" * (MAX_PASSWORD_CHARS + 1), "\ud800"])
async def test_what_is_no_password_is_not_hashed(bad: str) -> None:
    with pytest.raises(ValueError, match="characters"):
        await hash_password(bad)
