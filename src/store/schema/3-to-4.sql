-- From schemas 2 and 3 to 4: what files say of themselves has a table of its own.
CREATE TABLE details (
    document_id INTEGER PRIMARY KEY REFERENCES documents(id) ON DELETE CASCADE,
    details     TEXT NOT NULL,
    sum INTEGER AS (row_sum(document_id, details)) STORED
) STRICT;
