"""SQLAlchemy on one driver: reflection, Core, ORM, errors, transactions."""

import asyncio
import concurrent.futures
import datetime
import decimal
import os
import ssl
import sys

import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.ext.asyncio import create_async_engine

sys.path.insert(0, "..")
from matrix import MATRIX, Driver  # noqa: E402

dialect = sys.argv[1]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
tls = {"pg8000": {"ssl_context": context}, "asyncpg": {"ssl": context}}.get(dialect, {"sslmode": "require"})
url = sa.URL.create(f"postgresql+{dialect}", os.environ["PGUSER"], os.environ["PGPASSWORD"], os.environ["PGHOST"], int(os.environ["PGPORT"]),
                    os.environ["PGDATABASE"])


def sqlstate(error):
    original = error.orig
    for name in ("sqlstate", "pgcode"):
        if getattr(original, name, None):
            return getattr(original, name)
    return original.args[0]["C"]


def test(connection):
    def query(sql, parameters):
        bound = {f"p{n}": value for n, value in enumerate(parameters, 1)}
        result = connection.execute(sa.text(sql), bound)
        return [tuple(row) for row in result] if result.returns_rows else []

    client = Driver(f"sqlalchemy {dialect}", ":p{}", query, sa.exc.DBAPIError, sqlstate)
    client.check(connection.dialect.server_version_info >= (15,), connection.dialect.server_version_info)
    client.queries()
    for case in MATRIX["errors"]:
        client.fails(case["sql"], case["sqlstate"])
        connection.rollback()
    client.fails("SELECT 1/0", "22012")
    client.fails("SELECT 1", "25P02")
    connection.rollback()

    inspector = sa.inspect(connection)
    client.check("matrix" in inspector.get_schema_names(), "get_schema_names")
    client.equal(inspector.get_table_names(schema="matrix"), ["kinds"], "get_table_names")
    client.equal(inspector.get_view_names(schema="matrix"), ["named"], "get_view_names")
    client.check(inspector.has_table("kinds", schema="matrix") and not inspector.has_table("missing", schema="matrix"), "has_table")
    client.check("kinds" in inspector.get_view_definition("named", schema="matrix"), "get_view_definition")
    client.equal(inspector.get_table_comment("kinds", schema="matrix")["text"], "one column a type", "get_table_comment")
    client.equal(inspector.get_pk_constraint("kinds", schema="matrix")["constrained_columns"], [], "get_pk_constraint")
    client.equal(inspector.get_foreign_keys("kinds", schema="matrix"), [], "get_foreign_keys")
    client.equal(inspector.get_unique_constraints("kinds", schema="matrix"), [], "get_unique_constraints")
    client.equal(inspector.get_check_constraints("kinds", schema="matrix"), [], "get_check_constraints")
    client.equal(inspector.get_indexes("kinds", schema="matrix"), [], "get_indexes")
    kinds = sa.Table("kinds", sa.MetaData(), schema="matrix", autoload_with=connection)
    client.equal([column.name for column in kinds.columns], [name for name, _ in MATRIX["described"]["columns"]], "columns")
    client.equal([(column.name, str(column.type), column.nullable) for column in kinds.columns][:3],
                 [("id", "BIGINT", False), ("flag", "BOOLEAN", True), ("small", "SMALLINT", True)], "types of columns")
    client.equal((kinds.c.amount.type.precision, kinds.c.amount.type.scale), (12, 2), "numeric")
    client.check(kinds.c.instant.type.timezone and not kinds.c.moment.type.timezone, "time zones")

    row = connection.execute(sa.select(kinds).where(kinds.c.id == 1)).mappings().one()
    client.equal(row["amount"], decimal.Decimal("1234567890.12"), "numeric")
    client.equal(row["moment"], datetime.datetime(1999, 12, 31, 23, 59, 59, 123456), "timestamp")
    client.equal(bytes(row["raw"]), b"\x00\x01\xfe\xff", "bytea")
    found = connection.execute(sa.select(kinds.c.id).where(kinds.c.id.in_([1, 3]), kinds.c.day.is_(None) | (kinds.c.day > datetime.date(2000, 1, 1)))
                               .order_by(kinds.c.id.desc()).limit(5).offset(0)).scalars().all()
    client.equal(found, [3, 1], "a composed select")
    grouped = sa.select(kinds.c.flag, sa.func.count().label("n")).group_by(kinds.c.flag).order_by(kinds.c.flag.nulls_last())
    client.equal([tuple(row) for row in connection.execute(grouped)], [(False, 1), (True, 1), (None, 1)], "an aggregate")
    for value in [True, 7, 2**40, 1.5, "ü", datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 1, 2, 3, 4), decimal.Decimal("1.50"), b"\0\1"]:
        read = connection.execute(sa.select(sa.cast(sa.literal(value), sa.literal(value).type))).scalar_one()
        client.equal(bytes(read) if isinstance(value, bytes) else read, value, "a literal")
    connection.rollback()

    base = orm.declarative_base()

    class Kind(base):
        __table__ = kinds.to_metadata(base.metadata)
        __mapper_args__ = {"primary_key": [__table__.c.id]}

    with orm.Session(connection) as session:
        client.equal([kind.name for kind in session.scalars(sa.select(Kind).order_by(Kind.id))], [row[0] for row in query("SELECT name FROM matrix.kinds ORDER BY id", [])], "ORM")
        client.equal(session.get(Kind, 2).whole, 0, "ORM: get")
    connection.rollback()


def written(connection):
    """Writes are committed one by one."""
    schema, metadata = f"matrix_sqlalchemy_{dialect}", sa.MetaData()
    connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
    connection.execute(sa.schema.CreateSchema(schema))
    table = sa.Table("t", metadata, sa.Column("id", sa.BigInteger, nullable=False), sa.Column("name", sa.Text), sa.Column("at", sa.DateTime), schema=schema)
    metadata.create_all(connection)
    at = datetime.datetime(2024, 1, 2, 3, 4, 5)
    connection.execute(table.insert(), [{"id": 1, "name": "one", "at": at}, {"id": 2, "name": None, "at": None}])
    rows = [tuple(row) for row in connection.execute(sa.select(table).order_by(table.c.id))]
    assert rows == [(1, "one", at), (2, None, None)], rows
    metadata.drop_all(connection)
    connection.execute(sa.schema.DropSchema(schema))


def autocommit(connection):
    return connection.execution_options(isolation_level="AUTOCOMMIT")


async def asynchronous():
    engine = create_async_engine(url, connect_args=tls)
    async with engine.connect() as connection:
        await connection.run_sync(test)
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.run_sync(written)
    await engine.dispose()


def in_the_pool(n):
    with engine.connect() as connection:
        return connection.execute(sa.text("SELECT CAST(:n AS integer)"), {"n": n}).scalar_one()


if dialect == "asyncpg":
    asyncio.run(asynchronous())
else:
    engine = sa.create_engine(url, connect_args=tls, pool_pre_ping=True)
    with engine.connect() as connection:
        test(connection)
    with engine.connect() as connection:
        written(autocommit(connection))
    with concurrent.futures.ThreadPoolExecutor(5) as threads:
        assert list(threads.map(in_the_pool, range(20))) == list(range(20))
    engine.dispose()
print(f"sqlalchemy {dialect} passed", sa.__version__)
