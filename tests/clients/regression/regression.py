"""PostgreSQL's regression files on Lakehold and on a PostgreSQL beside it: how many statements answer the same.

    regression.py [--accept] [--list FILE] [FILE..]

A statement is equal if its rows (up to their order), the names and types of its columns, and its SQLSTATE agree. The files run one after
the other in one scratch schema, each in a session of its own, because later ones read tables of earlier ones; both servers get the same
statement whatever came of the ones before. EXPLAIN is left out. `score.toml` holds what was counted last; fewer equal statements in a
file, beyond a few that vary, are a failure, `--accept` writes the new numbers. What differs goes to `--list`, with both answers.
"""

import argparse
import collections
import os
import pathlib
import re
import sys
import time
import tomllib

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "differential"))

from outcomes import outcome  # noqa: E402
from script import Script  # noqa: E402
from servers import sessions  # noqa: E402

SETTINGS = ["SET TimeZone = 'PST8PDT'", "SET DateStyle = 'Postgres, MDY'", "SET IntervalStyle = 'postgres_verbose'"]
FILES = """boolean char name varchar text int2 int4 int8 oid float4 float8 numeric uuid strings numerology date time timetz timestamp timestamptz
interval horology regex expressions unicode copyselect select_into select_distinct select_distinct_on select_implicit select_having subselect
union case join select aggregates random portals arrays groupingsets misc_functions tsrf limit window json jsonb json_encoding jsonpath
jsonpath_encoding jsonb_jsonpath prepare rangefuncs polymorphism rowtypes with temp transactions guc create_view""".split()
# Statements that say more of plans than of answers, or that disturb the server.
LEFT_OUT = re.compile(r"\s*(explain|vacuum|analyze|reindex|cluster|checkpoint|load|create\s+extension|alter\s+(system|database)|select\s+pg_sleep|create\s+(unique\s+)?index)\b", re.I)
# Some answers hang on the order in which rows meet: ties of a window, arrays without an order. So few more or fewer say nothing.
SLACK = 5
WORDS = ("equal", "dependent", "rows", "scale", "digits", "types", "names", "accepted", "refused", "failed", "code", "internal", "lost")


class Pair:
    def __init__(self, settings):
        self.ours, self.theirs = sessions(None, [])
        for session in (self.ours, self.theirs):
            session.run("CREATE SCHEMA IF NOT EXISTS regression")
            session.run("SET search_path = regression")
            for statement in settings:
                session.run(statement)

    def close(self):
        self.ours.close(), self.theirs.close()


def copied(sql, data, files):
    """COPY of a file in the folder reads standard input instead."""
    match = re.match(r"\s*copy\s+(\w+)\s+from\s+'([^']+)'\s*$", sql, re.I)
    if match and (path := files / "data" / pathlib.Path(match[2]).name).exists():
        return f"COPY {match[1]} FROM STDIN", path.read_text()
    return sql, data


def word_of(found, expected):
    """As `outcome`, but SQLSTATEs must be the same, and what fails because of a statement before is told apart."""
    word = outcome(found, expected)
    if word == "equal" and expected.sqlstate != found.sqlstate and expected.sqlstate not in ("57014", "54001"):
        word = "code"
    if found.sqlstate == "25P02" != expected.sqlstate or found.sqlstate == "42P01" != expected.sqlstate:
        return "dependent"
    return word


class Reasons:
    def __init__(self):
        self.kinds = tomllib.loads((HERE / "reasons.toml").read_text())["kind"]
        self.count = collections.Counter()

    def add(self, word, sql, found):
        texts = {"outcome": word, "statement": sql, "ours": str(found)}
        for kind in self.kinds:
            if all(re.search(kind[name], value, re.I | re.S) for name, value in texts.items() if name in kind):
                self.count[kind["name"]] += 1
                return kind["name"]
        self.count["no kind"] += 1
        return "no kind"


def scratch(files):
    """An empty schema, and none of those that the files make and may leave."""
    texts = [(files / "sql" / f"{name}.sql").read_bytes().decode(errors="replace") for name in FILES if (files / "sql" / f"{name}.sql").exists()]
    made = sorted({name for text in texts for name in re.findall(r"create\s+schema\s+(?:if\s+not\s+exists\s+)?(\w+)", text, re.I)} - {"if"})
    for session in sessions(None):
        for name in ("regression", *made):
            session.run(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        session.must("CREATE SCHEMA regression")
        session.close()


def setup(files):
    """The tables that all files read. COPY reads files of the folder."""
    pair = Pair(SETTINGS)
    refused = []
    script = Script((files / "sql" / "test_setup.sql").read_text(), {"abs_srcdir": str(files)})
    for _, sql, _, _ in script.statements():
        if LEFT_OUT.match(sql) or re.match(r"\s*(grant|set|create\s+(tablespace|function))\b", sql, re.I):
            continue
        sql, data = copied(sql, None, files)
        expected, found = pair.theirs.run(sql, data=data), pair.ours.run(sql, data=data)
        if found.failed and not expected.failed:
            refused.append(f"{sql[:60]}: {found}")
    pair.close()
    return refused


def run(files, name, listed, reasons):
    """The count of outcomes of a file."""
    pair, count = Pair(SETTINGS), collections.Counter()
    text = (files / "sql" / f"{name}.sql").read_text(encoding="utf-8", errors="replace")
    script = Script(text, {"abs_srcdir": str(files)})
    for line, sql, data, (end, arguments) in script.statements():
        if LEFT_OUT.match(sql):
            continue
        sql, data = copied(sql, data, files)
        expected, found = pair.theirs.run(sql, data=data), pair.ours.run(sql, data=data)
        word = word_of(found, expected)
        count[word] += 1
        if word != "equal":
            print(f"-- {reasons.add(word, sql, found)}\n-- {word} {name}:{line}: {' '.join(sql.split())[:1500]}\n   PostgreSQL {str(expected)[:600]}\n   Lakehold   {str(found)[:600]}", file=listed)
        if end == "gset" and not expected.failed and expected.rows:
            script.variables.update({arguments + column: value or "" for column, value in zip(expected.names, expected.rows[0])})
        if end == "gexec" and not expected.failed:
            for row in expected.rows or []:
                for value in row:
                    if value is not None:
                        pair.theirs.run(value), pair.ours.run(value)
    pair.close()
    return count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--accept", action="store_true")
    parser.add_argument("--list", type=argparse.FileType("w"), default=None)
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    files = pathlib.Path(os.environ["REGRESSION_FILES"])
    listed = options.list or open(pathlib.Path(os.environ["CLIENTS_CACHE"]) / "regression.txt", "w")
    accepted = HERE / "score.toml"
    before = tomllib.loads(accepted.read_text()).get("files", {}) if accepted.exists() else {}
    scratch(files)
    for line in setup(files):
        print(f"setup: {line}")
    scores, fewer, reasons = {}, [], Reasons()
    for name in FILES:
        if options.files and name not in options.files or not (files / "sql" / f"{name}.sql").exists():
            continue
        started = time.monotonic()
        count = run(files, name, listed, reasons)
        total = sum(count.values())
        scores[name] = {"equal": count["equal"], "of": total}
        others = ", ".join(f"{count[word]} {word}" for word in WORDS[1:] if count[word])
        change = count["equal"] - before.get(name, scores[name])["equal"]
        print(f"{name:20} {count['equal']:5} of {total:5} {100 * count['equal'] / max(total, 1):5.1f} % {change:+5}  {time.monotonic() - started:4.0f} s  {others}", flush=True)
        if change < -SLACK:
            fewer.append(name)
    equal, total = (sum(score[key] for score in scores.values()) for key in ("equal", "of"))
    print(f"{'all':20} {equal:5} of {total:5} {100 * equal / max(total, 1):5.1f} %; what differs: {listed.name}")
    for kind, times in reasons.count.most_common():
        print(f"   {times:5} {kind}")
    if options.accept:
        kept = {**before, **scores}
        lines = ["# How many statements of PostgreSQL's regression files answer the same, of how many. `regression.py --accept` writes the numbers."]
        lines += ["[files]", *(f"{name} = {{ equal = {kept[name]['equal']}, of = {kept[name]['of']} }}" for name in FILES if name in kept)]
        accepted.write_text("\n".join(lines) + "\n")
    elif fewer:
        print(f"fewer equal statements than before: {' '.join(fewer)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
