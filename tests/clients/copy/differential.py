"""The same bytes to Lakehold and to PostgreSQL 15: the same rows or the same error, and the same bytes back.

    differential.py CASES SEED

Lines are put together at random from what COPY treats in a special way: quotes, delimiters, escapes, line ends of every kind, markers of
NULL and of the end, values that no type reads, bytes that are no text. They are sent in messages of random length.
"""

import os
import random
import sys

import psycopg

CASES, SEED = int(sys.argv[1]), int(sys.argv[2])
COLUMNS = {"a": "integer", "b": "text", "c": "varchar(5)", "d": "numeric(6,2)", "e": "boolean", "f": "date"}
GOOD = {
    "a": [b"1", b"-2147483648", b" 7 ", b"0", b"+5", b"007"],
    "b": [b"", b"x", b"two words", "naïve ☃".encode(), b"0", b"NULL", b"'", b"\\x41\\101\\n", b"tab\\tend", b"a\\\\b"],
    "c": [b"", b"abc", b"abcde", b"ab   ", b"abcde   ", "äöüßé".encode()],
    "d": [b"1", b"-1.5", b"1234.567", b".5", b"9999.994", b"1e3", b"0.005", b"-0.005"],
    "e": [b"t", b"false", b"YES", b"0", b"off"],
    "f": [b"2024-02-29", b"1999-12-31", b"0001-01-01", b"20240229", b"Jan 5, 2024"],
}
WRONG = [b"x", b"abcdefgh", b"99999.999", b"2147483648", b"maybe", b"2024-02-30", b"1 2", b"\xff", b"\xc3", b"a\0b"]
ODD = [b"\\.", b"\\", b"\\N", b"\"", b"\"\"", b"'", b",", b"\t", b";", b"\\\"", b"\\,", b"\r", b"\n", b"\\\n", b"\\0", b"\\303\\244", b"NIL"]


def options(chance, direction):
    """A dictionary of options, and their text."""
    csv = chance.random() < 0.6
    chosen = {"format": "csv" if csv else "text"}
    if chance.random() < 0.3:
        chosen["delimiter"] = chance.choice([";", "|", "\t", ","])
    if chance.random() < 0.3:
        chosen["null"] = chance.choice(["NIL", "\\N", ""])
    if chance.random() < 0.3:
        chosen["header"] = "match" if direction == "from" and chance.random() < 0.4 else "true"
    if csv and chance.random() < 0.25:
        chosen["quote"] = chance.choice(["'", '"'])
    if csv and chance.random() < 0.25:
        chosen["escape"] = chance.choice(["\\", '"', "'"])
    columns = ", ".join(chance.sample(list(COLUMNS), 2))
    if csv and direction == "from" and chance.random() < 0.2:
        chosen["force_null"] = columns
    if csv and direction == "from" and chance.random() < 0.2:
        chosen["force_not_null"] = columns
    if csv and direction == "to" and chance.random() < 0.4:
        chosen["force_quote"] = chance.choice(["*", columns])
    return chosen


def words(chosen):
    def word(name, value):
        if name in ("format", "header"):
            return f"{name} {value}"
        if name.startswith("force"):
            return f"{name} *" if value == "*" else f"{name} ({value})"
        return f"{name} E'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\t", "\\t") + "'"
    return "(" + ", ".join(word(*item) for item in chosen.items()) + ")"


def field(chance, name, chosen, mess):
    kind = chance.random() * (0.85 + 0.15 * mess)
    csv = chosen["format"] == "csv"
    quote = chosen.get("quote", '"').encode()
    if kind < 0.70:
        value = chance.choice(GOOD[name])
    elif kind < 0.85:
        value = chosen.get("null", "" if csv else "\\N").encode()
    elif kind < 0.88:
        value = chance.choice(WRONG)
    elif name in "bc":
        value = b"".join(chance.choice(ODD + GOOD["b"]) for _ in range(chance.randint(1, 3)))
    else:
        value = chance.choice(GOOD[name])
    is_null = value == chosen.get("null", "").encode() and name not in "bc"
    if csv and chance.random() < 0.3 and not (is_null and chance.random() < 0.95):
        escape = chosen.get("escape", chosen.get("quote", '"')).encode()
        if chance.random() < 0.9:
            value = value.replace(quote, escape + quote)
        value = quote + value + quote
    if csv and chance.random() < 0.02 * mess:
        value += chance.choice([quote, b" " + quote + b"x" + quote])
    return value


def data(chance, chosen):
    names = list(COLUMNS)
    mess = chance.choice([0, 0, 0.2, 1])
    delimiter = chosen.get("delimiter", "," if chosen["format"] == "csv" else "\t").encode()
    end = chance.choice([b"\n", b"\n", b"\r\n", b"\r"])
    lines = []
    if "header" in chosen:
        right = chance.random() < 0.9
        lines.append(delimiter.join(name.encode() if right else b"x" for name in names))
    for _ in range(chance.randint(0, 8)):
        count = len(names) if chance.random() < 1 - 0.03 * mess else chance.randint(0, len(names) + 1)
        lines.append(delimiter.join(field(chance, names[index % len(names)], chosen, mess) for index in range(count)))
    if chance.random() < 0.15:
        lines.insert(chance.randint(0, len(lines)), chance.choice([b"\\.", b"\\.", b"x\\.", b"\\.x"]))
    text = end.join(lines)
    if chance.random() < 0.85:
        text += end if chance.random() < 0.97 else chance.choice([b"\n", b"\r\n", b"\r"])
    return text


def outcome(connection, statement, text, chance):
    """Number of rows, or the fields of the error."""
    try:
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                rest = text
                while rest:
                    length = chance.randint(1, len(rest) + 10)
                    copy.write(rest[:length])
                    rest = rest[length:]
            return ("rows", cursor.rowcount)
    except psycopg.Error as error:
        diagnostics = error.diag
        if diagnostics.sqlstate == "22021":
            return (diagnostics.sqlstate,)
        return (diagnostics.sqlstate, diagnostics.message_primary, diagnostics.context)


def read(connection, statement):
    try:
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                return b"".join(bytes(part) for part in copy)
    except psycopg.Error as error:
        return (error.diag.sqlstate, error.diag.message_primary)


ours = psycopg.connect(autocommit=True)
theirs = psycopg.connect(host="127.0.0.1", port=os.environ["POSTGRES_PORT"], user="postgres", dbname="postgres", sslmode="prefer", autocommit=True)
columns = ", ".join(f"{name} {sql_type}" for name, sql_type in COLUMNS.items())
for connection in (ours, theirs):
    connection.execute("DROP SCHEMA IF EXISTS differential CASCADE")
    connection.execute("CREATE SCHEMA differential")

differences, succeeded = 0, 0


def differ(what, *shown):
    global differences
    differences += 1
    print(f"-- {what}", *shown, sep="\n   ")


for case in range(CASES):
    chance = random.Random(f"{SEED} {case}")
    table = f"differential.t{case}"
    for connection in (ours, theirs):
        connection.execute(f"CREATE TABLE {table} ({columns})")
    chosen = options(chance, "from")
    text = data(chance, chosen)
    statement = f"COPY {table} FROM STDIN WITH {words(chosen)}"
    state = chance.getstate()
    expected = outcome(theirs, statement, text, chance)
    chance.setstate(state)
    found = outcome(ours, statement, text, chance)
    # PostgreSQL checks the bytes behind a line before it reads the line, and so may find those first; its text shows them, too.
    both_refuse = expected == ("22021",) and found[0] != "rows"
    if expected != found and not both_refuse:
        differ(f"case {case}: {statement}", repr(text), f"expected {expected}", f"found    {found}")
    elif expected[0] == "rows" and expected[1] > 0:
        succeeded += 1
        for _ in range(3):
            chosen = options(chance, "to")
            if chance.random() < 0.2:
                chosen = {"format": "binary"}
            statement = f"COPY {table} TO STDOUT WITH {words(chosen)}"
            expected, found = read(theirs, statement), read(ours, statement)
            if expected != found:
                differ(f"case {case}: {statement}", f"expected {expected!r}", f"found    {found!r}")
    for connection in (ours, theirs):
        connection.execute(f"DROP TABLE {table}")
# A generator whose data is refused too often would compare little.
if succeeded * 4 < CASES:
    differ(f"only {succeeded} of {CASES} cases had rows")
print(f"{CASES} cases, {succeeded} with rows, {differences} differences")
sys.exit(1 if differences else 0)
