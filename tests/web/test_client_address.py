"""Whose address a request comes from: nobody writes another one than a trusted proxy."""

from typing import Any

import pytest

from landline.web.client import Proxies, client_address

pytestmark = pytest.mark.contract("TRU-8")

PROXIES = Proxies(["10.0.0.0/8", "2001:db8:1::/48"])


def address(peer: str | None, *headers: tuple[str, str], proxies: Proxies = PROXIES) -> str:
    scope: dict[str, Any] = {
        "client": (peer, 1) if peer is not None else None,
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
    }
    return client_address(scope, proxies)


XFF, FWD = "X-Forwarded-For", "Forwarded"


@pytest.mark.parametrize(
    ("peer", "headers", "found"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", [(XFF, "198.51.100.7")], "192.0.2.1"),
        ("10.0.0.1", [(XFF, "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "203.0.113.9, 198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "203.0.113.9, 198.51.100.7, 10.1.1.1")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "203.0.113.9"), (XFF, "198.51.100.7")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "10.2.2.2, 10.1.1.1")], "10.2.2.2"),
        ("10.0.0.1", [(XFF, "198.51.100.7, nonsense")], "10.0.0.1"),
        ("10.0.0.1", [(XFF, "")], "10.0.0.1"),
        ("10.0.0.1", [(XFF, "198.51.100.7:4711")], "198.51.100.7"),
        ("10.0.0.1", [(XFF, "[2001:db8:9:1:2::3]:4711")], "2001:db8:9:1::/64"),
        ("10.0.0.1", [(FWD, "for=203.0.113.9, for=198.51.100.7;proto=https")], "198.51.100.7"),
        ("10.0.0.1", [(FWD, 'proto=http; For="[2001:db8:9:1::3]:1"')], "2001:db8:9:1::/64"),
        ("10.0.0.1", [(FWD, "for=_hidden")], "10.0.0.1"),
        ("10.0.0.1", [(FWD, "by=198.51.100.7")], "10.0.0.1"),
        ("10.0.0.1", [(XFF, "198.51.100.7"), (FWD, "for=203.0.113.9")], "10.0.0.1"),
        ("10.0.0.1", [(XFF, "198.51.100.7"), (FWD, "for=198.51.100.7")], "198.51.100.7"),
        ("::ffff:10.0.0.1", [(XFF, "::ffff:198.51.100.7")], "198.51.100.7"),
        ("2001:db8:1::1", [(XFF, "198.51.100.7")], "198.51.100.7"),
        ("2001:db8:9:1:ffff::1", [], "2001:db8:9:1::/64"),
        (None, [(XFF, "198.51.100.7")], "unknown"),
    ],
)
def test_the_fields_are_read_from_the_right_as_far_as_they_are_trusted(
    peer: str | None, headers: list[tuple[str, str]], found: str
) -> None:
    assert address(peer, *headers) == found


def test_a_thousand_forged_addresses_are_one_client() -> None:
    """With no proxy trusted, from one that is not, and through one that is."""
    forged = [f"198.18.{number >> 8}.{number & 255}" for number in range(1_000)]
    assert {address("192.0.2.1", (XFF, one), proxies=Proxies()) for one in forged} == {"192.0.2.1"}
    assert {address("192.0.2.1", (XFF, one), (FWD, f"for={one}")) for one in forged} == {"192.0.2.1"}
    assert {address("10.0.0.1", (XFF, f"{one}, 192.0.2.1")) for one in forged} == {"192.0.2.1"}
    assert {address("10.0.0.1", (XFF, "192.0.2.1"), (FWD, f"for={one}")) for one in forged} == {"10.0.0.1"}


def test_a_very_long_chain_is_not_read_to_its_end() -> None:
    assert address("10.0.0.1", (XFF, ", ".join(["198.51.100.7"] + ["10.1.1.1"] * 5_000))) == "10.1.1.1"


@pytest.mark.parametrize("network", ["10.0.0.1/8", "proxy.example", ""])
def test_what_is_no_network_is_refused(network: str) -> None:
    with pytest.raises(ValueError, match="is no network"):
        Proxies([network])
