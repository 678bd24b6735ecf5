"""What SQLAlchemy's tests may ask of the server. What is not named here is as SQLAlchemy has it, which is closed for most."""

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

OPEN = """
  aggregate_order_by boolean_col_expressions column_collation_reflection comment_reflection comment_reflection_full_unicode
  create_or_replace_view create_table_as create_temp_table_as ctes ctes_with_values date_historic datetime_historic datetime_literals
  datetime_timezone datetime_timezone_historic default_schema_name_switch except_ fetch_expression fetch_first fetch_no_order_by
  fetch_offset_with_options float_or_double_precision_behaves_generically has_temp_table implicit_default_schema infinity_floats intersect
  isolation_level json_type mod_operator_as_percent_sign nullsordering order_by_label_with_expression
  precision_numerics_enotation_small precision_numerics_many_significant_digits precision_numerics_retains_significant_digits
  reflect_table_options regexp_match regexp_replace savepoints schema_create_delete supports_bitwise_and
  supports_bitwise_not supports_bitwise_or supports_bitwise_shift supports_bitwise_xor supports_distinct_on table_ddl_if_exists
  table_value_constructor temp_table_comment_reflection temp_table_names timestamp_microseconds tuple_in unicode_ddl
  uuid_data_type views window_functions
"""
CLOSED = {
    "tables have no keys, constraints, indexes": """
      duplicate_key_raises_integrity_error foreign_key_constraint_reflection implicitly_named_constraints index_reflection indexes_with_ascdesc
      named_constraints on_update_cascade primary_key_constraint_reflection recursive_fk_cascade reflect_indexes_with_ascdesc
      temp_table_reflect_indexes unique_constraint_reflection""",
    "columns have no defaults": "empty_inserts sequences sequences_optional",
    "columns hold no intervals, times, arrays of several dimensions": "array_type datetime_interval time time_microseconds time_timezone",
    "tables have columns, views are not temporary": "reflect_tables_no_columns temporary_views",
    "frames by RANGE": "window_range window_range_non_numeric window_range_numeric",
    "rows are not changed": "autocommit ctes_on_dml sane_multi_rowcount sane_rowcount update_where_target_in_subquery",
}


class Requirements(SuiteRequirements):
    def get_isolation_levels(self, config):
        with config.db.connect() as connection:
            default = connection.exec_driver_sql("SHOW default_transaction_isolation").scalar().upper()
        return {"default": default, "supported": ["AUTOCOMMIT", "READ COMMITTED", "READ UNCOMMITTED", "REPEATABLE READ", "SERIALIZABLE"]}


def requirement(rule):
    return property(lambda self: rule)


for name in OPEN.split():
    setattr(Requirements, name, requirement(exclusions.open()))
for reason, names in CLOSED.items():
    for name in names.split():
        assert hasattr(SuiteRequirements, name), name
        setattr(Requirements, name, requirement(exclusions.skip_if(lambda: True, reason)))
