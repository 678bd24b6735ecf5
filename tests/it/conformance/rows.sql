-- The table that the recorded scenarios read and write.
DROP TABLE IF EXISTS wt.a;
CREATE TABLE wt.a (id int NOT NULL, v varchar(10) NOT NULL, n numeric(12,2), ts timestamp, ref int);
INSERT INTO wt.a VALUES
  (1, 'one', 1.50, TIMESTAMP '2024-01-01 00:00:00.123', NULL),
  (2, 'two', NULL, NULL, 1),
  (3, E'tab\tx', -3.25, TIMESTAMP '2024-02-29 12:00:00', NULL);
