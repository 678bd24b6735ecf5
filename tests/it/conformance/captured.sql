-- The database of the recorded client sessions, as far as a warehouse has it: enums are text, keys, defaults, checks and indexes are
-- left out, a materialized view is a table, times and intervals are text.
CREATE USER postgres SUPERUSER PASSWORD 'postgres-password-1';
CREATE USER analyst PASSWORD 'analyst-password-1';
CREATE GROUP bi_readers;
GRANT bi_readers TO analyst;
CREATE CATALOG warehouse COMMENT 'the warehouse';
CREATE SCHEMA IF NOT EXISTS warehouse.public;
CREATE SCHEMA warehouse.sales COMMENT 'sales facts';
CREATE SCHEMA warehouse.hr;
CREATE TABLE warehouse.sales.customers (
  id int NOT NULL, name text NOT NULL, email varchar(120), region char(2), created_at timestamptz);
CREATE TABLE warehouse.sales.orders (
  id bigint NOT NULL, customer_id int NOT NULL, amount numeric(12,2), qty smallint, price double precision, w real, ok boolean,
  d date, t text, ts timestamp, tz timestamptz, iv text, u text, j text, jb text, tags text[], nums int[], raw bytea,
  note text, m text);
COMMENT ON TABLE warehouse.sales.orders IS 'order lines';
COMMENT ON COLUMN warehouse.sales.orders.amount IS 'in EUR';
CREATE TABLE warehouse.public.trips (pickup timestamp, dropoff timestamp, fare numeric(8,2), vendor text);
CREATE TABLE warehouse.hr.staff (id int NOT NULL, name text, salary numeric(38,10));
INSERT INTO warehouse.sales.customers
  SELECT g::int, 'c' || g, 'c' || g || '@x.org', 'DE', TIMESTAMPTZ '2024-01-01' + g * INTERVAL '1 hour' FROM generate_series(1, 50) g;
INSERT INTO warehouse.sales.orders
  SELECT g, (1 + g % 50)::int, g * 1.5, (g % 7)::smallint, g / 3.0, g / 7.0, g % 2 = 0, DATE '2024-01-01' + (g % 90)::int, '10:00:01',
         TIMESTAMP '2024-01-01' + g * INTERVAL '1 min', TIMESTAMPTZ '2024-01-01 00:00+00' + g * INTERVAL '1 min', '01:00:00',
         '00000000-0000-0000-0000-000000000001', '{"a":1}', '{"b":[1,2]}', ARRAY['x','y'], ARRAY[1, 2, g::int],
         '\xdeadbeef'::bytea, NULL, 'mid'
  FROM generate_series(1, 2000) g;
INSERT INTO warehouse.public.trips
  SELECT TIMESTAMP '2024-01-01' + g * INTERVAL '1 min', TIMESTAMP '2024-01-01' + g * INTERVAL '9 min', g % 40, 'v' || g % 3
  FROM generate_series(1, 500) g;
CREATE VIEW warehouse.sales.big_orders AS SELECT id, amount FROM warehouse.sales.orders WHERE amount > 100;
CREATE TABLE warehouse.sales.daily AS SELECT d, sum(amount) AS s FROM warehouse.sales.orders GROUP BY d;
CREATE FUNCTION warehouse.sales.total(c int) RETURNS numeric LANGUAGE sql STABLE
  AS $$SELECT sum(amount) FROM warehouse.sales.orders WHERE customer_id = c$$;
GRANT USE CATALOG ON CATALOG warehouse TO public;
GRANT ALL PRIVILEGES ON CATALOG warehouse TO postgres WITH GRANT OPTION;
GRANT USE SCHEMA, SELECT ON SCHEMA warehouse.sales TO bi_readers;
