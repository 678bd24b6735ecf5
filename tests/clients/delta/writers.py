"""What others write, we read: tables of the deltalake package, registered under an external location."""

import datetime as dt
import decimal
import os
import pathlib
import shutil

import psycopg
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake


def check(condition, what):
    if not condition:
        raise SystemExit(f"delta writers: {what}")


def main():
    root = pathlib.Path(os.environ["CLIENTS_DATA"]) / "written"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    first = pa.table({
        "id": pa.array([1, 2, 3, 4], pa.int64()), "part": pa.array(["a", None, "b", "a"]),
        "d": pa.array([dt.date(2024, 1, 1), None, dt.date(1900, 1, 1), dt.date(9999, 12, 31)]),
        "n": pa.array([decimal.Decimal("1.50"), None, decimal.Decimal("-2.25"), decimal.Decimal("0.00")], pa.decimal128(10, 2)),
        "s": pa.array([{"x": 1, "y": "one"}, None, {"x": None, "y": ""}, {"x": 4, "y": "four"}]),
        "l": pa.array([[1, 2], [], None, [None]], pa.list_(pa.int32())),
    })
    write_deltalake(str(root / "t"), first, partition_by=["part"])
    second = first.slice(0, 1).append_column("later", pa.array(["new"]))
    write_deltalake(str(root / "t"), second, mode="append", schema_mode="merge")
    DeltaTable(str(root / "t")).delete("id = 3")
    DeltaTable(str(root / "t")).create_checkpoint()
    with psycopg.connect(autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS written CASCADE")
        connection.execute("DROP EXTERNAL LOCATION IF EXISTS written")
        connection.execute(f"CREATE EXTERNAL LOCATION written URL 'file://{root}'")
        connection.execute("CREATE SCHEMA written")
        connection.execute(f"CREATE TABLE written.t USING DELTA LOCATION 'file://{root}/t'")
        rows = connection.execute("SELECT id, part, d, n, s, l, later FROM written.t ORDER BY id, later").fetchall()
        expected = [
            (1, "a", dt.date(2024, 1, 1), decimal.Decimal("1.50"), {"x": 1, "y": "one"}, [1, 2], "new"),
            (1, "a", dt.date(2024, 1, 1), decimal.Decimal("1.50"), {"x": 1, "y": "one"}, [1, 2], None),
            (2, None, None, None, None, [], None),
            (4, "a", dt.date(9999, 12, 31), decimal.Decimal("0.00"), {"x": 4, "y": "four"}, [None], None),
        ]
        check(rows == expected, f"\n{rows}\n{expected}")
        for sql, answer in [
            ("SELECT count(*), min(id), max(id), count(part) FROM written.t", (4, 1, 4, 3)),
            ("SELECT count(*) FROM written.t WHERE part IS NULL", (1,)),
            ("SELECT count(*) FROM written.t WHERE part = 'a'", (3,)),
            ("SELECT count(*) FROM written.t VERSION AS OF 0", (4,)),
            ("SELECT count(*) FROM written.t VERSION AS OF 1", (5,)),
        ]:
            check(connection.execute(sql).fetchone() == answer, f"{sql}: {connection.execute(sql).fetchone()}")
        try:
            connection.execute("SELECT * FROM written.t VERSION AS OF 99")
            check(False, "a version that is not there")
        except psycopg.Error as error:
            check("99" in str(error), error)
        write_deltalake(str(root / "t"), second, mode="append", schema_mode="merge")
        check(connection.execute("SELECT count(*) FROM written.t").fetchone() == (5,), "a commit of another program is seen")
    print("delta writers passed")


main()
