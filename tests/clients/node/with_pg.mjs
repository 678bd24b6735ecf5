// node-postgres: connect, introspect, parameters, types both ways, a cursor, a cancelled query, errors.
import assert from "node:assert/strict";
import pg from "pg";
import Cursor from "pg-cursor";

const client = new pg.Client();
await client.connect();

const values = [
  ["boolean", true], ["integer", -2147483648], ["bigint", "9223372036854775807"], ["double precision", 0.1],
  ["numeric(20,5)", "123456789.12345"], ["text", "naïve – ☃ 'quoted' \\ back"], ["bytea", Buffer.from([0, 1, 254, 255])],
  ["uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], ["integer[]", [1, 2, 3]], ["text[]", ["a", 'b "c"', null]],
  ["json", { a: [1, null] }], ["timestamptz", new Date("2024-06-01T12:00:00.123Z")], ["time", "23:59:59.999999"],
];
for (const [type, value] of values) {
  const { rows } = await client.query(`SELECT $1::${type} AS v, $2::${type} AS n`, [type === "json" ? JSON.stringify(value) : value, null]);
  assert.deepEqual(rows, [{ v: value, n: null }], type);
}
const dates = await client.query("SELECT '2024-02-29'::date AS d, interval '1 day 02:03:04' AS i");
assert.equal(dates.rows[0].d.getDate(), 29);
assert.equal(dates.rows[0].i.hours, 2);

const named = { name: "sum", text: "SELECT $1::int + $2::int AS sum", values: [1, 2] };
for (let run = 0; run < 3; run++) assert.deepEqual((await client.query(named)).rows, [{ sum: 3 }]);
const several = await client.query("SELECT 1 AS a; SELECT 2 AS b");
assert.deepEqual(several.map((result) => result.rows[0]), [{ a: 1 }, { b: 2 }]);

const columns = await client.query(
  "SELECT column_name FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2 ORDER BY ordinal_position",
  ["pg_catalog", "pg_namespace"]);
assert.deepEqual(columns.rows.map((row) => row.column_name), ["oid", "nspname", "nspowner", "nspacl"]);

const cursor = client.query(new Cursor("SELECT n FROM generate_series(1, 100) AS g(n)"));
assert.equal((await cursor.read(30)).length, 30);
assert.equal((await cursor.read(100)).length, 70);
await cursor.close();

for (const [sql, code] of [["SELECT nothing", "42703"], ["SELECT * FROM missing", "42P01"], ["SELECT 1/0", "22012"], ["SELEC 1", "42601"]]) {
  await assert.rejects(client.query(sql), (error) => error.code === code, `${sql}: ${code}`);
}
const { rows: [{ pid }] } = await client.query("SELECT pg_backend_pid() AS pid");
assert.ok(pid > 0);
const endless = client.query("SELECT count(*) FROM generate_series(1,3000000) a(n) JOIN generate_series(1,3000000) b(n) ON a.n % 7 = b.n % 7");
const canceller = new pg.Client();
setTimeout(() => canceller.cancel(client, client._activeQuery), 500);
await assert.rejects(endless, (error) => error.code === "57014", "the query was not cancelled");
assert.equal((await client.query("SELECT 1 AS one")).rows[0].one, 1);
await client.end();
await assert.rejects(new pg.Client({ password: "wrong" }).connect(), (error) => error.code === "28P01");
console.log("node-postgres passed");
process.exit(0);
