"""Moderation as one step: judged, logged, carried out. And reports, which ask for it.

An order that cannot be logged is not carried out. What it is about is found in the same transaction that logs it, in the order of
all joins, so that nobody slips in between; what is done to people follows at once, in memory.
"""

from __future__ import annotations

import asyncio
import logging
import math
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from server.errors import Banned, Forbidden, InternalError, Kicked, ServerAtCapacity, TargetNotFound
from server.voice.clock import Clock, whole_ms
from server.voice.discipline import Discipline
from server.voice.moderation import (
    EVERYBODY,
    EVERYWHERE,
    RULES,
    Action,
    Actor,
    Order,
    Scope,
    Whereabouts,
    check_actor,
    check_form,
    check_target,
    highest,
    rank,
    role_in,
)
from server.voice.moderation_ports import ModerationStore, NewAction, NewReport, Recorded
from server.voice.participant import EndReason, Participant, Role, UnreadWarning
from server.voice.ports import StoreBusy, StoreError
from server.voice.stays import BUSY_RETRY_AFTER_SECONDS
from server.voice.tasks import OwnedTasks

__all__ = ["ActionDone", "Moderator", "ReportCommand"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_UNDER_WAY: Final = 1000
"""Beyond it an order is refused at once: a store that hangs must not gather callers without end."""
REMEMBERED_REMOVALS: Final = 10_000
"""How many of those who were put out are told why when their old session knocks; of older ones only that it is over."""
REPORTABLE_FOR: Final = timedelta(hours=1)
"""How long after someone has left a room they can still be reported there."""
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ActionDone:
    """An order that was carried out. `expires_at` is None where it does not end by itself, or does not last."""

    action: NewAction
    recorded: Recorded


@dataclass(frozen=True, slots=True)
class ReportCommand:
    """Someone in a room reports someone who is there, or was a moment ago. `words` is None where they say nothing."""

    reporter_user_id: str
    target_user_id: str
    room_id: str
    words: str | None


@dataclass(frozen=True, slots=True)
class _Removal:
    reason: EndReason
    words: str | None
    expires_at: datetime | None


class Moderator:
    """To be used from one event loop. `kick_for` and `mute_for` are how long those last where the order does not say."""

    def __init__(
        self,
        discipline: Discipline,
        store: ModerationStore,
        clock: Clock,
        *,
        worlds: Sequence[str],
        kick_for: timedelta,
        mute_for: timedelta,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._discipline = discipline
        self._store = store
        self._clock = clock
        self._worlds = frozenset(worlds)
        self._default_duration = {Action.KICK: kick_for, Action.MUTE: mute_for, Action.MUTE_ALL: mute_for}
        self._new_id = new_id
        self._tasks = OwnedTasks()
        self._removals: OrderedDict[str, _Removal] = OrderedDict()

    async def close(self) -> None:
        """Finish what is under way."""
        await self._tasks.settle()

    # --- orders ---------------------------------------------------------------------------------------------------------

    async def act(self, actor: Actor, order: Order) -> ActionDone:
        """Judge, log, carry out. A caller that is cancelled does not leave it half done.

        Raises `InvalidRequest`, `Forbidden`, `TargetNotFound`, `ServerAtCapacity`, `InternalError`; nothing was done then.
        """
        return await self._apart(self._act(actor, order), f"moderation-{order.action}")

    async def note(self, new: NewAction, noted_by: str) -> None:
        """Log what was carried out elsewhere. Raises `ServerAtCapacity`, `InternalError`."""
        await self._stored(self._store.note(new, noted_by))

    def new_action(
        self, actor_id: str, actor_name: str | None, order: Order, *, at: datetime | None = None, target_name: str | None = None
    ) -> NewAction:
        """The row for an order of someone, at that time or now."""
        created_at = whole_ms(at if at is not None else self._clock.now())
        asked = order.duration if RULES[order.action].lasts else None
        lasts = asked if asked is not None else self._default_duration.get(order.action)
        return NewAction(
            action_id=self._new_id(),
            action=order.action,
            target_user_id=order.target_user_id,
            target_username=target_name,
            admin_user_id=actor_id,
            admin_username=actor_name,
            world=order.world,
            room_id=order.room_id,
            reason=order.reason,
            duration_hours=asked / _HOUR if asked is not None else None,
            created_at=created_at,
            expires_at=_end(created_at, lasts) if lasts is not None else None,
        )

    async def _act(self, actor: Actor, order: Order) -> ActionDone:
        check_form(order, self._worlds)
        acting = await self._stored(self._store.known(actor.user_id))
        rights = (*actor.rights, acting.right) if acting is not None else actor.rights
        role = check_actor(order, rights)
        if not RULES[order.action].whole_room:
            await self._check_target(actor, role, order)
        elif not self._concerned(order):
            raise TargetNotFound
        new = self.new_action(actor.user_id, actor.username, order)
        recorded = await self._stored(self._store.carry_out(new))
        # No await before it is felt.
        logger.info("%s by %s: %d sessions (%s)", new.action, new.admin_user_id, len(recorded.sessions), new.action_id)
        await self._carry_out(actor, new)
        return ActionDone(new, recorded)

    async def _check_target(self, actor: Actor, role: Role, order: Order) -> None:
        """The rank of someone who is here is that of their session; of others, what was given to them or what they last had."""
        target = await self._stored(self._store.known(order.target_user_id))
        here = self._concerned(order)
        if here:
            target_role = highest(someone.role for someone in here)
        elif target is not None:
            target_role = highest((role_in((target.right,), order.world, order.room_id), target.last_role))
        else:
            target_role = Role.USER
        check_target(role, actor.user_id, target_role, order.target_user_id)
        needed = RULES[order.action].target
        known = target is not None and order.room_id is not None
        if not here and (needed is Whereabouts.HERE or (needed is Whereabouts.KNOWN and not known)):
            raise TargetNotFound

    def _concerned(self, order: Order) -> tuple[Participant, ...]:
        room_id = order.room_id if RULES[order.action].scope is Scope.ROOM else None
        return self._discipline.find(order.target_user_id, order.world, room_id)

    async def _carry_out(self, actor: Actor, new: NewAction) -> None:
        room_id = new.room_id if RULES[new.action].scope is Scope.ROOM else None
        people = self._discipline.find(new.target_user_id, new.world, room_id)
        if new.action is Action.KICK:
            await self._remove(people, EndReason.KICKED, actor, new)
        elif new.action is Action.BAN:
            await self._remove(people, EndReason.BANNED, actor, new)
        elif new.action is Action.MUTE:
            self._discipline.mute(people, new.expires_at)
        elif new.action is Action.MUTE_ALL:
            plain = [one for one in people if one.role is Role.USER and one.user_id != actor.user_id]
            self._discipline.mute(plain, new.expires_at)
        elif new.action is Action.UNMUTE:
            self._discipline.mute(people, None)
        elif new.action is Action.WARN:
            self._discipline.warn(people, UnreadWarning(new.action_id, new.reason, actor.name, actor.user_id))

    async def _remove(self, people: Sequence[Participant], reason: EndReason, actor: Actor, new: NewAction) -> None:
        for someone in people:
            self._removals[someone.session_id] = _Removal(reason, new.reason, new.expires_at)
            while len(self._removals) > REMEMBERED_REMOVALS:
                self._removals.popitem(last=False)
        await self._discipline.remove(people, reason, words=new.reason, by=actor.name, expires_at=new.expires_at)

    def check_removed(self, session_id: str) -> None:
        """Raises `Kicked` or `Banned` where a moderator ended this session and the time is not over yet."""
        removal = self._removals.get(session_id)
        now = self._clock.now()
        if removal is None or (removal.expires_at is not None and removal.expires_at <= now):
            return
        if removal.reason is EndReason.KICKED and removal.expires_at is not None:
            raise Kicked(expires_at=removal.expires_at, retry_after=_whole_seconds(removal.expires_at - now))
        raise Banned(reason=removal.words, expires_at=removal.expires_at)

    # --- those concerned ------------------------------------------------------------------------------------------------

    async def acknowledge(self, participant: Participant, action_id: str) -> None:
        """They have read a warning. Raises `TargetNotFound` where there is no such warning that was not read yet."""
        if action_id not in participant.warnings:
            raise TargetNotFound
        await self._stored(self._store.acknowledge(action_id, whole_ms(self._clock.now())))
        self._discipline.acknowledge(participant, action_id)

    async def report(self, command: ReportCommand) -> str:
        """Keep a report, and tell those who may act on it; its id.

        Raises `Forbidden` for someone who is not in the room or reports themselves, `TargetNotFound`, and as `note`.
        """
        if command.reporter_user_id == command.target_user_id:
            raise Forbidden(reason="self")
        reporters = self._discipline.find(command.reporter_user_id, EVERYWHERE, command.room_id)
        if not reporters:
            raise Forbidden(reason="not in this room")
        now = whole_ms(self._clock.now())
        here = self._discipline.find(command.target_user_id, EVERYWHERE, command.room_id)
        was_here = self._store.was_in_room(command.target_user_id, command.room_id, now - REPORTABLE_FOR)
        if not await self._stored(was_here) and not here:
            raise TargetNotFound
        new = NewReport(
            report_id=self._new_id(),
            reporter_user_id=command.reporter_user_id,
            target_user_id=command.target_user_id,
            world=reporters[0].world,
            room_id=command.room_id,
            reason=command.words,
            created_at=now,
        )
        kept = await self._stored(self._store.report(new))
        if kept == new.report_id:
            present = self._discipline.find(EVERYBODY, EVERYWHERE, command.room_id)
            able = [one for one in present if rank(one.role) > rank(Role.USER) and one.user_id != command.target_user_id]
            self._discipline.tell_report(new, able)
        return kept

    async def end_of_token(self, token_id: str) -> None:
        """A user token was revoked: whoever came with it goes."""
        people = self._discipline.with_token(token_id)
        if people:
            await self._discipline.end(people, EndReason.REVOKED)

    # --- inside ---------------------------------------------------------------------------------------------------------

    async def _apart(self, work: Coroutine[Any, Any, T], name: str) -> T:
        if len(self._tasks) >= MAX_UNDER_WAY:
            work.close()
            raise ServerAtCapacity(retry_after=BUSY_RETRY_AFTER_SECONDS)
        task = self._tasks.spawn(work, name)
        await asyncio.wait({task})
        return task.result()

    @staticmethod
    async def _stored(call: Awaitable[T]) -> T:
        try:
            return await call
        except StoreBusy as problem:
            raise ServerAtCapacity(retry_after=BUSY_RETRY_AFTER_SECONDS) from problem
        except StoreError as problem:
            logger.error("moderation could not be written or read: %s", problem)
            raise InternalError from problem


def _end(start: datetime, duration: timedelta) -> datetime:
    """Not before a whole millisecond later, so that what was just begun holds for a moment at least."""
    return start + timedelta(milliseconds=max(1, math.ceil(duration / timedelta(milliseconds=1))))


def _whole_seconds(duration: timedelta) -> int:
    return max(1, math.ceil(duration.total_seconds()))
