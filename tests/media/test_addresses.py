"""What stands in an answer's candidates."""

from __future__ import annotations

import pytest

from server.media.addresses import announced_addresses, parse_address


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("192.0.2.1", ("192.0.2.1", None)),
        (" 192.0.2.1:4000 ", ("192.0.2.1", 4000)),
        ("2001:db8::1", ("2001:db8::1", None)),
        ("[2001:db8::1]", ("2001:db8::1", None)),
        ("[2001:db8::1]:4000", ("2001:db8::1", 4000)),
    ],
)
def test_addresses_are_read(text: str, parsed: tuple[str, int | None]) -> None:
    assert parse_address(text) == parsed


@pytest.mark.parametrize(
    "text", ["", "localhost", "192.0.2.1:0", "192.0.2.1:70000", "192.0.2.1:x", "[2001:db8::1", "[2001:db8::1]4000"]
)
def test_bad_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_address(text)


def test_the_operators_addresses_come_first_and_alone() -> None:
    assert announced_addresses("", 50_000, ["192.0.2.1", "192.0.2.2:4000"]) == [("192.0.2.1", 50_000), ("192.0.2.2", 4000)]


def test_a_bound_address_is_the_only_one() -> None:
    assert announced_addresses("127.0.0.1", 50_000, []) == [("127.0.0.1", 50_000)]


def test_by_default_all_of_this_machine_loopback_last() -> None:
    announced = announced_addresses("", 50_000, [])
    assert ("127.0.0.1", 50_000) in announced
    loopback = [host in ("127.0.0.1", "::1") for host, _ in announced]
    assert loopback == sorted(loopback)
    assert not any(host.startswith("fe80") for host, _ in announced)
    assert not any(":" in host for host, _ in announced_addresses("0.0.0.0", 50_000, []))
