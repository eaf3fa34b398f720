from __future__ import annotations

import pytest

from server.web.addresses import forwarded_address, key_of_address, networks

LOCAL = ("127.0.0.0/8", "::1/128")


@pytest.mark.parametrize(
    ("remote", "forwarded", "trusted", "expected"),
    [
        ("192.0.2.1", "", LOCAL, "192.0.2.1"),
        # Whoever is no proxy of ours may write what they like.
        ("192.0.2.1", "198.51.100.7", LOCAL, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", (), "192.0.2.1"),
        ("127.0.0.1", "198.51.100.7", (), "127.0.0.1"),
        ("127.0.0.1", "198.51.100.7", LOCAL, "198.51.100.7"),
        ("::1", "198.51.100.7", LOCAL, "198.51.100.7"),
        ("::ffff:127.0.0.1", "198.51.100.7", LOCAL, "198.51.100.7"),
        # What the client itself wrote stands before what our proxy heard.
        ("127.0.0.1", "203.0.113.1, 198.51.100.7", LOCAL, "198.51.100.7"),
        ("127.0.0.1", "203.0.113.1, 198.51.100.7, 10.0.0.2", ("127.0.0.1/32", "10.0.0.0/8"), "198.51.100.7"),
        ("127.0.0.1", "127.0.0.2", LOCAL, "127.0.0.2"),
        ("127.0.0.1", "198.51.100.7, unknown", LOCAL, "127.0.0.1"),
        ("127.0.0.1", ", ,198.51.100.7 ,", LOCAL, "198.51.100.7"),
        ("127.0.0.1", ",".join(["127.0.0.1"] * 10_000), LOCAL, "127.0.0.1"),
        ("/run/voice.sock", "198.51.100.7", LOCAL, "/run/voice.sock"),
    ],
)
def test_whom_a_request_comes_from(remote: str, forwarded: str, trusted: tuple[str, ...], expected: str) -> None:
    assert forwarded_address(remote, forwarded, networks(trusted)) == expected


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
    ],
)
def test_a_whole_network_of_ipv6_is_one_caller(address: str, key: str) -> None:
    assert key_of_address(address) == key
