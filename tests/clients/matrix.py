"""The shared matrix for clients in Python: what every driver does, whatever it calls it.

A driver hands in three functions and gets the whole of `matrix.json` run through them:

    query(sql, parameters) -> rows      `sql` has placeholders as the driver writes them
    send(type, value) -> value          what the driver wants to be given for a value that it has read; the value itself by default
    sqlstate(error) -> text
"""

import json
import pathlib
import re
import threading
import time

MATRIX = json.loads((pathlib.Path(__file__).parent / "matrix.json").read_text())


class Driver:
    def __init__(self, name, placeholder, query, error, sqlstate, send=lambda kind, value: value, skip=()):
        self.name, self.placeholder, self.query = name, placeholder, query
        self.error, self.sqlstate, self.send, self.skip = error, sqlstate, send, set(skip)

    def check(self, condition, what):
        if not condition:
            raise SystemExit(f"{self.name}: {what}")

    def equal(self, read, expected, what):
        self.check(read == expected, f"{what}: read {read!r}, expected {expected!r}")

    def one(self, sql, *parameters):
        return self.query(sql, list(parameters))[0][0]

    def placed(self, sql):
        """The statement with the driver's placeholders instead of $1."""
        counter = iter(range(1, 100))
        return re.sub(r"\$\d+", lambda _: self.placeholder.format(next(counter)), sql)

    def values(self):
        """Each value is read, sent back as it was read, and must come out as the same text; so must NULL."""
        for case in MATRIX["values"]:
            kind, text = case["type"], case["text"]
            if kind in self.skip:
                continue
            literal = "'" + text.replace("'", "''") + "'"
            value = self.one(f"SELECT {literal}::{kind}")
            sent = self.send(kind, value)
            again = self.one(self.placed(f"SELECT CAST($1 AS {kind})"), sent)
            self.equal(again, value, f"{kind}: sent {sent!r}")
            self.equal(self.one(self.placed(f"SELECT CAST($1 AS {kind})::text"), sent), text, f"{kind} as text: sent {sent!r}")
            self.equal(self.one(self.placed(f"SELECT CAST($1 AS {kind})"), None), None, f"{kind}: NULL")

    def queries(self):
        for case in MATRIX["queries"]:
            parameters = [self.parameter(parameter) for parameter in case["parameters"]]
            rows = [list(row) for row in self.query(self.placed(case["sql"]), parameters)]
            self.equal(rows, case["rows"], case["what"])

    @staticmethod
    def parameter(parameter):
        text = parameter["text"]
        return text if text is None or parameter["type"] == "text" else int(text)

    def errors(self):
        for case in MATRIX["errors"]:
            self.fails(case["sql"], case["sqlstate"])

    def fails(self, sql, sqlstate):
        try:
            self.query(sql, [])
        except self.error as error:
            self.equal(self.sqlstate(error), sqlstate, f"{sql}: {error}")
            return
        self.check(False, f"{sql} did not fail")

    def transaction(self, rollback=None):
        """A failed block refuses what comes, until it is rolled back."""
        self.query("BEGIN", []) if rollback is None else None
        self.fails("SELECT 1/0", "22012")
        self.fails("SELECT 1", "25P02")
        rollback() if rollback else self.query("ROLLBACK", [])
        self.equal(self.one("SELECT 1"), 1, "after the rollback")

    def cancelled(self, cancel):
        """A second connection ends what this one runs, and nothing else."""
        timer = threading.Timer(0.5, cancel)
        timer.start()
        started = time.monotonic()
        self.fails(MATRIX["endless"], "57014")
        timer.join()
        self.check(time.monotonic() - started < 20, "the cancel was late")
        self.equal(self.one("SELECT 1"), 1, "after the cancel")

    def written(self):
        """A table of the client's own: written with parameters, read back, dropped."""
        schema = "matrix_" + re.sub(r"\W", "_", self.name.lower())
        for sql in [f"DROP SCHEMA IF EXISTS {schema} CASCADE", f"CREATE SCHEMA {schema}", f"CREATE TABLE {schema}.t (id bigint, name text)"]:
            self.query(sql, [])
        self.query(self.placed(f"INSERT INTO {schema}.t VALUES ($1::bigint, $2::text), (2, NULL)"), [1, "one"])
        rows = [list(row) for row in self.query(f"SELECT id, name FROM {schema}.t ORDER BY id", [])]
        self.equal(rows, [[1, "one"], [2, None]], "what was written")
        self.query(f"DROP SCHEMA {schema} CASCADE", [])
