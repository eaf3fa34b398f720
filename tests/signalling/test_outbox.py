from __future__ import annotations

import pytest

from server.signalling.outbox import Delivery, Outbox, Verdict


def test_frames_come_out_in_order_and_the_bytes_are_counted() -> None:
    outbox = Outbox()
    assert outbox.offer(b"one", Delivery.EVENT) is Verdict.QUEUED
    assert outbox.offer(b"three", Delivery.LEVELS) is Verdict.QUEUED
    assert (len(outbox), outbox.waiting_bytes) == (2, 8)
    assert [outbox.take(), outbox.take()] == [b"one", b"three"]
    assert (len(outbox), outbox.waiting_bytes) == (0, 0)
    with pytest.raises(IndexError):
        outbox.take()


@pytest.mark.parametrize(
    ("delivery", "places", "verdict"),
    [(Delivery.EVENT, 8, Verdict.OVERFLOW), (Delivery.RELAY, 4, Verdict.LEFT_OUT), (Delivery.LEVELS, 2, Verdict.LEFT_OUT)],
)
def test_each_kind_has_its_share_and_its_policy(delivery: Delivery, places: int, verdict: Verdict) -> None:
    outbox = Outbox(max_frames=8)
    verdicts = [outbox.offer(b"x", delivery) for _ in range(places + 1)]
    assert verdicts == [Verdict.QUEUED] * places + [verdict]
    assert len(outbox) == places


def test_bytes_are_bounded_like_frames() -> None:
    outbox = Outbox(max_bytes=100)
    assert outbox.offer(b"x" * 51, Delivery.RELAY) is Verdict.LEFT_OUT
    assert outbox.offer(b"x" * 100, Delivery.EVENT) is Verdict.QUEUED
    assert outbox.offer(b"x", Delivery.EVENT) is Verdict.OVERFLOW
    outbox.clear()
    assert (len(outbox), outbox.waiting_bytes) == (0, 0)
    assert outbox.offer(b"x", Delivery.EVENT) is Verdict.QUEUED
