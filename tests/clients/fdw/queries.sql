-- what IMPORT FOREIGN SCHEMA made
SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute
WHERE attrelid IN ('remote.kinds'::regclass, 'remote.named'::regclass) AND attnum > 0 ORDER BY attrelid::regclass::text, attnum;
-- every column
SELECT * FROM remote.kinds ORDER BY id;
-- filters, sorts, aggregates and joins on the remote side
SELECT id FROM remote.kinds WHERE amount > 0 AND name LIKE 'na%';
SELECT id FROM remote.kinds WHERE day = '2024-02-29' AND moment < '2000-01-01' AND instant > '2024-01-01' ORDER BY id DESC;
SELECT id FROM remote.kinds WHERE id IN (1, 3) AND flag IS NOT FALSE ORDER BY id LIMIT 1;
SELECT count(*), sum(whole), max(number) FROM remote.kinds;
SELECT k.id, n.name FROM remote.kinds k LEFT JOIN remote.named n USING (id) ORDER BY 1;
-- a parameter of a generic plan becomes a parameter of the remote statement
SET plan_cache_mode = force_generic_plan;
PREPARE one(bigint) AS SELECT name FROM remote.kinds WHERE id = $1;
EXECUTE one(2);
-- functions that stay here
SELECT id, pg_typeof(raw), length(raw) FROM remote.kinds WHERE pg_backend_pid() > 0 ORDER BY id;
-- a transaction of several statements is one remote transaction
BEGIN;
SELECT count(*) FROM remote.kinds;
SAVEPOINT s;
SELECT count(*) FROM remote.named;
ROLLBACK TO s;
SELECT count(*) FROM remote.kinds;
COMMIT;
\set ON_ERROR_STOP 0
\set VERBOSITY sqlstate
SELECT * FROM remote.missing;
SELECT 1 / (id - 1) FROM remote.kinds;
SELECT 'after';
