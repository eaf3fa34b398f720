"""ICE-lite: who gets an answer."""

from __future__ import annotations

import pytest
from aioice import stun
from hypothesis import given
from hypothesis import strategies as st

from server.media.ice import IceCredentials, candidate_lines, parse_binding_request, success_response

PASSWORD = "p" * 24


def binding_request(
    *,
    username: str = "ours:theirs",
    password: str | None = PASSWORD,
    nominate: bool = False,
    method: stun.Method = stun.Method.BINDING,
) -> bytes:
    message = stun.Message(message_method=method, message_class=stun.Class.REQUEST)
    message.attributes["USERNAME"] = username
    message.attributes["PRIORITY"] = 1
    message.attributes["ICE-CONTROLLING"] = 1
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    if password is not None:
        message.add_message_integrity(password.encode())
    return bytes(message)


def test_an_authentic_check_is_understood() -> None:
    request = parse_binding_request(binding_request(nominate=True))
    assert request is not None
    assert (request.local_ufrag, request.remote_ufrag, request.use_candidate) == ("ours", "theirs", True)
    assert request.is_authentic(PASSWORD)
    assert not request.is_authentic("another password")


def test_the_answer_names_the_senders_address_and_is_signed() -> None:
    request = parse_binding_request(binding_request())
    assert request is not None
    answer = stun.parse_message(success_response(request, PASSWORD, "127.0.0.1", 4711))
    assert answer.message_class == stun.Class.RESPONSE
    assert answer.transaction_id == request.message.transaction_id
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == ("127.0.0.1", 4711)
    assert answer.check_message_integrity(PASSWORD.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 20,
        binding_request(password=None),
        binding_request(username="no-colon"),
        binding_request(method=stun.Method.ALLOCATE),
        binding_request()[:-1],
        binding_request()[:-1] + b"\0",  # the fingerprint does not hold
        bytes(stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.RESPONSE)),
        b"\0\1\2\0" + binding_request()[4:] + b"\0" * 500,
    ],
)
def test_anything_else_is_no_check(data: bytes) -> None:
    assert parse_binding_request(data) is None


def test_an_attribute_that_is_cut_short_is_no_check() -> None:
    message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    header = bytes(message)
    priority_of_two_bytes = b"\x00\x24\x00\x02\x00\x01\x00\x00"
    assert parse_binding_request(header[:2] + b"\x00\x08" + header[4:] + priority_of_two_bytes) is None


@given(st.binary(max_size=200))
def test_no_bytes_whatever_raise(data: bytes) -> None:
    cookie = data[:4] + b"\x21\x12\xa4\x42" + data[4:]
    for candidate in (data, cookie):
        parse_binding_request(candidate)


def test_credentials_are_random_and_the_password_is_not_shown() -> None:
    first, second = IceCredentials.generate(), IceCredentials.generate()
    assert first.ufrag != second.ufrag
    assert first.password != second.password
    assert len(first.password) >= 22
    assert first.password not in repr(first)


def test_candidates_are_ordered_by_priority() -> None:
    lines = candidate_lines([("192.0.2.1", 50_000), ("2001:db8::1", 50_000)])
    assert lines[0] == "1 1 udp 2130706431 192.0.2.1 50000 typ host"
    priorities = [int(line.split()[3]) for line in lines]
    assert priorities == sorted(priorities, reverse=True)
