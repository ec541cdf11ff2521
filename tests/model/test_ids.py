"""Ids are UUIDv7: they rise, none comes twice, also from threads and from a process that was forked."""

import os
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from landline.model.ids import is_id, new_id


def test_ids_are_of_version_7_and_rise() -> None:
    ids = [new_id() for _ in range(1_000)]
    assert all(is_id(one) and UUID(one).version == 7 for one in ids)
    assert ids == sorted(set(ids))


def test_threads_share_no_id() -> None:
    def draw(count: int) -> list[str]:
        return [new_id() for _ in range(count)]

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(draw, [500] * 8))
    assert len({one for some in made for one in some}) == 4_000


def test_a_forked_child_draws_its_own_randomness() -> None:
    new_id()
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, "".join(new_id()[-12:] for _ in range(20)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reading, 4096).decode()
    assert len(told) == 240
    assert not {told[at : at + 12] for at in range(0, 240, 12)} & {new_id()[-12:] for _ in range(20)}
