"""What the other files rest on: outcomes, smaller statements, files as psql reads them. Run by `run` before anything else."""

import pathlib
import sys

from outcomes import outcome
from servers import Answer
from trees import List, Node, Parameter, minimise, rendered

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "regression"))
from script import Script  # noqa: E402


def answer(rows, types=(23,), names=("x",)):
    return Answer(names, types, [tuple(row) for row in rows])


def check(found, expected, what):
    if found != expected:
        raise SystemExit(f"selftest: {what}: {found!r}, expected {expected!r}")


def outcomes():
    failed = Answer(sqlstate="22012")
    for ours, theirs, order, expected in [
        (answer([["1"], ["2"]]), answer([["2"], ["1"]]), None, "equal"),
        (answer([["1"], ["2"]]), answer([["2"], ["1"]]), "all", "rows"),
        (answer([["1"], ["2"]]), answer([["2"], ["1"]]), [0], "rows"),
        (answer([["1"], ["1"]]), answer([["1"]]), None, "rows"),
        (answer([[None]]), answer([[""]]), None, "rows"),
        (answer([["1.0"]], (1700,)), answer([["1"]], (1700,)), None, "scale"),
        (answer([["1.0"]], (25,)), answer([["1"]], (25,)), None, "rows"),
        (answer([["0.30000000000000004"]], (701,)), answer([["0.3"]], (701,)), None, "digits"),
        (answer([["0.301"]], (701,)), answer([["0.3"]], (701,)), None, "rows"),
        (answer([["1"]], (20,)), answer([["1"]]), None, "types"),
        (answer([["1"]], names=("y",)), answer([["1"]]), None, "names"),
        (answer([["1"]]), failed, None, "accepted"),
        (failed, answer([["1"]]), None, "failed"),
        (Answer(sqlstate="0A000"), answer([["1"]]), None, "refused"),
        (failed, Answer(sqlstate="22003"), None, "equal"),
        (failed, Answer(sqlstate="42601"), None, "code"),
        (Answer(sqlstate="XX000"), failed, None, "internal"),
        (Answer(sqlstate="LOST"), failed, None, "lost"),
    ]:
        check(outcome(ours, theirs, order), expected, f"{ours} beside {theirs}")


def smaller():
    one, fault = Node("e", "1"), Node("e", "(", Node("e", "0"), " / ", Node("e", "0"), ")")
    tree = Node("s", "SELECT ", List("items", [one, Node("e", "f(", one, ", ", fault, ")")]), Node("clause", " WHERE true", optional=True))
    check(str(minimise(tree, lambda other: "0 / 0" in str(other))), "SELECT (0 / 0)", "the smallest statement")
    tree = Node("s", "SELECT ", Parameter(23, "7", "int4"), " + ", Parameter(23, None, "int4"))
    check(rendered(tree), ("SELECT $1::int4 + $2::int4", ["7", None]), "parameters")


def scripts():
    text = """-- a comment; not a statement
SELECT 'a;b', "c;d", $$e;f$$, $x$ $$ ; $x$; /* ; /* nested ; */ */ SELECT E'\\';' ;
\\set v 5
SELECT :v, :'v', a::text, '12:30', b[1:2];
\\if false
SELECT 1/0;
\\else
SELECT 2 \\gset
\\endif
COPY t FROM stdin;
1;2
\\.
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END;
CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);
SELECT 1\\; SELECT 2;
"""
    found = [(line, sql, data, end[0]) for line, sql, data, end in Script(text).statements()]
    check(
        found,
        [
            (2, "SELECT 'a;b', \"c;d\", $$e;f$$, $x$ $$ ; $x$", None, ";"),
            (2, "/* ; /* nested ; */ */ SELECT E'\\';'", None, ";"),
            (4, "SELECT 5, '5', a::text, '12:30', b[1:2]", None, ";"),
            (8, "SELECT 2", None, "gset"),
            (10, "COPY t FROM stdin", "1;2\n", ";"),
            (13, "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END", None, ";"),
            (14, "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)", None, ";"),
            (15, "SELECT 1; SELECT 2", None, ";"),
        ],
        "the statements of a file",
    )


outcomes()
smaller()
scripts()
