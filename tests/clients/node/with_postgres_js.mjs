// postgres.js: pipelines everything, describes statements by name, looks up array types at connect, cancels.
import assert from "node:assert/strict";
import fs from "node:fs";
import postgres from "postgres";

const matrix = JSON.parse(fs.readFileSync("matrix.json"));
const { PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE } = process.env;
const where = { host: PGHOST, port: PGPORT, user: PGUSER, password: PGPASSWORD, database: PGDATABASE, ssl: { rejectUnauthorized: false }, onnotice: () => {} };
const arrays = { "integer[]": 1007, "bigint[]": 1016, "text[]": 1009, "boolean[]": 1000, "double precision[]": 1022 };
const sql = postgres({ ...where, max: 1 });

for (const { type, text } of matrix.values) {
  const literal = `'${text.replaceAll("'", "''")}'`;
  assert.equal((await sql.unsafe(`SELECT ${literal}::${type}::text AS t`))[0].t, text, type);
  assert.equal((await sql.unsafe(`SELECT $1::${type} AS n`, [null]))[0].n, null, type);
  if (["date", "time", "timestamp", "timestamptz", "interval"].includes(type)) continue;
  const [{ v }] = await sql.unsafe(`SELECT ${literal}::${type} AS v`);
  // The driver takes the type of an array from its first element, unless it is told.
  const sent = Array.isArray(v) ? sql.array(v, arrays[type]) : v;
  const [again] = await sql.unsafe(`SELECT $1::${type} AS v`, [sent]);
  assert.deepEqual(again.v, v, type);
}
for (const { what, sql: text, parameters, rows } of matrix.queries) {
  const read = await sql.unsafe(text, parameters.map((parameter) => parameter.text)).values();
  assert.deepEqual([...read].map((row) => [...row]), rows, what);
}
for (const { sql: text, sqlstate } of matrix.errors) {
  await assert.rejects(sql.unsafe(text), { code: sqlstate }, text);
  await assert.rejects(sql.unsafe(text, [], { prepare: true }), { code: sqlstate }, text);
}
const described = await sql.unsafe(matrix.described.sql);
assert.deepEqual(described.columns.map(({ name, type }) => [name, type]), matrix.described.columns);
const { columns } = await sql`SELECT id, name FROM matrix.kinds WHERE id = ${1}`.describe();
assert.deepEqual(columns.map(({ name }) => name), ["id", "name"]);

const sums = await Promise.all([...Array(100).keys()].map((n) => sql`SELECT ${n}::int + 1 AS sum`));
assert.deepEqual(sums.map(([{ sum }]) => sum), [...Array(100).keys()].map((n) => n + 1));
let seen = 0;
await sql`SELECT n FROM generate_series(1, 1050) AS g(n)`.cursor(100, (rows) => { seen += rows.length; });
assert.equal(seen, 1050);
await assert.rejects(sql.begin(async (transaction) => {
  assert.equal((await transaction`SELECT 1 AS one`)[0].one, 1);
  await transaction`SELECT 1/0`;
}), { code: "22012" });
assert.equal((await sql`SELECT 1 AS one`)[0].one, 1);

await sql.unsafe("DROP SCHEMA IF EXISTS matrix_postgres_js CASCADE");
await sql.unsafe("CREATE SCHEMA matrix_postgres_js");
await sql.unsafe("CREATE TABLE matrix_postgres_js.t (id bigint, name text)");
assert.equal((await sql`INSERT INTO matrix_postgres_js.t ${sql([{ id: 1, name: "one" }, { id: 2, name: null }])}`).count, 2);
assert.deepEqual([...await sql`SELECT id::int, name FROM matrix_postgres_js.t ORDER BY id`], [{ id: 1, name: "one" }, { id: 2, name: null }]);
await sql.unsafe("DROP SCHEMA matrix_postgres_js CASCADE");

const endless = sql.unsafe(matrix.endless);
setTimeout(() => endless.cancel(), 500);
await assert.rejects(endless, { code: "57014" }, "the query was not cancelled");
assert.equal((await sql`SELECT 1 AS one`)[0].one, 1);
await sql.end();
await assert.rejects(postgres({ ...where, password: "wrong", max: 1 })`SELECT 1`, { code: "28P01" });
console.log("postgres.js passed");
process.exit(0);
