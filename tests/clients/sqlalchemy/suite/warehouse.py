"""PostgreSQL's dialect without what Delta tables lack. A test that needs more than `requirements.py` can say is left out by its name."""

import itertools

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import base, provision as _  # noqa: F401  registers what is replaced below
from sqlalchemy.sql import ddl
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.testing import provision

# Of the dialect: RETURNING, sequences, rows of defaults, constraints and their comments, types of one's own.
ABSENT = """
  insert_returning update_returning delete_returning insert_executemany_returning use_insertmanyvalues supports_sequences supports_default_values
  supports_default_metavalue supports_empty_insert supports_constraint_comments supports_alter supports_native_enum
"""
# By class, or class and method.
LEFT_OUT = {
    "nothing that a server sees": "ArgSignatureTest",
    "DELETE and UPDATE within the test": "NumericTest PercentSchemaNamesTest ServerSideCursorsTest::test_roundtrip_fetchall",
    "row locks": "ServerSideCursorsTest::test_ss_cursor_status",
    "keys that the server gives": """
      ComponentReflectionTest::test_autoincrement_col ComponentReflectionTest::test_get_multi_columns IdentityAutoincrementTest
      InsertBehaviorTest::test_insert_from_select_autoinc InsertBehaviorTest::test_insert_from_select_autoinc_no_rows""",
    "that RETURNING is refused, which a PostgreSQL does not": "ReturningGuardsTest",
    "indexes": "LongNameBlowoutTest",
    "numerics of more than 38 digits": "TrueDivTest::test_truediv_divisor",
    "statements that PostgreSQL knows and the server does not: FETCH FIRST (expression), WITH before INSERT, materialized views": """
      CTETest::test_insert_from_select_round_trip FetchLimitOffsetTest::test_simple_fetch FetchLimitOffsetTest::test_simple_fetch_offset
      FetchLimitOffsetTest::test_fetch_offset_no_order FetchLimitOffsetTest::test_fetch_offset_nobinds FetchLimitOffsetTest::test_expr_fetch_offset
      FetchLimitOffsetTest::test_bound_fetch_offset TableViaSelectTest""",
    "bounds of a frame that are parameters": "WindowFunctionTest::test_window_rows_between_w_caching",
    "142 times the same": "JSONTest::test_index_cross_casts",
}


def leaves_out(item):
    name = item.cls.__name__.split("_postgresql")[0]
    method = f"{name}::{item.originalname}"
    # Some hundred tests ask for each kind of relation in each scope: those for all of them will do.
    one_of_many = "get_multi" in method and "ObjectKind.ANY-ObjectScope.ANY-" not in item.name
    left_out = {name for names in LEFT_OUT.values() for name in names.split()}
    return one_of_many or name in left_out or method in left_out


def adapt():
    for attribute in ABSENT.split():
        assert hasattr(base.PGDialect, attribute), attribute
        setattr(base.PGDialect, attribute, False)
    for kind in ("primary_key", "foreign_key", "unique", "check"):
        setattr(base.PGDDLCompiler, f"visit_{kind}_constraint", lambda *_, **__: None)
    # Without SERIAL, IDENTITY and GENERATED.
    base.PGDDLCompiler.get_column_specification = DDLCompiler.get_column_specification
    ddl.SchemaGenerator.visit_index = lambda *_, **__: None


@sa.event.listens_for(sa.Table, "after_parent_attach")
def keys_are_the_clients(table, metadata):
    """What a sequence would give, the client counts."""
    column = table._autoincrement_column
    if column is not None and column.default is None and column.server_default is None:
        numbers = itertools.count(1)
        column.default = sa.ColumnDefault(lambda: next(numbers))
        column.default._set_parent(column)


@provision.post_configure_engine.for_db("postgresql")
def without_extensions(url, engine, follower_ident):
    pass


@provision.update_db_opts.for_db("postgresql")
def without_prepared_statements(url, options):
    """They would outlive tables that come back with other columns."""
    options["connect_args"] = {"prepare_threshold": None}


@provision.delete_from_all_tables.for_db("postgresql")
def tables_anew(connection, config, metadata):
    """Instead of DELETE."""
    metadata.drop_all(connection)
    metadata.create_all(connection)
