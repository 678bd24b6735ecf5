"""Values of every type, with the edges of each, and a table that holds them.

Moments lie around the changes of the clock in America/New_York, which is the session's zone.
"""

import random

BOOL, BYTEA, CHAR, NAME, INT8, INT2, INT4, TEXT, OID, JSON = 16, 17, 18, 19, 20, 21, 23, 25, 26, 114
FLOAT4, FLOAT8, BPCHAR, VARCHAR, DATE, TIME = 700, 701, 1042, 1043, 1082, 1083
TIMESTAMP, TIMESTAMPTZ, INTERVAL, NUMERIC, UUID, JSONB = 1114, 1184, 1186, 1700, 2950, 3802

TYPES = {
    BOOL: "bool", BYTEA: "bytea", CHAR: '"char"', NAME: "name", INT8: "int8", INT2: "int2", INT4: "int4", TEXT: "text", OID: "oid",
    JSON: "json", FLOAT4: "float4", FLOAT8: "float8", BPCHAR: "char(5)", VARCHAR: "varchar(12)", DATE: "date", TIME: "time",
    TIMESTAMP: "timestamp", TIMESTAMPTZ: "timestamptz", INTERVAL: "interval", NUMERIC: "numeric", UUID: "uuid", JSONB: "jsonb",
}  # fmt: skip
# The type of an array and of its elements.
ARRAYS = {
    1000: BOOL, 1001: BYTEA, 1016: INT8, 1005: INT2, 1007: INT4, 1009: TEXT, 1021: FLOAT4, 1022: FLOAT8, 1015: VARCHAR,
    1182: DATE, 1183: TIME, 1115: TIMESTAMP, 1185: TIMESTAMPTZ, 1187: INTERVAL, 1231: NUMERIC, 2951: UUID, 3807: JSONB,
}  # fmt: skip
ARRAY_OF = {element: array for array, element in ARRAYS.items()}

VALUES = {
    BOOL: ["t", "f"],
    INT2: ["0", "1", "-1", "2", "7", "-3", "100", "32767", "-32768"],
    INT4: ["0", "1", "-1", "2", "3", "5", "-7", "10", "100", "2147483647", "-2147483648"],
    INT8: ["0", "1", "-1", "2", "4", "-9", "1000", "9007199254740993", "9223372036854775807", "-9223372036854775808"],
    FLOAT4: ["0", "-0", "1", "-1.5", "0.1", "2.5", "3.4028235e38", "1.17549435e-38", "NaN", "Infinity", "-Infinity"],
    FLOAT8: ["0", "-0", "1", "-1", "0.5", "1.5", "2.5", "-2.5", "0.1", "1e-12", "1e15", "123456.789", "1e20", "1.7976931348623157e308",
             "5e-324", "NaN", "Infinity", "-Infinity"],
    NUMERIC: ["0", "1", "-1", "1.5", "2.50", "-0.005", "0.1", "10", "3.14159", "99.99", "100", "-7.25", "1e-10", "1e10", "12345678901234567890",
              "0.00000000000000000001", "99999999999999999999999999999999999999", "-1234567890.0123456789", "NaN", "Infinity", "-Infinity",
              "123456789012345678901234567890123456789012345678901234567890.125"],
    TEXT: ["", "a", "abc", "ABC", " x ", "naïve ☃", "a,b,c", "a%b_c", "\\", "1", "1.5", "2024-02-29", "true", "{1,2}", '"q"', "a\nb", "foo bar",
           "Straße", "x'y"],
    VARCHAR: ["", "a", "abc", "ABC ", "12", "a_b", "é", "x y"],
    BPCHAR: ["", "a", "ab", "abc  ", "12", "a b"],
    NAME: ["a", "public", "Some Name", "x_1"],
    CHAR: ["a", "Z", "1"],
    BYTEA: ["\\x", "\\x00", "\\x616263", "\\xff00fe", "\\x5c"],
    DATE: ["2024-01-01", "2024-02-29", "1999-12-31", "1970-01-01", "2000-01-01", "0001-01-01", "2024-03-10", "2024-11-03", "2100-06-15",
           "9999-12-31", "infinity", "-infinity", "4713-01-01 BC", "0044-03-15 BC"],
    TIME: ["00:00:00", "12:34:56.789", "23:59:59.999999", "02:30:00", "24:00:00"],
    TIMESTAMP: ["2024-01-01 00:00:00", "2024-02-29 12:34:56.789012", "2024-03-10 02:30:00", "2024-11-03 01:30:00", "1999-12-31 23:59:59.999999",
                "1970-01-01 00:00:00", "2000-01-01 00:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59", "2050-07-01 12:00:00",
                "infinity", "-infinity", "0044-03-15 06:00:00 BC"],
    TIMESTAMPTZ: ["2024-01-01 00:00:00+00", "2024-03-10 06:59:59+00", "2024-03-10 07:00:00+00", "2024-11-03 05:30:00+00", "2024-11-03 06:30:00+00",
                  "1970-01-01 00:00:00+00", "2024-07-04 12:34:56.789+02", "1890-01-01 00:00:00+00", "2050-07-01 12:00:00+00",
                  "9999-12-31 23:59:59+00", "infinity", "-infinity"],
    INTERVAL: ["0", "1 day", "1 mon", "1 year 2 mons", "-1 day +02:03:04", "24:00:00", "36:00:00", "00:00:00.000001", "1 mon -1 day", "-1 years",
               "1000 years", "15 minutes", "2 days 03:00:00", "178000000 years"],
    UUID: ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
    JSON: ["null", "1", '"a"', '{"a": 1, "b": [1, 2, null], "a": 2}', "[1, \"x\", {\"k\": null}]", "{}", "[]", ' { "b" : 1.50 , "a":"é" } '],
    JSONB: ["null", "1", "1.50", '"a"', '{"b": 1, "a": {"c": [1, 2]}}', "[1, \"x\", null, 2.0]", "{}", "[]", "true", '{"aa": 1, "b": 2}', "[[1], {}]"],
    OID: ["0", "23", "1259", "4294967295"],
}  # fmt: skip

# Columns of the table, with their types in full: several where a type has several forms.
COLUMNS = [(oid, name) for oid, name in TYPES.items()]
COLUMNS += [(INT4, "int4"), (INT8, "int8"), (FLOAT8, "float8"), (TEXT, "text"), (TIMESTAMPTZ, "timestamptz"), (DATE, "date")]
COLUMNS += [(NUMERIC, "numeric(12,3)"), (NUMERIC, "numeric(38,10)"), (NUMERIC, "numeric(5,0)"), (INTERVAL, "interval"), (BOOL, "bool")]
COLUMNS += [(array, f"{TYPES[element]}[]") for array, element in ARRAYS.items()]


def type_name(oid):
    return TYPES[oid] if oid in TYPES else f"{TYPES[ARRAYS[oid]]}[]"


def quoted(value):
    return "'" + value.replace("'", "''") + "'"


def array_text(elements):
    def element(value):
        if value is None:
            return "NULL"
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    return "{" + ",".join(element(value) for value in elements) + "}"


def any_value(chance, oid):
    """A text of the type, None for NULL."""
    if oid in ARRAYS:
        if chance.random() < 0.15:
            return "{}"
        return array_text([None if chance.random() < 0.2 else chance.choice(VALUES[ARRAYS[oid]]) for _ in range(chance.randint(1, 3))])
    return chance.choice(VALUES[oid])


def literal(value, name):
    return f"NULL::{name}" if value is None else f"{quoted(value)}::{name}"


class Table:
    """The table `vals` with a column for each of COLUMNS that both servers store, and what stands in its rows.

    A value that ours does not store is NULL in both tables; `refused` says which.
    """

    ROWS = 24

    def __init__(self, ours, theirs):
        self.columns, self.cells, self.refused = [], {}, []
        for session in (ours, theirs):
            session.must("DROP TABLE IF EXISTS vals")
        for number, (oid, name) in enumerate(COLUMNS):
            chance = random.Random(f"column {number}")
            cells = [None if chance.random() < 0.15 else any_value(chance, oid) for _ in range(self.ROWS)]
            cells = [cell if cell is None or not theirs.run(f"SELECT {literal(cell, name)}").failed else None for cell in cells]
            if (kept := self.stored(ours, name, cells)) is None:
                continue
            column = f"c{number}"
            self.columns.append((column, oid, name))
            self.cells[column] = kept
        definition = ", ".join(["id int4", *(f"{column} {name}" for column, _, name in self.columns)])
        for session in (ours, theirs):
            session.must(f"CREATE TABLE vals ({definition})")
            for first, last in ((0, self.ROWS // 2), (self.ROWS // 2, self.ROWS)):
                rows = ", ".join("(" + ", ".join([str(row), *(literal(self.cells[c][row], name) for c, _, name in self.columns)]) + ")" for row in range(first, last))
                session.must(f"INSERT INTO vals VALUES {rows}")

    def stored(self, ours, name, cells):
        answer = ours.run(f"CREATE TABLE probe (c {name})")
        if answer.failed:
            self.refused.append(f"column of {name}: {answer}")
            return None
        insert = "INSERT INTO probe VALUES {}".format
        if ours.run(insert(", ".join(f"({literal(cell, name)})" for cell in cells))).failed:
            good = {}
            for cell in dict.fromkeys(cells):
                answer = ours.run(insert(f"({literal(cell, name)})"))
                good[cell] = not answer.failed
                if answer.failed:
                    self.refused.append(f"{literal(cell, name)}: {answer}")
            cells = [cell if good[cell] else None for cell in cells]
        ours.must("DROP TABLE probe")
        return cells
