from __future__ import annotations

import pytest

from server.limit_rules import DEFAULT_RULES, KINDS, LimitRule, parse_rules


def test_rules_are_read() -> None:
    assert parse_rules("join=30/60s, guest_api=10/1s") == {"join": LimitRule(30, 60), "guest_api": LimitRule(10, 1)}
    assert parse_rules(" OFF ") == {}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has a rule that cannot be read"),
        ("join=30", "has a rule that cannot be read"),
        ("join=30/60", "has a rule that cannot be read"),
        ("join=0/60s", "has a rule that cannot be read"),
        ("join=30/0s", "has a rule that cannot be read"),
        ("join=30/60s,", "has a rule that cannot be read"),
        ("off,join=30/60s", "has a rule that cannot be read"),
        ("shout=1/1s", "has a rule for something that is not counted"),
        ("join=1/1s,join=2/1s", "has a rule twice"),
    ],
)
def test_what_is_no_rule(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_rules(text)


def test_the_default_lets_a_community_live() -> None:
    rules = parse_rules(DEFAULT_RULES)
    assert {name.removesuffix("_api") for name in rules} <= set(KINDS)
    per_second = {name: rule.times / rule.seconds for name, rule in rules.items()}
    # A backend that brings in fifty people a second, and a class behind one address that comes in within a minute.
    assert per_second["join_api"] >= 100
    assert rules["guest"].times >= 100
    # Candidates of a browser, relayed to nine others.
    assert rules["message"].times >= 500
    assert "leave" not in rules
