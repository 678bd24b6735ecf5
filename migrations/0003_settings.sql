-- Settings that sessions begin with: of a role, of a catalog, or of a role in a catalog. 0 stands for every one.
CREATE TABLE role_setting (
    principal INTEGER NOT NULL,
    catalog   INTEGER NOT NULL,
    name      TEXT NOT NULL,
    value     TEXT NOT NULL,
    checksum  INTEGER NOT NULL,
    PRIMARY KEY (principal, catalog, name)
) STRICT, WITHOUT ROWID;
