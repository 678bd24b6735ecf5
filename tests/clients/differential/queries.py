"""Random queries over small tables with NULLs, duplicates and empty texts.

Joins of all kinds, LATERAL, subqueries in every place, grouping sets, windows, DISTINCT [ON], set operations, WITH (recursive, too),
ORDER BY and LIMIT. What SQL leaves open is closed by the generator: LIMIT stands behind an ORDER BY of all columns, windows that count
rows are ordered by all columns of their query, aggregates that keep an order are told it. So the rows of a query are known up to their order.
"""

import random

from trees import List, Node
from values import BOOL, DATE, FLOAT8, INT4, INT8, NUMERIC, TEXT, TIMESTAMP, TIMESTAMPTZ

TABLES = {
    "t1": [("a", INT4), ("b", INT4), ("c", TEXT), ("d", NUMERIC), ("e", DATE)],
    "t2": [("a", INT4), ("g", BOOL), ("c", TEXT), ("f", FLOAT8), ("h", INT8)],
    "t3": [("k", INT4), ("ts", TIMESTAMP), ("tz", TIMESTAMPTZ), ("m", NUMERIC)],
    "t4": [("p", INT4), ("q", INT4), ("r", TEXT)],
    "v": [("i2", 21), ("i8", INT8), ("f4", 700), ("f8", FLOAT8), ("vc", 1043), ("ch", 1042), ("bo", BOOL)],
}
SETUP = [
    "CREATE TABLE t1 (a int, b int, c text, d numeric(10,2), e date)",
    "INSERT INTO t1 VALUES (1, 10, 'x', 1.50, '2024-01-01'), (2, 20, 'y', 2.25, '2024-01-02'), (3, 30, 'x', NULL, '2024-02-29'), (4, 40, NULL, -3.00, '2023-12-31')",
    "INSERT INTO t1 VALUES (5, 10, 'z', 0.00, NULL), (NULL, 10, 'y', 99.99, '2024-01-02'), (7, NULL, 'x', 1.50, '2024-01-01'), (2, 20, '', 5.05, '2024-06-30')",
    "CREATE TABLE t2 (a int, g bool, c text, f float8, h bigint)",
    "INSERT INTO t2 VALUES (1, true, 'x', 0.5, 100), (1, false, 'y', -1.25, 200), (2, NULL, 'z', NULL, NULL)",
    "INSERT INTO t2 VALUES (4, true, NULL, 3.75, 9007199254740993), (NULL, false, 'x', 0, -1), (9, true, '', 100, 0)",
    "CREATE TABLE t3 (k int, ts timestamp, tz timestamptz, m numeric(12,3))",
    "INSERT INTO t3 VALUES (1, '2024-01-01 10:00:00', '2024-01-01 10:00:00+00', 1.500), (2, '2024-01-02 00:00:00', '2024-07-02 11:30:00+00', 2.345)",
    "INSERT INTO t3 VALUES (2, '2024-03-10 02:30:00', '2024-01-01 10:00:00+00', NULL), (4, NULL, NULL, -0.125), (NULL, '2023-12-31 23:59:59', '2023-12-31 23:59:59+00', 1.500)",
    "CREATE TABLE t4 (p int, q int, r text)",
    "INSERT INTO t4 VALUES (1, NULL, 'root'), (2, 1, 'left'), (3, 1, 'right')",
    "INSERT INTO t4 VALUES (4, 2, 'leaf'), (5, 3, NULL), (6, 3, '')",
    "CREATE TABLE v (i2 smallint, i8 bigint, f4 real, f8 float8, vc varchar(10), ch char(4), bo boolean)",
    "INSERT INTO v VALUES (1, 1, 0.5, 0.5, 'vc', 'ch', true), (-1, -1, -2.25, -2.25, 'a,b,c', 'ab', false), (NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    "INSERT INTO v VALUES (0, 0, 0, 0, '', '', true), (7, 7, 3, 10, ' x ', 'abcd', false), (32767, 9007199254740993, 1, 1, '12', '12', NULL)",
]

INTS, NUMBERS = (INT4, INT8, 21), (INT4, INT8, 21, NUMERIC, FLOAT8, 700)
LITERALS = {
    INT4: ["0", "1", "2", "-1", "5", "10", "NULL::int4"],
    INT8: ["0::int8", "2::int8", "9007199254740993", "NULL::int8"],
    21: ["1::int2", "7::int2", "(-1)::int2"],
    NUMERIC: ["1.5", "0.0", "2.25", "-0.125", "99.99", "NULL::numeric"],
    FLOAT8: ["0.5::float8", "'3.75'::float8", "'NaN'::float8", "-1.25::float8"],
    700: ["0.5::float4", "3::float4"],
    TEXT: ["'x'", "''", "'y'", "'left'", "NULL::text", "'z%'"],
    1043: ["'12'::varchar", "''::varchar(3)"],
    1042: ["'ab'::char(4)", "''::char(2)"],
    BOOL: ["true", "false", "NULL::bool"],
    DATE: ["'2024-01-02'::date", "DATE '2024-02-29'", "NULL::date"],
    TIMESTAMP: ["'2024-01-02'::timestamp", "TIMESTAMP '2024-01-01 10:00:00'"],
    TIMESTAMPTZ: ["'2024-01-01 05:00:00-05'::timestamptz", "'2024-07-02'::timestamptz"],
}
KINDS = [INT4, INT4, INT4, TEXT, TEXT, NUMERIC, FLOAT8, INT8, BOOL, DATE, TIMESTAMP, TIMESTAMPTZ]
COMPARISONS = ["=", "=", "<>", "<", "<=", ">", ">="]
# What a type is made of besides columns and literals.
MADE = {
    INT4: ["({i} + {i})", "({i} - {i})", "({i} * {i})", "({i} % 3)", "length({t})", "COALESCE({i}, {i})", "NULLIF({i}, {i})", "abs({i})", "GREATEST({i}, {i})",
           "(CASE WHEN {b} THEN {i} ELSE {i} END)", "(CASE WHEN {i} <> 0 THEN 10 / {i} END)", "({b})::int", "EXTRACT(day FROM {d})::int", "(- {i})", "({n})::int"],
    INT8: ["({i} + {l})", "COALESCE({l}, {i})", "({l} / 2)", "({i})::int8"],
    21: ["COALESCE({s}, {s})"],
    NUMERIC: ["({n} + {n})", "({n} * {n})", "round({n}, 1)", "({i} / 2.0)", "COALESCE({n}, 0)", "abs({n})", "({n} % 2)", "({i})::numeric", "(CASE WHEN {b} THEN {n} ELSE {i} END)"],
    FLOAT8: ["({f} + {f})", "({f} * 2)", "COALESCE({f}, {f})", "({n})::float8", "floor({f})"],
    700: ["COALESCE({r}, {r})"],
    TEXT: ["({t} || {t})", "upper({t})", "COALESCE({t}, {t})", "concat({t}, {i})", "left({t}, 1)", "({i})::text", "({n})::text", "(CASE {t} WHEN 'x' THEN 'one' WHEN {t} THEN {t} END)",
           "({d})::text", "({b})::text", "replace({t}, 'x', 'yy')", "concat_ws('-', {t}, {t})", "({ts})::text"],
    1043: ["COALESCE({vc}, {vc})"],
    1042: ["COALESCE({ch}, {ch})"],
    BOOL: ["({i} {c} {i})", "({t} {c} {t})", "({n} {c} {n})", "({i} {c} {n})", "({l} {c} {f})", "({d} {c} {d})", "({ts} {c} {ts})", "({tz} {c} {tz})", "({d} {c} {ts})",
           "({b} AND {b})", "({b} OR {b})", "(NOT {b})", "({i} IS NULL)", "({t} IS NOT NULL)", "({i} IN ({i}, {i}, 2))", "({t} NOT IN ('x', {t}))",
           "({i} BETWEEN {i} AND {i})", "({t} LIKE '%x%')", "({t} LIKE {t})", "({i} IS DISTINCT FROM {i})", "({b} IS NOT TRUE)", "({i} = ANY (ARRAY[{i}, {i}]))",
           "({n} IN (1.5, 2.25))", "({i} <> ALL (ARRAY[{i}, 3]))", "({n}::int = 1)", "({vc} {c} {t})", "({ch} = {t})", "(({i}, {t}) {c} ({i}, {t}))"],
    DATE: ["({d} + {i})", "COALESCE({d}, {d})", "({ts})::date", "({tz})::date"],
    TIMESTAMP: ["({ts} + INTERVAL '1 day')", "date_trunc('month', {ts})", "({d})::timestamp", "({tz} AT TIME ZONE 'UTC')"],
    TIMESTAMPTZ: ["({tz} + INTERVAL '1 month')", "({tz} + INTERVAL '36 hours')", "date_trunc('day', {tz})", "({d})::timestamptz"],
}  # fmt: skip
LETTERS = {"i": INT4, "t": TEXT, "n": NUMERIC, "b": BOOL, "f": FLOAT8, "l": INT8, "d": DATE, "ts": TIMESTAMP, "tz": TIMESTAMPTZ, "s": 21, "r": 700, "vc": 1043, "ch": 1042}

AGGREGATES = [
    ("count(*)", None), ("count({x})", None), ("count(DISTINCT {x})", None), ("sum({i})", INT8), ("sum({n})", NUMERIC), ("sum({f})", FLOAT8), ("sum({l})", NUMERIC), ("avg({i})", NUMERIC),
    ("avg({n})", NUMERIC), ("avg({f})", FLOAT8), ("min({i})", INT4), ("max({t})", TEXT), ("min({n})", NUMERIC), ("max({d})", DATE), ("min({ts})", TIMESTAMP), ("max({tz})", TIMESTAMPTZ),
    ("bool_and({b})", BOOL), ("bool_or({b})", BOOL), ("every({b})", BOOL), ("sum(DISTINCT {i})", INT8), ("array_agg({i} ORDER BY {i})", None),
    ("string_agg({t}, ',' ORDER BY {t})", TEXT), ("array_agg(DISTINCT {t})", None), ("string_agg(DISTINCT {t}, '+' ORDER BY {t})", None), ("json_agg({i} ORDER BY {i})", None),
    ("bit_or({i})", INT4), ("stddev({i})", None), ("var_pop({n})", None), ("percentile_disc(0.5) WITHIN GROUP (ORDER BY {i})", INT4),
    ("percentile_cont(0.5) WITHIN GROUP (ORDER BY {f})", FLOAT8), ("mode() WITHIN GROUP (ORDER BY {t})", None), ("min({vc})", TEXT), ("max({s})", 21),
]  # fmt: skip
WINDOWED = [
    ("row_number()", INT8, True), ("rank()", INT8, False), ("dense_rank()", INT8, False), ("percent_rank()", FLOAT8, False), ("cume_dist()", FLOAT8, False), ("ntile(3)", INT4, True),
    ("lag({i})", INT4, True), ("lead({t}, 2)", TEXT, True), ("lag({i}, 1, {i})", INT4, True), ("first_value({t})", TEXT, True), ("last_value({i})", INT4, True), ("nth_value({n}, 2)", NUMERIC, True),
    ("sum({i})", INT8, False), ("count(*)", INT8, False), ("count({t})", INT8, False), ("avg({n})", NUMERIC, False), ("min({t})", TEXT, False), ("max({i})", INT4, False), ("sum({n})", NUMERIC, False),
    ("sum({f})", FLOAT8, False), ("bool_or({b})", BOOL, False), ("max({ts})", TIMESTAMP, False),
]  # fmt: skip
FRAMES = ["", "", "", " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW", " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING", " ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING",
          " RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING", " GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING", " ROWS BETWEEN 2 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW",
          " RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING"]  # fmt: skip


class Scope:
    """The columns that an expression may use: (text, type), and those of outer queries."""

    def __init__(self, columns=(), outer=None):
        self.columns, self.outer = list(columns), outer

    def of(self, chance, oid, with_outer=0.25):
        here = [text for text, kind in self.columns if kind == oid]
        if self.outer is not None and (not here or chance.random() < with_outer):
            return self.outer.of(chance, oid) or (chance.choice(here) if here else None)
        return chance.choice(here) if here else None


class Queries:
    """The family: `statement(n)` is the n-th query of a seed."""

    name = "queries"

    def __init__(self, ours, theirs, seed):
        self.ours, self.theirs, self.seed = ours, theirs, seed
        for session in (ours, theirs):
            for table in TABLES:
                session.must(f"DROP TABLE IF EXISTS {table}")
            for statement in SETUP:
                session.must(statement)

    def cases(self, number):
        self.chance = random.Random(f"{self.seed} queries {number}")
        self.names = 0
        self.ctes = []
        yield self.query(None, self.chance.choice([1, 2, 2, 3]), top=True)[0]

    def name(self, letter="x"):
        self.names += 1
        return f"{letter}{self.names}"

    # Queries. Each gives its tree, its columns as (name, type) and how its rows are ordered: None, "all" or a list of columns.

    def query(self, outer, depth, top=False, wanted=None):
        chance = self.chance
        ctes = []
        kept = list(self.ctes)
        if top or chance.random() < 0.1:
            while chance.random() < 0.25 and len(ctes) < 2:
                ctes.append(self.recursive() if chance.random() < 0.35 else self.cte(depth))
        roll = chance.random()
        if roll < 0.14 and depth > 0:
            body, columns = self.set_operation(outer, depth, wanted)
        elif roll < 0.19 and not wanted:
            body, columns = self.values()
        else:
            body, columns = self.select(outer, depth, wanted)
        order, known = self.order(columns, top, str(body).startswith("SELECT DISTINCT ON"))
        self.ctes = kept
        parts = []
        if ctes:
            recursive = "RECURSIVE " if any("UNION" in str(cte) for cte in ctes) else ""
            parts = [Node("clause", f"WITH {recursive}", List("with", ctes), " ", optional=True)]
        if order:
            order.sorted = known
        return Node("query", *parts, body, order), columns, known

    def order(self, columns, top, ordered):
        chance = self.chance
        if ordered or not columns or chance.random() < (0.35 if top else 0.8):
            return "", None
        if chance.random() < 0.7:
            keys = [f"{n + 1}{chance.choice(['', '', ' DESC', ' NULLS FIRST', ' DESC NULLS LAST'])}" for n in range(len(columns))]
            limit = ""
            if chance.random() < 0.5:
                limit = Node("clause", f" LIMIT {chance.choice([0, 1, 2, 3, 5])}", optional=True)
            offset = Node("clause", f" OFFSET {chance.choice([0, 1, 2])}", optional=True) if chance.random() < 0.2 else ""
            if any(oid is None or oid == 114 for _, oid in columns):
                return "", None
            return Node("clause", " ORDER BY ", ", ".join(keys), limit, offset, optional=True), "all"
        number = chance.randrange(len(columns))
        if columns[number][1] in (None, 114):
            return "", None
        return Node("clause", f" ORDER BY {number + 1}", optional=True), [number]

    def cte(self, depth):
        name = self.name("w")
        tree, columns, _ = self.query(None, min(depth - 1, 1))
        names = [f"{name}c{n}" for n in range(len(columns))]
        self.ctes.append((name, [(column, oid) for column, (_, oid) in zip(names, columns)]))
        mode = self.chance.choice(["", "", " MATERIALIZED", " NOT MATERIALIZED"])
        return Node("cte", f"{name}({', '.join(names)}) AS{mode} (", tree, ")")

    def recursive(self):
        chance, name = self.chance, self.name("r")
        all_rows = chance.choice(["", " ALL"])
        form = chance.choice(["numbers", "tree", "modulo", "path"])
        if form == "numbers":
            self.ctes.append((name, [("n", INT4), ("s", INT4)]))
            return Node("cte", f"{name}(n, s) AS (SELECT 1, 0 UNION{all_rows} SELECT n + 1, s + n FROM {name} WHERE n < {chance.choice([3, 5, 8])})")
        if form == "modulo":
            self.ctes.append((name, [("n", INT4)]))
            return Node("cte", f"{name}(n) AS (SELECT 1 UNION SELECT (n + 2) % {chance.choice([3, 5, 7])} FROM {name})")
        if form == "tree":
            self.ctes.append((name, [("p", INT4), ("r", TEXT), ("level", INT4)]))
            return Node("cte", f"{name}(p, r, level) AS (SELECT p, r, 0 FROM t4 WHERE q IS NULL UNION{all_rows} SELECT t4.p, t4.r, level + 1 FROM t4 JOIN {name} x ON t4.q = x.p)")
        self.ctes.append((name, [("p", INT4), ("path", TEXT)]))
        return Node("cte", f"{name}(p, path) AS (SELECT p, p::text FROM t4 WHERE p < 3 UNION{all_rows} SELECT t4.p, path || '/' || t4.p FROM {name}, t4 WHERE t4.q = {name}.p)")

    def values(self):
        chance = self.chance
        types = [chance.choice([INT4, TEXT, NUMERIC]) for _ in range(chance.choice([1, 2]))]
        rows = [Node("row", "(", ", ".join(chance.choice(LITERALS[oid]) for oid in types), ")") for _ in range(chance.choice([1, 2, 4]))]
        return Node("body", "VALUES ", List("rows", rows)), [(f"column{n + 1}", oid) for n, oid in enumerate(types)]

    def set_operation(self, outer, depth, wanted):
        chance = self.chance
        wanted = wanted or [chance.choice(KINDS) for _ in range(chance.choice([1, 1, 2, 3]))]
        left, columns = self.select(outer, depth - 1, wanted, plain=True)
        operator = chance.choice(["UNION", "UNION ALL", "INTERSECT", "INTERSECT ALL", "EXCEPT", "EXCEPT ALL"])
        other = [INT4 if oid == NUMERIC and chance.random() < 0.2 else oid for oid in wanted]
        right, _ = self.select(outer, depth - 1, other, plain=True)
        parts = [left, f" {operator} ", right]
        if chance.random() < 0.2:
            third, _ = self.select(outer, 0, wanted, plain=True)
            parts += [Node("clause", f" {chance.choice(['UNION', 'UNION ALL', 'EXCEPT', 'INTERSECT'])} ", third, optional=True)]
        return Node("body", *parts), columns

    def select(self, outer, depth, wanted=None, plain=False):
        chance = self.chance
        source, scope = self.source(outer, depth)
        where = Node("clause", " WHERE ", self.condition(scope, depth), optional=True) if chance.random() < 0.55 else ""
        roll = chance.random()
        if roll < 0.3:
            return self.grouped(source, scope, where, depth, wanted)
        if roll < 0.45 and scope.columns:
            return self.windowed(source, scope, where, depth, wanted)
        types = wanted or [chance.choice(KINDS) for _ in range(chance.choice([1, 2, 2, 3, 4]))]
        if not wanted and not plain and chance.random() < 0.12 and scope.columns:
            names = [(text.split(".")[-1], oid) for text, oid in scope.columns]
            if len({name for name, _ in names}) == len(names):
                return Node("body", "SELECT * FROM ", source, where), names
        items, columns = self.items([self.expression(scope, oid, 1 if depth else 0, depth) for oid in types], types)
        distinct = ""
        if chance.random() < 0.18:
            distinct = "DISTINCT "
            if not plain and chance.random() < 0.5:
                keys = ", ".join(str(n + 1) for n in range(len(types)))
                return Node("body", "SELECT DISTINCT ON (1) ", items, " FROM ", source, where, f" ORDER BY {keys}"), columns
        return Node("body", f"SELECT {distinct}", items, " FROM ", source, where), columns

    def items(self, expressions, types, aliased=0.5):
        """A list of columns. An alias is given to most; the name of the others is the server's to say."""
        elements, columns = [], []
        for expression, oid in zip(expressions, types):
            name = self.name("c")
            if self.chance.random() < aliased:
                elements.append(Node("item", expression, f" AS {name}"))
            else:
                elements.append(Node("item", expression))
            columns.append((name, oid))
        return List("items", elements), columns

    def grouped(self, source, scope, where, depth, wanted):
        chance = self.chance
        keys = [self.expression(scope, chance.choice([INT4, INT4, TEXT, BOOL, DATE]), chance.choice([0, 0, 1]), 0) for _ in range(chance.choice([0, 1, 1, 2, 3]))]
        # A literal in GROUP BY is a position, and a NULL of any kind the same as another.
        keys = list({str(key): key for key in keys if any(str(key) == text or text in str(key) for text, _ in scope.columns)}.values())
        inside = Scope([(str(key), key.kind) for key in keys], None)
        types = wanted or [None] * chance.choice([1, 2, 2, 3])
        expressions, kinds = [], []
        for oid in types:
            if keys and chance.random() < 0.4 and (oid is None or inside.of(chance, oid)):
                key = chance.choice(keys) if oid is None else Node(oid, inside.of(chance, oid))
                expressions.append(Node(key.kind, str(key)))
                kinds.append(key.kind)
                continue
            if oid is not None and not any(kind == oid for _, kind in AGGREGATES):
                expressions.append(Node(oid, chance.choice(LITERALS[oid])))
                kinds.append(oid)
                continue
            text, kind = chance.choice([entry for entry in AGGREGATES if oid is None or entry[1] == oid])
            expressions.append(self.filled(text, kind or 0, scope, depth and 1, filtered=chance.random() < 0.15))
            kinds.append(kind)
        sets = False
        if keys:
            roll, listed = chance.random(), [str(key) for key in keys]
            if roll < 0.6:
                group = ", ".join(listed)
            elif roll < 0.72:
                group, sets = f"ROLLUP ({', '.join(listed)})", True
            elif roll < 0.82:
                group, sets = f"CUBE ({', '.join(listed)})", True
            else:
                group, sets = f"GROUPING SETS (({', '.join(listed)}), ({listed[0]}), ())", True
            if sets and chance.random() < 0.4 and not wanted:
                expressions.append(Node(INT4, f"GROUPING({listed[0]})"))
                kinds.append(INT4)
        elif not any("(" in str(e) for e in expressions):
            expressions, kinds = [Node(INT8, "count(*)")] if not wanted else expressions, [INT8] if not wanted else kinds
        items, columns = self.items(expressions, kinds)
        group = Node("clause", f" GROUP BY {group}") if keys else ""
        having = ""
        if chance.random() < 0.2:
            having = Node("clause", " HAVING ", self.filled("count(*) > 1" if chance.random() < 0.5 else "max({i}) {c} 2", BOOL, scope, 0), optional=True)
        return Node("body", "SELECT ", items, " FROM ", source, where, group, having), columns

    def windowed(self, source, scope, where, depth, wanted):
        chance = self.chance
        types = wanted or [None] * chance.choice([1, 2, 3])
        expressions, kinds = [], []
        every = ", ".join(f"{text}{chance.choice(['', ' DESC', ' NULLS FIRST'])}" for text, _ in scope.columns)
        for oid in types:
            fitting = [entry for entry in WINDOWED if oid is None or entry[1] == oid]
            if not fitting or chance.random() < 0.25:
                kind = oid or chance.choice(KINDS)
                expressions.append(self.expression(scope, kind, 0, 0))
                kinds.append(kind)
                continue
            text, kind, total = chance.choice(fitting)
            frame = chance.choice(FRAMES) if "lag" not in text and "lead" not in text and "(" in text and "()" not in text and "ntile" not in text else ""
            partition = Node("clause", f"PARTITION BY {chance.choice(scope.columns)[0]}", optional=True) if chance.random() < 0.5 else ""
            if total or "ROWS" in frame or "GROUPS" in frame or chance.random() < 0.3:
                # Fewer keys would leave the order open, so a smaller statement keeps all of them or none of the window.
                order = Node("clause", " ORDER BY ", every)
            else:
                order = Node("clause", f" ORDER BY {chance.choice(scope.columns)[0]}", optional=True) if chance.random() < 0.8 else ""
                frame = frame if order else ""
            call = self.filled(text, kind, scope, 0)
            expressions.append(Node(kind, call, " OVER (", partition, order, frame, ")"))
            kinds.append(kind)
        items, columns = self.items(expressions, kinds)
        return Node("body", "SELECT ", items, " FROM ", source, where), columns

    # FROM

    def source(self, outer, depth):
        chance = self.chance
        first, columns = self.relation(outer, depth, None)
        parts, scope = [first], Scope(columns, outer)
        for _ in range(chance.choice([0, 0, 1, 1, 2] if depth else [0, 0, 1])):
            roll = chance.random()
            lateral = scope if chance.random() < 0.3 else None
            if roll < 0.15:
                other, more = self.relation(outer, depth - 1, lateral)
                scope = Scope(scope.columns + more, outer)
                parts = [Node("from", *parts), chance.choice([", ", " CROSS JOIN "]), other]
                continue
            kind = chance.choice(["JOIN", "LEFT JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
            other, more = self.relation(outer, depth - 1, lateral if kind in ("JOIN", "LEFT JOIN") else None)
            both = Scope(scope.columns + more, outer)
            if kind == "FULL JOIN":
                # PostgreSQL joins fully only by equality.
                pair = [(a, b) for a, x in scope.columns for b, y in more if x == y]
                condition = Node(BOOL, " = ".join(chance.choice(pair))) if pair else Node(BOOL, "true")
            elif chance.random() < 0.55 and (pair := [(a, b) for a, x in scope.columns for b, y in more if x == y]):
                condition = Node(BOOL, " = ".join(chance.choice(pair)))
                if chance.random() < 0.3:
                    condition = Node(BOOL, condition, " AND ", self.expression(both, BOOL, 1, 0))
            else:
                condition = self.expression(both, BOOL, chance.choice([0, 1, 2]), depth - 1 if chance.random() < 0.2 else 0)
            parts = [Node("from", *parts), f" {kind} ", other, Node("clause", " ON ", condition)]
            scope = both
        return Node("from", *parts), scope

    def relation(self, outer, depth, lateral):
        chance, alias = self.chance, self.name("x")
        roll = chance.random()
        if lateral is not None and chance.random() < 0.7:
            if roll < 0.3:
                bound = self.expression(lateral, INT4, 0, 0)
                return Node("relation", "LATERAL generate_series(1, ", bound, f") AS {alias}(gs)"), [(f"{alias}.gs", INT4)]
            if depth > 0:
                tree, columns, _ = self.query(lateral, depth - 1)
                names = [f"{alias}c{n}" for n in range(len(columns))]
                return Node("relation", "LATERAL (", tree, f") AS {alias}({', '.join(names)})"), self.usable(alias, names, columns)
            expression = self.expression(lateral, INT4, 1, 0)
            return Node("relation", "LATERAL (SELECT ", expression, f" AS l) AS {alias}"), [(f"{alias}.l", INT4)]
        if roll < 0.22 and depth > 0:
            tree, columns, _ = self.query(None, depth - 1)
            names = [f"{alias}c{n}" for n in range(len(columns))]
            return Node("relation", "(", tree, f") AS {alias}({', '.join(names)})"), self.usable(alias, names, columns)
        if roll < 0.32 and self.ctes:
            name, columns = chance.choice(self.ctes)
            return Node("relation", f"{name} AS {alias}"), self.usable(alias, [column for column, _ in columns], columns)
        if roll < 0.37:
            return Node("relation", f"generate_series(1, {chance.choice([0, 2, 4])}) AS {alias}(gs)"), [(f"{alias}.gs", INT4)]
        if roll < 0.41:
            return Node("relation", f"unnest(ARRAY[1, 2, NULL, 2]) AS {alias}(u)"), [(f"{alias}.u", INT4)]
        if roll < 0.46:
            return Node("relation", f"(VALUES (1, 'x'), (2, NULL), (NULL, 'z')) AS {alias}(i, s)"), [(f"{alias}.i", INT4), (f"{alias}.s", TEXT)]
        table = chance.choice(list(TABLES))
        return Node("relation", f"{table} AS {alias}"), [(f"{alias}.{column}", oid) for column, oid in TABLES[table]]

    @staticmethod
    def usable(alias, names, columns):
        return [(f"{alias}.{name}", oid) for name, (_, oid) in zip(names, columns) if oid is not None]

    # Expressions

    def condition(self, scope, depth):
        return self.expression(scope, BOOL, self.chance.choice([1, 1, 2]), depth)

    def expression(self, scope, oid, depth, queries):
        """An expression of the type; `queries` is how deep subqueries in it may be."""
        chance = self.chance
        if queries > 0 and chance.random() < (0.3 if oid == BOOL else 0.12):
            return self.subquery(scope, oid, queries - 1)
        if depth <= 0 or chance.random() < 0.25:
            column = scope.of(chance, oid)
            if column is not None and chance.random() < 0.8:
                return Node(oid, column)
            return Node(oid, chance.choice(LITERALS[oid]))
        return self.filled(chance.choice(MADE[oid]), oid, scope, depth - 1, queries)

    def filled(self, text, oid, scope, depth, queries=0, filtered=False):
        chance, parts, chosen = self.chance, [], {}
        repeated = "ORDER BY" in text and "WITHIN" not in text
        for piece in split(text):
            if not piece.startswith("{"):
                parts.append(piece)
            elif piece == "{c}":
                parts.append(chance.choice(COMPARISONS))
            elif piece == "{x}":
                parts.append(self.expression(scope, chance.choice(KINDS), depth, 0))
            elif repeated:
                chosen.setdefault(piece, str(self.expression(scope, LETTERS[piece[1:-1]], 0, 0)))
                parts.append(chosen[piece])
            else:
                parts.append(self.expression(scope, LETTERS[piece[1:-1]], depth, queries))
        if filtered:
            parts += [Node("clause", " FILTER (WHERE ", self.expression(scope, BOOL, 1, 0), ")", optional=True)]
        return Node(oid, *parts)

    def subquery(self, scope, oid, depth):
        chance = self.chance
        if oid != BOOL or chance.random() < 0.1:
            return Node(oid, "(", self.scalar(scope, oid, depth), ")")
        roll = chance.random()
        if roll < 0.35:
            tree, _, _ = self.query(scope, depth)
            return Node(BOOL, chance.choice(["EXISTS (", "NOT EXISTS ("]), tree, ")")
        kind = chance.choice([INT4, INT4, TEXT, NUMERIC, DATE])
        left = self.expression(scope, kind, chance.choice([0, 1]), 0)
        if chance.random() < 0.12:
            other = self.expression(scope, TEXT, 0, 0)
            tree, _, _ = self.query(scope if chance.random() < 0.4 else None, depth, wanted=[kind, TEXT])
            return Node(BOOL, "((", left, ", ", other, chance.choice([") IN (", ") NOT IN ("]), tree, "))")
        tree, _, _ = self.query(scope if chance.random() < 0.4 else None, depth, wanted=[kind])
        how = chance.choice([" IN (", " NOT IN (", f" {chance.choice(COMPARISONS)} ANY (", f" {chance.choice(COMPARISONS)} ALL ("])
        return Node(BOOL, "(", left, how, tree, "))")

    def scalar(self, scope, oid, depth):
        chance = self.chance
        fitting = [text for text, kind in AGGREGATES if kind == oid]
        if fitting and chance.random() < 0.65:
            source, inner = self.source(scope if chance.random() < 0.7 else None, 0)
            inner = Scope(inner.columns, scope)
            where = Node("clause", " WHERE ", self.condition(inner, 0), optional=True) if chance.random() < 0.7 else ""
            return Node("query", "SELECT ", self.filled(chance.choice(fitting), oid, Scope(inner.columns, None), 0), " FROM ", source, where)
        tree, _, _ = self.query(scope, max(depth, 0), wanted=[oid])
        return tree


def split(text):
    parts, rest = [], text
    while "{" in rest:
        before, _, rest = rest.partition("{")
        letter, _, rest = rest.partition("}")
        parts += [before, "{" + letter + "}"] if before else ["{" + letter + "}"]
    return parts + [rest] if rest else parts
