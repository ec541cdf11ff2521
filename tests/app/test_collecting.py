"""The garbage collector while a server starts: held back, and the owner's way once it is up (PRF-6)."""

import gc
from collections.abc import Generator

import pytest

from landline.app.collecting import SERVING, STARTING, held

pytestmark = pytest.mark.contract("PRF-6")


@pytest.fixture(autouse=True)
def collector() -> Generator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
    gc.enable()


def test_it_is_held_until_the_server_is_up() -> None:
    usual = gc.get_threshold()
    kept = gc.get_freeze_count()
    with held() as started:
        assert gc.get_threshold() == (STARTING, *usual[1:])
        started()
        assert gc.get_threshold() == (SERVING, *usual[1:])
        assert gc.get_freeze_count() > kept + 1000


def test_where_it_is_off_it_stays_off() -> None:
    gc.set_threshold(0, 10, 10)
    with held() as started:
        started()
        assert gc.get_threshold()[0] == 0


def test_a_start_that_fails_lets_go_of_it() -> None:
    usual = gc.get_threshold()
    with pytest.raises(ZeroDivisionError), held():
        _ = 1 / 0
    assert gc.get_threshold() == usual


def test_what_an_owner_sets_meanwhile_is_left() -> None:
    with held() as started:
        gc.set_threshold(50_000, 20, 20)
        gc.disable()
        started()
    assert gc.get_threshold() == (50_000, 20, 20)
    assert not gc.isenabled()
