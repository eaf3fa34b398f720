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
                                                'rolled_back', 'server_stop', 'crash_recovery')),
    -- The last sign of life that was noted; a crash closes the row there.
    last_seen        TEXT CHECK (last_seen GLOB '????-??-??T??:??:??.???Z'),
    avatar_emoji     TEXT,
    -- What they were allowed to do during this stay.
    role             TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'moderator', 'admin')),
    CHECK (left_at >= joined_at),
    CHECK (left_at IS NOT NULL OR (end_reason IS NULL AND duration_ms IS NULL)),
    CHECK (duration_seconds = (duration_ms + 500) / 1000),
    CHECK (speaking_seconds = (speaking_ms + 500) / 1000),
    CHECK (speaking_ms <= duration_ms)
);

-- Nobody is twice in a room, whatever the program does. Also the way to those who are in a room now.
CREATE UNIQUE INDEX voice_sessions_open ON voice_sessions (room_id, user_id) WHERE left_at IS NULL;
CREATE INDEX voice_sessions_open_world ON voice_sessions (world, room_id) WHERE left_at IS NULL;
CREATE INDEX voice_sessions_time ON voice_sessions (joined_at);
CREATE INDEX voice_sessions_world_time ON voice_sessions (world, joined_at);
CREATE INDEX voice_sessions_room_time ON voice_sessions (room_id, joined_at);
CREATE INDEX voice_sessions_user_time ON voice_sessions (user_id, joined_at);

-- Whoever was here. The role is what an operator gave; a join never writes it, so that no right outlives its token.
CREATE TABLE users (
    user_id      TEXT NOT NULL PRIMARY KEY CHECK (user_id <> ''),
    username     TEXT NOT NULL,
    role         TEXT NOT NULL DEFAULT 'user' CHECK (role IN ('user', 'moderator', 'admin')),
    avatar_emoji TEXT,
    created_at   TEXT NOT NULL CHECK (created_at GLOB '????-??-??T??:??:??.???Z'),
    last_active  TEXT NOT NULL CHECK (last_active GLOB '????-??-??T??:??:??.???Z')
) WITHOUT ROWID;

-- The moderation log: who did what to whom, where, why, when. Only ever added to.
CREATE TABLE admin_actions (
    id              INTEGER PRIMARY KEY,
    action_id       TEXT NOT NULL UNIQUE,
    action_type     TEXT NOT NULL CHECK (action_type IN ('kick', 'mute', 'unmute', 'ban', 'unban', 'warn')),
    target_user_id  TEXT NOT NULL CHECK (target_user_id <> ''),
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
    CHECK (expires_at >= created_at)
);

CREATE INDEX admin_actions_time ON admin_actions (created_at);
CREATE INDEX admin_actions_world_time ON admin_actions (world, created_at);
CREATE INDEX admin_actions_target_time ON admin_actions (target_user_id, created_at);

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

PRAGMA user_version = 1;
