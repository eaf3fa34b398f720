"""Two people hear each other: the same bytes, under the receiver's own numbers."""

from __future__ import annotations

from dataclasses import replace

from tests.integration.support import CHROMIUM, FIREFOX, Call, Person, settled, steps


async def hear_each_other(first: Person, second: Person) -> None:
    for speaker, listener in ((first, second), (second, first)):
        sent = speaker.peer.send_voice(20)
        heard = await listener.heard_all(speaker, sent)
        slot = listener.peer.slots[listener.slot_of(speaker)]
        assert {packet.payload_type for packet in heard} == {listener.peer.options.opus_payload_type}
        assert {packet.ssrc for packet in heard} == {slot.ssrc}
        assert set(steps([packet.sequence for packet in heard], 16)) == {1}
        assert set(steps([packet.timestamp for packet in heard], 32)) == {960}
    for person in (first, second):
        assert person.peer.strays == 0
        assert person.peer.unreadable == 0


async def test_a_chromium_and_a_firefox_hear_each_other(call: Call) -> None:
    chromium = await call.enter("chromium", options=CHROMIUM)
    firefox = await call.enter("firefox", options=FIREFOX)
    await settled(chromium, firefox)
    await hear_each_other(chromium, firefox)


async def test_nobody_hears_themselves_or_another_room(call: Call) -> None:
    first, second = await call.enter_all("a", "b", room="here")
    (stranger,) = await call.enter_all("c", room="there")
    sent = first.peer.send_voice(10)
    await second.heard_all(first, sent)
    assert all(slot.received == 0 for person in (first, stranger) for slot in person.peer.slots.values())
    assert stranger.client.slots == dict.fromkeys(stranger.client.slots)


async def test_ssrcs_of_an_answer_are_all_different(call: Call) -> None:
    first, second = await call.enter_all("a", "b")
    for person in (first, second):
        assert person.peer.answer is not None
        slots = person.peer.answer.slots()
        assert len(slots) == person.peer.options.slots
        assert list(slots.values()) == [str(mid) for mid in range(1, 10)]
        assert person.peer.answer.sections[0].direction == "recvonly"
        assert {section.direction for section in person.peer.answer.sections[1:]} == {"sendonly"}
        assert person.peer.answer.bundled == tuple(str(mid) for mid in range(10))


async def test_what_is_sent_is_what_browsers_agreed_on(call: Call) -> None:
    person = await call.enter("a")
    assert person.peer.srtp is not None
    assert person.peer.srtp.profile == "SRTP_AEAD_AES_256_GCM"


async def test_a_client_with_the_old_profile_is_served_too(call: Call) -> None:
    old = await call.enter("old", profiles=["SRTP_AES128_CM_SHA1_80"])
    new = await call.enter("new")
    await settled(old, new)
    await hear_each_other(old, new)


async def test_a_plain_client_with_one_section_gets_one_slot(call: Call) -> None:
    plain = await call.enter("plain", options=replace(CHROMIUM, plain=True))
    other = await call.enter("other")
    assert plain.peer.answer is not None
    (section,) = plain.peer.answer.sections
    assert section.direction == "sendrecv"
    assert section.ssrc is not None
    await settled(plain, other)
    assert plain.client.slots == {"0": other.session_id}
    await hear_each_other(plain, other)


async def test_one_who_only_listens(call: Call) -> None:
    listener = await call.enter("listener", options=replace(CHROMIUM, listen_only=True))
    speaker = await call.enter("speaker")
    await listener.client.hears(1)
    await speaker.peer.speak([], 100)
    assert len(await listener.hears_from(speaker, 3)) >= 3
    assert set(speaker.client.slots.values()) <= {None}


async def test_levels_may_have_any_extension_id(call: Call) -> None:
    speaker = await call.enter("a", options=replace(CHROMIUM, audio_level_id=9, mid_id=14))
    listener = await call.enter("b")
    await settled(speaker, listener)
    sent = speaker.peer.send_voice(5, level=20)
    await listener.heard_all(speaker, sent)
    started = await listener.client.expect("voice_speaking")
    assert started["speakers"][0]["sessionId"] == speaker.session_id
    assert started["speakers"][0]["speaking"] is True
