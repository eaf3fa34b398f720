from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.storage.timestamps import from_text, to_text
from server.voice.clock import whole_ms


def test_the_form_of_the_wire() -> None:
    assert to_text(datetime(2026, 2, 13, 17, 30, tzinfo=UTC)) == "2026-02-13T17:30:00.000Z"
    assert to_text(datetime(2026, 2, 13, 18, 30, 0, 999, tzinfo=timezone(timedelta(hours=1)))) == "2026-02-13T17:30:00.000Z"
    with pytest.raises(ValueError, match="Invalid isoformat"):
        from_text("yesterday")


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_there_and_back(moment: datetime) -> None:
    assert from_text(to_text(moment)) == whole_ms(moment)


@given(*[st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2999, 1, 1), timezones=st.just(UTC))] * 2)  # noqa: DTZ001
def test_text_sorts_as_time_does(one: datetime, other: datetime) -> None:
    assert (whole_ms(one) < whole_ms(other)) == (to_text(one) < to_text(other))
