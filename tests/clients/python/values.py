"""Values that both drivers send and read back: SQL type, Python value."""

import datetime as dt
import decimal
import uuid

D = decimal.Decimal
ZONE = dt.timezone.utc

VALUES = [
    ("boolean", True),
    ("smallint", -32768),
    ("integer", 2147483647),
    ("bigint", -9223372036854775808),
    ("real", 1.5),
    ("double precision", -0.1),
    ("numeric(38,10)", D("1234567890.0123456789")),
    ("text", "naïve – ☃ 'quoted' \\ back"),
    ("varchar", ""),
    ("bytea", b"\x00\x01\xfe\xff"),
    ("date", dt.date(2024, 2, 29)),
    ("time", dt.time(23, 59, 59, 999999)),
    ("timestamp", dt.datetime(1999, 12, 31, 23, 59, 59, 123456)),
    ("timestamptz", dt.datetime(2024, 6, 1, 12, 0, 0, tzinfo=ZONE)),
    ("interval", dt.timedelta(days=3, hours=4, microseconds=5)),
    ("uuid", uuid.UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    ("integer[]", [1, 2, 3]),
    ("text[]", ["a", 'b "c"', ""]),
]
