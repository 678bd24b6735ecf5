"""What we write, others read: the same rows through our own wire, DuckDB's delta extension and the deltalake package."""

import os
import pathlib

import deltalake
import duckdb
import duckdb_extension_delta
import psycopg

CREATE = """
CREATE TABLE cross_check.plain (b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision, n numeric(20,4),
  t text, v varchar(10), y bytea, d date, ts timestamp, tz timestamptz, a int[])
"""
ROWS = """
INSERT INTO cross_check.plain VALUES
 (true, -32768, 2147483647, -9223372036854775808, 1.5, -0.25, 1234567890123456.7891, 'naïve ☃', 'short', '\\x0001ff', '1969-12-31',
  '2024-02-29 23:59:59.999999', '2024-06-01 12:00:00+02', ARRAY[1,2,3]),
 (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
 (false, 0, 0, 0, 0, 0, 0, '', '', '\\x', '2024-01-01', '1970-01-01', '1970-01-01 00:00:00+00', ARRAY[]::int[])
"""


def check(condition, what):
    if not condition:
        raise SystemExit(f"delta readers: {what}")


def main():
    duck = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    duck.execute("SET TimeZone = 'UTC'")
    folder = pathlib.Path(duckdb_extension_delta.__file__).parent / "extensions"
    duck.execute(f"LOAD '{next(folder.rglob('*.duckdb_extension'))}'")
    with psycopg.connect(autocommit=True, options="-c timezone=UTC") as connection:
        connection.execute("DROP SCHEMA IF EXISTS cross_check CASCADE")
        connection.execute("CREATE SCHEMA cross_check")
        connection.execute(CREATE)
        for _ in range(3):
            connection.execute(ROWS)
        connection.execute("CREATE TABLE cross_check.parted (k int, part text) PARTITIONED BY (part)")
        connection.execute("INSERT INTO cross_check.parted SELECT n, CASE WHEN n % 3 = 0 THEN NULL ELSE 'p' || (n % 3) || ' /=%' END FROM generate_series(1, 30) g(n)")
        connection.execute("CREATE TABLE cross_check.many AS SELECT n, n::text AS t FROM generate_series(1, 100000) g(n)")
        for table, order in [("plain", "i8"), ("parted", "k"), ("many", "n")]:
            location = connection.execute(f"DESCRIBE TABLE EXTENDED cross_check.{table}").fetchall()
            url = next(row[1] for row in location if row[0].lower() == "location")
            path = url.removeprefix("file://")
            ours = connection.execute(f"SELECT * FROM cross_check.{table} ORDER BY {order} NULLS LAST").fetchall()
            theirs = duck.execute(f"SELECT * FROM delta_scan('{path}') ORDER BY {order} NULLS LAST").fetchall()
            same = [tuple(map(comparable, row)) for row in ours] == [tuple(map(comparable, row)) for row in theirs]
            check(same, f"{table}: DuckDB reads other rows\n{ours[:3]}\n{theirs[:3]}")
            arrow = deltalake.DeltaTable(path).to_pyarrow_table()
            check(arrow.num_rows == len(ours), f"{table}: deltalake reads {arrow.num_rows} rows, not {len(ours)}")
            check(arrow.column_names == [c.name for c in connection.execute(f"SELECT * FROM cross_check.{table}").description], f"{table}: names")
    print("delta readers passed")


def comparable(value):
    """bytes and lists in one form; times with zone by their instant."""
    if isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    return value.timestamp() if hasattr(value, "tzinfo") and value.tzinfo is not None and hasattr(value, "timestamp") else value


main()
