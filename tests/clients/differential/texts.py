"""Every type to text and back, in every way there is, under settings of every kind.

A value is shown as it is, cast to text, formatted, concatenated, in an array and in a record, and copied: as a constant and as a column,
and by both protocols. A text is read as the type, as a constant and as a column, right ones and damaged ones.
"""

import random
import struct

import values
from trees import List, Node
from values import ARRAY_OF, BYTEA, DATE, FLOAT4, FLOAT8, INTERVAL, JSON, JSONB, NUMERIC, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, TYPES

SETTINGS = {
    "TimeZone": ["UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "+03", "-05:30"],
    "DateStyle": [f"{style}, {order}" for style in ("ISO", "ISO", "SQL", "Postgres", "German") for order in ("MDY", "DMY", "YMD")],
    "IntervalStyle": ["postgres", "postgres_verbose", "sql_standard", "iso_8601"],
    "bytea_output": ["hex", "escape"],
    "extra_float_digits": ["1", "0", "-3", "3"],
}
# Other ways to write values, and texts that are none.
INPUTS = {
    values.BOOL: ["yes", "NO", "on", "of", "off", "1", "0", " true ", "tru", "y", "2", ""],
    values.INT2: [" 12 ", "+7", "-0", "32768", "1.5", "1e2", "", "0x1F", "1_000", "--1"],
    values.INT4: [" 12 ", "+7", "2147483648", "1.0", "abc", "", "0b11", "12 3", "٣"],
    values.INT8: ["9223372036854775808", "-9223372036854775808", " 1", "1L", ""],
    FLOAT4: ["1e39", "1e-46", "inf", "-INFINITY", "nan", ".5", "5.", "1e", "", "0x1p3", "+1"],
    FLOAT8: ["1e400", "1e-400", "Inf", " NaN ", ".5e1", "1.e1", "", "e5", "1e5x", "-.0"],
    NUMERIC: ["1e5", "1E-5", ".5", "5.", "nan", "inf", " 1.50 ", "1e131072", "", "1.2.3", "-0.00", "00012", "1e-16383", "+1"],
    BYTEA: ["\\x0", "abc", "\\000a", "\\\\", "\\x 61 62", "\\9", "a\\\\b", "\\xGG", ""],
    DATE: ["Jan 5 2024", "20240105", "2024-1-5", "1/2/2024", "05.01.2024", "2024-02-30", "epoch", "today is", "J2460000", "2024.366", "5 January 2024 BC", "99-01-01", "", "24:00",
           "2024-02-29 10:00:00", "infinity", "5874898-01-01"],
    TIME: ["1:30", "10:00 PM", "103000", "24:00:00", "24:00:01", "12:34:56.7891234", "allballs", "12:60", "10:00+02", "", "T10", "11:59:59.9999999"],
    TIMESTAMP: ["Jan 5 2024 10:00", "2024-01-05T10:00:00Z", "20240105T101112", "2024-01-05 10:00 PM", "epoch", "2024-01-05 24:00", "2024-01-05 10:00:00.1234567", "2024-13-01", "",
                "1/2/2024 3:4:5", "Fri Jan 05 10:00:00 2024", "2024-01-05 10:00 America/New_York", "294277-01-01", "0001-01-01 00:00 BC", "tomorrow at noon"],
    TIMESTAMPTZ: ["Jan 5 2024 10:00 PST", "2024-01-05T10:00:00+05:30", "2024-07-05 10:00 Europe/Berlin", "2024-03-10 02:30", "2024-11-03 01:30", "epoch", "2024-01-05 10:00:00 EST5EDT",
                  "2024-01-05 10:00+25", "", "2024-01-05 10:00 MSK", "J2460000 10:00", "2024-01-05 10:00Z", "2024-01-05 10:00 Nowhere/City"],
    INTERVAL: ["1 day 2 hours ago", "P1Y2M3DT4H5M6S", "1-2", "1:30", "5", "1.5 months", "-1 day 2:03", "@ 1 year", "1 week", "1 decade 1 century", "P1W", "PT1.5S", "1 dayz", "",
               "00:00:00.1234567", "1 2:03:04", "-1-2 +3 -4:05:06", "3 days -25 hours", "2147483648 months", "0.1 years", "1us", "infinity"],
    values.UUID: ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "{a0eebc99-9c0b4ef8-bb6d6bb9-bd380a11}", "a0eebc999c0b4ef8bb6d6bb9bd380a11", "a0ee", "", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g"],
    JSON: ["{", "{\"a\":}", " [1 , 2] ", "\"\\u0041\"", "nul", "", "{\"a\": 1e5}", "[1,]", "\"\t\"", "01"],
    JSONB: ["{\"b\":1,\"a\":2,\"a\":3}", "1e3", "1.10", "\"\\u00e9\"", "{", " [ 1 , {\"x\":[ ]} ] ", "", "\"\\u0000\"", "-0", "[1e-5, 1E+2]"],
    values.OID: ["4294967296", "-1", " 5 ", "x", ""],
    values.CHAR: ["ab", "", "é", "\\101"],
}  # fmt: skip
ARRAY_INPUTS = ["{}", "{NULL}", '{"NULL"}', "{ a , b }", "{1,2", "1,2", "{{1,2},{3,4}}", "{{1},{2,3}}", "[0:1]={1,2}", '{"a\\"b"}', "{,}", '{""}', "{1,,2}", "{null,1}", " {1} ", "{1}x"]


def random_text(chance, oid):
    """A text of the type beyond the listed ones, None if there is no such generator."""
    if oid == FLOAT8:
        return repr(struct.unpack("d", chance.randbytes(8))[0]) if chance.random() < 0.5 else f"{chance.uniform(-1e6, 1e6):.{chance.randint(0, 12)}g}"
    if oid == FLOAT4:
        return repr(struct.unpack("f", chance.randbytes(4))[0]) if chance.random() < 0.5 else f"{chance.uniform(-1e6, 1e6):.{chance.randint(0, 8)}g}"
    if oid == NUMERIC:
        digits = "".join(chance.choice("0123456789") for _ in range(chance.choice([1, 3, 9, 20, 45])))
        point = chance.randint(0, len(digits))
        return chance.choice(["", "-"]) + (digits[:point] or "0") + ("." + digits[point:] if point < len(digits) else "")
    if oid in (values.INT2, values.INT4, values.INT8):
        bits = {values.INT2: 15, values.INT4: 31, values.INT8: 63}[oid]
        return str(chance.randint(-(2**bits), 2**bits - 1) >> chance.choice([0, 0, 5, 10]))
    day = f"{chance.choice([1, 99, 1582, 1883, 1900, 1970, 1999, 2000, 2023, 2024, 2038, 2100, 9999]):04}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"
    clock = f"{chance.randint(0, 23):02}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}{chance.choice(['', '.5', '.123456', '.000001'])}"
    era = chance.choice(["", "", "", " BC"])
    if oid == DATE:
        return day + era
    if oid == TIME:
        return clock
    if oid == TIMESTAMP:
        return f"{day} {clock}{era}"
    if oid == TIMESTAMPTZ:
        return f"{day} {clock}{chance.choice(['+00', '-05', '+05:30', ''])}{era}"
    if oid == INTERVAL:
        sign = chance.choice(["", "-"])
        return f"{sign}{chance.randint(0, 30)} mons {chance.choice(['', '-'])}{chance.randint(0, 40)} days {chance.choice(['', '-'])}{chance.randint(0, 50)}:{chance.randint(0, 59):02}:{chance.randint(0, 59):02}{chance.choice(['', '.5', '.000001'])}"
    if oid == BYTEA:
        return "\\x" + chance.randbytes(chance.randint(0, 6)).hex()
    if oid in (TEXT, values.VARCHAR):
        return "".join(chance.choice("ab'\"\\ ,{}()\té☃%_\n") for _ in range(chance.randint(0, 8)))
    return None


SHOWN = ["{x}", "({x})::text", "format('%s', {x})", "concat({x})", "concat_ws('-', {x}, {x})", "'' || ({x})::text", "(ARRAY[{x}, NULL])::text", "array_to_string(ARRAY[{x}], ',', '*')",
         "ROW({x}, NULL)::text", "format('%L', {x})", "(({x})::text)::{t}", "((({x})::text)::{t})::text", "to_json({x})", "(ARRAY[{x}])", "quote_nullable({x})", "({x})::varchar",
         "string_agg(({x})::text, ',') OVER ()", "jsonb_build_array({x})", "({x} || '')"]  # fmt: skip


class Texts:
    """The family: `cases(n)` sets the settings of case n and gives its statements."""

    name = "texts"

    def __init__(self, ours, theirs, seed):
        self.ours, self.theirs, self.seed = ours, theirs, seed
        self.settings = {name: [choice for choice in choices if not ours.run(f"SET {name} = '{choice}'").failed] for name, choices in SETTINGS.items()}
        for name, choices in SETTINGS.items():
            if len(self.settings[name]) < len(choices):
                print(f"{name} is refused for {sorted(set(choices) - set(self.settings[name]))}")

    def set(self, chance):
        shown = []
        for name, choices in self.settings.items():
            choice = chance.choice(choices) if choices and chance.random() < 0.5 else (choices or SETTINGS[name])[0]
            for session in (self.ours, self.theirs):
                session.run(f"SET {name} = '{choice}'")
            if choice != SETTINGS[name][0]:
                shown.append(f"{name} {choice}")
        return f"/* {'; '.join(shown)} */ " if shown else ""

    def cases(self, number):
        chance = random.Random(f"{self.seed} texts {number}")
        prefix = self.set(chance)
        oid = chance.choice(list(TYPES))
        name = values.type_name(oid)
        if chance.random() < 0.2 and oid in ARRAY_OF:
            oid, name = ARRAY_OF[oid], values.type_name(ARRAY_OF[oid])
        if chance.random() < 0.35:
            yield from self.reading(chance, prefix, oid, name)
            return
        texts = [self.value(chance, oid) for _ in range(chance.choice([1, 2, 3]))]
        texts = [text for text in texts if not self.theirs.run(f"SELECT {values.literal(text, name)}").failed]
        if not texts:
            return
        forms = [form.replace("{t}", name) for form in chance.sample(SHOWN, 5)]
        constant = values.literal(texts[0], name)
        yield Node("statement", f"{prefix}SELECT ", List("items", [Node("item", form.replace("{x}", constant)) for form in forms]))
        rows = List("rows", [Node("row", f"({values.literal(text, name)})") for text in [*texts, None]])
        query = Node("statement", "SELECT ", List("items", [Node("item", form.replace("{x}", "x")) for form in forms]), " FROM (VALUES ", rows, ") v(x)")
        if chance.random() < 0.3:
            options = chance.choice(["", " (FORMAT csv)", " (FORMAT csv, FORCE_QUOTE *)"])
            yield Node("statement", f"{prefix}COPY (", query, f") TO STDOUT{options}")
        else:
            yield Node("statement", prefix, query)

    def value(self, chance, oid):
        element = values.ARRAYS.get(oid)
        if element is not None:
            return values.array_text([None if chance.random() < 0.2 else self.value(chance, element) for _ in range(chance.randint(0, 3))])
        text = random_text(chance, oid) if chance.random() < 0.6 else None
        return text if text is not None else chance.choice(values.VALUES[oid])

    def reading(self, chance, prefix, oid, name):
        """Texts to the type: each as a constant, and those that PostgreSQL reads as a column."""
        element = values.ARRAYS.get(oid)
        texts = []
        for _ in range(3):
            text = chance.choice(ARRAY_INPUTS if element is not None else INPUTS.get(oid, values.VALUES[oid])) if chance.random() < 0.6 else self.value(chance, oid)
            if chance.random() < 0.15:
                text = chance.choice([text.upper(), f" {text} ", text[:-1], text + chance.choice(" x0;")])
            texts.append(text)
        yield Node("statement", f"{prefix}SELECT ", Node("item", f"({values.literal(texts[0], name)})::text"))
        good = [text for text in texts if not self.theirs.run(f"SELECT {values.literal(text, name)}").failed]
        if good:
            rows = List("rows", [Node("row", f"({values.quoted(text)}::text)") for text in good])
            yield Node("statement", f"{prefix}SELECT x, x::{name}, (x::{name})::text FROM (VALUES ", rows, ") v(x)")
        bad = [text for text in texts if text not in good]
        if bad:
            yield Node("statement", f"{prefix}SELECT x::{name} FROM (VALUES ({values.quoted(bad[0])}::text)) v(x)")
