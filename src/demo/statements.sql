CREATE SCHEMA IF NOT EXISTS main.crm;

CREATE TABLE IF NOT EXISTS main.crm.customers (
  id bigint NOT NULL, name text NOT NULL, email text, tax_id text, region text NOT NULL, credit_limit numeric(12,2), since date
) COMMENT 'Customers with personal data';

CREATE TABLE IF NOT EXISTS main.crm.region_access (login text NOT NULL, region text NOT NULL)
COMMENT 'Which user sees the customers of which region';

INSERT INTO main.crm.customers
SELECT * FROM (VALUES
  (1, 'Ada Lovelace', 'ada@example.com', 'GB-1815-1210', 'EMEA', 120000.00, DATE '2019-03-01'),
  (2, 'Konrad Zuse', 'konrad@example.com', 'DE-1910-0622', 'EMEA', 45000.00, DATE '2020-06-22'),
  (3, 'Grace Hopper', 'grace@example.com', 'US-1906-1209', 'AMER', 250000.00, DATE '2018-12-09'),
  (4, 'Jim Gray', 'jim@example.com', 'US-1944-0112', 'AMER', 98000.50, DATE '2021-01-12'),
  (5, 'Barbara Liskov', 'barbara@example.com', 'US-1939-1107', 'AMER', 310000.00, DATE '2017-11-07'),
  (6, 'Toshiko Yuasa', 'toshiko@example.com', 'JP-1909-1211', 'APAC', 76000.00, DATE '2022-12-11'),
  (7, 'Edsger Dijkstra', 'edsger@example.com', 'NL-1930-0511', 'EMEA', 64000.00, DATE '2019-05-11'),
  (8, 'Radia Perlman', NULL, 'US-1951-1218', 'AMER', 150000.00, DATE '2023-12-18')
) AS sample (id, name, email, tax_id, region, credit_limit, since)
WHERE NOT EXISTS (SELECT 1 FROM main.crm.customers);

INSERT INTO main.crm.region_access
SELECT * FROM (VALUES ('alice', 'EMEA'), ('bob', 'AMER')) AS sample (login, region)
WHERE NOT EXISTS (SELECT 1 FROM main.crm.region_access);

CREATE GROUP IF NOT EXISTS analysts;
CREATE GROUP IF NOT EXISTS data_officers;
GRANT analysts TO alice, bob;
GRANT data_officers TO carol;

CREATE OR REPLACE FUNCTION main.crm.own_region(customer_region text) RETURNS BOOLEAN
RETURN is_account_group_member('data_officers')
  OR EXISTS (SELECT 1 FROM main.crm.region_access a WHERE a.login = current_user AND a.region = customer_region);
CREATE OR REPLACE FUNCTION main.crm.mask_email(email text) RETURNS TEXT
RETURN CASE WHEN is_account_group_member('data_officers') THEN email ELSE regexp_replace(email, '^[^@]+', '***') END;
CREATE OR REPLACE FUNCTION main.crm.mask_tax_id(tax_id text) RETURNS TEXT
RETURN CASE WHEN is_account_group_member('data_officers') THEN tax_id ELSE left(tax_id, 2) || '-****' END;

ALTER TABLE main.crm.customers SET ROW FILTER main.crm.own_region ON (region);
ALTER TABLE main.crm.customers ALTER COLUMN email SET MASK main.crm.mask_email;
ALTER TABLE main.crm.customers ALTER COLUMN tax_id SET MASK main.crm.mask_tax_id;

GRANT USE SCHEMA, SELECT, EXECUTE ON SCHEMA main.crm TO analysts;
GRANT USE SCHEMA, SELECT, EXECUTE ON SCHEMA main.crm TO data_officers;
GRANT USE SCHEMA, SELECT ON SCHEMA main.tpch TO analysts;
GRANT USE SCHEMA, SELECT ON SCHEMA main.tpch TO data_officers;

COMMENT ON SCHEMA main.crm IS 'Sample customers under a row filter and two column masks';
