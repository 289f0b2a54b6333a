CREATE TABLE IF NOT EXISTS users (
    id         TEXT PRIMARY KEY,
    username   TEXT NOT NULL UNIQUE COLLATE NOCASE,
    name       TEXT NOT NULL,              -- for people
    role       TEXT NOT NULL,
    password   TEXT NOT NULL,              -- Argon2id, PHC string
    created_at TEXT NOT NULL
) STRICT;

-- Refresh tokens. Each is used once and has a successor of the same family; one that is used again was
-- stolen, and ends its family.
CREATE TABLE IF NOT EXISTS sessions (
    digest  TEXT PRIMARY KEY,
    family  TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
    expires INTEGER NOT NULL,              -- seconds since 1970
    used    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX IF NOT EXISTS sessions_by_family ON sessions(family);

CREATE TABLE IF NOT EXISTS tokens (
    digest     TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    role       TEXT NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS secrets (
    name  TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT;
