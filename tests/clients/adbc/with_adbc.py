"""ADBC: every query becomes COPY (query) TO STDOUT (FORMAT binary), types come from pg_type; Arrow is ingested by COPY FROM."""

import datetime
import os
import sys
import threading

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

sys.path.insert(0, "..")
from matrix import MATRIX, Driver  # noqa: E402

uri = "postgresql://{PGUSER}:{PGPASSWORD}@{PGHOST}:{PGPORT}/{PGDATABASE}?sslmode=require".format(**os.environ)
connection = adbc.connect(uri, autocommit=True)


def query(sql, parameters):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters or None)
        return cursor.fetchall() if cursor.description else []


client = Driver("adbc", "${}", query, adbc.Error, lambda error: error.sqlstate)

for case in MATRIX["values"]:
    kind, literal = case["type"], "'" + case["text"].replace("'", "''") + "'"
    client.equal(client.one(f"SELECT {literal}::{kind}::text AS v"), case["text"], kind)
    client.one(f"SELECT {literal}::{kind} AS v")
for kind, value in [("boolean", True), ("bigint", -(2**63)), ("double precision", -0.1), ("text", "naïve ☃"), ("bytea", b"\0\1\xff")]:
    client.equal(client.one(f"SELECT $1::{kind} AS v", value), value, kind)
client.queries()
client.errors()
client.transaction()
client.written()

with connection.cursor() as cursor:
    cursor.execute(MATRIX["described"]["sql"])
    table = cursor.fetch_arrow_table()
    client.equal(table.column_names, [name for name, _ in MATRIX["described"]["columns"]], "columns")
    client.equal(table.num_rows, MATRIX["described"]["rows"], "rows")
    client.equal(table.column("id").to_pylist(), [1, 2, 3], "ids")
    cursor.execute("SELECT n, repeat('x', 100) AS s FROM generate_series(1, 100000) AS g(n)")
    client.equal(sum(batch.num_rows for batch in cursor.fetch_record_batch()), 100000, "batches")

schema = connection.adbc_get_table_schema("kinds", db_schema_filter="matrix")
client.equal([field.name for field in schema], [name for name, _ in MATRIX["described"]["columns"]], "table schema")
objects = connection.adbc_get_objects(depth="tables", db_schema_filter="matrix").read_all().to_pylist()
found = {table["table_name"]: table["table_type"] for catalog in objects for schema in catalog["catalog_db_schemas"] or [] for table in schema["db_schema_tables"] or []}
client.equal(found, {"kinds": "table", "named": "view"}, "objects")

columns = {
    "id": ("int8", pa.array([1, 2, None], pa.int64())),
    "name": ("text", pa.array(["one", None, "☃"])),
    "day": ("date", pa.array([datetime.date(2024, 2, 29), None, datetime.date(1, 1, 1)])),
    "moment": ("timestamp", pa.array([datetime.datetime(1999, 12, 31, 23, 59, 59, 123456), None, None], pa.timestamp("us"))),
    "number": ("float8", pa.array([1.5, None, float("inf")])),
    "raw": ("bytea", pa.array([b"\0\1\xff", None, b""])),
    "flag": ("bool", pa.array([True, False, None])),
}
ingested = pa.table({name: values for name, (_, values) in columns.items()})
query("DROP SCHEMA IF EXISTS matrix_ingested CASCADE", [])
query("CREATE SCHEMA matrix_ingested", [])
with connection.cursor() as cursor:
    for mode in ("create", "append", "replace", "create_append"):
        client.equal(cursor.adbc_ingest("t", ingested, mode=mode, db_schema_name="matrix_ingested"), 3, f"ingested: {mode}")
    cursor.execute("SELECT * FROM matrix_ingested.t WHERE day IS NULL OR day < '2000-01-01' ORDER BY id")
    rows = ingested.to_pylist()
    client.equal(cursor.fetch_arrow_table().to_pylist(), [rows[1], rows[1], rows[2], rows[2]], "what was ingested")
    cursor.executemany("INSERT INTO matrix_ingested.t (id, name) VALUES ($1, $2)", [(10, "ten"), (11, None)])
    client.equal(cursor.rowcount, 2, "inserted")
(catalog,) = [catalog for catalog in connection.adbc_get_objects(depth="all", db_schema_filter="matrix_ingested").read_all().to_pylist() if catalog["catalog_db_schemas"]]
((table,),) = [schema["db_schema_tables"] for schema in catalog["catalog_db_schemas"]]
kinds = {column["column_name"]: (column["ordinal_position"], column["xdbc_type_name"]) for column in table["table_columns"]}
client.equal(kinds, {name: (n, kind) for n, (name, (kind, _)) in enumerate(columns.items(), 1)}, "columns of what was ingested")
query("DROP SCHEMA matrix_ingested CASCADE", [])

cursor = connection.cursor()
timer = threading.Timer(0.5, cursor.adbc_cancel)
timer.start()
try:
    cursor.execute(MATRIX["endless"])
    cursor.fetchall()
    client.check(False, "the query was not cancelled")
except (adbc.Error, adbc_driver_manager.OperationalError) as error:
    client.check("cancel" in str(error).lower(), error)
timer.join()
cursor.close()
client.equal(client.one("SELECT 1 AS one"), 1, "after the cancel")
print("adbc passed", adbc_driver_manager.__version__)
