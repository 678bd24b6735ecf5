#!/usr/bin/env python3
"""Captures how a real PostgreSQL reads and writes values, for the unit tests of wire::encode.

Writes src/wire/encode/testdata/values.tsv: one line a case, in COPY's text format, with the columns
    settings   name=value, separated by semicolons
    type       our name of the type
    literal    what is read
    text       the value in text format, or ! and the SQLSTATE if PostgreSQL refuses the literal
    binary     the value in binary format as hex digits, or the message of the refusal

Run it against any PostgreSQL 15 or later that PGHOST, PGPORT and PGUSER lead to:  tests/clients/value_texts.py
"""
import pathlib
import random
import struct
import subprocess

TARGET = pathlib.Path(__file__).resolve().parents[2] / "src/wire/encode/testdata/values.tsv"

SEND = {
    "bool": "boolsend", "int2": "int2send", "int4": "int4send", "int8": "int8send", "float4": "float4send", "float8": "float8send",
    "numeric": "numeric_send", "text": "textsend", "varchar": "varcharsend", "bpchar": "bpcharsend", "name": "namesend",
    "char": "charsend", "bytea": "byteasend", "date": "date_send", "time": "time_send", "timestamp": "timestamp_send",
    "timestamptz": "timestamptz_send", "interval": "interval_send", "uuid": "uuid_send", "json": "json_send", "jsonb": "jsonb_send",
    "oid": "oidsend", "xid": "xidsend", "int2vector": "int2vectorsend", "oidvector": "oidvectorsend",
}

PROBE = r"""
CREATE FUNCTION pg_temp.probe(type text, literal text, send text, OUT text_form text, OUT binary_form text) LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT format(''%%s'', %L::%s), encode(%s(%L::%s), ''hex'')', literal, type, send, literal, type)
    INTO text_form, binary_form;
EXCEPTION WHEN OTHERS THEN
  text_form := '!' || SQLSTATE;
  binary_form := SQLERRM;
END $$;
"""

NINES = "9" * 76
FLOAT8 = """0 -0 1 -1 0.1 0.5 1.5 10 100 123456 1234567 0.0001 0.00001 0.000123 1e14 123456789012345 1e15 1e16 1e17 123456789012345680 1e20
1e100 1e-5 1e-10 1e-307 1.7976931348623157e308 -1.7976931348623157e308 2.2250738585072014e-308 5e-324 3.141592653589793
2.718281828459045 0.30000000000000004 1.1 9007199254740992 9007199254740993 4503599627370497.5 999999999999999.9 99999999999999.99
1234567.890625 NaN Infinity -Infinity inf +1.5 1e400 1e-400 abc 1.2.3 .5 5. 6.02214076e23 1e22 1e23 4.35 4.349999999999999
0.000099999999999999 8.41e21 2e-3 149e-13 299792458 33.333333333333336 66.66666666666667""".split()
FLOAT4 = """0 -0 1 0.1 1.5 123456 1234567 1e5 1e6 1e7 999999 9999999 16777216 16777217 3.4028235e38 1.17549435e-38 1e-45 0.0001 0.00001
3.1415927 0.3 33.333332 NaN Infinity -Infinity 1e39 1e-50 x -2.5e-7 8388608.5""".split()

# Numbers in whose range the shortest decimal may lie on the border to the neighbour, and any bits at all.
_random = random.Random(17)
BORDERS = [repr(_random.randrange(1, 1000) * 10.0 ** _random.randrange(13, 41)) for _ in range(150)]
BORDERS += [repr(float(2**exponent)) for exponent in range(50, 130)] + ["8.41e21", "9.5e22", "2e23", "5e-324", "1e24", "8.5e22"]
BITS = [repr(struct.unpack("d", _random.randbytes(8))[0]) for _ in range(150)]
BORDERS4 = [repr(_random.randrange(1, 100) * 10.0 ** _random.randrange(3, 16)) for _ in range(100)] + [repr(float(2**e)) for e in range(20, 64)]
BORDERS4 += ["33554436", "8589973504", "1.17549435e-38", "67108868", "5e10", "7e10", "3e10"]

CASES = {
    "bool": ["true", "t", "yes", "on", "1", "false", "f", "no", "off", "0", " TRUE ", "of", "o", "maybe", ""],
    "int2": ["0", "1", "-1", "32767", "-32768", "32768", " 7 ", "1.5", ""],
    "int4": ["0", "2147483647", "-2147483648", "2147483648", "+12", "a", "1 2"],
    "int8": ["0", "9223372036854775807", "-9223372036854775808", "9223372036854775808", "-", "1000000"],
    "float4": FLOAT4 + BORDERS4,
    "float8": FLOAT8 + BORDERS + [bits for bits in BITS if bits != "nan"],
    "numeric(12,2)": ["0", "1.5", "-1.5", "1234567890.12", "-0.01", "99.99", "100", "10000", "1e3", "", "1.2.3", "x", "0.1", "1_"],
    "numeric(38,0)": ["0", "9" * 38, "-" + "9" * 38, "10000000000000000000000", "18446744073709551615", "18446744073709551616", "1e37"],
    "numeric(38,38)": ["0." + "9" * 38, "-0." + "0" * 37 + "1", "0"],
    "numeric(38,10)": ["0", "1", "-1.0000000001", "1234567890123456789012345678.0123456789", "0.0000000001", "12.5"],
    "numeric(20,4)": ["1234567.89", "0.0001", "-0.0001", "1234567890123456.7891", "10000.0000", "9999.9999", "100000000.0001"],
    "numeric(20,3)": ["1.001", "0.999", "12345678.123", "-10000.100"],
    "numeric(20,5)": ["0.00001", "1.00001", "12345.67891", "99999999.99999"],
    "numeric(76,0)": ["0", NINES, "-" + NINES, "1" + "0" * 75, "340282366920938463463374607431768211456"],
    "numeric(76,38)": [NINES[:38] + "." + NINES[:38], "-" + NINES[:38] + "." + NINES[:38], "0." + "0" * 37 + "1", "1", "12345678901234567890.12345678901234567890"],
    "numeric(76,76)": ["0." + NINES, "-0." + "0" * 75 + "1", "0"],
    "numeric(50,7)": ["1234567890123456789012345678901234567890.1234567", "0.0000001", "-1"],
    "text": ["", "a", "héllo", "日本語", "a\tb\nc\\d", "'quoted'", '"', "x" * 300],
    "varchar": ["", "abc", "a b"],
    "varchar(10)": ["abc"],
    "bpchar(4)": ["ab", "abcd", "é", "", "日本"],
    "name": ["nm", "pg_class", ""],
    "char": ["r", "", "1"],
    "bytea": ["", "\\xdeadbeef00", "abc", "a\\\\b", "\\001\\377", "\\x00 ff", "\\xabc", "\\xzz", "a\\b", "quote'\"", "\\x7e7f80"],
    "uuid": ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC999C0B4EF8BB6D6BB9BD380A11", "{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",
             "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", "a0eebc99", "", "a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11"],
    "json": ['{"a": [1, 2]}', "null", "1", '"x"', "[]", '{"b":1,"a":null}', "{", ""],
    "jsonb": ['{"a": [1, 2]}', "null", "[]", '{"a": null, "b": 1}'],
    "oid": ["0", "1", "4294967295", "4294967296", "-1", "x"],
    "xid": ["1", "4294967295"],
    "int2vector": ["", "1", "1 2 -3"],
    "oidvector": ["", "1 2", "4294967295"],
    "int4[]": ["{}", "{1}", "{1,NULL,3}", "{-2147483648,2147483647}", "{1,2", "{a}", "", "{1,}", "{NULL}"],
    "int8[]": ["{}", "{9223372036854775807,NULL}"],
    "int2[]": ["{1,2,3}"],
    "bool[]": ["{t,f,NULL}", "{true,false}"],
    "float8[]": ["{1,0.1,NaN,Infinity,NULL,1e+20}"],
    "float4[]": ["{1.5,1e10}"],
    "numeric(12,2)[]": ["{1.10,2,NULL}", "{}", "{-0.01}"],
    "text[]": ["{}", '{a,"b c","d\\"e","\\\\",NULL,"","NULL","{}"}', '{"a,b","tab\there",é,null}', "{ a , b }", '{" a "}', '{nUlL,"null"}', "{a'b}"],
    "varchar[]": ['{a,"b c"}'],
    "bpchar(3)[]": ["{a,abc}"],
    "bytea[]": ['{"\\\\x01","\\\\x"}'],
    "uuid[]": ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,NULL}"],
    "date[]": ["{2024-01-01,1999-12-31}"],
    "time[]": ["{10:00,23:59:59.5}"],
    "timestamp[]": ['{"2024-01-01 00:00:00.5",NULL}'],
    "timestamptz[]": ['{"2024-01-01 00:00+00"}'],
    "interval[]": ['{"1 day","02:00"}'],
    "json[]": ['{"{\\"a\\": 1}",null}'],
    "oid[]": ["{1,4294967295}"],
    "name[]": ["{a,b}"],
    "char[]": ["{r,v}"],
}

DATES = ["2024-02-29", "0044-03-15 BC", "10000-01-01", "0001-01-01", "0001-12-31 BC", "1970-01-01", "1999-12-31", "5874897-12-31",
         "4714-11-24 BC", "20240105", "240105", "Jan 5 2024", "5 Jan 2024", "January 5, 2024", "2024-Jan-05", "05-Jan-2024", "Jan-05-2024",
         "2024.005", "2024-366", "J2451187", "J2451187.5", "epoch", "2024-01-05 10:00:00", "2024-01-05T10:00:00Z", "2024-01-05 +00",
         "2024/01/05", "1/5/2024", "13/5/2024", "5/13/2024", "1/5/24", "1/5/70", "99-01-08", "08-Jan-99", "2024-02-30", "2023-02-29",
         "2024-13-01", "2024-00-10", "2024-01-00", "0000-01-01", "abc", "", "2024", "2024-1-5", "  2024-01-05  ", "2024-01", "Fri Jan 05 2024",
         "5874898-01-01", "4714-11-23 BC", "99999999-01-01", "2024-01-05 25:00", "2024 Jan 5", "Jan 5 24", "5.1.2024", "2024-01-05 BC AD x"]
TIMES = ["10:00", "10:00:00", "23:59:59.123456", "24:00:00", "00:00", "10:00:00.1234567", "23:59:59.9999999", "100000", "1000", "10:00 PM",
         "12:00 AM", "12:30 pm", "13:00 PM", "T10:00", "10:00:00+02", "10:00:00Z", "2024-01-05 10:00", "allballs", "24:00:01", "25:00", "10:60",
         "10:00:60", "10:00:61", "abc", "", "10", "1:2:3", "04:05:06.789-8", "040506", "040506.789", "2024-01-05", "4:05 am"]
TIMESTAMPS = ["2024-01-01", "2024-01-01 00:00:00.120000", "1900-01-01 12:34:56.000001", "0001-01-01 00:00:00 BC", "2024-01-05T10:00:00",
              "2024-01-05 10:00:00.5", "2024-01-05 10:00:00+05:30", "2024-01-05T10:00:00.123456Z", "20240105T100000", "20240105 100000",
              "20240105T100000Z", "Fri Jan 05 10:00:00 2024", "Jan 5 10:00:00.25 2024", "05.01.2024 10:00:00", "01/05/2024 10:00:00",
              "2024-01-05 10:00 PM", "epoch", "294246-12-31 23:59:59.999999", "4714-11-24 00:00:00 BC", "2024-01-05 24:00:00",
              "2024-01-05 23:59:60", "2024-01-05 10:00:00.9999999", "2024-02-30 00:00", "abc", "", "2024-01-05 25:00:00",
              "2024-01-05 10:00 nowhere", "2024-01-05 10:00 Nowhere/Land", "2024-01-05 10:00:00+99", "10:00", "294277-01-01",
              "1582-10-15", "1500-03-01 01:02:03", "2024-01-05 10:00:00 America/New_York", "2024-01-01 at 10:00", "2024-06-30 23:59:59.000001"]
TIMESTAMPTZS = ["2024-06-01 12:00:00+00", "1880-01-01 00:00:00+00", "2024-01-05 10:00:00", "2024-01-05 10:00:00+05:30",
                "2024-01-05 10:00:00-0800", "2024-01-05 10:00:00.5-03", "2024-01-05T10:00:00Z", "2024-01-05 10:00:00 UTC",
                "2024-01-05 10:00:00 PST", "2024-07-05 10:00:00 America/New_York", "2024-07-05 10:00:00 europe/berlin", "2024-03-31 02:30:00",
                "2024-10-27 02:30:00", "2024-03-10 02:30", "2024-11-03 01:30", "2024-01-05 +00", "2024-01-05", "epoch", "0044-03-15 12:00 BC",
                "2024-01-05 10:00:00+15:59:59", "2024-01-05 10:00:00+16", "2024-01-05 10:00:00 CEST", "1800-01-01 00:00", "2037-07-01 00:00",
                "2050-07-01 00:00", "2150-07-01 00:00", "2024-01-05 10:00:00 GMT+3", "2024-01-05 10:00:00 z", "294246-01-01 00:00+00",
                "4714-11-25 00:00:00+00 BC", "20240105T100000+0530", "1945-05-24 03:00", "Fri Jan 05 10:00:00 2024 CET", "abc", "",
                "2024-01-05 10:00:00 EST5EDT", "1999-01-08 04:05:06 -8:00"]
INTERVALS = ["1 year 2 mons -3 days 04:05:06.7", "0", "-00:00:01", "1 day", "1 day 02:03:04", "1 mon -3 days", "P1DT2H", "P1Y2M3W4DT5H6M7.8S",
             "P0001-02-03T04:05:06", "PT0.5S", "P-1DT-2H", "1-2", "-1-2", "1.5 days", "1.5 months", "0.5 year", "1.25 weeks", "@ 1 minute ago",
             "1 day ago", "1:30", "1:30:15.5", "100 hours", "5", "1.5", "-1.5", "3 04:05", "1 century", "1 decade", "1 millennium", "2 weeks",
             "1 us", "1500 ms", "1 microsecond", "90 min", "1y 2mon 3d 4h 5m 6s", "-1 day +02:03:04", "1 day -02:03:04", "1 year -1 day",
             "-1 year -2 mons +3 days -04:05:06", "0.000001 sec", "-0.000001 sec", "178956970 years", "178956971 years", "2147483647 days",
             "2147483648 days", "1 fortnight", "", "abc", "1 day 2 days", "P", "1 day 25:61:00", "1 mon", "2 mons", "1 year", "-1 years",
             "-1 days", "1 sec", "2 secs", "-1 secs", "1 hour", "1 min", "-1 mons +1 day", "23:59:59.999999", "1 year 1 day 00:00:01", "4 days 5",
             "1 day 1.5 hours", "+1 day", "1 12:59:10", "P1.5D", "PT36H", "1 hour 30", "2562047788:00:54"]

STYLES = [
    "", "datestyle=SQL, MDY", "datestyle=SQL, DMY", "datestyle=Postgres, MDY", "datestyle=Postgres, DMY", "datestyle=German, DMY",
    "datestyle=ISO, DMY", "datestyle=ISO, YMD", "datestyle=SQL, YMD",
]
ZONES = [
    "timezone=UTC", "timezone=Europe/Berlin", "timezone=America/New_York", "timezone=Asia/Kolkata", "timezone=Asia/Kathmandu",
    "timezone=America/St_Johns", "timezone=Africa/Monrovia", "timezone=Australia/Lord_Howe", "timezone=-3", "timezone=<+0530>-05:30",
    "timezone=America/Sao_Paulo", "timezone=GMT-05:30",
]
ZONE_STYLES = ["datestyle=SQL, DMY;timezone=America/New_York", "datestyle=Postgres, MDY;timezone=Europe/Berlin",
               "datestyle=Postgres, DMY;timezone=America/Sao_Paulo", "datestyle=German, DMY;timezone=Asia/Kolkata",
               "datestyle=Postgres, MDY;timezone=Asia/Kathmandu", "datestyle=ISO, YMD;timezone=America/New_York"]
INTERVAL_STYLES = ["", "intervalstyle=postgres_verbose", "intervalstyle=sql_standard", "intervalstyle=iso_8601"]


def groups():
    """Pairs of settings and cases."""
    yield "", [(kind, literal) for kind, literals in CASES.items() for literal in literals]
    for digits in list(range(-15, 4)):
        finite = [("float8", literal) for literal in FLOAT8[:44]] + [("float4", literal) for literal in FLOAT4[:22]]
        yield f"extra_float_digits={digits}", finite
    yield "extra_float_digits=0", [("float8[]", "{0.1,0.30000000000000004}")]
    yield "bytea_output=escape", [("bytea", literal) for literal in CASES["bytea"]] + [("bytea[]", '{"\\\\x01ff5c","a b"}')]
    for style in STYLES:
        yield style, [("date", literal) for literal in DATES] + [("timestamp", literal) for literal in TIMESTAMPS]
    yield "", [("time", literal) for literal in TIMES]
    for zone in ZONES + ZONE_STYLES:
        yield zone, [("timestamptz", literal) for literal in TIMESTAMPTZS]
    yield "timezone=Europe/Berlin", [("timestamptz[]", '{"2024-01-01 00:00+00",NULL}'), ("timestamp", "2024-07-01 10:00+00"), ("date", "2024-07-01 23:30-05")]
    for style in INTERVAL_STYLES:
        yield style, [("interval", literal) for literal in INTERVALS]
    yield "intervalstyle=sql_standard", [("interval", "-1 2:03:04"), ("interval", "-1 +2:03:04"), ("interval", "-1-2 3 4:05:06")]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def pg_type(kind):
    base, brackets = (kind[:-2], "[]") if kind.endswith("[]") else (kind, "")
    return ('"char"' if base == "char" else base) + brackets


def send(kind):
    return "array_send" if kind.endswith("[]") else SEND[kind.split("(")[0]]


def script():
    yield "SET timezone = 'UTC';" + PROBE
    for settings, cases in groups():
        chosen = [pair.split("=", 1) for pair in settings.split(";") if pair]
        yield "RESET ALL; SET timezone = 'UTC';"
        yield from (f"SET {name} = {quoted(value)};" for name, value in chosen)
        rows = ",".join(f"({n},{quoted(k)},{quoted(l)},{quoted(pg_type(k))},{quoted(send(k))})" for n, (k, l) in enumerate(cases))
        yield (
            f"COPY (SELECT {quoted(settings)}, kind, literal, (probe).* FROM (SELECT *, pg_temp.probe(pg_type, literal, send) "
            f"FROM (VALUES {rows}) AS cases(n, kind, literal, pg_type, send)) AS probed ORDER BY n) TO STDOUT;"
        )


def main():
    command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "postgres"]
    result = subprocess.run(command, input="\n".join(script()), stdout=subprocess.PIPE, text=True, check=True)
    # The same case may stand in two groups.
    lines = list(dict.fromkeys(result.stdout.splitlines()))
    TARGET.write_text("\n".join(lines) + "\n")
    print(f"{len(lines)} cases in {TARGET}")


if __name__ == "__main__":
    main()
