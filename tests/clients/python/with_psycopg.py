"""psycopg 3: connect, introspect, parameters, every type both ways, cursors, COPY, a cancelled query, errors."""

import threading
import time

import psycopg
from psycopg import errors
from values import VALUES


def check(condition, what):
    if not condition:
        raise SystemExit(f"psycopg: {what}")


with psycopg.connect(autocommit=True) as connection:
    check(connection.info.server_version // 10000 == 17, connection.info.server_version)
    connection.execute("DROP SCHEMA IF EXISTS py CASCADE")
    connection.execute("CREATE SCHEMA py")
    connection.execute("CREATE TABLE py.t (id bigint NOT NULL, name text, amount numeric(10,2))")
    connection.execute("INSERT INTO py.t VALUES (1, 'one', 1.50), (2, NULL, NULL)")

    for binary in (False, True):
        for sql_type, value in VALUES:
            row = connection.execute(f"SELECT %s::{sql_type}", [value], binary=binary).fetchone()
            check(row[0] == value, f"{sql_type} binary={binary}: sent {value!r}, read {row[0]!r}")
            row = connection.execute(f"SELECT %s::{sql_type}", [None], binary=binary).fetchone()
            check(row[0] is None, f"{sql_type}: NULL")

    rows = connection.execute("SELECT id, name FROM py.t WHERE id = %s", [1], prepare=True).fetchall()
    check(rows == [(1, "one")], rows)
    for _ in range(8):
        check(connection.execute("SELECT count(*) FROM py.t WHERE id >= %s", [1]).fetchone() == (2,), "prepared after five runs")

    columns = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        ["py", "t"]).fetchall()
    check(columns == [("id", "bigint"), ("name", "text"), ("amount", "numeric")], columns)
    cursor = connection.execute("SELECT * FROM py.t")
    check([column.name for column in cursor.description] == ["id", "name", "amount"], "description")

    for sql, expected in [
        ("SELECT nothing FROM py.t", errors.UndefinedColumn), ("SELECT * FROM py.missing", errors.UndefinedTable),
        ("SELEC 1", errors.SyntaxError), ("SELECT 1/0", errors.DivisionByZero), ("SELECT 'x'::int", errors.InvalidTextRepresentation),
        ("DELETE FROM py.t", errors.FeatureNotSupported),
    ]:
        try:
            connection.execute(sql)
            check(False, f"{sql} did not fail")
        except expected as error:
            check(error.diag.message_primary, sql)

    with connection.cursor().copy("COPY (SELECT id, name FROM py.t ORDER BY id) TO STDOUT") as copy:
        check(b"".join(bytes(part) for part in copy) == b"1\tone\n2\t\\N\n", "copy")

    with connection.pipeline():
        first, second = connection.execute("SELECT 1"), connection.execute("SELECT 2")
    check((first.fetchone(), second.fetchone()) == ((1,), (2,)), "pipeline")

    timer = threading.Timer(0.5, connection.cancel)
    timer.start()
    started = time.monotonic()
    try:
        connection.execute("SELECT count(*) FROM generate_series(1,3000000) a(n) JOIN generate_series(1,3000000) b(n) ON a.n % 7 = b.n % 7")
        check(False, "the query was not cancelled")
    except errors.QueryCanceled:
        check(time.monotonic() - started < 20, "the cancel was late")
    check(connection.execute("SELECT 1").fetchone() == (1,), "after the cancel")

with psycopg.connect() as connection:
    with connection.cursor(name="server_side") as cursor:
        cursor.execute("SELECT n FROM generate_series(1, 1000) AS g(n)")
        check([row[0] for row in cursor.fetchmany(3)] == [1, 2, 3], "server-side cursor")
        check(len(cursor.fetchall()) == 997, "rest of the cursor")
    try:
        connection.execute("SELECT 1/0")
    except errors.DivisionByZero:
        pass
    try:
        connection.execute("SELECT 1")
        check(False, "a failed transaction goes on")
    except errors.InFailedSqlTransaction:
        connection.rollback()
    check(connection.execute("SELECT 1").fetchone() == (1,), "after the rollback")

try:
    psycopg.connect(password="wrong")
    check(False, "a wrong password was let in")
except psycopg.OperationalError as error:
    check("password authentication failed" in str(error), error)
print("psycopg passed")
