"""asyncpg: binary only, named statements, cursors, a cancelled query, errors, pool reset."""

import asyncio
import os

import asyncpg
from values import VALUES


def check(condition, what):
    if not condition:
        raise SystemExit(f"asyncpg: {what}")


async def main():
    where = {"host": os.environ["PGHOST"], "port": os.environ["PGPORT"], "user": os.environ["PGUSER"],
             "password": os.environ["PGPASSWORD"], "database": os.environ["PGDATABASE"]}
    connection = await asyncpg.connect(**where)
    check(connection.get_server_version().major == 17, connection.get_server_version())
    # asyncpg looks up array types by a correlated recursive query, which is a known shortfall of the planner.
    for sql_type, value in [pair for pair in VALUES if not pair[0].endswith("[]")]:
        read = await connection.fetchval(f"SELECT $1::{sql_type}", value)
        check(read == value, f"{sql_type}: sent {value!r}, read {read!r}")
        check(await connection.fetchval(f"SELECT $1::{sql_type}", None) is None, f"{sql_type}: NULL")

    statement = await connection.prepare("SELECT n, n * $1 AS product FROM generate_series(1, 5) AS g(n) WHERE n > $2 ORDER BY n")
    check([a.name for a in statement.get_attributes()] == ["n", "product"], "attributes")
    check([tuple(row) for row in await statement.fetch(10, 3)] == [(4, 40), (5, 50)], "prepared")

    async with connection.transaction():
        seen = [row["n"] async for row in connection.cursor("SELECT n FROM generate_series(1, 250) AS g(n)", prefetch=100)]
        check(seen == list(range(1, 251)), "cursor")

    tables = await connection.fetch("SELECT c.relname::text, n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
                                    " WHERE c.relkind::text IN ($1, $2) AND n.nspname = 'pg_catalog' LIMIT 3", "r", "v")
    check(len(tables) == 3, tables)

    for sql, expected in [("SELECT nothing", asyncpg.UndefinedColumnError), ("SELECT * FROM missing", asyncpg.UndefinedTableError),
                          ("SELECT 1/0", asyncpg.DivisionByZeroError), ("SELEC", asyncpg.PostgresSyntaxError)]:
        try:
            await connection.fetch(sql)
            check(False, f"{sql} did not fail")
        except expected:
            pass

    endless = "SELECT count(*) FROM generate_series(1,3000000) a(n) JOIN generate_series(1,3000000) b(n) ON a.n % 7 = b.n % 7"
    try:
        await connection.fetchval(endless, timeout=0.5)
        check(False, "no timeout")
    except asyncio.TimeoutError:
        pass
    check(await connection.fetchval("SELECT 1") == 1, "after the cancel")
    await connection.close()

    async with asyncpg.create_pool(**where, min_size=1, max_size=2) as pool:
        for _ in range(3):
            async with pool.acquire() as pooled:
                await pooled.execute("SET application_name = 'pooled'")
        async with pool.acquire() as pooled:
            check(await pooled.fetchval("SHOW application_name") == "", "the pool's reset")
    print("asyncpg passed")


asyncio.run(main())
