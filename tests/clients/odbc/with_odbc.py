"""psqlodbc: multi-statement simple queries, declared cursors, savepoints around statements, catalog functions, cancel."""

import os
import sys
import threading

import pyodbc

sys.path.insert(0, "..")
from matrix import MATRIX, Driver  # noqa: E402

pyodbc.pooling = False
WHERE = "Driver={{PostgreSQL Unicode}};Server={PGHOST};Port={PGPORT};Database={PGDATABASE};Uid={PGUSER};Pwd={PGPASSWORD};SSLmode=require;".format(**os.environ)
# What ODBC has no type for comes as text, and goes back as text.


def client_on(options):
    connection = pyodbc.connect(WHERE + options, autocommit=True)

    def query(sql, parameters):
        cursor = connection.cursor()
        cursor.execute(sql, parameters) if parameters else cursor.execute(sql)
        rows = [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        cursor.close()
        return rows

    return connection, Driver("odbc", "?", query, pyodbc.Error, lambda error: error.args[0])


def values(client):
    """The types that ODBC knows go both ways, all others as text."""
    for case in MATRIX["values"]:
        kind, literal = case["type"], "'" + case["text"].replace("'", "''") + "'"
        text = client.one(f"SELECT CAST({literal}::{kind} AS text)")
        client.equal(text, case["text"], kind)
        if kind in ("smallint", "integer", "bigint", "real", "double precision", "numeric(37,10)", "text", "varchar", "bytea", "date", "timestamp"):
            value = client.one(f"SELECT {literal}::{kind}")
            client.equal(client.one(f"SELECT CAST(? AS {kind})", value), value, f"{kind}: sent {value!r}")
        client.equal(client.one(f"SELECT CAST(CAST(? AS {kind}) AS text)", case["text"]), case["text"], f"{kind} from text")
        client.equal(client.one(f"SELECT CAST(? AS {kind})", None), None, f"{kind}: NULL")


def catalog(connection, client):
    cursor = connection.cursor()
    tables = sorted((row.table_name, row.table_type) for row in cursor.tables(schema="matrix"))
    client.equal(tables, [("kinds", "TABLE"), ("named", "VIEW")], "SQLTables")
    columns = [(row.column_name, row.type_name) for row in cursor.columns(schema="matrix", table="kinds")]
    client.equal(columns[:3], [("id", "int8"), ("flag", "bool"), ("small", "int2")], "SQLColumns")
    client.equal(len(columns), len(MATRIX["described"]["columns"]), "SQLColumns")
    client.equal(list(cursor.primaryKeys("kinds", schema="matrix")), [], "SQLPrimaryKeys")
    client.equal(list(cursor.statistics("kinds", schema="matrix", unique=True))[1:], [], "SQLStatistics")
    client.check(cursor.getTypeInfo(pyodbc.SQL_BIGINT).fetchone() is not None, "SQLGetTypeInfo")
    client.check(connection.getinfo(pyodbc.SQL_DBMS_NAME) == "PostgreSQL", "SQLGetInfo")


def failed_block(connection, client):
    """psqlodbc's own way out of an error (Protocol=7.4-2) is a savepoint around each statement."""
    connection.autocommit = False
    client.fails("SELECT 1/0", "22012")
    client.equal(client.one("SELECT 1"), 1, "after an error that a savepoint took back")
    connection.rollback()
    connection.autocommit = True


def cancel(connection, client):
    cursor = connection.cursor()
    timer = threading.Timer(0.5, cursor.cancel)
    timer.start()
    try:
        cursor.execute(MATRIX["endless"])
        client.check(False, "the query was not cancelled")
    except pyodbc.Error as error:
        client.check(error.args[0] in ("57014", "HY008"), error)
    # The statement ends before the call that cancelled it does, and that one still holds the cursor.
    timer.join()
    cursor.close()
    client.equal(client.one("SELECT 1"), 1, "after the cancel")


for options in ["", "UseDeclareFetch=1;Fetch=100;", "UseServerSidePrepare=0;", "Protocol=7.4-0;"]:
    connection, client = client_on(options)
    client.name = f"odbc ({options or 'as it comes'})"
    values(client)
    client.queries()
    client.errors()
    catalog(connection, client)
    client.equal(len(client.query("SELECT n FROM generate_series(1, 1050) AS g(n)", [])), 1050, "many rows")
    cancel(connection, client)
    connection.close()

connection, client = client_on("Protocol=7.4-2;")
failed_block(connection, client)
client.written()
connection.close()
try:
    pyodbc.connect(WHERE.replace(os.environ["PGPASSWORD"], "wrong"))
    client.check(False, "a wrong password was let in")
except pyodbc.Error as error:
    client.check("password authentication failed" in str(error), error)
connection, client = client_on("")
print("psqlodbc passed", connection.getinfo(pyodbc.SQL_DRIVER_VER))
