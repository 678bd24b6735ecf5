"""Typed expressions over every function and operator that both servers have, as constants and over the columns of a table.

What there is stands in pg_proc, pg_operator and pg_cast and is read at run time: a function of ours that is new is tried at once. The
outermost call of an expression goes through all signatures, what stands inside is chosen by its type.
"""

import random
import re

import values
from trees import List, Node, Parameter
from values import ARRAY_OF, ARRAYS, BOOL, DATE, FLOAT8, INT4, INT8, INTERVAL, JSONB, NUMERIC, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, TYPES

ANY, ANYARRAY, ANYELEMENT, ANYNONARRAY, RECORD = 2276, 2277, 2283, 2776, 2249
ANYCOMPATIBLE, ANYCOMPATIBLEARRAY, ANYCOMPATIBLENONARRAY = 5077, 5078, 5079
ONE = {ANYELEMENT, ANYNONARRAY, ANYCOMPATIBLE, ANYCOMPATIBLENONARRAY}
MANY = {ANYARRAY, ANYCOMPATIBLEARRAY}

# What depends on the server, the session, the clock or chance, or works on it.
LEFT_OUT = re.compile(
    r"pg_(?!typeof$|size_pretty$|size_bytes$|column_size_never).*|set_config|current_.*|inet_.*|has_.*|nextval|currval|lastval|txid_.*|.*_user|version|now"
    r"|.*_timestamp|timeofday|random.*|gen_random_uuid|obj_description|col_description|shobj_.*|to_reg.*|row_security_active|acl.*|makeaclitem"
    r"|getdatabaseencoding|format_type|setseed|.*typanalyze|hash.*|.*(recv|typmodin|typmodout)|oidvectortypes|parse_ident|.*_to_xml.*|currtid.*|lo_.*"
    r"|mxid_age|set_bit_never|getpgusername|suppress_redundant.*|.*_support|btint.*|.*cmp|in_range|numeric_inc|.*_accum.*|.*(smaller|larger)"
)
# Numbers in these places are counts of bytes or rows.
SMALL = re.compile(r"repeat|lpad|rpad|factorial|generate_series|array_fill|.*shl|.*shr|<<|>>|\^|power|pow|numeric_power|round|trunc")
SMALL_VALUES = ["0", "1", "2", "3", "5", "-1", "-2", "10"]

FUNCTIONS = """SELECT proname, prokind, provariadic, pronargdefaults, prorettype, proargtypes, proretset FROM pg_proc
 WHERE pronamespace = 11 AND prokind IN ('f', 'a', 'w')"""
OPERATORS = "SELECT oprname, oprleft, oprright, oprresult FROM pg_operator WHERE oprnamespace = 11"
# An operator is tried as such, not by the function behind it.
BEHIND = "SELECT oprcode::text FROM pg_operator UNION SELECT typsend::text FROM pg_type UNION SELECT typname FROM pg_type WHERE typtype = 'b'"
CASTS = "SELECT castsource, casttarget FROM pg_cast"


SORTED = (set(TYPES) | set(ARRAYS)) - {values.JSON, values.UUID, values.CHAR, 3807, 2951}


class Slot(Node):
    """A column of the table; `constant` gives its value in a row instead."""

    def __init__(self, oid, column, cells, name):
        super().__init__(oid, column)
        self.cells, self.name = cells, name


def constant(tree, row, given=False):
    """The tree with the values of the row instead of columns, or with parameters that are given them."""
    if isinstance(tree, Slot):
        if given:
            return Parameter(tree.kind, tree.cells[row], tree.name)
        return Node(tree.kind, "(" + values.literal(tree.cells[row], tree.name) + ")")
    new = tree.copy()
    new.parts = [constant(part, row, given) if isinstance(part, Node) else part for part in new.parts]
    return new


class Grammar:
    def __init__(self, ours, theirs, table):
        self.table = table
        self.of_type = {}
        for column, oid, name in table.columns:
            self.of_type.setdefault(oid, []).append((column, name))
        behind = {name for name, in theirs.must(BEHIND)}
        known = {(row[0], row[5]) for row in theirs.must(FUNCTIONS)}
        self.functions = [row for row in sorted(ours.must(FUNCTIONS)) if (row[0], row[5]) in known and row[0] not in behind and not LEFT_OUT.fullmatch(row[0])]
        known = {row[:3] for row in theirs.must(OPERATORS)}
        self.operators = [tuple([row[0], *map(int, row[1:])]) for row in sorted(ours.must(OPERATORS)) if row[:3] in known]
        good = set(TYPES) | set(ARRAYS)
        self.casts = sorted((int(a), int(b)) for a, b in theirs.must(CASTS) if int(a) in good and int(b) in good and a != b)
        self.casts += [(oid, TEXT) for oid in TYPES] + [(array, TEXT) for array in ARRAYS]
        usable = good | ONE | MANY | {ANY}
        self.signatures = []
        self.aggregates = []
        for name, kind, variadic, defaults, result, arguments, is_set in self.functions:
            types = [int(oid) for oid in arguments.split()]
            if set(types) <= usable and kind != "w":
                entry = ("function", name, types, int(result), int(variadic), int(defaults))
                if kind == "a":
                    self.aggregates.append(entry)
                elif is_set != "t":
                    self.signatures.append(entry)
        for name, left, right, result in self.operators:
            if {left, right} - {0} <= usable | {RECORD}:
                self.signatures.append(("operator", name, [left, right], result, 0, 0))
        for source, target in self.casts:
            self.signatures.append(("cast", "", [source], target, 0, 0))
        for form in FORMS:
            self.signatures.append(("form", form, None, None, 0, 0))
        self.producers = {}
        for entry in self.signatures:
            if entry[3] in good:
                self.producers.setdefault(entry[3], []).append(entry)

    def leaf(self, chance, oid, small=False):
        name = values.type_name(oid)
        if small and oid in (INT4, INT8, NUMERIC, FLOAT8, 21):
            return Node(oid, values.literal(chance.choice(SMALL_VALUES), name))
        columns = self.of_type.get(oid)
        if columns and chance.random() < 0.6:
            column, full = chance.choice(columns)
            return Slot(oid, column, self.table.cells[column], full)
        if chance.random() < 0.06:
            return Node(oid, chance.choice(["NULL", f"NULL::{name}"]))
        value = values.any_value(chance, oid)
        style = chance.random()
        if oid == BOOL and style < 0.5:
            return Node(oid, "true" if value == "t" else "false")
        if style < 0.35 and oid in (INT4, INT8, NUMERIC) and not value.startswith(("-", "N", "I")):
            return Node(oid, value)
        if style < 0.3 and oid == TEXT:
            return Node(oid, values.quoted(value))
        return Node(oid, "(" + values.literal(value, name) + ")")

    def expression(self, chance, oid, depth, small=False):
        if small or depth <= 0 or oid not in self.producers or chance.random() < 0.35:
            return self.leaf(chance, oid, small)
        if chance.random() < 0.25:
            return self.form(chance, chance.choice(GENERIC), oid, depth)
        return self.call(chance, chance.choice(self.producers[oid]), depth)

    def call(self, chance, entry, depth):
        what, name, types, result, variadic, defaults = entry
        if what == "form":
            return self.form(chance, name, None, depth)
        element = chance.choice(list(ARRAY_OF))
        arguments = []
        small = SMALL.fullmatch(name) is not None
        if what == "function":
            types = types[: len(types) - chance.randint(0, defaults)] if defaults else list(types)
            if variadic:
                types = types[:-1] + [variadic] * chance.randint(1, 3)
        for oid in types:
            if oid == 0:
                continue
            concrete = self.concrete(chance, oid, element)
            arguments.append(self.row(chance, depth) if oid == RECORD else self.expression(chance, concrete, depth - 1, small))
        if result in ONE:
            result = element
        elif result in MANY:
            result = ARRAY_OF[element]
        if what == "cast":
            return Node(result, "(", arguments[0], f")::{values.type_name(result)}")
        if what == "operator":
            if types[0] == 0:
                return Node(result, f"({name} ", arguments[0], ")")
            return Node(result, "(", arguments[0], f" {name} ", arguments[1], ")")
        shown = f'"{name}"' if name in RESERVED else name
        parts = [f"{shown}("]
        for index, argument in enumerate(arguments):
            parts += [", ", argument] if index else [argument]
        return Node(result, *parts, ")")

    def row(self, chance, depth):
        elements = [self.expression(chance, oid, depth - 1) for oid in (INT4, TEXT)]
        return Node(RECORD, "ROW(", elements[0], ", ", elements[1], ")")

    def concrete(self, chance, oid, element):
        if oid in ONE:
            return element
        if oid in MANY:
            return ARRAY_OF[element]
        if oid == ANY:
            return chance.choice(list(TYPES))
        return oid

    def form(self, chance, form, oid, depth):
        """One of the forms that have a grammar of their own. {x} is an expression of the form's own type, {t} and so on of the named type."""
        text, result = FORMS[form]
        oid = oid or chance.choice(list(ARRAY_OF))
        parts = []
        for piece in re.split(r"(\{\w+\})", text):
            if not piece.startswith("{"):
                parts.append(piece)
                continue
            letter = piece[1:-1]
            wanted = LETTERS.get(letter)
            if letter == "x":
                parts.append(self.expression(chance, oid, depth - 1))
            elif letter == "a":
                parts.append(self.expression(chance, ARRAY_OF.get(oid, 1007), depth - 1))
            elif letter == "c":
                parts.append(chance.choice(["=", "<>", "<", "<=", ">", ">="]))
            elif letter == "s":
                parts.append(Node("small", chance.choice(SMALL_VALUES)))
            elif letter == "f":
                parts.append(chance.choice(FIELDS))
            elif letter == "z":
                parts.append(Node("zone", chance.choice(ZONES)))
            elif letter == "p":
                parts.append(Node("pattern", values.quoted(chance.choice(PATTERNS))))
            else:
                parts.append(self.expression(chance, wanted, depth - 1))
        kind = {"x": oid, "a": ARRAY_OF.get(oid, 1007), "element": oid}.get(result, result)
        return Node(kind, *parts)

    def root(self, chance):
        return self.call(chance, chance.choice(self.signatures), chance.choice([1, 1, 2, 2, 3]))

    def aggregate(self, chance):
        """An aggregate over the whole table or its groups, as a statement."""
        what, name, types, result, variadic, defaults = chance.choice(self.aggregates)
        element = chance.choice(list(ARRAY_OF))
        if name in ("percentile_cont", "percentile_disc", "mode", "rank", "dense_rank", "percent_rank", "cume_dist"):
            ordered = self.expression(chance, types[-1] if types and types[-1] in TYPES else INT4, 1)
            direct = "0.5" if name.startswith("percentile") else "" if name == "mode" else "3"
            body = Node("aggregate", f"{name}({direct}) WITHIN GROUP (ORDER BY ", ordered, ")")
        else:
            arguments = List("arguments", [self.expression(chance, self.concrete(chance, oid, element), chance.choice([0, 0, 1])) for oid in types])
            distinct = Node("clause", "DISTINCT ", optional=True) if chance.random() < 0.15 and types else ""
            order = "" if distinct or not types else Node("clause", " ORDER BY id", optional=True)
            body = Node("aggregate", f"{name}(", distinct, arguments if types else "*" if name == "count" else "", order, ")")
        filtered = Node("clause", " FILTER (WHERE ", self.expression(chance, BOOL, 1), ")", optional=True) if chance.random() < 0.2 else ""
        group = Node("clause", " GROUP BY id % 3 ORDER BY id % 3", optional=True) if chance.random() < 0.5 else ""
        window = ""
        if not group and chance.random() < 0.3 and not distinct_or_ordered(body):
            frame = chance.choice(["", " ROWS BETWEEN 2 PRECEDING AND CURRENT ROW", " RANGE BETWEEN 3 PRECEDING AND 1 FOLLOWING", " ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING"])
            window = f" OVER (ORDER BY id{frame}) FROM vals ORDER BY id"
        return Node("statement", "SELECT ", body, filtered, window or " FROM vals", group)


def distinct_or_ordered(body):
    return any(text in str(body) for text in ("DISTINCT", "ORDER BY"))


RESERVED = {"left", "right", "overlay", "position", "substring", "extract", "timezone", "char", "time", "timestamp", "timestamptz", "interval", "numeric", "bpchar", "varchar", "date", "any_value"}
LETTERS = {
    "t": TEXT, "b": BOOL, "i": INT4, "n": NUMERIC, "d": DATE, "ts": TIMESTAMP, "tz": TIMESTAMPTZ, "iv": INTERVAL, "tm": TIME, "j": JSONB,
    "f8": FLOAT8, "i8": INT8, "y": 17,
}  # fmt: skip
FIELDS = ["year", "month", "day", "hour", "minute", "second", "epoch", "dow", "isodow", "doy", "week", "isoyear", "quarter", "decade", "century",
          "millennium", "microseconds", "milliseconds", "julian", "timezone"]  # fmt: skip
ZONES = ["'UTC'", "'America/New_York'", "'Europe/Berlin'", "'+05:30'", "'-03'", "'EST5EDT'", "INTERVAL '02:00'"]
PATTERNS = ["%", "a%", "_", "%b%", "a\\%b%", "", "a_c", "(a|b)%"]
FORMS = {
    "case": ("(CASE WHEN {b} THEN {x} ELSE {x} END)", "x"),
    "case of": ("(CASE {x} WHEN {x} THEN 1 WHEN {x} THEN 2 END)", INT4),
    "coalesce": ("COALESCE({x}, {x})", "x"),
    "coalesce of three": ("COALESCE({x}, {x}, {x})", "x"),
    "nullif": ("NULLIF({x}, {x})", "x"),
    "greatest": ("GREATEST({x}, {x}, {x})", "x"),
    "least": ("LEAST({x}, {x})", "x"),
    "and": ("({b} AND {b})", BOOL),
    "or": ("({b} OR {b})", BOOL),
    "not": ("(NOT {b})", BOOL),
    "is null": ("({x} IS NULL)", BOOL),
    "is not null": ("({x} IS NOT NULL)", BOOL),
    "is true": ("({b} IS NOT TRUE)", BOOL),
    "is unknown": ("({b} IS UNKNOWN)", BOOL),
    "distinct": ("({x} IS DISTINCT FROM {x})", BOOL),
    "not distinct": ("({x} IS NOT DISTINCT FROM {x})", BOOL),
    "between": ("({x} BETWEEN {x} AND {x})", BOOL),
    "symmetric": ("({x} NOT BETWEEN SYMMETRIC {x} AND {x})", BOOL),
    "in": ("({x} IN ({x}, {x}, {x}))", BOOL),
    "not in": ("({x} NOT IN ({x}, {x}))", BOOL),
    "any": ("({x} {c} ANY ({a}))", BOOL),
    "all": ("({x} {c} ALL ({a}))", BOOL),
    "array": ("ARRAY[{x}, {x}]", "a"),
    "subscript": ("({a})[{s}]", "element"),
    "slice": ("({a})[{s}:{s}]", "a"),
    "rows": ("(({x}, {i}) {c} ({x}, {i}))", BOOL),
    "extract of timestamp": ("EXTRACT({f} FROM {ts})", NUMERIC),
    "extract of timestamptz": ("EXTRACT({f} FROM {tz})", NUMERIC),
    "extract of date": ("EXTRACT({f} FROM {d})", NUMERIC),
    "extract of interval": ("EXTRACT({f} FROM {iv})", NUMERIC),
    "trunc of timestamptz": ("date_trunc('{f}', {tz})", TIMESTAMPTZ),
    "trunc of timestamp": ("date_trunc('{f}', {ts})", TIMESTAMP),
    "trunc of interval": ("date_trunc('{f}', {iv})", INTERVAL),
    "trunc in a zone": ("date_trunc('{f}', {tz}, 'Europe/Berlin')", TIMESTAMPTZ),
    "at zone": ("({tz} AT TIME ZONE {z})", TIMESTAMP),
    "of zone": ("({ts} AT TIME ZONE {z})", TIMESTAMPTZ),
    "plus interval": ("({tz} + {iv})", TIMESTAMPTZ),
    "times interval": ("({iv} * {f8})", INTERVAL),
    "like": ("({t} LIKE {p})", BOOL),
    "not ilike": ("({t} NOT ILIKE {p})", BOOL),
    "like escape": ("({t} LIKE {p} ESCAPE '_')", BOOL),
    "similar": ("({t} SIMILAR TO {p})", BOOL),
    "substring from": ("substring({t} FROM {s} FOR {s})", TEXT),
    "substring of pattern": ("substring({t} FROM 'a(.)')", TEXT),
    "position": ("position({t} IN {t})", INT4),
    "overlay": ("overlay({t} PLACING {t} FROM {s} FOR {s})", TEXT),
    "trim": ("trim(BOTH FROM {t})", TEXT),
    "trim of": ("trim(LEADING {t} FROM {t})", TEXT),
    "collate": ("({t} COLLATE \"C\")", TEXT),
    "to char of timestamp": ("to_char({ts}, 'YYYY-MM-DD HH24:MI:SS.US Day Mon IYYY IW Q J CC')", TEXT),
    "to char of timestamptz": ("to_char({tz}, 'FMMonth FMDDth, YYYY HH12:MI AM TZ OF')", TEXT),
    "to char of numeric": ("to_char({n}, '999G999D99MI')", TEXT),
    "to char of float8": ("to_char({f8}, 'FM0.099PR')", TEXT),
    "to char of interval": ("to_char({iv}, 'YYYY MM DD HH24:MI:SS')", TEXT),
    "format": ("format('%s|%L|%I', {x}, {x}, {t})", TEXT),
    "concat": ("concat({x}, {x})", TEXT),
    "text of": ("({x})::text", TEXT),
    "varchar of": ("({t})::varchar(3)", 1043),
    "char of": ("({t})::char(3)", 1042),
    "numeric of": ("({n})::numeric(6,2)", NUMERIC),
    "negative scale": ("({n})::numeric(3,-2)", NUMERIC),
    "timestamp of": ("({ts})::timestamp(1)", TIMESTAMP),
    "interval of": ("({iv})::interval(2)", INTERVAL),
    "interval fields": ("({iv})::interval day to minute", INTERVAL),
    "division": ("({n} / {n})", NUMERIC),
    "remainder": ("({n} % {n})", NUMERIC),
    "arrow": ("({j} -> 'a')", JSONB),
    "arrow text": ("({j} ->> 0)", TEXT),
    "path": ("({j} #>> '{a,c}')", TEXT),
    "width": ("width_bucket({f8}, 0, 10, 5)", INT4),
    "filtered scalar": ("(SELECT {x} WHERE {b})", "x"),
    "unnested": ("(SELECT count(*) FROM unnest({a}) u(e) WHERE e IS NOT NULL)", INT8),
    "typeof": ("pg_typeof({x})::text", TEXT),
    "to json": ("to_json({x})::text", TEXT),
    "build": ("jsonb_build_object('k', {x}, 'l', {x})", JSONB),
}  # fmt: skip
GENERIC = ["case", "coalesce", "coalesce of three", "nullif", "greatest", "least", "filtered scalar"]


def ordered(statement):
    statement.sorted = "all"
    return statement


class Expressions:
    """The family: `statement(n)` is the n-th expression of a seed."""

    name = "expressions"

    def __init__(self, ours, theirs, seed):
        self.ours, self.theirs, self.seed = ours, theirs, seed
        self.table = values.Table(ours, theirs)
        self.grammar = Grammar(ours, theirs, self.table)
        print(f"{len(self.grammar.signatures)} signatures, {len(self.grammar.aggregates)} aggregates, {len(self.table.columns)} columns; "
              f"{len(self.table.refused)} values are not stored")

    def cases(self, number):
        """The statements of a case: an aggregate, or an expression as a constant or of parameters, over the columns (of one row if another
        row fails), and as what filters, sorts or groups the rows."""
        chance = random.Random(f"{self.seed} expressions {number}")
        if chance.random() < 0.12:
            yield ordered(self.grammar.aggregate(chance))
            return
        root = self.grammar.root(chance)
        row = chance.randrange(self.table.ROWS)
        given = chance.random() < 0.25
        yield ordered(Node("statement", "SELECT ", constant(root, row, given)))
        if not any(isinstance(node, Slot) for node in [root, *root.below()]):
            return
        all_rows = Node("statement", "SELECT id, ", root, " FROM vals ORDER BY id")
        if self.theirs.run(str(all_rows)).failed:
            all_rows = Node("statement", "SELECT ", root, f" FROM vals WHERE id = {row}")
            yield ordered(all_rows)
            return
        yield ordered(all_rows)
        if root.kind == BOOL:
            yield ordered(Node("statement", "SELECT id FROM vals WHERE ", root, " ORDER BY id"))
        elif root.kind in SORTED:
            place = chance.choice(["order", "group", "window", "distinct", "max"])
            if place == "order":
                yield ordered(Node("statement", "SELECT id FROM vals ORDER BY ", root, chance.choice(["", " DESC", " NULLS FIRST"]), ", id"))
            elif place == "group":
                yield Node("statement", "SELECT ", root, ", count(*), min(id) FROM vals GROUP BY 1")
            elif place == "window":
                yield ordered(Node("statement", "SELECT id, rank() OVER (ORDER BY ", root, chance.choice(["", " DESC"]), ") FROM vals ORDER BY id"))
            elif place == "distinct":
                yield Node("statement", "SELECT DISTINCT ", root, " FROM vals")
            else:
                yield ordered(Node("statement", "SELECT count(*), count(DISTINCT ", root, ") FROM vals"))

    def constant(self, node):
        """The value of a node without columns as a constant, for smaller statements."""
        if not isinstance(node.kind, int) or node.kind not in TYPES and node.kind not in ARRAYS or len(node.parts) < 2:
            return None
        answer = self.theirs.run(f"SELECT ({node})::text")
        if answer.failed or len(answer.rows) != 1:
            return None
        return Node(node.kind, "(" + values.literal(answer.rows[0][0], values.type_name(node.kind)) + ")")
