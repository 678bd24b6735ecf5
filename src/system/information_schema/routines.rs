//! The user's functions and their parameters.

use crate::catalog::securable::Function;
use crate::error::Result;
use crate::functions::postgres::definition::sees_function_text;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};

use super::{data_type, type_columns, udt_name};

pub(super) const SOURCES: &[(&str, Source)] = &[("routines", routines), ("parameters", parameters)];

/// PostgreSQL's `specific_name`: unique where functions are overloaded.
fn specific_name(function: &Function) -> String {
    format!("{}_{}", function.name, function.id.0)
}

fn routines(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    for (schema, function) in visible::user_functions(context) {
        let body = sees_function_text(&context.functions, function).then(|| function.body.clone());
        rows.row()
            .set("specific_catalog", catalog)
            .set("specific_schema", &schema.name)
            .set("specific_name", specific_name(function))
            .set("routine_catalog", catalog)
            .set("routine_schema", &schema.name)
            .set("routine_name", &function.name)
            .set("routine_type", "FUNCTION")
            .set("data_type", data_type(&function.returns))
            .set("type_udt_catalog", catalog)
            .set("type_udt_schema", "pg_catalog")
            .set("type_udt_name", udt_name(&function.returns))
            .set("dtd_identifier", "0")
            .set("routine_body", "SQL")
            .set("routine_definition", body)
            .set("external_language", "SQL")
            .set("parameter_style", "GENERAL")
            .set("is_deterministic", "NO")
            .set("sql_data_access", "READS")
            .set("is_null_call", "NO")
            .set("schema_level_routine", "YES")
            .set("max_dynamic_result_sets", 0_i32)
            .set("security_type", "INVOKER")
            .set("as_locator", "NO")
            .set("is_udt_dependent", "NO");
    }
    Ok(())
}

fn parameters(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    for (schema, function) in visible::user_functions(context) {
        for (number, (name, sql_type)) in (1_i32..).zip(&function.parameters) {
            let row = rows
                .row()
                .set("specific_catalog", catalog)
                .set("specific_schema", &schema.name)
                .set("specific_name", specific_name(function))
                .set("ordinal_position", number)
                .set("parameter_mode", "IN")
                .set("is_result", "NO")
                .set("as_locator", "NO")
                .set("parameter_name", name);
            // PostgreSQL keeps no modifiers for parameters.
            type_columns(row, sql_type, catalog, false)
                .set("numeric_precision", None::<i32>)
                .set("numeric_precision_radix", None::<i32>)
                .set("numeric_scale", None::<i32>)
                .set("datetime_precision", None::<i32>)
                .set("character_octet_length", None::<i32>)
                .set("dtd_identifier", number.to_string());
        }
    }
    Ok(())
}
