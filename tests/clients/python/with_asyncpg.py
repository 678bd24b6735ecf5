"""asyncpg: binary only, named statements, cursors, timeouts that send cancel requests, a pool and its reset, COPY."""

import asyncio
import io
import os
import ssl
import sys

import asyncpg

sys.path.insert(0, "..")
from matrix import MATRIX, Driver  # noqa: E402

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
where = {"host": os.environ["PGHOST"], "port": os.environ["PGPORT"], "user": os.environ["PGUSER"], "password": os.environ["PGPASSWORD"],
         "database": os.environ["PGDATABASE"], "ssl": context}
loop = asyncio.new_event_loop()
run = loop.run_until_complete

connection = run(asyncpg.connect(**where))


def query(sql, parameters):
    return [tuple(row) for row in run(connection.fetch(sql, *parameters))]


# asyncpg looks array types up in pg_type, by a correlated recursive query.
client = Driver("asyncpg", "${}", query, asyncpg.PostgresError, lambda error: error.sqlstate)
client.values()
client.queries()
client.errors()
client.transaction()
client.written()


async def more():
    statement = await connection.prepare("SELECT n, n * $1 AS product FROM generate_series(1, 5) AS g(n) WHERE n > $2 ORDER BY n")
    client.equal([attribute.name for attribute in statement.get_attributes()], ["n", "product"], "attributes")
    client.equal([tuple(row) for row in await statement.fetch(10, 3)], [(4, 40), (5, 50)], "prepared")
    statement = await connection.prepare(MATRIX["described"]["sql"])
    columns = [[attribute.name, attribute.type.oid] for attribute in statement.get_attributes()]
    client.equal(columns, MATRIX["described"]["columns"], "description")
    async with connection.transaction():
        seen = [row["n"] async for row in connection.cursor("SELECT n FROM generate_series(1, 250) AS g(n)", prefetch=100)]
        client.equal(seen, list(range(1, 251)), "cursor")
    out = io.BytesIO()
    await connection.copy_from_query("SELECT id FROM matrix.kinds WHERE id < $1 ORDER BY id", 3, output=out, format="csv")
    client.equal(out.getvalue(), b"1\n2\n", "COPY TO")
    try:
        await connection.fetchval(MATRIX["endless"], timeout=0.5)
        client.check(False, "no timeout")
    except asyncio.TimeoutError:
        pass
    client.equal(await connection.fetchval("SELECT 1"), 1, "after the cancel")
    await connection.close()
    async with asyncpg.create_pool(**where, min_size=1, max_size=2) as pool:
        for _ in range(3):
            async with pool.acquire() as pooled:
                await pooled.execute("SET application_name = 'pooled'")
        async with pool.acquire() as pooled:
            client.equal(await pooled.fetchval("SHOW application_name"), "", "the pool's reset")
    try:
        await asyncpg.connect(**{**where, "password": "wrong"})
        client.check(False, "a wrong password was let in")
    except asyncpg.InvalidPasswordError:
        pass


run(more())
print("asyncpg passed", asyncpg.__version__)
