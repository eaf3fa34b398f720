"""Who may do what to whom: the one place that says so, as a table. Pure.

The ranks are user < moderator < admin, and an API token is an admin's. Nobody acts on someone of equal or higher rank, nor on
themselves. A moderator acts only where the role was given to them: by the grants of their token, or by the `users` table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, StrEnum
from types import MappingProxyType
from typing import Final

from server.errors import Forbidden, InvalidRequest
from server.voice.participant import Right, Role

__all__ = [
    "EVERYBODY",
    "EVERYWHERE",
    "RULES",
    "Action",
    "Actor",
    "Order",
    "Rule",
    "Scope",
    "Whereabouts",
    "check_actor",
    "check_form",
    "check_target",
    "highest",
    "rank",
    "role_in",
]

EVERYWHERE: Final = "*"
"""The world of an action that holds in all of them."""
EVERYBODY: Final = "*"
"""The target of an action on a whole room."""


class Action(StrEnum):
    """What moderators do. The values are the wire's and the log's."""

    KICK = "kick"
    MUTE = "mute"
    UNMUTE = "unmute"
    MUTE_ALL = "mute_all"
    BAN = "ban"
    UNBAN = "unban"
    WARN = "warn"


class Scope(Enum):
    """How far an action reaches, and so how far the right to it must.

    ROOM: one room where the order names one, else every room of the world. WORLD: the whole world, or all of them.
    """

    ROOM = "room"
    WORLD = "world"


class Whereabouts(Enum):
    """Where the target must be. HERE: in the room (the world) now. KNOWN: there, or away for now if the order names the room.

    ANYWHERE: they need not even have been here yet.
    """

    HERE = "here"
    KNOWN = "known"
    ANYWHERE = "anywhere"


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of the table. `least`: who may at all; `everywhere`: who may in all worlds at once, None where nobody may.

    `lasts`: whether a duration means something. `whole_room`: whether it is on everybody in a room, and so on nobody's rank.
    `answers`: whether it counts as the reaction to a report.
    """

    least: Role
    scope: Scope
    target: Whereabouts
    everywhere: Role | None = None
    lasts: bool = False
    whole_room: bool = False
    answers: bool = False


RULES: Final[Mapping[Action, Rule]] = MappingProxyType(
    {
        Action.KICK: Rule(Role.MODERATOR, Scope.ROOM, Whereabouts.KNOWN, lasts=True, answers=True),
        Action.MUTE: Rule(Role.MODERATOR, Scope.ROOM, Whereabouts.KNOWN, lasts=True, answers=True),
        Action.UNMUTE: Rule(Role.MODERATOR, Scope.ROOM, Whereabouts.KNOWN),
        Action.MUTE_ALL: Rule(Role.MODERATOR, Scope.ROOM, Whereabouts.HERE, lasts=True, whole_room=True, answers=True),
        Action.BAN: Rule(Role.MODERATOR, Scope.WORLD, Whereabouts.ANYWHERE, everywhere=Role.ADMIN, lasts=True, answers=True),
        Action.UNBAN: Rule(Role.MODERATOR, Scope.WORLD, Whereabouts.ANYWHERE, everywhere=Role.ADMIN),
        Action.WARN: Rule(Role.MODERATOR, Scope.ROOM, Whereabouts.HERE, answers=True),
    }
)

_RANKS: Final[Mapping[Role, int]] = MappingProxyType({Role.USER: 0, Role.MODERATOR: 1, Role.ADMIN: 2})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `rights` are those of the token; what the `users` table adds is looked up. `username` is None where unknown."""

    user_id: str
    username: str | None
    rights: tuple[Right, ...]

    @property
    def name(self) -> str:
        """What those concerned are told."""
        return self.username or self.user_id


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done. `world` may be `EVERYWHERE`, `target_user_id` is `EVERYBODY` for an action on a whole room.

    `duration` is None where none was asked for: a ban is then for good, a kick and a mute last as the settings say.
    """

    action: Action
    target_user_id: str
    world: str
    room_id: str | None = None
    reason: str | None = None
    duration: timedelta | None = None


def rank(role: Role) -> int:
    """Higher is more."""
    return _RANKS[role]


def highest(roles: Iterable[Role]) -> Role:
    """The highest of these; a plain user where there is none."""
    return max(roles, key=rank, default=Role.USER)


def role_in(rights: Iterable[Right], world: str, room_id: str | None) -> Role:
    """The highest role that holds in this room, or in the whole world where `room_id` is None."""
    return highest(right.role for right in rights if right.holds_in(None if world == EVERYWHERE else world, room_id))


def check_form(order: Order, worlds: Iterable[str]) -> None:
    """Raises `InvalidRequest` for an order that makes no sense, whoever gives it."""
    rule = RULES[order.action]
    if order.world == EVERYWHERE:
        if rule.everywhere is None:
            raise InvalidRequest("world", "this action is for one world")
    elif order.world not in worlds:
        raise InvalidRequest("world", "unknown world")
    if rule.whole_room is not (order.target_user_id == EVERYBODY):
        raise InvalidRequest("target_user_id", "* stands for everybody in a room, and goes with mute_all only")
    if rule.whole_room and order.room_id is None:
        raise InvalidRequest("room_id", "missing")


def check_actor(order: Order, rights: Iterable[Right]) -> Role:
    """The role in which someone with these rights gives this order. Raises `Forbidden`."""
    rule = RULES[order.action]
    room_id = order.room_id if rule.scope is Scope.ROOM else None
    role = role_in(rights, order.world, room_id)
    least = rule.everywhere if order.world == EVERYWHERE else rule.least
    if least is None or rank(role) < rank(least):
        raise Forbidden(reason="role")
    return role


def check_target(actor: Role, actor_id: str, target: Role, target_id: str) -> None:
    """Raises `Forbidden` where the target is the actor, or has the same rank, or a higher one."""
    if actor_id == target_id:
        raise Forbidden(reason="self")
    if rank(target) >= rank(actor):
        raise Forbidden(reason="rank")
