"""One connection's addresses and states. DTLS itself is in `test_dtls_srtp`, the whole path in `test_engine`."""

from __future__ import annotations

import asyncio

import pytest
from aioice import stun

from server.media.dtls_srtp import Certificate
from server.media.ice import BindingRequest, parse_binding_request
from server.media.transport import MAX_ADDRESSES, Transport, TransportState
from server.media.udp import AddressKey, SocketAddress

from .test_ice import binding_request


def address(port: int) -> SocketAddress:
    return SocketAddress(b"\0" * 16, port, "127.0.0.1", port)


class Owner:
    """A transport's owner that writes down what it is told. The clock is `now`."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.sent: list[tuple[bytes, int]] = []
        self.now = 50.0
        self.transport = Transport(
            "s",
            remote_ufrag="theirs",
            fingerprints=(("sha-256", "AA"),),
            certificate=Certificate(),
            send=self._send,
            listener=self,
        )

    def _send(self, data: bytes, to: SocketAddress) -> None:
        self.sent.append((data, to.port))

    def transport_address_added(self, transport: Transport, address: SocketAddress) -> None:
        self.events.append(f"+{address.port}")

    def transport_address_removed(self, transport: Transport, key: AddressKey) -> None:
        self.events.append(f"-{key!r}")

    def transport_moved(self, transport: Transport) -> None:
        assert transport.selected is not None
        self.events.append(f"moved to {transport.selected.port}")

    def transport_start(self, transport: Transport) -> None:
        self.events.append("start")

    def transport_connected(self, transport: Transport) -> None:
        self.events.append("connected")

    def transport_closed(self, transport: Transport, reason: str) -> None:
        self.events.append(f"closed: {reason}")

    def request(self, *, nominate: bool = False, ufrag: str | None = None, password: str | None = None) -> BindingRequest:
        credentials = self.transport.credentials
        request = parse_binding_request(
            binding_request(
                username=f"{ufrag or credentials.ufrag}:theirs", password=password or credentials.password, nominate=nominate
            )
        )
        assert request is not None
        return request

    def check(self, port: int, *, nominate: bool = False, password: str | None = None, ufrag: str | None = None) -> bool:
        request = self.request(nominate=nominate, password=password, ufrag=ufrag)
        return self.transport.handle_check(request, address(port), self.now)


@pytest.fixture
async def owner() -> Owner:
    return Owner()


async def test_the_first_check_is_answered_and_starts_the_handshake(owner: Owner) -> None:
    assert owner.check(1)
    assert owner.events == ["+1", "start"]
    assert owner.transport.state is TransportState.CONNECTING
    [(data, port)] = owner.sent
    assert port == 1
    assert stun.parse_message(data).attributes["XOR-MAPPED-ADDRESS"] == ("127.0.0.1", 1)
    assert owner.transport.last_seen == 50.0


async def test_a_check_with_the_wrong_password_or_name_gets_nothing(owner: Owner) -> None:
    assert not owner.check(1, password="wrong")
    assert not owner.check(1, ufrag="unknown")
    assert (owner.events, owner.sent, owner.transport.last_seen) == ([], [], None)


async def test_a_nominated_pair_is_followed_at_once(owner: Owner) -> None:
    owner.check(1)
    owner.check(2, nominate=True)
    assert owner.events == ["+1", "start", "+2", "moved to 2"]


async def test_a_plain_check_moves_only_what_has_fallen_silent(owner: Owner) -> None:
    owner.check(1, nominate=True)
    owner.now += 0.5
    owner.check(2)
    assert owner.transport.selected is not None
    assert owner.transport.selected.port == 1
    owner.now += 0.5
    owner.check(1)
    owner.now += 0.9
    owner.check(2)
    assert owner.transport.selected.port == 1
    owner.now += 0.2
    owner.check(2)
    assert owner.transport.selected.port == 2


async def test_only_so_many_addresses_are_remembered_and_never_the_selected_one_forgotten(owner: Owner) -> None:
    for port in range(1, MAX_ADDRESSES + 3):
        owner.check(port)
    assert [e for e in owner.events if e.startswith("-")] == ["-2", "-3"]
    assert len(owner.transport.address_keys) == MAX_ADDRESSES


async def test_after_an_ice_restart_old_and_new_credentials_are_good_until_the_next(owner: Owner) -> None:
    first = owner.transport.credentials
    owner.transport.restart_ice("theirs2")
    second = owner.transport.credentials
    assert first.ufrag != second.ufrag
    assert owner.check(1, ufrag=first.ufrag, password=first.password)
    assert owner.check(2, ufrag=second.ufrag, password=second.password)
    owner.transport.restart_ice("theirs3")
    assert not owner.check(3, ufrag=first.ufrag, password=first.password)
    assert owner.transport.ufrags == (owner.transport.credentials.ufrag, second.ufrag)


async def test_a_failed_handshake_closes_it_and_says_why(owner: Owner) -> None:
    owner.check(1)
    running = asyncio.ensure_future(owner.transport.run())
    await asyncio.sleep(0)
    await owner.transport.dtls.close()
    await asyncio.wait_for(running, 5)
    assert owner.events[-1].startswith("closed: ")
    assert owner.transport.state is TransportState.CLOSED
    assert not owner.check(1)


async def test_our_own_close_is_not_reported(owner: Owner) -> None:
    owner.check(1)
    running = asyncio.ensure_future(owner.transport.run())
    await asyncio.sleep(0)
    await owner.transport.close()
    await owner.transport.close()
    await asyncio.wait_for(running, 5)
    assert owner.events == ["+1", "start"]


async def test_states_only_go_forward(owner: Owner) -> None:
    await owner.transport.close()
    with pytest.raises(RuntimeError, match="cannot go from closed"):
        owner.transport._set_state(TransportState.CONNECTED, "nonsense")
