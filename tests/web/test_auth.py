"""Tokens: what is taken for what, and what is taken for nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from server.config import Settings
from server.errors import Unauthorized
from server.voice.participant import Participant, Role
from server.web.auth import Identity, IdentityKind, TokenService
from tests.signalling.fakes import new_participant
from tests.support import MakeSettings
from tests.voice.fakes import FakeClock
from tests.web.site import Site, bearer

OTHER_KEY = "another secret that is long enough for HS256"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tokens(settings: Settings, clock: FakeClock) -> TokenService:
    return TokenService(settings, clock)


@pytest.fixture
def participant() -> Participant:
    return new_participant("anna", role=Role.MODERATOR)


def claims(clock: FakeClock, **changes: Any) -> dict[str, Any]:
    """What another backend writes; None leaves a claim out."""
    now = int(clock.now().timestamp())
    known = {"sub": "anna", "name": "Anna", "role": "user", "exp": now + 60, "jti": "j"}
    return {name: value for name, value in {**known, **changes}.items() if value is not None}


def signed(payload: dict[str, Any], key: str, **options: Any) -> str:
    return jwt.encode(payload, key, algorithm=options.pop("algorithm", "HS256"), **options)


def test_every_api_token_is_an_api_token(tokens: TokenService, settings: Settings) -> None:
    assert len(settings.api_tokens) == 2
    for token in settings.api_tokens:
        assert tokens.authenticate(f"Bearer {token}") == Identity(IdentityKind.API, Role.ADMIN)
        assert tokens.authenticate(f"bearer  {token}").kind is IdentityKind.API
        with pytest.raises(Unauthorized):
            tokens.identify(token[:-1])


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic abc", "Token abc", "Bearer a b", "Bearer é", "Bearer \udcff"]
)
def test_a_header_that_is_no_bearer_token_is_refused(tokens: TokenService, header: str | None) -> None:
    with pytest.raises(Unauthorized):
        tokens.authenticate(header)


def test_a_token_of_another_backend_is_a_user_token(tokens: TokenService, settings: Settings, clock: FakeClock) -> None:
    token = signed(claims(clock, role="moderator", worlds=["materie"], rooms=["lobby"]), settings.jwt_secret)
    assert tokens.identify(token) == Identity(
        IdentityKind.USER,
        Role.MODERATOR,
        user_id="anna",
        name="Anna",
        worlds=frozenset({"materie"}),
        rooms=frozenset({"lobby"}),
        jti="j",
    )


@pytest.mark.parametrize(
    "changes", [{"role": None}, {"role": "emperor"}, {"name": None}, {"jti": None}, {"aud": "weltenstimme:user"}]
)
def test_what_a_user_token_may_do_without(
    tokens: TokenService, settings: Settings, clock: FakeClock, changes: dict[str, Any]
) -> None:
    identity = tokens.identify(signed(claims(clock, **changes), settings.jwt_secret))
    assert (identity.kind, identity.role, identity.user_id) == (IdentityKind.USER, Role.USER, "anna")


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"sub": ""},
        {"sub": "x" * 129},
        {"sub": "a\nb"},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": float("inf")},
        {"role": 7},
        {"role": ["admin"]},
        {"name": 7},
        {"worlds": "materie"},
        {"worlds": [7]},
        {"rooms": {}},
        {"jti": 7},
        {"aud": "weltenstimme:session"},
        {"aud": "someone else"},
        {"aud": ["weltenstimme:user", "weltenstimme:session"]},
        {"nbf": "now"},
    ],
)
def test_a_user_token_with_bad_claims_is_refused(
    tokens: TokenService, settings: Settings, clock: FakeClock, changes: dict[str, Any]
) -> None:
    # By the layer below: the library itself would not write some of these.
    token = jwt.PyJWS().encode(json.dumps(claims(clock, **changes)).encode(), settings.jwt_secret, algorithm="HS256")
    with pytest.raises(Unauthorized):
        tokens.identify(token)


def test_time_is_ours(tokens: TokenService, settings: Settings, clock: FakeClock) -> None:
    now = int(clock.now().timestamp())
    tokens.identify(signed(claims(clock, exp=now + 1), settings.jwt_secret))
    tokens.identify(signed(claims(clock, nbf=now + 30, iat=now + 86_400), settings.jwt_secret))
    for changes in ({"exp": now}, {"exp": now - 3600}, {"nbf": now + 120}):
        with pytest.raises(Unauthorized):
            tokens.identify(signed(claims(clock, **changes), settings.jwt_secret))


def unsigned(payload: dict[str, Any], header: dict[str, Any]) -> str:
    parts = (json.dumps(part).encode() for part in (header, payload))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
@pytest.mark.parametrize("token_type", ["JWT", "voice-session+jwt"])
def test_alg_none_is_refused(tokens: TokenService, clock: FakeClock, algorithm: str, token_type: str) -> None:
    payload = claims(clock, sid="s", room="lobby", world="materie", aud="weltenstimme:session")
    with pytest.raises(Unauthorized):
        tokens.identify(unsigned(payload, {"alg": algorithm, "typ": token_type}))


def test_other_algorithms_and_other_keys_are_refused(tokens: TokenService, settings: Settings, clock: FakeClock) -> None:
    long_enough = settings.jwt_secret * 2
    for token in (
        signed(claims(clock), long_enough, algorithm="HS512"),
        signed(claims(clock), settings.jwt_secret, algorithm="HS384"),
        signed(claims(clock), OTHER_KEY),
    ):
        with pytest.raises(Unauthorized):
            tokens.identify(token)


def test_a_guest_is_a_user(tokens: TokenService, clock: FakeClock) -> None:
    issued = tokens.issue_guest("Anna", "energie")
    identity = tokens.identify(issued.token)
    assert identity.user_id == issued.user_id
    assert (identity.kind, identity.role, identity.name) == (IdentityKind.USER, Role.USER, "Anna")
    assert (identity.worlds, identity.rooms) == (frozenset({"energie"}), None)
    assert tokens.issue_guest("Anna").user_id != issued.user_id
    clock.advance((issued.expires_at - clock.now()).total_seconds())
    with pytest.raises(Unauthorized):
        tokens.identify(issued.token)


def test_a_session_token_is_of_one_session(tokens: TokenService, participant: Participant, clock: FakeClock) -> None:
    issued = tokens.issue_session(participant)
    identity = tokens.identify(issued.token)
    assert identity == Identity(
        IdentityKind.SESSION,
        Role.MODERATOR,
        user_id="anna",
        worlds=frozenset({"materie"}),
        rooms=frozenset({"lobby"}),
        jti=identity.jti,
        session_id=participant.session_id,
    )
    tokens.verify_session_token(issued.token, participant.session_id)
    with pytest.raises(Unauthorized):
        tokens.verify_session_token(issued.token, "another session")
    clock.advance((issued.expires_at - clock.now()).total_seconds())
    with pytest.raises(Unauthorized):
        tokens.verify_session_token(issued.token, participant.session_id)


def test_no_token_passes_for_another(
    tokens: TokenService, settings: Settings, clock: FakeClock, participant: Participant
) -> None:
    session = tokens.issue_session(participant).token
    session_claims = jwt.decode(session, options={"verify_signature": False})
    now = int(clock.now().timestamp())
    forged = [
        tokens.issue_guest("Anna").token,
        settings.api_tokens[0],
        # By a backend that has the secret for user tokens: with everything that a session token has, but its key.
        signed(session_claims, settings.jwt_secret, headers={"typ": "voice-session+jwt"}),
        signed({**session_claims, "exp": now + 99}, settings.jwt_secret),
        signed({**claims(clock), "sid": participant.session_id}, settings.jwt_secret),
    ]
    for token in forged:
        with pytest.raises(Unauthorized):
            tokens.verify_session_token(token, participant.session_id)
    # And a session token whose type is rewritten is no user token.
    _, payload, signature = session.split(".")
    header = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    with pytest.raises(Unauthorized):
        tokens.identify(f"{header}.{payload}.{signature}")


def test_a_session_token_of_a_server_with_another_secret_is_refused(
    make_settings: MakeSettings, clock: FakeClock, participant: Participant, tokens: TokenService
) -> None:
    other = TokenService(make_settings(jwt_secret=OTHER_KEY), clock)
    with pytest.raises(Unauthorized):
        tokens.identify(other.issue_session(participant).token)


def test_what_was_revoked_is_refused(settings: Settings, clock: FakeClock, participant: Participant) -> None:
    class Revoked:
        def is_revoked(self, identity: Identity) -> bool:
            return identity.jti == "revoked"

    tokens = TokenService(settings, clock, revocations=Revoked())
    tokens.identify(signed(claims(clock), settings.jwt_secret))
    with pytest.raises(Unauthorized):
        tokens.identify(signed(claims(clock, jti="revoked"), settings.jwt_secret))


def test_without_a_secret_there_are_no_tokens(make_settings: MakeSettings, clock: FakeClock) -> None:
    with pytest.raises(ValueError, match="without a secret"):
        TokenService(make_settings(jwt_secret=""), clock)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(
    token=st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,80}", fullmatch=True)
)
def test_rubbish_is_refused_and_nothing_else_happens(tokens: TokenService, token: str) -> None:
    with pytest.raises(Unauthorized):
        tokens.identify(token)


@pytest.mark.parametrize("token", ["a" * 9000, "..", "e30.e30.", "eyJhbGciOiJIUzI1NiJ9." + "W1tb" * 2000 + ".x", "\ud800"])
def test_strange_tokens_are_refused(tokens: TokenService, token: str) -> None:
    with pytest.raises(Unauthorized):
        tokens.identify(token)


# --- the same on REST ---------------------------------------------------------------------------------------------

PROTECTED = [
    ("POST", "/api/voice/join"),
    ("POST", "/api/voice/leave"),
    ("GET", "/api/voice/rooms/materie"),
    ("GET", "/api/voice/participants/lobby"),
]
Headers = Callable[[Site], dict[str, str]]


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(lambda site: {}, id="missing"),
        pytest.param(lambda site: {"Authorization": "Basic eA=="}, id="another scheme"),
        pytest.param(lambda site: bearer("a.b.c"), id="malformed"),
        pytest.param(lambda site: bearer(site.user_token(exp=site.now - 1)), id="expired"),
        pytest.param(lambda site: bearer(site.user_token(key=OTHER_KEY)), id="wrong signature"),
        pytest.param(
            lambda site: bearer(unsigned({"sub": "anna", "exp": site.now + 99}, {"alg": "none", "typ": "JWT"})), id="alg none"
        ),
    ],
)
async def test_protected_routes_refuse_what_is_no_valid_token(site: Site, method: str, path: str, headers: Headers) -> None:
    body = {"session_id": "s"} if method == "POST" else None
    answer = await site.client.request(method, path, json=body, headers=headers(site))
    error = await answer.json()
    assert (answer.status, error["error"], error["success"]) == (401, "Unauthorized", False)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(error) == {"success", "error", "message", "timestamp"}
