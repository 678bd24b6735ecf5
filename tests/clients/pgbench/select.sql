\set id random(1, 3)
BEGIN;
SELECT name FROM matrix.kinds WHERE id = :id;
SELECT count(*) AS n FROM matrix.kinds \gset
END;
