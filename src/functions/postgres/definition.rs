//! `pg_get_*`: objects as the statements that make them. Bodies of views and functions are shown to those who may see them only.

use super::catalog::visible_relation;
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Function, ObjectId, Relation};
use crate::error::Result;
use crate::functions::builtin::{self, BuiltinFunction};
use crate::functions::context::FunctionContext;
use crate::functions::define::{Call, Declaration, stable};
use crate::functions::names::{self, quote_identifier};
use crate::types::SqlType;
use crate::types::datum::Datum;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let null = |signature| stable(signature, |_| Ok(Datum::Null));
    let arguments = stable("pg_get_function_arguments(oid) -> text", |call| arguments_text(call, true));
    vec![
        // Expressions are stored as text; a pg_node_tree is that text.
        stable("pg_get_expr(text, oid) -> text", |call| Ok(call.get(0).clone())),
        stable("pg_get_expr(text, oid, bool) -> text", |call| Ok(call.get(0).clone())),
        stable("pg_get_viewdef(regclass) -> text", view_text),
        stable("pg_get_viewdef(regclass, any) -> text", view_text),
        stable("pg_get_constraintdef(oid) -> text", |_| Ok(Datum::Null)),
        stable("pg_get_constraintdef(oid, bool) -> text", |_| Ok(Datum::Null)),
        null("pg_get_indexdef(oid) -> text"),
        null("pg_get_indexdef(oid, int4, bool) -> text"),
        stable("pg_get_ruledef(oid) -> text", rule_text),
        stable("pg_get_ruledef(oid, bool) -> text", rule_text),
        stable("pg_get_functiondef(oid) -> text", function_text),
        arguments,
        stable("pg_get_function_identity_arguments(oid) -> text", |call| arguments_text(call, false)),
        stable("pg_get_function_result(oid) -> text", result_text),
        null("pg_get_function_sqlbody(oid) -> text"),
        null("pg_get_function_arg_default(oid, int4) -> text"),
    ]
}

/// Whether the principal may read the text of a view: who owns or manages it.
pub fn sees_view_text(context: &FunctionContext, relation: &Relation) -> bool {
    context.snapshot.manages(context.principal, relation.id) || context.snapshot.owns(context.principal, relation.id)
}

/// Whether the principal may read the body of a function: who owns or manages it, or may call it.
pub fn sees_function_text(context: &FunctionContext, function: &Function) -> bool {
    let (snapshot, principal) = (&context.snapshot, context.principal);
    snapshot.manages(principal, function.id)
        || snapshot.owns(principal, function.id)
        || (snapshot.reaches(principal, function.id) && snapshot.holds(principal, Privilege::Execute, function.id))
}

/// Whether the principal may know which row filter and which masks a table has: who owns or manages it.
pub fn sees_policies(context: &FunctionContext, relation: &Relation) -> bool {
    context.snapshot.manages(context.principal, relation.id) || context.snapshot.owns(context.principal, relation.id)
}

fn view_text(call: &Call<'_>) -> Result<Datum> {
    let context = call.context()?;
    let view =
        visible_relation(context, call.oid(0)?).filter(|relation| sees_view_text(context, relation)).and_then(Relation::view);
    Ok(Datum::text(view.map(|view| format!(" {};", view.query.trim().trim_end_matches(';')))))
}

/// The rule behind a view has the view's OID here.
fn rule_text(call: &Call<'_>) -> Result<Datum> {
    let context = call.context()?;
    let Some(relation) = visible_relation(context, call.oid(0)?).filter(|relation| sees_view_text(context, relation)) else {
        return Ok(Datum::Null);
    };
    let Some(view) = relation.view() else { return Ok(Datum::Null) };
    let name = names::display_object(context, crate::types::RegKind::Class, relation.id.0);
    Ok(Datum::from(format!(
        "CREATE RULE \"_RETURN\" AS ON SELECT TO {name} DO INSTEAD {};",
        view.query.trim().trim_end_matches(';')
    )))
}

fn visible_function(context: &FunctionContext, oid: u32) -> Option<&Function> {
    let function = context.snapshot.function_by_id(ObjectId(oid))?;
    context.snapshot.visible(context.principal, function.id).then_some(function)
}

/// Parameters as CREATE FUNCTION writes them: `id integer, name text`.
pub fn parameters_text(parameters: &[(String, SqlType)]) -> String {
    parameters.iter().map(|(name, sql_type)| format!("{} {sql_type}", quote_identifier(name))).collect::<Vec<_>>().join(", ")
}

fn type_text(context: &FunctionContext, oid: u32) -> String {
    names::display_type(context, oid, None).unwrap_or_else(|| "???".to_string())
}

fn builtin_arguments(context: &FunctionContext, function: &BuiltinFunction) -> String {
    let name_of = |index: usize| function.argument_names.get(index).copied().unwrap_or("");
    let all = if function.all_arguments.is_empty() { &function.arguments } else { &function.all_arguments };
    let one = |(index, oid): (usize, &u32)| {
        let mode = match function.modes.get(index) {
            Some('o') => "OUT ",
            Some('b') => "INOUT ",
            Some('v') => "VARIADIC ",
            _ if function.variadic != 0 && index + 1 == function.arguments.len() => "VARIADIC ",
            _ => "",
        };
        let name = match name_of(index) {
            "" => String::new(),
            name => format!("{} ", quote_identifier(name)),
        };
        format!("{mode}{name}{}", type_text(context, *oid))
    };
    all.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

fn arguments_text(call: &Call<'_>, _with_defaults: bool) -> Result<Datum> {
    let context = call.context()?;
    let oid = call.oid(0)?;
    if let Some(function) = builtin::function_by_oid(oid) {
        return Ok(Datum::from(builtin_arguments(context, function)));
    }
    Ok(Datum::text(visible_function(context, oid).map(|function| parameters_text(&function.parameters))))
}

fn result_text(call: &Call<'_>) -> Result<Datum> {
    let context = call.context()?;
    let oid = call.oid(0)?;
    if let Some(function) = builtin::function_by_oid(oid) {
        let set = if function.set { "SETOF " } else { "" };
        return Ok(Datum::from(format!("{set}{}", type_text(context, function.returns))));
    }
    Ok(Datum::text(visible_function(context, oid).map(|function| function.returns.display_name())))
}

fn function_text(call: &Call<'_>) -> Result<Datum> {
    let context = call.context()?;
    let oid = call.oid(0)?;
    if let Some(function) = builtin::function_by_oid(oid) {
        let (arguments, result) = (builtin_arguments(context, function), type_text(context, function.returns));
        let set = if function.set { "SETOF " } else { "" };
        return Ok(Datum::from(format!(
            "CREATE OR REPLACE FUNCTION pg_catalog.{}({arguments})\n RETURNS {set}{result}\n LANGUAGE internal\nAS $function${}$function$\n",
            quote_identifier(function.name),
            function.name
        )));
    }
    let Some(function) = visible_function(context, oid).filter(|function| sees_function_text(context, function)) else {
        return Ok(Datum::Null);
    };
    let schema = context.snapshot.schema_by_id(function.schema).map_or("", |schema| schema.name.as_str());
    Ok(Datum::from(format!(
        "CREATE OR REPLACE FUNCTION {}.{}({})\n RETURNS {}\n LANGUAGE sql\nRETURN {}\n",
        quote_identifier(schema),
        quote_identifier(&function.name),
        parameters_text(&function.parameters),
        function.returns,
        function.body
    )))
}
