-- A privilege may be held from several grantors, each of whom revokes their own. The rows of the table before are brought over with the owner of
-- the object as their grantor, by the program: their checksums are over the grantor, too.

ALTER TABLE privilege_grant RENAME TO privilege_grant_of_one;

CREATE TABLE privilege_grant (
    grantee   INTEGER NOT NULL,
    securable INTEGER NOT NULL,
    privilege TEXT NOT NULL,
    grantor   INTEGER NOT NULL,
    grantable INTEGER NOT NULL,
    checksum  INTEGER NOT NULL,
    PRIMARY KEY (grantee, securable, privilege, grantor)
) STRICT, WITHOUT ROWID;
