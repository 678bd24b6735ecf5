"""psycopg 2: simple protocol only, parameters in the text, named cursors, COPY, cancel, errors."""

import io
import sys

import psycopg2
import psycopg2.extras

sys.path.insert(0, "..")
from matrix import MATRIX, Driver  # noqa: E402


def driver(connection):
    def query(sql, parameters):
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters or None)
            return cursor.fetchall() if cursor.description else []

    return Driver("psycopg2", "%s", query, psycopg2.Error, lambda error: error.pgcode, send)


def send(kind, value):
    return psycopg2.extras.Json(value) if kind in ("json", "jsonb") else value



connection = psycopg2.connect("")
connection.autocommit = True
assert connection.info.ssl_in_use, "no TLS"
client = driver(connection)
client.values()
client.queries()
client.errors()
client.transaction()
client.written()
client.cancelled(connection.cancel)
with connection.cursor() as cursor:
    cursor.execute(MATRIX["described"]["sql"])
    client.equal([[column.name, column.type_code] for column in cursor.description], MATRIX["described"]["columns"], "description")
    cursor.execute("SELECT 1; SELECT 2")
    client.equal(cursor.fetchall(), [(2,)], "several statements")
    out = io.StringIO()
    cursor.copy_expert("COPY (SELECT id, name FROM matrix.kinds WHERE id > 1 ORDER BY id) TO STDOUT WITH (FORMAT csv, HEADER)", out)
    client.equal(out.getvalue(), 'id,name\n2,""\n3,\n', "COPY TO")
connection.close()

connection = psycopg2.connect("")
client = driver(connection)
client.transaction(connection.rollback)
with connection.cursor(name="server_side") as cursor:
    cursor.itersize = 100
    cursor.execute("SELECT n FROM generate_series(1, 1050) AS g(n)")
    client.equal([row[0] for row in cursor], list(range(1, 1051)), "named cursor")
connection.close()
print("psycopg2 passed", psycopg2.__version__)
