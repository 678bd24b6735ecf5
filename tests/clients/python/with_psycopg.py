"""psycopg 3: text and binary, prepared, pipeline, server-side cursors, COPY both ways, cancel, errors."""

import sys

import psycopg
from psycopg import errors
from psycopg.types.json import Json, Jsonb

sys.path.insert(0, "..")
from matrix import MATRIX, Driver  # noqa: E402


def send(kind, value):
    wrapped = {"json": Json, "jsonb": Jsonb}.get(kind)
    return wrapped(value) if wrapped else value


def driver(connection, binary):
    def query(sql, parameters):
        # Without parameters psycopg sends a simple query and leaves % alone.
        cursor = connection.execute(sql, parameters or None, binary=binary)
        return cursor.fetchall() if cursor.description else []

    return Driver("psycopg", "%s", query, psycopg.Error, lambda error: error.sqlstate, send)


with psycopg.connect(autocommit=True) as connection:
    assert connection.pgconn.ssl_in_use, "no TLS"
    for binary in (False, True):
        client = driver(connection, binary)
        client.values()
        client.queries()
        client.errors()
    client.transaction()
    client.written()
    client.cancelled(connection.cancel)
    client.cancelled(connection.cancel_safe)

    cursor = connection.execute(MATRIX["described"]["sql"])
    client.equal([[column.name, column.type_code] for column in cursor.description], MATRIX["described"]["columns"], "description")
    client.equal(len(cursor.fetchall()), MATRIX["described"]["rows"], "rows")

    for _ in range(8):
        client.equal(client.query("SELECT count(*) FROM matrix.kinds WHERE id >= %s", [1]), [(3,)], "prepared after five runs")
    client.equal(connection.execute("SELECT %s + 1", [1], prepare=True).fetchone(), (2,), "prepared at once")

    with connection.pipeline():
        cursors = [connection.execute("SELECT %s::int", [n]) for n in range(50)]
    client.equal([cursor.fetchone()[0] for cursor in cursors], list(range(50)), "pipeline")
    try:
        with connection.pipeline() as pipeline:
            first = connection.execute("SELECT 1")
            connection.execute("SELECT 1/0")
            connection.execute("SELECT 2")
            pipeline.sync()
        client.check(False, "an error in a pipeline was lost")
    except errors.DivisionByZero:
        client.equal(first.fetchone(), (1,), "before the error in a pipeline")

    with connection.cursor().copy("COPY (SELECT id, name FROM matrix.kinds WHERE id > 1 ORDER BY id) TO STDOUT") as copy:
        client.equal(list(copy.rows()), [("2", ""), ("3", None)], "COPY TO")
    with connection.cursor().copy("COPY (SELECT id, day FROM matrix.kinds ORDER BY id) TO STDOUT (FORMAT binary)") as copy:
        copy.set_types(["int8", "date"])
        client.equal([row[0] for row in copy.rows()], [1, 2, 3], "binary COPY TO")

with psycopg.connect() as connection:
    client = driver(connection, False)
    client.transaction(connection.rollback)
    with connection.cursor(name="server_side") as cursor:
        cursor.execute("SELECT n FROM generate_series(1, 1000) AS g(n)")
        client.equal([row[0] for row in cursor.fetchmany(3)], [1, 2, 3], "server-side cursor")
        client.equal(len(cursor.fetchall()), 997, "rest of the cursor")

try:
    psycopg.connect(password="wrong")
    raise SystemExit("psycopg: a wrong password was let in")
except psycopg.OperationalError as error:
    assert "password authentication failed" in str(error), error
print("psycopg passed", psycopg.__version__, "libpq", psycopg.pq.version())
