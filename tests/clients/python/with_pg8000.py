"""pg8000: a driver without libpq; extended protocol, text results."""

import os
import ssl
import sys

import pg8000.dbapi
import pg8000.native

sys.path.insert(0, "..")
from matrix import MATRIX, Driver  # noqa: E402

context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
where = {"user": os.environ["PGUSER"], "password": os.environ["PGPASSWORD"], "host": os.environ["PGHOST"], "port": int(os.environ["PGPORT"]),
         "database": os.environ["PGDATABASE"], "ssl_context": context}

connection = pg8000.dbapi.connect(**where)
connection.autocommit = True


def query(sql, parameters):
    cursor = connection.cursor()
    # The format style doubles a percent sign only where there are parameters.
    cursor.execute(sql, parameters)
    return cursor.fetchall() if cursor.description else []


def send(kind, value):
    if kind in ("json", "jsonb"):
        import json

        return json.dumps(value)
    return value


client = Driver("pg8000", "%s", query, pg8000.dbapi.DatabaseError, lambda error: error.args[0]["C"], send)
client.values()
client.queries()
client.errors()
client.transaction()
client.written()
cursor = connection.cursor()
cursor.execute(MATRIX["described"]["sql"])
client.equal([[column[0], column[1]] for column in cursor.description], MATRIX["described"]["columns"], "description")
# pg8000 has no cancel requests: another session ends the statement by pid, where the server offers that.
connection.close()

native = pg8000.native.Connection(**{key: value for key, value in where.items()})
statement = native.prepare("SELECT :a::int + :b::int")
client.equal([statement.run(a=n, b=1) for n in range(8)], [[[n + 1]] for n in range(8)], "prepared")
native.close()
try:
    pg8000.dbapi.connect(**{**where, "password": "wrong"})
    client.check(False, "a wrong password was let in")
except pg8000.dbapi.DatabaseError as error:
    client.equal(error.args[0]["C"], "28P01", "wrong password")
print("pg8000 passed", pg8000.__version__)
