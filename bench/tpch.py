"""TPC-H, query by query, best of some runs, beside DuckDB. See tpch.sh."""

import argparse
import datetime
import decimal
import math
import os
import pathlib
import time

import duckdb
import peer

# A user whose policies keep every row; the functions read a column so that they cannot fold to a constant.
KEEP_ALL = """
CREATE GROUP nobody;
CREATE FUNCTION tpch.keep(k bigint) RETURNS BOOLEAN RETURN k > 0;
CREATE FUNCTION tpch.same(c text) RETURNS TEXT RETURN CASE WHEN is_account_group_member('nobody') THEN '***' ELSE c END;
ALTER TABLE tpch.lineitem SET ROW FILTER tpch.keep ON (l_orderkey);
ALTER TABLE tpch.orders SET ROW FILTER tpch.keep ON (o_orderkey);
ALTER TABLE tpch.customer SET ROW FILTER tpch.keep ON (c_custkey);
ALTER TABLE tpch.customer ALTER COLUMN c_phone SET MASK tpch.same;
"""

# Every table behind a view that its owner lends out to somebody who may not read the table.
VIEWS = "CREATE SCHEMA main.lent;" + "".join(f"CREATE VIEW lent.{t} AS SELECT * FROM tpch.{t};" for t in peer.TABLES)

# Half of the orders; the hand-written form puts the same predicates into the query's own FROM.
FILTER = """
CREATE FUNCTION tpch.half(k bigint) RETURNS BOOLEAN RETURN k % 2 = 0;
ALTER TABLE tpch.lineitem SET ROW FILTER tpch.half ON (l_orderkey);
ALTER TABLE tpch.orders SET ROW FILTER tpch.half ON (o_orderkey);
"""
BY_HAND = {"lineitem": "l_orderkey % 2 = 0", "orders": "o_orderkey % 2 = 0"}


def rounded(value):
    if isinstance(value, (decimal.Decimal, float)):
        return float(f"{float(value):.6g}")
    if isinstance(value, datetime.datetime):
        return value.date()
    return value.rstrip() if isinstance(value, str) else value


def answer(rows):
    return [tuple(rounded(value) for value in row) for row in rows]


def close(one, two):
    """Equal but for the last digit of a rounded number."""
    if len(one) != len(two):
        return False
    same = lambda a, b: a == b or (isinstance(a, float) and isinstance(b, (float, int)) and math.isclose(a, b, rel_tol=2e-5))
    return all(len(a) == len(b) and all(same(x, y) for x, y in zip(a, b)) for a, b in zip(one, two))


def timed(run):
    started = time.perf_counter()
    rows = run()
    return time.perf_counter() - started, rows


def by_hand(sql):
    """The same query with the filters of FILTER written into it as common table expressions."""
    parts = ", ".join(f"{t} AS (SELECT * FROM tpch.{t} WHERE {p})" for t, p in BY_HAND.items())
    stripped = sql.lstrip()
    if stripped[:4].upper() == "WITH":
        return f"WITH {parts}, {stripped[4:]}"
    return f"WITH {parts} {stripped}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("scale", type=float)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--policy", choices=["none", "keep-all", "filter", "views"], default="none")
    parser.add_argument("--queries", default="")
    parser.add_argument("--cache", type=pathlib.Path)
    parser.add_argument("--server")
    arguments = parser.parse_args()

    tables = peer.make_tables(arguments.cache, arguments.scale)
    duck = peer.open_duckdb(tables, os.cpu_count())
    queries = dict(duck.execute("SELECT query_nr, query FROM tpch_queries()").fetchall())
    wanted = [int(n) for n in arguments.queries.split(",") if n] or sorted(queries)
    server = peer.Server(arguments.server, tables)
    try:
        connection = server.connect()
        if arguments.policy != "none":
            for statement in {"keep-all": KEEP_ALL, "filter": FILTER, "views": VIEWS}[arguments.policy].split(";"):
                if statement.strip():
                    connection.execute(statement)
            connection.execute("CREATE USER restricted PASSWORD 'bench-password-1'")
            schema = "lent" if arguments.policy == "views" else "tpch"
            connection.execute(f"GRANT USE SCHEMA, SELECT, EXECUTE ON SCHEMA main.{schema} TO restricted")
            owner, connection = connection, server.connect("restricted")
            connection.execute(f"SET search_path = {schema}")
        # What the same costs without: on a server of its own where the tables themselves have policies.
        plain = peer.Server(arguments.server, tables) if arguments.policy in ("filter", "keep-all") else None
        others = {"none": ("duckdb", None), "views": ("owner", lambda sql: owner.execute(sql).fetchall())}
        if plain:
            unrestricted = plain.connect()
            others["keep-all"] = ("without", lambda sql: unrestricted.execute(sql).fetchall())
            others["filter"] = ("by hand", lambda sql: unrestricted.execute(by_hand(sql)).fetchall())
        other_name, run_other = others[arguments.policy]
        print(f"TPC-H scale {arguments.scale:g}, policy {arguments.policy}, best of {arguments.runs}, {peer.machine()}, "
              f"DuckDB {duckdb.__version__}, milliseconds")
        print(f"{'query':>5} {'lakehold':>9} {other_name:>9} {'ratio':>6}  answer")
        ratios, wrong = [], []
        for number in wanted:
            sql = queries[number].strip().rstrip(";")
            other = (lambda: run_other(sql)) if run_other else (lambda: duck.execute(sql).fetchall())
            ours_best = other_best = math.inf
            for _ in range(arguments.runs):
                elapsed, ours = timed(lambda: connection.execute(sql).fetchall())
                ours_best = min(ours_best, elapsed)
                elapsed, theirs = timed(other)
                other_best = min(other_best, elapsed)
            same = close(answer(ours), answer(theirs))
            wrong += [] if same else [number]
            ratios.append(ours_best / other_best)
            print(f"{number:>5} {ours_best * 1e3:>9.0f} {other_best * 1e3:>9.0f} {ratios[-1]:>6.2f}  {'same' if same else 'DIFFERENT'}",
                  flush=True)
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"geometric mean ratio {mean:.3f}; answers that differ: {wrong or 'none'}; "
              f"peak memory of the server {server.peak_bytes() >> 20} MiB")
        if plain:
            plain.stop()
        raise SystemExit(1 if wrong else 0)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
