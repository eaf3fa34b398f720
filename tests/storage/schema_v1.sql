-- The database of Weltenstimme, as a new one is made. Older ones are brought here by server/storage/migrations.py.
--
-- Times are text: UTC, ISO 8601 with milliseconds and Z (2026-02-13T17:30:00.000Z), so that they sort as they follow.
-- Whole seconds are for people and older readers; where milliseconds stand beside them, those are the exact value.

-- One row for each stay of someone in a room. Open while left_at is null; closed exactly once.
CREATE TABLE voice_sessions (
    id               INTEGER PRIMARY KEY,
    session_id       TEXT NOT NULL UNIQUE,
    room_id          TEXT NOT NULL CHECK (room_id <> ''),
    user_id          TEXT NOT NULL CHECK (user_id <> ''),
    username         TEXT NOT NULL,
    world            TEXT NOT NULL CHECK (world <> ''),
    joined_at        TEXT NOT NULL CHECK (joined_at GLOB '????-??-??T??:??:??.???Z'),
    left_at          TEXT CHECK (left_at GLOB '????-??-??T??:??:??.???Z'),
    duration_seconds INTEGER CHECK (duration_seconds >= 0),
    speaking_seconds INTEGER CHECK (speaking_seconds >= 0),
    created_at       TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
                     CHECK (created_at GLOB '????-??-??T??:??:??.???Z'),
    -- Exact values of the two above; null while a stay is open (duration) or where only whole seconds are known.
    duration_ms      INTEGER CHECK (duration_ms >= 0),
    speaking_ms      INTEGER CHECK (speaking_ms >= 0),
    end_reason       TEXT CHECK (end_reason IN ('left', 'kicked', 'banned', 'replaced', 'timeout', 'rejected_media',
                                                'rolled_back', 'server_stop', 'crash_recovery', 'revoked')),
    -- The last sign of life that was noted; a crash closes the row there.
    last_seen        TEXT CHECK (last_seen GLOB '????-??-??T??:??:??.???Z'),
    avatar_emoji     TEXT,
    -- What they were allowed to do during this stay.
    role             TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'moderator', 'admin')),
    -- How long they tried to speak while a moderator had muted them: nobody heard it, and it is part of no other figure.
    attempted_speaking_ms INTEGER NOT NULL DEFAULT 0 CHECK (attempted_speaking_ms >= 0),
    -- The stays in a room, numbered as they began; null for a call that ran elsewhere.
    room_seq         INTEGER CHECK (room_seq > 0),
    -- Whose word it is: this server's own, a report about a call that runs elsewhere, or an older database's.
    source           TEXT NOT NULL DEFAULT 'server' CHECK (source IN ('server', 'external', 'import')),
    call_id          INTEGER REFERENCES calls (id), -- null: the call is not over yet
    -- What the client told of its audio levels was found to be false, and when; from then on they were measured.
    level_contradiction TEXT CHECK (level_contradiction IN ('loud_over_silence', 'silence_over_speech')),
    contradicted_at  TEXT CHECK (contradicted_at GLOB '????-??-??T??:??:??.???Z'),
    -- The connection: in 95 % of all measurements it was as good as p95, or better. Jitter and loss in the worse direction.
    -- Null where nothing was measured.
    mos_p50          REAL CHECK (mos_p50 BETWEEN 1 AND 4.5), -- mean opinion score, ITU-T G.107
    mos_p95          REAL CHECK (mos_p95 BETWEEN 1 AND 4.5),
    mos_worst        REAL CHECK (mos_worst BETWEEN 1 AND 4.5),
    rtt_p50_ms       REAL CHECK (rtt_p50_ms >= 0),
    rtt_p95_ms       REAL CHECK (rtt_p95_ms >= 0),
    rtt_worst_ms     REAL CHECK (rtt_worst_ms >= 0),
    jitter_p50_ms    REAL CHECK (jitter_p50_ms >= 0),
    jitter_p95_ms    REAL CHECK (jitter_p95_ms >= 0),
    jitter_worst_ms  REAL CHECK (jitter_worst_ms >= 0),
    loss_p50_pct     REAL CHECK (loss_p50_pct BETWEEN 0 AND 100),
    loss_p95_pct     REAL CHECK (loss_p95_pct BETWEEN 0 AND 100),
    loss_worst_pct   REAL CHECK (loss_worst_pct BETWEEN 0 AND 100),
    CHECK (left_at >= joined_at),
    CHECK (left_at IS NOT NULL OR (end_reason IS NULL AND duration_ms IS NULL)),
    CHECK (duration_seconds = (duration_ms + 500) / 1000),
    CHECK (speaking_seconds = (speaking_ms + 500) / 1000),
    CHECK (speaking_ms <= duration_ms)
);

-- Nobody is twice in a room, whatever the program does. Also the way to those who are in a room now.
CREATE UNIQUE INDEX voice_sessions_open ON voice_sessions (room_id, user_id) WHERE left_at IS NULL AND source = 'server';
CREATE INDEX voice_sessions_open_world ON voice_sessions (world, room_id) WHERE left_at IS NULL;
CREATE UNIQUE INDEX voice_sessions_sequence ON voice_sessions (room_id, room_seq);
CREATE INDEX voice_sessions_time ON voice_sessions (joined_at);
CREATE INDEX voice_sessions_world_time ON voice_sessions (world, joined_at);
CREATE INDEX voice_sessions_room_time ON voice_sessions (room_id, joined_at);
CREATE INDEX voice_sessions_user_time ON voice_sessions (user_id, joined_at);
CREATE INDEX voice_sessions_open_user ON voice_sessions (user_id) WHERE left_at IS NULL;
CREATE INDEX voice_sessions_call ON voice_sessions (call_id);
CREATE INDEX voice_sessions_loose ON voice_sessions (world, room_id) WHERE call_id IS NULL;

-- What a client or a backend reported about the end of a stay that this server measured itself: beside the measurement.
CREATE TABLE session_reports (
    session_id       TEXT NOT NULL PRIMARY KEY REFERENCES voice_sessions (session_id),
    left_at          TEXT NOT NULL CHECK (left_at GLOB '????-??-??T??:??:??.???Z'),
    duration_seconds INTEGER NOT NULL CHECK (duration_seconds >= 0),
    speaking_seconds INTEGER NOT NULL CHECK (speaking_seconds >= 0),
    reported_at      TEXT NOT NULL CHECK (reported_at GLOB '????-??-??T??:??:??.???Z')
) WITHOUT ROWID;

-- Calls that are over: a room of a world from the first join to the last leave. Made from voice_sessions by
-- server/storage/calls.py whenever a room empties; calls of one room never overlap.
CREATE TABLE calls (
    id               INTEGER PRIMARY KEY,
    world            TEXT NOT NULL CHECK (world <> ''),
    room_id          TEXT NOT NULL CHECK (room_id <> ''),
    started_at       TEXT NOT NULL CHECK (started_at GLOB '????-??-??T??:??:??.???Z'),
    ended_at         TEXT NOT NULL CHECK (ended_at GLOB '????-??-??T??:??:??.???Z'),
    duration_ms      INTEGER NOT NULL CHECK (duration_ms >= 0),
    max_participants INTEGER NOT NULL CHECK (max_participants > 0), -- the most who were there at the same time
    total_sessions   INTEGER NOT NULL CHECK (total_sessions >= max_participants),
    CHECK (ended_at >= started_at)
);

CREATE INDEX calls_world_time ON calls (world, started_at);
CREATE INDEX calls_room_time ON calls (world, room_id, started_at);

-- Who was in which call, in the order in which lists show calls.
CREATE TABLE call_members (
    user_id    TEXT NOT NULL,
    world      TEXT NOT NULL,
    started_at TEXT NOT NULL, -- of the call
    call_id    INTEGER NOT NULL,
    PRIMARY KEY (user_id, world, started_at, call_id)
) WITHOUT ROWID;

-- Names of rooms, where anybody gave them one; elsewhere a room is called by its id.
CREATE TABLE room_names (
    room_id   TEXT NOT NULL PRIMARY KEY CHECK (room_id <> ''),
    room_name TEXT NOT NULL CHECK (room_name <> '')
) WITHOUT ROWID;

-- How many sessions began and how many calls started on a day (UTC): lists tell their total without counting. '' stands for
-- all worlds, and for all rooms.
CREATE TABLE session_totals (
    world   TEXT NOT NULL,
    room_id TEXT NOT NULL,
    day     TEXT NOT NULL,
    entries INTEGER NOT NULL,
    PRIMARY KEY (world, room_id, day)
) WITHOUT ROWID;
CREATE TABLE call_totals (
    world   TEXT NOT NULL,
    room_id TEXT NOT NULL,
    day     TEXT NOT NULL,
    entries INTEGER NOT NULL,
    PRIMARY KEY (world, room_id, day)
) WITHOUT ROWID;

-- What the stays of each person come to that are over.
CREATE TABLE user_totals (
    user_id     TEXT NOT NULL PRIMARY KEY,
    sessions    INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    speaking_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER voice_sessions_added AFTER INSERT ON voice_sessions
BEGIN
    INSERT INTO session_totals (world, room_id, day, entries)
    VALUES ('', '', substr(new.joined_at, 1, 10), 1), (new.world, '', substr(new.joined_at, 1, 10), 1),
           ('', new.room_id, substr(new.joined_at, 1, 10), 1), (new.world, new.room_id, substr(new.joined_at, 1, 10), 1)
    ON CONFLICT DO UPDATE SET entries = entries + 1;
    INSERT INTO user_totals (user_id, sessions, duration_ms, speaking_ms)
    SELECT new.user_id, 1, coalesce(new.duration_ms, new.duration_seconds * 1000, 0), coalesce(new.speaking_ms, new.speaking_seconds * 1000, 0)
    WHERE new.left_at IS NOT NULL
    ON CONFLICT DO UPDATE SET sessions = sessions + 1, duration_ms = duration_ms + excluded.duration_ms,
                              speaking_ms = speaking_ms + excluded.speaking_ms;
END;
CREATE TRIGGER voice_sessions_removed AFTER DELETE ON voice_sessions
BEGIN
    UPDATE session_totals SET entries = entries - 1
    WHERE world IN ('', old.world) AND room_id IN ('', old.room_id) AND day = substr(old.joined_at, 1, 10);
    UPDATE user_totals
    SET sessions = sessions - 1, duration_ms = duration_ms - coalesce(old.duration_ms, old.duration_seconds * 1000, 0),
        speaking_ms = speaking_ms - coalesce(old.speaking_ms, old.speaking_seconds * 1000, 0)
    WHERE old.left_at IS NOT NULL AND user_id = old.user_id;
END;
CREATE TRIGGER voice_sessions_moved AFTER UPDATE OF world, room_id, joined_at ON voice_sessions
BEGIN
    UPDATE session_totals SET entries = entries - 1
    WHERE world IN ('', old.world) AND room_id IN ('', old.room_id) AND day = substr(old.joined_at, 1, 10);
    INSERT INTO session_totals (world, room_id, day, entries)
    VALUES ('', '', substr(new.joined_at, 1, 10), 1), (new.world, '', substr(new.joined_at, 1, 10), 1),
           ('', new.room_id, substr(new.joined_at, 1, 10), 1), (new.world, new.room_id, substr(new.joined_at, 1, 10), 1)
    ON CONFLICT DO UPDATE SET entries = entries + 1;
END;
CREATE TRIGGER voice_sessions_ended
AFTER UPDATE OF user_id, left_at, duration_ms, duration_seconds, speaking_ms, speaking_seconds ON voice_sessions
WHEN old.left_at IS NOT NULL OR new.left_at IS NOT NULL
BEGIN
    UPDATE user_totals
    SET sessions = sessions - 1, duration_ms = duration_ms - coalesce(old.duration_ms, old.duration_seconds * 1000, 0),
        speaking_ms = speaking_ms - coalesce(old.speaking_ms, old.speaking_seconds * 1000, 0)
    WHERE old.left_at IS NOT NULL AND user_id = old.user_id;
    INSERT INTO user_totals (user_id, sessions, duration_ms, speaking_ms)
    SELECT new.user_id, 1, coalesce(new.duration_ms, new.duration_seconds * 1000, 0), coalesce(new.speaking_ms, new.speaking_seconds * 1000, 0)
    WHERE new.left_at IS NOT NULL
    ON CONFLICT DO UPDATE SET sessions = sessions + 1, duration_ms = duration_ms + excluded.duration_ms,
                              speaking_ms = speaking_ms + excluded.speaking_ms;
END;
CREATE TRIGGER calls_added AFTER INSERT ON calls
BEGIN
    INSERT INTO call_totals (world, room_id, day, entries)
    VALUES (new.world, '', substr(new.started_at, 1, 10), 1), (new.world, new.room_id, substr(new.started_at, 1, 10), 1)
    ON CONFLICT DO UPDATE SET entries = entries + 1;
END;
CREATE TRIGGER calls_removed AFTER DELETE ON calls
BEGIN
    UPDATE call_totals SET entries = entries - 1
    WHERE world = old.world AND room_id IN ('', old.room_id) AND day = substr(old.started_at, 1, 10);
END;

-- Whoever was here. The role is what an operator gave; a join never writes it, so that no right outlives its token.
CREATE TABLE users (
    user_id      TEXT NOT NULL PRIMARY KEY CHECK (user_id <> ''),
    username     TEXT NOT NULL,
    role         TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'moderator', 'admin')),
    -- Where the role holds, as JSON lists of names; null: everywhere.
    role_worlds  TEXT CHECK (json_type(role_worlds) = 'array'),
    role_rooms   TEXT CHECK (json_type(role_rooms) = 'array'),
    avatar_emoji TEXT,
    created_at   TEXT NOT NULL CHECK (created_at GLOB '????-??-??T??:??:??.???Z'),
    last_active  TEXT NOT NULL CHECK (last_active GLOB '????-??-??T??:??:??.???Z')
) WITHOUT ROWID;

-- The moderation log: who did what to whom, where, why, when, and what came of it. Only ever added to, by `append_action` of
-- server/storage/audit.py: `hash` covers every other column, `prev_hash` is the hash of the row before ('' in the first).
CREATE TABLE admin_actions (
    id              INTEGER PRIMARY KEY,
    action_id       TEXT NOT NULL UNIQUE,
    action_type     TEXT NOT NULL CHECK (action_type IN ('kick', 'mute', 'unmute', 'ban', 'unban', 'warn', 'mute_all')),
    target_user_id  TEXT NOT NULL CHECK (target_user_id <> ''), -- '*': everybody in the room (mute_all)
    target_username TEXT,
    admin_user_id   TEXT NOT NULL CHECK (admin_user_id <> ''),
    admin_username  TEXT,
    world           TEXT NOT NULL CHECK (world <> ''), -- '*': every world
    room_id         TEXT,
    reason          TEXT,
    duration_hours  REAL CHECK (duration_hours > 0), -- null: for good, or an action that does not last
    created_at      TEXT NOT NULL CHECK (created_at GLOB '????-??-??T??:??:??.???Z'),
    expires_at      TEXT CHECK (expires_at GLOB '????-??-??T??:??:??.???Z'),
    log_only        INTEGER NOT NULL DEFAULT 0 CHECK (log_only IN (0, 1)), -- 1: carried out elsewhere, only noted here
    effect          TEXT CHECK (json_type(effect) = 'object'), -- what it did; null where it was only noted, or nothing is known
    prev_hash       TEXT NOT NULL,
    hash            TEXT NOT NULL CHECK (length(hash) = 64),
    CHECK (expires_at >= created_at)
);

CREATE INDEX admin_actions_time ON admin_actions (created_at);
CREATE INDEX admin_actions_world_time ON admin_actions (world, created_at);
CREATE INDEX admin_actions_target_time ON admin_actions (target_user_id, created_at);
CREATE INDEX admin_actions_admin_time ON admin_actions (admin_user_id, created_at);

CREATE TRIGGER admin_actions_stay BEFORE UPDATE ON admin_actions
BEGIN SELECT raise(ABORT, 'the moderation log is only ever added to'); END;
CREATE TRIGGER admin_actions_remain BEFORE DELETE ON admin_actions
BEGIN SELECT raise(ABORT, 'the moderation log is only ever added to'); END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER admin_actions_follow BEFORE INSERT ON admin_actions
WHEN EXISTS (SELECT 1 FROM admin_actions WHERE id = new.id OR action_id = new.action_id)
BEGIN SELECT raise(ABORT, 'the moderation log is only ever added to'); END;

-- Where the log ends: without it a log whose last rows were cut off would look whole.
CREATE TABLE admin_actions_head (
    one  INTEGER PRIMARY KEY CHECK (one = 1),
    id   INTEGER NOT NULL, -- of the last row; 0 while there is none
    hash TEXT NOT NULL
);
INSERT INTO admin_actions_head (one, id, hash) VALUES (1, 0, '');

-- The bans in force, apart from the log, so that a join finds its answer by key. An unban deletes the row, a later ban
-- replaces it; one that has expired is as good as none.
CREATE TABLE bans (
    user_id    TEXT NOT NULL CHECK (user_id <> ''),
    world      TEXT NOT NULL CHECK (world <> ''), -- '*': every world
    action_id  TEXT NOT NULL REFERENCES admin_actions (action_id),
    reason     TEXT,
    expires_at TEXT CHECK (expires_at GLOB '????-??-??T??:??:??.???Z'), -- null: for good
    PRIMARY KEY (user_id, world)
) WITHOUT ROWID;

CREATE INDEX bans_action ON bans (action_id);

-- Who was put out of a room and may not come back yet, whatever token they bring.
CREATE TABLE kicks (
    user_id    TEXT NOT NULL CHECK (user_id <> ''),
    room_id    TEXT NOT NULL CHECK (room_id <> ''),
    action_id  TEXT NOT NULL REFERENCES admin_actions (action_id),
    expires_at TEXT NOT NULL CHECK (expires_at GLOB '????-??-??T??:??:??.???Z'),
    PRIMARY KEY (user_id, room_id)
) WITHOUT ROWID;

-- Whom a moderator muted in a room: leaving and coming back does not end it.
CREATE TABLE mutes (
    user_id    TEXT NOT NULL CHECK (user_id <> ''),
    room_id    TEXT NOT NULL CHECK (room_id <> ''),
    action_id  TEXT NOT NULL REFERENCES admin_actions (action_id),
    expires_at TEXT NOT NULL CHECK (expires_at GLOB '????-??-??T??:??:??.???Z'),
    PRIMARY KEY (user_id, room_id)
) WITHOUT ROWID;

-- When a warning was acknowledged by the one who was warned.
CREATE TABLE acknowledgements (
    action_id       TEXT NOT NULL PRIMARY KEY REFERENCES admin_actions (action_id),
    acknowledged_at TEXT NOT NULL CHECK (acknowledged_at GLOB '????-??-??T??:??:??.???Z')
) WITHOUT ROWID;

-- What participants report about each other, and the first action that answered it.
CREATE TABLE reports (
    id               INTEGER PRIMARY KEY,
    report_id        TEXT NOT NULL UNIQUE,
    reporter_user_id TEXT NOT NULL CHECK (reporter_user_id <> ''),
    target_user_id   TEXT NOT NULL CHECK (target_user_id <> ''),
    world            TEXT NOT NULL CHECK (world <> ''),
    room_id          TEXT NOT NULL CHECK (room_id <> ''),
    reason           TEXT,
    created_at       TEXT NOT NULL CHECK (created_at GLOB '????-??-??T??:??:??.???Z'),
    action_id        TEXT REFERENCES admin_actions (action_id), -- null: nobody has done anything yet
    response_ms      INTEGER CHECK (response_ms >= 0),
    CHECK ((action_id IS NULL) = (response_ms IS NULL))
);

-- One open report a person, target and room: saying it again changes nothing.
CREATE UNIQUE INDEX reports_open ON reports (target_user_id, world, room_id, reporter_user_id) WHERE action_id IS NULL;
CREATE INDEX reports_world_time ON reports (world, created_at);

-- API tokens beside those of the settings. Only a hash (SHA-256) is kept of each.
CREATE TABLE api_tokens (
    label      TEXT NOT NULL PRIMARY KEY CHECK (label <> ''),
    digest     TEXT NOT NULL UNIQUE CHECK (length(digest) = 64),
    created_at TEXT NOT NULL CHECK (created_at GLOB '????-??-??T??:??:??.???Z'),
    revoked_at TEXT CHECK (revoked_at GLOB '????-??-??T??:??:??.???Z')
) WITHOUT ROWID;

-- User tokens that were made here, for `weltenstimme token list`; the tokens themselves are not kept.
CREATE TABLE user_tokens (
    jti        TEXT NOT NULL PRIMARY KEY CHECK (jti <> ''),
    user_id    TEXT NOT NULL CHECK (user_id <> ''),
    name       TEXT,
    role       TEXT NOT NULL CHECK (role IN ('user', 'moderator', 'admin')),
    created_at TEXT NOT NULL CHECK (created_at GLOB '????-??-??T??:??:??.???Z'),
    expires_at TEXT NOT NULL CHECK (expires_at GLOB '????-??-??T??:??:??.???Z')
) WITHOUT ROWID;

-- Tokens that are refused although they have not expired, whoever made them.
CREATE TABLE revocations (
    id         INTEGER PRIMARY KEY,
    jti        TEXT NOT NULL UNIQUE CHECK (jti <> ''),
    revoked_at TEXT NOT NULL CHECK (revoked_at GLOB '????-??-??T??:??:??.???Z')
);

-- Talk-spurts, as measured by the server: inside their session, apart from each other, and voice_sessions.speaking_ms is the
-- sum of their durations. The newest of an open session may still grow. Dropped after a while where a setting says so.
CREATE TABLE speaking_intervals (
    session_id  TEXT NOT NULL REFERENCES voice_sessions (session_id),
    seq         INTEGER NOT NULL CHECK (seq > 0), -- within the session, as they followed
    started_at  TEXT NOT NULL CHECK (started_at GLOB '????-??-??T??:??:??.???Z'),
    ended_at    TEXT NOT NULL CHECK (ended_at GLOB '????-??-??T??:??:??.???Z'),
    duration_ms INTEGER NOT NULL CHECK (duration_ms > 0), -- ended_at less started_at
    peak_dbov   INTEGER NOT NULL CHECK (peak_dbov BETWEEN 0 AND 127), -- the loudest level: a magnitude in -dBov (RFC 6464)
    mean_dbov   INTEGER NOT NULL CHECK (mean_dbov BETWEEN peak_dbov AND 127), -- the mean power as a level
    PRIMARY KEY (session_id, seq),
    CHECK (started_at < ended_at)
) WITHOUT ROWID;

CREATE INDEX speaking_intervals_time ON speaking_intervals (started_at);

-- How good a connection was, ten seconds a row. Up is from the client; null where nothing was measured.
CREATE TABLE quality_series (
    session_id     TEXT NOT NULL REFERENCES voice_sessions (session_id),
    at             TEXT NOT NULL CHECK (at GLOB '????-??-??T??:??:??.???Z'), -- where the ten seconds begin
    quality        TEXT NOT NULL CHECK (quality IN ('excellent', 'good', 'poor', 'lost')), -- the worst
    mos            REAL NOT NULL CHECK (mos BETWEEN 1 AND 4.5), -- this and the following: means
    rtt_ms         REAL CHECK (rtt_ms >= 0),
    up_jitter_ms   REAL CHECK (up_jitter_ms >= 0),
    up_loss_pct    REAL CHECK (up_loss_pct BETWEEN 0 AND 100),
    down_jitter_ms REAL CHECK (down_jitter_ms >= 0),
    down_loss_pct  REAL CHECK (down_loss_pct BETWEEN 0 AND 100),
    PRIMARY KEY (session_id, at)
) WITHOUT ROWID;

CREATE INDEX quality_series_time ON quality_series (at);

-- What happened in a room, in order, for its replay. Kinds are those of RoomEventKind in server/voice/ledger.py.
CREATE TABLE room_events (
    event_id   INTEGER PRIMARY KEY, -- random: a second writing of the same event is known by it
    room_id    TEXT NOT NULL CHECK (room_id <> ''),
    seq        INTEGER NOT NULL CHECK (seq > 0), -- within the room, as they followed
    at         TEXT NOT NULL CHECK (at GLOB '????-??-??T??:??:??.???Z'),
    kind       TEXT NOT NULL CHECK (kind <> ''),
    session_id TEXT NOT NULL REFERENCES voice_sessions (session_id),
    by         TEXT, -- 'self', 'moderator' or the user id of one; null where that says nothing
    reason     TEXT,
    UNIQUE (room_id, seq)
);

CREATE INDEX room_events_time ON room_events (room_id, at);
CREATE INDEX room_events_session ON room_events (session_id);

-- The last number given in each room, to a stay and to an event.
CREATE TABLE room_sequences (
    room_id TEXT NOT NULL PRIMARY KEY CHECK (room_id <> ''),
    stays   INTEGER NOT NULL DEFAULT 0,
    events  INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

PRAGMA user_version = 1;
