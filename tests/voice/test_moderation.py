"""The rules of moderation, and `VoiceService`'s part in carrying them out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.errors import Forbidden, InvalidRequest
from server.storage.database import Database
from server.voice.events import MuteChanged, ParticipantLeft, Removed, Warned, WarningAcknowledged
from server.voice.moderation import EVERYBODY, EVERYWHERE, RULES, Action, Order, check_actor, check_form, check_target, role_in
from server.voice.participant import EndReason, MutedBy, Participant, Right, Role, UnreadWarning
from server.voice.service import VoiceService
from tests.voice.fakes import Events, FakeClock, FakeMedia, command
from tests.voice.rows import rows

WORLDS = ("materie", "energie")
ROLES = list(Role)


def order(action: Action, world: str = "materie", room_id: str | None = "lobby") -> Order:
    return Order(action, EVERYBODY if RULES[action].whole_room else "ben", world, room_id)


def allowed(given: Order, *rights: Right) -> bool:
    try:
        check_actor(given, rights)
    except Forbidden:
        return False
    return True


def test_every_action_has_a_rule() -> None:
    assert set(RULES) == set(Action)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("role", ROLES)
def test_who_may_at_all(action: Action, role: Role) -> None:
    assert allowed(order(action), Right(role)) is (role is not Role.USER)
    assert not allowed(order(action))


@pytest.mark.parametrize("action", [Action.BAN, Action.UNBAN])
def test_only_admins_of_all_worlds_act_in_all_worlds(action: Action) -> None:
    everywhere = order(action, EVERYWHERE)
    assert allowed(everywhere, Right(Role.ADMIN))
    assert not allowed(everywhere, Right(Role.MODERATOR))
    assert not allowed(everywhere, Right(Role.ADMIN, frozenset(WORLDS)))
    assert not allowed(everywhere, Right(Role.ADMIN, None, frozenset({"lobby"})))


def test_grants_bound_where_a_role_holds() -> None:
    in_room = Right(Role.MODERATOR, frozenset({"materie"}), frozenset({"lobby"}))
    assert allowed(order(Action.KICK), in_room)
    assert not allowed(order(Action.KICK, room_id="attic"), in_room)
    assert not allowed(order(Action.KICK, "energie"), in_room)
    assert not allowed(order(Action.KICK, room_id=None), in_room), "every room of the world is more than one room"
    assert not allowed(order(Action.BAN), in_room), "a ban is on the whole world, whatever room is named"
    assert allowed(order(Action.BAN), Right(Role.MODERATOR, frozenset({"materie"})))
    assert role_in((in_room, Right(Role.ADMIN, frozenset({"energie"}))), "materie", "lobby") is Role.MODERATOR


@pytest.mark.parametrize("actor", ROLES)
@pytest.mark.parametrize("target", ROLES)
def test_nobody_acts_on_an_equal_or_higher_rank(actor: Role, target: Role) -> None:
    if ROLES.index(actor) > ROLES.index(target):
        check_target(actor, "anna", target, "ben")
    else:
        with pytest.raises(Forbidden):
            check_target(actor, "anna", target, "ben")


def test_nobody_acts_on_themselves() -> None:
    with pytest.raises(Forbidden):
        check_target(Role.ADMIN, "anna", Role.USER, "anna")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (Order(Action.KICK, "ben", "nowhere"), "world"),
        (Order(Action.KICK, "ben", EVERYWHERE), "world"),
        (Order(Action.WARN, EVERYBODY, "materie"), "target_user_id"),
        (Order(Action.MUTE_ALL, "ben", "materie", "lobby"), "target_user_id"),
        (Order(Action.MUTE_ALL, EVERYBODY, "materie"), "room_id"),
    ],
)
def test_orders_that_make_no_sense(given: Order, field: str) -> None:
    with pytest.raises(InvalidRequest) as problem:
        check_form(given, WORLDS)
    assert problem.value.details["field"] == field


# --- on people --------------------------------------------------------------------------------------------------------


async def enter(service: VoiceService, user: str) -> Participant:
    participant = (await service.join(command(user))).participant
    service.signalling_attached(participant.session_id)
    return participant


async def test_two_causes_of_silence_and_neither_lifts_the_other(
    service: VoiceService, media: FakeMedia, events: Events, clock: FakeClock
) -> None:
    ben = await enter(service, "ben")
    until = clock.now() + timedelta(hours=1)
    service.discipline.mute([ben], until)
    assert (ben.is_muted, media.muted) == (True, {ben.session_id: True})
    service.set_self_muted(ben.session_id, True)
    service.set_self_muted(ben.session_id, False)
    assert (ben.is_muted, media.muted) == (True, {ben.session_id: True}), "not theirs to lift"
    service.set_self_muted(ben.session_id, True)
    service.discipline.mute([ben], None)
    assert (ben.is_muted, media.muted) == (True, {ben.session_id: True}), "not the moderator's to lift"
    service.set_self_muted(ben.session_id, False)
    assert (ben.is_muted, media.muted) == (False, {ben.session_id: False})
    seen = [(event.by, event.muted, set(event.causes)) for event in events.of(MuteChanged)]
    both = {MutedBy.SELF, MutedBy.MODERATOR}
    assert seen == [
        (MutedBy.MODERATOR, True, {MutedBy.MODERATOR}),
        (MutedBy.SELF, True, both),
        (MutedBy.SELF, False, {MutedBy.MODERATOR}),
        (MutedBy.SELF, True, both),
        (MutedBy.MODERATOR, False, {MutedBy.SELF}),
        (MutedBy.SELF, False, set()),
    ]


async def test_a_mute_ends_by_itself(service: VoiceService, clock: FakeClock) -> None:
    ben = await enter(service, "ben")
    service.discipline.mute([ben], clock.now() + timedelta(seconds=2))
    clock.advance(1.9)
    service.judge()
    assert ben.is_muted
    clock.advance(0.1)
    service.judge()
    assert not ben.is_muted


async def test_what_is_tried_under_a_moderators_mute_is_counted_as_such(
    service: VoiceService, media: FakeMedia, clock: FakeClock, database: Database
) -> None:
    ben = await enter(service, "ben")
    media.attempted[ben.session_id] = 300  # under their own mute: nobody's business
    service.discipline.mute([ben], clock.now() + timedelta(hours=1))
    media.attempted[ben.session_id] = 1300
    service.discipline.mute([ben], None)
    media.attempted[ben.session_id] = 1700
    service.discipline.mute([ben], clock.now() + timedelta(hours=1))
    media.attempted[ben.session_id] = 2200
    clock.advance(5)
    await service.end(ben.session_id, EndReason.LEFT)
    [row] = (await rows(database)).values()
    assert (row["attempted_speaking_ms"], row["speaking_ms"]) == (1500, 0)


async def test_removed_people_are_told_and_their_rows_closed(service: VoiceService, events: Events, database: Database) -> None:
    ben, eva = await enter(service, "ben"), await enter(service, "eva")
    await service.discipline.remove([ben, ben], EndReason.KICKED, words="noise", by="Anna", expires_at=None)
    assert service.roster("lobby") == (eva,)
    [told] = events.of(Removed)
    assert (told.session_id, told.words, told.by) == (ben.session_id, "noise", "Anna")
    assert events.all.index(told) < events.all.index(events.of(ParticipantLeft)[0])
    reasons = {session_id: row["end_reason"] for session_id, row in (await rows(database)).items()}
    assert reasons == {ben.session_id: "kicked", eva.session_id: None}


async def test_a_warning_is_unread_until_it_is_acknowledged(service: VoiceService, events: Events) -> None:
    ben = await enter(service, "ben")
    service.discipline.warn([ben], UnreadWarning("a1", "be kind", "Anna", "anna"))
    assert list(ben.warnings) == ["a1"]
    assert [event.words for event in events.of(Warned)] == ["be kind"]
    assert service.discipline.acknowledge(ben, "a1")
    assert not service.discipline.acknowledge(ben, "a1")
    assert [event.by_user_id for event in events.of(WarningAcknowledged)] == ["anna"]


async def test_unread_warnings_are_bounded(service: VoiceService) -> None:
    ben = await enter(service, "ben")
    for number in range(25):
        service.discipline.warn([ben], UnreadWarning(f"a{number}", None, "Anna", "anna"))
    assert list(ben.warnings) == [f"a{number}" for number in range(5, 25)]
