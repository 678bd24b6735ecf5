//! Statements that try to learn about rows and values that a policy hides: fallible expressions in every position of a query.

/// The relation that the statements read; tests put their own in its place.
pub(crate) const RELATION: &str = "people";

/// Numeric expressions over `people` whose evaluation fails or not depending on the row.
///
/// Salary 9000 and the tax ids `secret-..` exist only in hidden rows and under masks.
pub(crate) const FALLIBLE: &[&str] = &[
    "1/(salary-9000)",
    "1/(salary-9000-id*0)",
    "1/(salary-9000-length(owner)*0)",
    "(CASE WHEN salary>0 THEN 1/(salary-9000) END)",
    "coalesce(1/(salary-9000), 0)",
    "mod(1, salary-9000)",
    "sqrt(salary-9000)",
    "ln(salary-9000)",
    "power(salary-9000, -1)",
    "salary*9223372036854775807",
    "CAST(salary*1000000 AS INT)",
    "CAST(salary AS smallint)",
    "CAST(tax_id AS INT)",
    "CAST(CASE WHEN id<5 THEN '1' ELSE tax_id END AS INT)",
    "CAST(CASE WHEN salary>=9000 THEN tax_id ELSE '1' END AS INT)",
    "CAST(concat(tax_id,owner,CAST(salary AS VARCHAR)) AS INT)",
    "length(CAST(CAST(note AS DATE) AS VARCHAR))",
    "extract(year from CAST(note AS DATE))",
    "length(CAST(CAST(note AS TIMESTAMP) AS VARCHAR))",
    "CAST(note AS numeric(12,2))",
    "CAST(note AS double precision)",
    "CASE WHEN CAST(note AS boolean) THEN 1 ELSE 2 END",
    "length(regexp_replace('a', CASE WHEN id<5 THEN 'a' ELSE concat('(',tax_id) END, 'b'))",
    "CASE WHEN 'a' ~ CASE WHEN id<5 THEN 'a' ELSE concat('(',tax_id) END THEN 1 ELSE 2 END",
    "length(repeat('x', CAST(salary-8999 AS INT)))",
    "length(substr('abc', 1, CAST(8999-salary AS INT)))",
    "length(to_char(salary, '999999'))",
    "ascii(tax_id)",
    "length(tax_id)",
    "length(lpad(tax_id, CAST(salary/1000 AS INT), '0'))",
    "strpos(tax_id, 'secret')",
    "CASE WHEN tax_id LIKE 'secret%' THEN 1/(id-id) ELSE 1 END",
    "CASE WHEN tax_id > 'secret' THEN 1/(id-id) ELSE 1 END",
    "CASE WHEN owner='bob' THEN 1/(id-id) ELSE 1 END",
    "CASE WHEN owner<>'alice' THEN CAST(tax_id AS INT) ELSE 1 END",
    "CASE WHEN dept IS NULL THEN 1/(id-id) ELSE 1 END",
    "date_part('day', CAST('2024-01-01' AS DATE) + CAST(salary AS INT)*10000)",
    "chr(CAST(9001-salary AS INT)) = 'x'",
    "salary",
    "id",
];

/// Positions: `{e}` is the expression, `{t}` the relation.
pub(crate) const POSITIONS: &[&str] = &[
    "SELECT {e} FROM {t} ORDER BY id",
    "SELECT id, {e} AS x FROM {t} ORDER BY id",
    "SELECT id FROM {t} WHERE ({e}) IS NOT NULL ORDER BY id",
    "SELECT id FROM {t} WHERE owner='alice' AND ({e}) IS NOT NULL ORDER BY id",
    "SELECT a.id FROM {t} a JOIN (SELECT id AS k, {e} AS x FROM {t}) b ON a.id=b.k AND b.x IS NOT NULL ORDER BY 1",
    "SELECT a.id FROM {t} a LEFT JOIN (SELECT id AS k, {e} AS x FROM {t}) b ON a.id=b.k AND b.x IS NOT NULL ORDER BY 1",
    "SELECT ({e}) AS g, count(*) FROM {t} GROUP BY 1 ORDER BY 1",
    "SELECT count(*) FROM {t} HAVING count({e}) >= 0",
    "SELECT id FROM {t} ORDER BY {e}, id LIMIT 2",
    "SELECT id, row_number() OVER (PARTITION BY {e} ORDER BY id) FROM {t} ORDER BY id",
    "SELECT count(*) FILTER (WHERE ({e}) IS NOT NULL), min({e}), max({e}) FROM {t}",
    "SELECT id FROM {t} WHERE id IN (SELECT id FROM {t} WHERE ({e}) IS NOT NULL) ORDER BY id",
    "SELECT id FROM {t} o WHERE EXISTS (SELECT 1 FROM {t} WHERE ({e}) IS NOT NULL) ORDER BY id",
    "WITH c AS (SELECT * FROM {t}) SELECT id, {e} FROM c ORDER BY id",
    "SELECT count(*) FROM (SELECT * FROM {t} UNION ALL SELECT * FROM {t}) u WHERE ({e}) IS NOT NULL",
    "SELECT id FROM (SELECT * FROM {t} OFFSET 0) q WHERE ({e}) IS NOT NULL ORDER BY id",
    "SELECT id FROM (SELECT * FROM {t} LIMIT 1000000) q WHERE ({e}) IS NOT NULL ORDER BY id",
    "SELECT id FROM (SELECT DISTINCT * FROM {t}) q WHERE ({e}) IS NOT NULL ORDER BY id",
    "SELECT id, x FROM (SELECT id, {e} AS x FROM {t}) q ORDER BY x, id LIMIT 3",
    "SELECT DISTINCT {e} AS x FROM {t} ORDER BY 1",
    "SELECT (SELECT max({e}) FROM {t}) AS m",
    "COPY (SELECT id, {e} FROM {t} ORDER BY id) TO STDOUT",
    "EXPLAIN SELECT id, {e} FROM {t} WHERE ({e}) IS NOT NULL",
];

/// Statements without a fallible expression.
pub(crate) const PLAIN: &[&str] = &[
    "SELECT * FROM {t} ORDER BY id",
    "SELECT count(*), min(salary), max(salary), min(tax_id), max(owner) FROM {t}",
    "SELECT count(*) FROM {t} WHERE salary = 9000",
    "SELECT count(*) FROM {t} WHERE salary BETWEEN 8999 AND 9001 OR owner = 'bob'",
    "SELECT id FROM {t} WHERE salary > 3000 ORDER BY id LIMIT 1",
    "SELECT tax_id, count(*) FROM {t} GROUP BY tax_id ORDER BY 2 DESC, 1",
    "SELECT id FROM {t} WHERE tax_id LIKE 'secret%' ORDER BY id",
    "SELECT id FROM {t} WHERE tax_id = 'secret-3' OR tax_id = '***' ORDER BY id",
    "SELECT id FROM {t} WHERE tax_id IN ('secret-1','secret-2','***') ORDER BY id",
    "SELECT count(DISTINCT tax_id), count(DISTINCT owner) FROM {t}",
    "SELECT dept, avg(salary), sum(salary) FROM {t} GROUP BY dept ORDER BY dept",
    "SELECT a.id, b.id FROM {t} a JOIN {t} b ON a.tax_id = b.tax_id ORDER BY 1, 2",
    "SELECT id, lag(salary) OVER (ORDER BY id), rank() OVER (ORDER BY salary) FROM {t} ORDER BY id",
    "SELECT id FROM {t} EXCEPT SELECT id FROM {t} WHERE owner='alice' ORDER BY 1",
    "SELECT array_agg(owner ORDER BY id) FROM {t}",
    "SELECT string_agg(tax_id, ',' ORDER BY id) FROM {t}",
    "SELECT * FROM {t} WHERE false",
    "SELECT * FROM {t} WHERE id = 6",
    "SELECT 1 WHERE EXISTS (SELECT 1 FROM {t} WHERE owner = 'bob')",
    "SELECT nothing FROM {t}",
    "EXPLAIN SELECT * FROM {t} WHERE salary > 3000 AND tax_id LIKE 's%'",
    "EXPLAIN VERBOSE SELECT a.id FROM {t} a JOIN {t} b ON a.id = b.id",
    "EXPLAIN (FORMAT JSON) SELECT count(*) FROM {t}",
    "DESCRIBE TABLE {t}",
    "DESCRIBE TABLE EXTENDED {t}",
    "DESCRIBE HISTORY {t}",
    "SELECT reltuples, relpages, relkind FROM pg_class WHERE relname = '{t}'",
    "SELECT pg_table_size('{t}'::regclass), pg_total_relation_size('{t}'::regclass)",
    "SELECT * FROM pg_stat_user_tables WHERE relname = '{t}'",
    "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_name = '{t}' ORDER BY ordinal_position",
    "SELECT * FROM {t} VERSION AS OF 1 ORDER BY id",
    "SELECT count(*) FROM {t} VERSION AS OF 0",
    "SELECT * FROM {t} TABLESAMPLE SYSTEM (100)",
    "SELECT t FROM {t} t",
    "UPDATE {t} SET salary = 0 WHERE salary = 9000",
    "DELETE FROM {t} WHERE salary = 9000",
];

/// All of them over `relation`.
pub(crate) fn generate(relation: &str) -> Vec<String> {
    let fallible = POSITIONS.iter().flat_map(|position| FALLIBLE.iter().map(move |expression| position.replace("{e}", expression)));
    let plain = PLAIN.iter().map(|statement| (*statement).to_string());
    plain.chain(fallible).map(|statement| statement.replace("{t}", relation)).collect()
}
