// node-postgres: simple and extended protocol, named statements, cursors, cancel, errors.
import assert from "node:assert/strict";
import fs from "node:fs";
import pg from "pg";
import Cursor from "pg-cursor";

const matrix = JSON.parse(fs.readFileSync("matrix.json"));
const where = { ssl: { rejectUnauthorized: false } };
// Dates of JavaScript have milliseconds only: what is finer stays text, as users of this driver do it.
const finer = ["date", "time", "timestamp", "timestamptz", "interval"];
for (const oid of [1082, 1083, 1114, 1184, 1186]) pg.types.setTypeParser(oid, (text) => text);

const client = new pg.Client(where);
await client.connect();
assert.ok(client.connection.stream.encrypted, "no TLS");

for (const { type, text } of matrix.values) {
  const { rows: [{ v }] } = await client.query(`SELECT '${text.replaceAll("'", "''")}'::${type} AS v`);
  const sent = type === "json" || type === "jsonb" ? JSON.stringify(v) : v;
  const { rows: [again] } = await client.query(`SELECT $1::${type} AS v, $1::${type}::text AS t, $2::${type} AS n`, [sent, null]);
  const written = type.startsWith("json") ? text.replaceAll(" ", "") : text;
  assert.deepEqual({ ...again, t: type.startsWith("json") ? again.t.replaceAll(" ", "") : again.t }, { v, t: written, n: null }, type);
  if (finer.includes(type)) assert.equal(v, text, type);
}
for (const { what, sql, parameters, rows } of matrix.queries) {
  const result = await client.query({ text: sql, values: parameters.map(({ text }) => text), rowMode: "array" });
  assert.deepEqual(result.rows, rows, what);
}
for (const { sql, sqlstate } of matrix.errors) {
  await assert.rejects(client.query(sql), (error) => error.code === sqlstate, `${sql}: ${sqlstate}`);
  await assert.rejects(client.query({ text: sql, queryMode: "extended" }), (error) => error.code === sqlstate, `${sql}: ${sqlstate}`);
}
const described = await client.query(matrix.described.sql);
assert.deepEqual(described.fields.map((field) => [field.name, field.dataTypeID]), matrix.described.columns);
assert.equal(described.rows.length, matrix.described.rows);

const named = { name: "sum", text: "SELECT $1::int + $2::int AS sum", values: [1, 2] };
for (let run = 0; run < 3; run++) assert.deepEqual((await client.query(named)).rows, [{ sum: 3 }]);
const several = await client.query("SELECT 1 AS a; SELECT 2 AS b");
assert.deepEqual(several.map((result) => result.rows[0]), [{ a: 1 }, { b: 2 }]);
const cursor = client.query(new Cursor("SELECT n FROM generate_series(1, 100) AS g(n)"));
assert.equal((await cursor.read(30)).length, 30);
assert.equal((await cursor.read(100)).length, 70);
await cursor.close();

await client.query("BEGIN");
await assert.rejects(client.query("SELECT 1/0"), { code: "22012" });
await assert.rejects(client.query("SELECT 1"), { code: "25P02" });
await client.query("ROLLBACK");

await client.query("DROP SCHEMA IF EXISTS matrix_node CASCADE");
await client.query("CREATE SCHEMA matrix_node");
await client.query("CREATE TABLE matrix_node.t (id bigint, name text)");
assert.equal((await client.query("INSERT INTO matrix_node.t VALUES ($1, $2), (2, NULL)", [1, "one"])).rowCount, 2);
assert.deepEqual((await client.query("SELECT id, name FROM matrix_node.t ORDER BY id")).rows, [{ id: "1", name: "one" }, { id: "2", name: null }]);
await client.query("DROP SCHEMA matrix_node CASCADE");

const { rows: [{ pid }] } = await client.query("SELECT pg_backend_pid() AS pid");
assert.equal(pid, client.processID);
const endless = client.query(matrix.endless);
const canceller = new pg.Client(where);
setTimeout(() => canceller.cancel(client, client._activeQuery), 500);
await assert.rejects(endless, (error) => error.code === "57014", "the query was not cancelled");
assert.equal((await client.query("SELECT 1 AS one")).rows[0].one, 1);
await client.end();

const pool = new pg.Pool({ ...where, max: 4 });
const sums = await Promise.all([...Array(40).keys()].map((n) => pool.query("SELECT $1::int + 1 AS sum", [n])));
assert.deepEqual(sums.map(({ rows }) => rows[0].sum), [...Array(40).keys()].map((n) => n + 1));
await pool.end();
await assert.rejects(new pg.Client({ ...where, password: "wrong" }).connect(), (error) => error.code === "28P01");
console.log("node-postgres passed");
process.exit(0);
