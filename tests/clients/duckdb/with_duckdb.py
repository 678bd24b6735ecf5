"""DuckDB's postgres extension: reads the whole catalog in one simple query, and tables by binary COPY with pushed-down filters."""

import datetime
import decimal
import json
import os
import pathlib

import duckdb
import duckdb_extension_postgres_scanner

MATRIX = json.loads(pathlib.Path("../matrix.json").read_text())


def equal(read, expected, what):
    if read != expected:
        raise SystemExit(f"duckdb: {what}: read {read!r}, expected {expected!r}")


folder = pathlib.Path(duckdb_extension_postgres_scanner.__file__).parent / "extensions" / f"v{duckdb.__version__}"
extension = next(folder.rglob("*.duckdb_extension*"))
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
if extension.suffix == ".gz":
    import gzip

    unpacked = pathlib.Path(os.environ["CLIENTS_CACHE"]) / "duckdb" / "postgres_scanner.duckdb_extension"
    unpacked.write_bytes(gzip.decompress(extension.read_bytes()))
    extension = unpacked
connection.load_extension(str(extension))
where = "host={PGHOST} port={PGPORT} user={PGUSER} password={PGPASSWORD} dbname={PGDATABASE} sslmode=require".format(**os.environ)
connection.execute(f"ATTACH '{where}' AS lake (TYPE postgres)")
connection.execute("SET TimeZone = 'UTC'")

tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'lake' AND schema_name = 'matrix'").fetchall()
views = connection.execute("SELECT view_name FROM duckdb_views() WHERE database_name = 'lake' AND schema_name = 'matrix'").fetchall()
equal(sorted(tables + views), [("kinds",), ("named",)], "tables and views")
columns = connection.execute("SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'lake' AND schema_name = 'matrix'"
                             " AND table_name = 'kinds' ORDER BY column_index").fetchall()
equal([name for name, _ in columns], [name for name, _ in MATRIX["described"]["columns"]], "columns")
equal(dict(columns)["amount"], "DECIMAL(12,2)", "the type of amount")

rows = connection.execute("SELECT * FROM lake.matrix.kinds ORDER BY id").fetchall()
equal(len(rows), MATRIX["described"]["rows"], "rows")
moment, instant = datetime.datetime(1999, 12, 31, 23, 59, 59, 123456), datetime.datetime(2024, 6, 1, 12, tzinfo=datetime.timezone.utc)
expected = (1, True, -32768, 2147483647, 1.5, -0.1, decimal.Decimal("1234567890.12"), "naïve – ☃ 'quoted' \\ back", b"\x00\x01\xfe\xff",
            datetime.date(2024, 2, 29), moment, instant)
equal(rows[0][:11], expected[:11], "the values")
equal(rows[0][11].timestamp(), instant.timestamp(), "the instant")
equal(rows[2], (3,) + (None,) * 11, "NULLs")

for predicate, ids in [("id > 1", [2, 3]), ("name = ''", [2]), ("amount >= 0.5", [1]), ("day = DATE '2024-02-29'", [1]), ("flag", [1]),
                       ("name IS NULL", [3]), ("id IN (1, 3)", [1, 3]), ("moment < TIMESTAMP '1980-01-01'", [2]), ("number < 0 OR id = 3", [1, 3])]:
    read = connection.execute(f"SELECT id FROM lake.matrix.kinds WHERE {predicate} ORDER BY id").fetchall()
    equal([row[0] for row in read], ids, predicate)
equal(connection.execute("SELECT count(*), sum(amount) FROM lake.matrix.kinds").fetchall(), [(3, decimal.Decimal("1234567890.12"))], "aggregates")
equal(connection.execute("SELECT n.name FROM lake.matrix.named n JOIN lake.matrix.kinds k USING (id) WHERE k.small = 0").fetchall(), [("",)], "a join")
equal(connection.execute("SELECT * FROM postgres_query('lake', 'SELECT 1 + 1 AS two')").fetchall(), [(2,)], "postgres_query")
connection.execute("BEGIN")
equal(connection.execute("SELECT count(*) FROM lake.matrix.kinds").fetchall(), [(3,)], "in a transaction")
connection.execute("COMMIT")
for sql, text in [("SELECT * FROM postgres_query('lake', 'SELECT nothing')", "nothing"), ("SELECT * FROM lake.matrix.missing", "missing")]:
    try:
        connection.execute(sql).fetchall()
        raise SystemExit(f"duckdb: {sql} did not fail")
    except duckdb.Error as error:
        equal(text in str(error), True, error)
equal(connection.execute("SELECT count(*) FROM lake.matrix.kinds").fetchall(), [(3,)], "after the errors")
print("duckdb passed", duckdb.__version__)
