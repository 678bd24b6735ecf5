"""Two sessions, and what a statement answers in each.

Every value comes as text, by the simple protocol or by the extended one; `Answer` holds what a client sees of it. A session that is
lost comes back with its settings, and the answer says that it was lost.
"""

import dataclasses
import os

import psycopg
from psycopg import pq

SECONDS = int(os.environ.get("DIFFERENTIAL_SECONDS", "20"))


@dataclasses.dataclass(frozen=True)
class Answer:
    """Rows with their columns, or an error. `rows` of a statement without rows is None."""

    names: tuple = ()
    types: tuple = ()
    rows: list | None = None
    sqlstate: str = ""
    message: str = ""

    @property
    def failed(self):
        return bool(self.sqlstate)

    def __str__(self):
        if self.failed:
            return f"{self.sqlstate}: {self.message}"
        shown = [" | ".join("NULL" if value is None else value for value in row) for row in (self.rows or [])[:6]]
        head = ", ".join(f"{name} {oid}" for name, oid in zip(self.names, self.types))
        return f"({head}) {len(self.rows or [])} rows" + "".join(f"\n      {row[:300]}" for row in shown)


class Session:
    """A session of one server. `name` is what reports call it."""

    def __init__(self, name, settings=(), **connection):
        self.name, self.connection = name, connection
        self.settings = list(settings)
        self.raw = None

    def open(self):
        self.raw = psycopg.connect(autocommit=True, **self.connection).pgconn
        for statement in self.settings:
            answer = self._run(statement)
            if answer.failed:
                raise SystemExit(f"{self.name} refuses {statement}: {answer}")

    def run(self, sql, parameters=None, data=None):
        """The answer; `data` is what COPY FROM STDIN reads. With parameters, which are texts or None, the protocol is the extended one."""
        if self.raw is None or self.raw.status != pq.ConnStatus.OK:
            self.open()
        return self._run(sql, parameters, data)

    def _run(self, sql, parameters=None, data=None):
        if parameters is None:
            return self._answer(self.raw.exec_(sql.encode()), data)
        return self._answer(self.raw.exec_params(sql.encode(), [value if value is None else value.encode() for value in parameters]))

    def _answer(self, result, data=None):
        if result.status == pq.ExecStatus.TUPLES_OK:
            columns = range(result.nfields)
            rows = [tuple(text(result.get_value(row, column)) for column in columns) for row in range(result.ntuples)]
            return Answer(tuple(text(result.fname(column)) for column in columns), tuple(result.ftype(column) for column in columns), rows)
        if result.status in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.EMPTY_QUERY):
            return Answer()
        if result.status in (pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_IN):
            return self._copied(result.status, data)
        state = result.error_field(pq.DiagnosticField.SQLSTATE)
        if state is None:
            return Answer(sqlstate="LOST", message=text(result.error_message or b"").strip())
        return Answer(sqlstate=text(state), message=text(result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b""))

    def _copied(self, status, data):
        rows = []
        if status == pq.ExecStatus.COPY_IN:
            if data:
                self.raw.put_copy_data(data.encode())
            self.raw.put_copy_end(None if data is not None else b"no data")
        else:
            while True:
                length, data = self.raw.get_copy_data(0)
                if length <= 0:
                    break
                rows.append((text(bytes(data)),))
        last = Answer()
        while (result := self.raw.get_result()) is not None:
            last = self._answer(result)
        return last if last.failed else Answer(("copy",), (0,), rows)

    def must(self, sql):
        answer = self.run(sql)
        if answer.failed:
            raise SystemExit(f"{self.name}: {sql}: {answer}")
        return answer.rows

    def close(self):
        if self.raw is not None:
            self.raw.finish()


def text(value):
    return None if value is None else bytes(value).decode("utf-8", "replace")


def sessions(schema, settings=()):
    """Ours from PGHOST, PGPORT .. and theirs from REFERENCE_PORT, REFERENCE_USER .., both in the schema."""
    shared = ["SET TimeZone = 'America/New_York'", f"SET statement_timeout = {SECONDS * 1000}", *settings]
    theirs = {
        "host": os.environ.get("REFERENCE_HOST", "127.0.0.1"),
        "port": os.environ["REFERENCE_PORT"],
        "user": os.environ.get("REFERENCE_USER", "admin"),
        "dbname": os.environ.get("REFERENCE_DATABASE", "main"),
        "sslmode": "prefer",
    }
    pair = Session("lakehold", shared), Session("postgresql", shared, **theirs)
    for session in pair:
        session.open()
        if schema:
            session.must(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            session.settings.append(f"SET search_path = {schema}")
            session.must(session.settings[-1])
    return pair
