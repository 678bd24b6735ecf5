"""COPY through psycopg, text and binary, and through psql's \\copy; its errors; loads line by line as pgbench sends them."""

import datetime as dt
import decimal
import os
import pathlib
import subprocess
import uuid

import psycopg
from psycopg import errors

# SQL types that a Delta table has, with a value.
VALUES = [
    ("boolean", True), ("smallint", -32768), ("integer", 2147483647), ("bigint", -9223372036854775808), ("real", 1.5),
    ("double precision", -0.1), ("numeric(38,10)", decimal.Decimal("1234567890.0123456789")), ("numeric(4,4)", decimal.Decimal("-0.9999")),
    ("text", "naïve – ☃ 'quoted' \\ back\tand\nnext \"line\""), ("varchar", ""), ("bytea", b"\x00\x01\xfe\xff"), ("date", dt.date(2024, 2, 29)),
    ("timestamp", dt.datetime(1999, 12, 31, 23, 59, 59, 123456)), ("timestamptz", dt.datetime(2024, 6, 1, 12, tzinfo=dt.timezone.utc)),
    ("uuid", uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")), ("integer[]", [1, 2, 3]), ("text[]", ["a", 'b "c"', ""]),
]


def check(condition, what):
    if not condition:
        raise SystemExit(f"copy: {what}")


def fails(connection, statement, text, expected, message, context=None):
    try:
        with connection.cursor().copy(statement) as copy:
            copy.write(text)
    except expected as error:
        check(error.diag.message_primary == message, f"{statement}: {error.diag.message_primary}")
        check(context is None or error.diag.context == context, f"{statement}: {error.diag.context}")
    else:
        check(False, f"{statement} did not fail")


def psql(*arguments, text=None):
    done = subprocess.run([os.environ["PSQL"], "-X", "-q", "-v", "ON_ERROR_STOP=1", *arguments], input=text, capture_output=True, text=True)
    check(done.returncode == 0, f"psql {arguments}: {done.stderr}")
    return done.stdout


with psycopg.connect(autocommit=True) as connection:
    connection.execute("DROP SCHEMA IF EXISTS copying CASCADE")
    connection.execute("CREATE SCHEMA copying")

    # Every type, text and binary, in and out.
    for binary in (False, True):
        form = " WITH (FORMAT binary)" if binary else ""
        for number, (sql_type, value) in enumerate(VALUES):
            table = f"copying.v{number}_{'binary' if binary else 'text'}"
            connection.execute(f"CREATE TABLE {table} (k integer, v {sql_type})")
            with connection.cursor() as cursor:
                with cursor.copy(f"COPY {table} FROM STDIN{form}") as copy:
                    copy.set_types(["integer", sql_type.split("(")[0]])
                    copy.write_row([1, value])
                    copy.write_row([2, None])
                check(cursor.rowcount == 2, f"{sql_type}: {cursor.rowcount} rows")
                with cursor.copy(f"COPY (SELECT * FROM {table} ORDER BY k) TO STDOUT{form}") as copy:
                    copy.set_types(["integer", sql_type.split("(")[0]])
                    rows = list(copy.rows())
            check(rows == [(1, value), (2, None)], f"{sql_type} binary={binary}: {rows}")

    # Columns that are left out are NULL; those that must not be are missed.
    connection.execute("CREATE TABLE copying.t (id bigint NOT NULL, name varchar(5), amount numeric(10,2))")
    with connection.cursor().copy("COPY copying.t (name, id) FROM STDIN") as copy:
        copy.write("one\t1\ntwo\t2\n")
    check(connection.execute("SELECT * FROM copying.t ORDER BY id").fetchall() == [(1, "one", None), (2, "two", None)], "columns in another order")
    copy_in = "COPY copying.t FROM STDIN"
    fails(connection, copy_in, "x\ta\t1\n", errors.InvalidTextRepresentation, 'invalid input syntax for type bigint: "x"', 'COPY t, line 1, column id: "x"')
    fails(connection, copy_in, "1\ta\t1\n2\tb\n", errors.BadCopyFileFormat, 'missing data for column "amount"', 'COPY t, line 2: "2\tb"')
    fails(connection, copy_in, "1\tabcdef\t1\n", errors.StringDataRightTruncation, "value too long for type character varying(5)", 'COPY t, line 1, column name: "abcdef"')
    fails(connection, copy_in, "\\N\ta\t1\n", errors.NotNullViolation, 'null value in column "id" of relation "t" violates not-null constraint')
    fails(connection, "COPY copying.t (name) FROM STDIN", "a\n", errors.NotNullViolation, 'null value in column "id" of relation "t" violates not-null constraint')
    fails(connection, copy_in + " (FORMAT binary)", b"no binary data at all", errors.BadCopyFileFormat, "COPY file signature not recognized")
    try:
        with connection.cursor().copy(copy_in) as copy:
            copy.write("7\tseven\t7\n")
            raise RuntimeError("the program gives up")
    except RuntimeError:
        pass
    check(connection.execute("SELECT count(*) FROM copying.t").fetchone() == (2,), "a failed COPY left rows")

    # What cannot be read may be left out.
    notices = []
    connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    with connection.cursor() as cursor:
        with cursor.copy(copy_in + " WITH (FORMAT csv, HEADER match, ON_ERROR ignore)") as copy:
            copy.write("id,name,amount\n3,three,3\nx,x,x\n4,four,\n")
        check(cursor.rowcount == 2, f"ON_ERROR ignore: {cursor.rowcount}")
    check(notices == ["1 row was skipped due to data type incompatibility"], notices)

    # Views and rights.
    connection.execute("CREATE VIEW copying.v AS SELECT id FROM copying.t")
    for statement in ("COPY copying.v TO STDOUT", "COPY copying.v FROM STDIN"):
        try:
            with connection.cursor().copy(statement):
                pass
            check(False, f"{statement} did not fail")
        except errors.WrongObjectType:
            pass
    connection.execute("CREATE USER copying_reader PASSWORD 'copying-password-1'")
    connection.execute("GRANT USE CATALOG ON CATALOG main TO copying_reader")
    connection.execute("GRANT USE SCHEMA ON SCHEMA copying TO copying_reader")
    connection.execute("GRANT SELECT ON copying.t TO copying_reader")
    with psycopg.connect(user="copying_reader", password="copying-password-1", autocommit=True) as reader:
        with reader.cursor().copy("COPY copying.t (id) TO STDOUT") as copy:
            check(sorted(copy.rows()) == [("1",), ("2",), ("3",), ("4",)], "what a reader copies")
        fails(reader, "COPY copying.t (id) FROM STDIN", "5\n", errors.InsufficientPrivilege, "permission denied for table t")
    connection.execute("DROP USER copying_reader")

    # A line a message, as pgbench -i sends its accounts.
    connection.execute("CREATE TABLE copying.pgbench_accounts (aid int NOT NULL, bid int, abalance int, filler char(84))")
    with connection.cursor() as cursor:
        with cursor.copy("copy copying.pgbench_accounts from stdin with (freeze on)") as copy:
            for number in range(1, 5001):
                copy.write(f"{number}\t{number % 10}\t0\t\n")
        check(cursor.rowcount == 5000, "pgbench's accounts")
    check(connection.execute("SELECT count(*), sum(aid) FROM copying.pgbench_accounts").fetchone() == (5000, 12502500), "accounts")

    # In a transaction block the rows come with its COMMIT, or never.
    with psycopg.connect() as block:
        for end, expected in ((block.rollback, 0), (block.commit, 2)):
            with block.cursor() as cursor:
                with cursor.copy("COPY copying.t (id) FROM STDIN") as copy:
                    copy.write("100\n101\n")
                check(cursor.rowcount == 2, "COPY in a block")
            own = block.execute("SELECT count(*) FROM copying.t WHERE id >= 100").fetchone()
            others = connection.execute("SELECT count(*) FROM copying.t WHERE id >= 100").fetchone()
            check((own, others) == ((2,), (0,)), f"in the block {own}, outside {others}")
            end()
            check(connection.execute("SELECT count(*) FROM copying.t WHERE id >= 100").fetchone() == (expected,), f"after {end.__name__}")

    # psql reads and writes files of its own.
    data = pathlib.Path(os.environ["CLIENTS_DATA"])
    (data / "in.csv").write_text('id,name,amount\r\n10,"a ""b""",1.5\r\n11,,\r\n')
    psql("-c", f"\\copy copying.t from '{data}/in.csv' with (format csv, header)")
    psql("-c", f"\\copy (select * from copying.t where id in (10, 11) order by id) to '{data}/out.csv' with csv header force quote name")
    check((data / "out.csv").read_text() == 'id,name,amount\n10,"a ""b""",1.50\n11,,\n', (data / "out.csv").read_text())
    shown = psql("-At", text="copy copying.t (id, name) from stdin;\n20\tXX\n\\.\nselect name from copying.t where id = 20;\n")
    check(shown == "XX\n", shown)
    psql("-c", f"\\copy copying.t to '{data}/out.bin' with (format binary)")
    before = connection.execute("SELECT count(*) FROM copying.t").fetchone()[0]
    psql("-c", f"\\copy copying.t from '{data}/out.bin' with (format binary)")
    check(connection.execute("SELECT count(*) FROM copying.t").fetchone()[0] == 2 * before, "binary out and in again")
    connection.execute("DROP SCHEMA copying CASCADE")
print("copy: drivers passed")
