-- What the recorded scenarios read, as far as a warehouse has it: no primary key, no foreign key, no timestamp(3).
CREATE CATALOG warehouse;
CREATE USER wiretest PASSWORD 'wiretest-password-1';
CREATE USER owner SUPERUSER PASSWORD 'owner-password-1';
CREATE GROUP bi_readers;
CREATE SCHEMA warehouse.wt;
CREATE SCHEMA warehouse.hr;
CREATE SCHEMA IF NOT EXISTS warehouse.public;
CREATE TABLE warehouse.hr.staff (id int NOT NULL, name text, salary numeric(38,10));
GRANT USE CATALOG, CREATE SCHEMA ON CATALOG warehouse TO wiretest;
GRANT ALL PRIVILEGES ON SCHEMA warehouse.public TO wiretest;
GRANT ALL PRIVILEGES ON SCHEMA warehouse.wt TO wiretest;
ALTER SCHEMA warehouse.wt OWNER TO wiretest;
GRANT ALL PRIVILEGES ON CATALOG warehouse TO owner;
