-- Schema 4. SQLite is the truth; vector files, posting files and graphs are derived from it.
-- `sum` is a checksum of the row (see sums.rs): SQLite itself does not notice a flipped bit in a text.

CREATE TABLE collections (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL UNIQUE,
    uid         TEXT NOT NULL UNIQUE,      -- names the derived files
    model       TEXT NOT NULL,             -- for people
    fingerprint TEXT NOT NULL,             -- decides whether vectors may be compared
    dimension   INTEGER NOT NULL,
    generation  INTEGER NOT NULL DEFAULT 0, -- raised by every change
    created_at  TEXT NOT NULL,
    sum INTEGER AS (row_sum(id, name, uid, model, fingerprint, dimension, generation, created_at)) STORED
) STRICT;

CREATE TABLE documents (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    hash          TEXT NOT NULL,           -- BLAKE3 of the bytes
    service       TEXT NOT NULL,           -- who parsed it: 'local' or a base URL
    parser        TEXT NOT NULL,           -- parser version
    title         TEXT,
    size          INTEGER NOT NULL,        -- bytes
    pages         INTEGER NOT NULL,        -- how many there must be
    chunks        INTEGER NOT NULL,
    created_at    TEXT NOT NULL,
    sum INTEGER AS (row_sum(id, collection_id, hash, service, parser, title, size, pages, chunks, created_at)) STORED,
    UNIQUE (collection_id, hash)
) STRICT;

CREATE INDEX documents_by_hash ON documents(hash);

CREATE TABLE sources (
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    path          TEXT NOT NULL,           -- NFC, as cited
    file          BLOB NOT NULL,           -- as the file system spells it
    root          TEXT NOT NULL,
    size          INTEGER NOT NULL,
    modified      INTEGER NOT NULL,        -- nanoseconds since 1970
    document_id   INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    sum INTEGER AS (row_sum(collection_id, path, file, root, size, modified, document_id)) STORED,
    PRIMARY KEY (collection_id, path)
) STRICT;

CREATE INDEX sources_by_document ON sources(document_id);

CREATE TABLE tags (
    document_id INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    sum INTEGER AS (row_sum(document_id, key, value)) STORED,
    PRIMARY KEY (document_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE pages (
    document_id INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    number      INTEGER NOT NULL,          -- from 1
    verdict     TEXT NOT NULL,
    text        TEXT NOT NULL,
    sum INTEGER AS (row_sum(document_id, number, verdict, text)) STORED,
    UNIQUE (document_id, number)
) STRICT;

CREATE TABLE details (
    document_id INTEGER PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE,
    details     TEXT NOT NULL,             -- JSON of document::Details
    sum INTEGER AS (row_sum(document_id, details)) STORED
) STRICT;

CREATE TABLE chunks (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    document_id   INTEGER NOT NULL REFERENCES documents(id) ON DELETE CASCADE,
    page          INTEGER NOT NULL,
    start         INTEGER NOT NULL,        -- characters into the page's text
    end           INTEGER NOT NULL,
    sum INTEGER AS (row_sum(id, collection_id, document_id, page, start, end)) STORED
) STRICT;

CREATE INDEX chunks_by_document ON chunks(document_id);
CREATE INDEX chunks_by_collection ON chunks(collection_id, id);

CREATE TABLE vectors (
    chunk_id INTEGER PRIMARY KEY REFERENCES chunks(id) ON DELETE CASCADE,
    vector   BLOB NOT NULL, -- f32, little endian
    sum INTEGER AS (row_sum(chunk_id, vector)) STORED
) STRICT;

-- Chunks that are gone but may still stand in a derived file.
CREATE TABLE tombstones (
    chunk_id      INTEGER PRIMARY KEY,
    collection_id INTEGER NOT NULL REFERENCES collections(id) ON DELETE CASCADE,
    sum INTEGER AS (row_sum(chunk_id, collection_id)) STORED
) STRICT;

CREATE TABLE jobs (
    id         TEXT PRIMARY KEY,
    service    TEXT NOT NULL,
    hash       TEXT NOT NULL,
    state      TEXT NOT NULL,
    remote_id  TEXT,
    attempts   INTEGER NOT NULL,
    error      TEXT,
    size       INTEGER NOT NULL,
    pages      INTEGER,
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    sum INTEGER AS (row_sum(id, service, hash, state, remote_id, attempts, error, size, pages, created_at, updated_at)) STORED,
    UNIQUE (service, hash)
) STRICT;

CREATE INDEX jobs_by_state ON jobs(state);

CREATE TABLE job_targets (
    job_id     TEXT NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
    collection TEXT NOT NULL,
    path       TEXT NOT NULL,
    target     TEXT NOT NULL,              -- JSON of ledger::Target
    sum INTEGER AS (row_sum(job_id, collection, path, target)) STORED,
    PRIMARY KEY (job_id, collection, path)
) STRICT;

CREATE INDEX job_targets_by_path ON job_targets(collection, path);

-- How often the store was written to; `mark.rs` keeps the number beside the database.
CREATE TABLE state (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    writes INTEGER NOT NULL,
    sum INTEGER AS (row_sum(id, writes)) STORED
) STRICT;
INSERT INTO state (id, writes) VALUES (1, 0);
