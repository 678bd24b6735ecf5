-- The metastore, version 2: when a password stops being valid, and personal access tokens.
-- Points in time are microseconds since 1970-01-01 UTC.

ALTER TABLE principal ADD COLUMN valid_until INTEGER;

CREATE TABLE token (
    id         INTEGER PRIMARY KEY,
    public_id  TEXT NOT NULL UNIQUE,
    owner      INTEGER NOT NULL REFERENCES principal (id) DEFERRABLE INITIALLY DEFERRED,
    -- SHA-256 of the secret in hexadecimal digits
    digest     TEXT NOT NULL,
    created_by INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    comment    TEXT,
    checksum   INTEGER NOT NULL
) STRICT;
