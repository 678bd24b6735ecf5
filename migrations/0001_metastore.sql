-- The metastore, version 1. One row an object; lists and policies of an object lie in its row as JSON.
-- `checksum` is over the other columns of the row, so that damage is found when the row is read.
-- Names are unique within their container; ids are unique over all tables and never given out twice (metastore.next_id).

CREATE TABLE metastore (
    id       INTEGER PRIMARY KEY CHECK (id = 1),
    number   INTEGER NOT NULL,
    next_id  INTEGER NOT NULL,
    checksum INTEGER NOT NULL
) STRICT;

CREATE TABLE principal (
    id               INTEGER PRIMARY KEY,
    name             TEXT NOT NULL UNIQUE,
    can_login        INTEGER NOT NULL,
    is_admin         INTEGER NOT NULL,
    verifier         TEXT,
    connection_limit INTEGER,
    comment          TEXT,
    checksum         INTEGER NOT NULL
) STRICT;

CREATE TABLE membership (
    group_id  INTEGER NOT NULL REFERENCES principal (id) DEFERRABLE INITIALLY DEFERRED,
    member_id INTEGER NOT NULL REFERENCES principal (id) DEFERRABLE INITIALLY DEFERRED,
    checksum  INTEGER NOT NULL,
    PRIMARY KEY (group_id, member_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE storage_credential (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    owner    INTEGER NOT NULL,
    options  TEXT NOT NULL,
    comment  TEXT,
    checksum INTEGER NOT NULL
) STRICT;

CREATE TABLE external_location (
    id         INTEGER PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    owner      INTEGER NOT NULL,
    url        TEXT NOT NULL UNIQUE,
    credential INTEGER REFERENCES storage_credential (id) DEFERRABLE INITIALLY DEFERRED,
    comment    TEXT,
    checksum   INTEGER NOT NULL
) STRICT;

CREATE TABLE catalog (
    id               INTEGER PRIMARY KEY,
    name             TEXT NOT NULL UNIQUE,
    owner            INTEGER NOT NULL,
    managed_location TEXT,
    comment          TEXT,
    checksum         INTEGER NOT NULL
) STRICT;

CREATE TABLE schema (
    id               INTEGER PRIMARY KEY,
    catalog          INTEGER NOT NULL REFERENCES catalog (id) DEFERRABLE INITIALLY DEFERRED,
    name             TEXT NOT NULL,
    owner            INTEGER NOT NULL,
    managed_location TEXT,
    comment          TEXT,
    checksum         INTEGER NOT NULL,
    UNIQUE (catalog, name)
) STRICT;

CREATE TABLE relation (
    id                INTEGER PRIMARY KEY,
    schema            INTEGER NOT NULL REFERENCES schema (id) DEFERRABLE INITIALLY DEFERRED,
    name              TEXT NOT NULL,
    owner             INTEGER NOT NULL,
    columns           TEXT NOT NULL,
    comment           TEXT,
    kind              TEXT NOT NULL CHECK (kind IN ('table', 'view')),
    -- tables
    location          TEXT,
    managed           INTEGER,
    credential        INTEGER REFERENCES storage_credential (id) DEFERRABLE INITIALLY DEFERRED,
    partition_columns TEXT,
    row_filter        TEXT,
    column_masks      TEXT,
    -- views
    query             TEXT,
    uses              TEXT,
    checksum          INTEGER NOT NULL,
    UNIQUE (schema, name)
) STRICT;

CREATE TABLE function (
    id         INTEGER PRIMARY KEY,
    schema     INTEGER NOT NULL REFERENCES schema (id) DEFERRABLE INITIALLY DEFERRED,
    name       TEXT NOT NULL,
    owner      INTEGER NOT NULL,
    parameters TEXT NOT NULL,
    returns    TEXT NOT NULL,
    body       TEXT NOT NULL,
    uses       TEXT NOT NULL,
    comment    TEXT,
    checksum   INTEGER NOT NULL,
    UNIQUE (schema, name)
) STRICT;

CREATE TABLE privilege_grant (
    grantee   INTEGER NOT NULL,
    securable INTEGER NOT NULL,
    privilege TEXT NOT NULL,
    grantor   INTEGER NOT NULL,
    grantable INTEGER NOT NULL,
    checksum  INTEGER NOT NULL,
    PRIMARY KEY (grantee, securable, privilege)
) STRICT, WITHOUT ROWID;

-- Files of managed tables that no relation points to; removed in the background, also after a crash.
CREATE TABLE orphan (
    id         INTEGER PRIMARY KEY,
    location   TEXT NOT NULL,
    credential INTEGER REFERENCES storage_credential (id) DEFERRABLE INITIALLY DEFERRED,
    checksum   INTEGER NOT NULL
) STRICT;

INSERT INTO metastore (id, number, next_id, checksum) VALUES (1, 0, 16384, 0);
