//! Names of objects as text, and the OIDs behind them: what `regclass`, `regtype` and the `*_is_visible` functions mean.
//!
//! A name is looked up as the statement's principal: what it may not see does not exist. System relations and types are found before
//! the user's, as `pg_catalog` stands first in every search path that does not name it.

use super::builtin;
use super::context::FunctionContext;
use crate::catalog::securable::{ObjectId, Schema, TEMPORARY_SCHEMA};
use crate::error::{Error, ErrorKind, Result};
use crate::types::RegKind;

/// An identifier as a statement would have to write it: in double quotes unless it is plain and no key word.
pub fn quote_identifier(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '$');
    let reserved = || builtin::keywords().iter().any(|keyword| keyword.word == name && keyword.category != "U");
    if plain && !reserved() { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// Splits `a."B".c` into its parts; unquoted parts are folded to lower case.
///
/// # Errors
/// [`ErrorKind::InvalidName`] for anything that is not a dotted name.
pub fn split_name(text: &str) -> Result<Vec<String>> {
    let invalid = || Error::new(ErrorKind::InvalidName, "invalid name syntax");
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted_part(quoted).ok_or_else(invalid)?
        } else {
            let end = rest.find(|c: char| c == '.' || c.is_whitespace()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            if word.is_empty() || word.contains('"') {
                return Err(invalid());
            }
            (word.to_lowercase(), after)
        };
        parts.push(part);
        let after = after.trim_start();
        if after.is_empty() {
            return Ok(parts);
        }
        rest = after.strip_prefix('.').ok_or_else(invalid)?.trim_start();
    }
}

/// The rest of a quoted part after its opening quote: the name, and what follows the closing quote.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let end = rest.find('"')?;
        let (before, after) = (rest.get(..end)?, rest.get(end + 1..)?);
        name.push_str(before);
        let Some(more) = after.strip_prefix('"') else { break if name.is_empty() { None } else { Some((name, after)) } };
        name.push('"');
        rest = more;
    }
}

/// The schemas of the search path that exist and that the principal may use, `pg_catalog` where PostgreSQL puts it.
pub(crate) fn search_schemas(context: &FunctionContext) -> Vec<PathEntry<'_>> {
    let mut entries = Vec::new();
    for name in &context.search_path {
        match name.as_str() {
            "pg_catalog" => entries.push(PathEntry::System("pg_catalog")),
            "information_schema" => entries.push(PathEntry::System("information_schema")),
            "$user" => entries
                .extend(context.snapshot.principal_by_id(context.current_user).and_then(|user| user_schema(context, &user.name))),
            other => entries.extend(user_schema(context, other)),
        }
    }
    if !context.search_path.iter().any(|name| name == "pg_catalog") {
        entries.insert(0, PathEntry::System("pg_catalog"));
    }
    entries
}

fn user_schema<'a>(context: &'a FunctionContext, name: &str) -> Option<PathEntry<'a>> {
    let schema = context.snapshot.schema(context.catalog, name)?;
    let usable = context.snapshot.visible(context.principal, schema.id);
    usable.then_some(PathEntry::User(schema))
}

/// A schema of the search path.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PathEntry<'a> {
    /// `pg_catalog` or `information_schema`.
    System(&'static str),
    /// A schema of the current catalog.
    User(&'a Schema),
}

impl PathEntry<'_> {
    pub(crate) fn name(&self) -> &str {
        match self {
            PathEntry::System(name) => name,
            PathEntry::User(schema) => &schema.name,
        }
    }
}

/// The OID that `text` stands for: a number, `-` for 0, or the name of a visible object.
///
/// # Errors
/// [`ErrorKind::InvalidName`] if the text is not a name; [`ErrorKind::UndefinedFunction`] for ambiguous function names.
pub fn find_object(context: &FunctionContext, kind: RegKind, text: &str) -> Result<Option<u32>> {
    let text = text.trim();
    if text == "-" {
        return Ok(Some(0));
    }
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(text.parse().ok());
    }
    Ok(match kind {
        RegKind::Class => find_relation(context, &split_name(text)?),
        RegKind::Type => find_type(text),
        RegKind::Proc | RegKind::Procedure => find_function(context, kind, text)?,
        RegKind::Oper | RegKind::Operator => find_operator(text)?,
        RegKind::Namespace => match split_name(text)?.as_slice() {
            [name] => find_schema(context, name),
            _ => None,
        },
        RegKind::Role => match split_name(text)?.as_slice() {
            [name] => find_role(context, name),
            _ => None,
        },
    })
}

/// As [`find_object`], but a missing object is an error.
///
/// # Errors
/// PostgreSQL's error for the kind of object: 42P01, 42704, 42883, 3F000.
pub fn require_object(context: &FunctionContext, kind: RegKind, text: &str) -> Result<u32> {
    find_object(context, kind, text)?.ok_or_else(|| {
        let name = text.trim();
        match kind {
            RegKind::Class => Error::new(ErrorKind::UndefinedRelation, format!("relation \"{name}\" does not exist")),
            RegKind::Type => Error::new(ErrorKind::UndefinedObject, format!("type \"{name}\" does not exist")),
            RegKind::Proc | RegKind::Procedure => {
                Error::new(ErrorKind::UndefinedFunction, format!("function \"{name}\" does not exist"))
            }
            RegKind::Oper | RegKind::Operator => {
                Error::new(ErrorKind::UndefinedFunction, format!("operator does not exist: {name}"))
            }
            RegKind::Namespace => Error::new(ErrorKind::UndefinedSchema, format!("schema \"{name}\" does not exist")),
            RegKind::Role => Error::new(ErrorKind::UndefinedObject, format!("role \"{name}\" does not exist")),
        }
    })
}

/// The relation of a dotted name, if the principal may see it.
pub fn find_relation(context: &FunctionContext, parts: &[String]) -> Option<u32> {
    let visible = |id: ObjectId| context.snapshot.visible(context.principal, id).then_some(id.0);
    match parts {
        [name] => temporary_relation(context, name).or_else(|| {
            search_schemas(context).into_iter().find_map(|entry| match entry {
                PathEntry::System(schema) => builtin::relation(schema, name).map(|relation| relation.oid),
                PathEntry::User(schema) => context.snapshot.relation(schema.id, name).and_then(|relation| visible(relation.id)),
            })
        }),
        [schema, name] => find_in_schema(context, context.catalog, schema, name),
        [catalog, schema, name] => find_in_schema(context, context.snapshot.catalog(catalog)?.id, schema, name),
        _ => None,
    }
}

/// The temporary table of this name, which comes before all others unless the search path says where.
fn temporary_relation(context: &FunctionContext, name: &str) -> Option<u32> {
    let temporary = context.temporary.as_ref()?;
    if context.search_path.iter().any(|schema| schema == TEMPORARY_SCHEMA) {
        return None;
    }
    context.snapshot.relation(temporary.schema.id, name).map(|relation| relation.id.0)
}

fn find_in_schema(context: &FunctionContext, catalog: ObjectId, schema: &str, name: &str) -> Option<u32> {
    if let Some(relation) = builtin::relation(schema, name) {
        return Some(relation.oid);
    }
    let relation = context.snapshot.relation(context.snapshot.schema(catalog, schema)?.id, name)?;
    context.snapshot.visible(context.principal, relation.id).then_some(relation.id.0)
}

/// The schema of this name in the current catalog, if the principal may see it.
pub fn find_schema(context: &FunctionContext, name: &str) -> Option<u32> {
    match name {
        "pg_catalog" => Some(builtin::PG_CATALOG),
        "information_schema" => Some(builtin::INFORMATION_SCHEMA),
        other => {
            let schema = context.snapshot.schema(context.catalog, other)?;
            context.snapshot.visible(context.principal, schema.id).then_some(schema.id.0)
        }
    }
}

/// The principal of this name.
pub fn find_role(context: &FunctionContext, name: &str) -> Option<u32> {
    if name == builtin::SYSTEM_ROLE_NAME {
        return Some(builtin::SYSTEM_ROLE);
    }
    context.snapshot.principal(name).map(|principal| principal.id.0)
}

/// Name of a role: of the principal, of PostgreSQL's own objects' owner, or `unknown (OID=..)` as PostgreSQL prints it.
pub fn role_name(context: &FunctionContext, oid: u32) -> String {
    if oid == builtin::SYSTEM_ROLE {
        return builtin::SYSTEM_ROLE_NAME.to_string();
    }
    context
        .snapshot
        .principal_by_id(ObjectId(oid))
        .map_or_else(|| format!("unknown (OID={oid})"), |principal| principal.name.clone())
}

/// Words of SQL that name types with blanks in them or other than by `typname`.
const TYPE_WORDS: [(&str, &str); 34] = [
    ("boolean", "bool"),
    ("smallint", "int2"),
    ("tinyint", "int2"),
    ("integer", "int4"),
    ("int", "int4"),
    ("bigint", "int8"),
    ("long", "int8"),
    ("real", "float4"),
    ("double precision", "float8"),
    ("double", "float8"),
    ("float", "float8"),
    ("decimal", "numeric"),
    ("dec", "numeric"),
    ("string", "text"),
    ("character varying", "varchar"),
    ("char varying", "varchar"),
    ("character", "bpchar"),
    ("char", "bpchar"),
    ("nchar", "bpchar"),
    ("national character", "bpchar"),
    ("binary", "bytea"),
    ("time without time zone", "time"),
    ("timestamp without time zone", "timestamp"),
    ("timestamp with time zone", "timestamptz"),
    ("timestamp_ntz", "timestamp"),
    ("\"char\"", "char"),
    ("pg_catalog.int4", "int4"),
    ("serial", "int4"),
    ("bigserial", "int8"),
    ("smallserial", "int2"),
    ("interval year to month", "interval"),
    ("interval day to second", "interval"),
    ("interval day", "interval"),
    ("interval second", "interval"),
];

/// The type that `text` names: SQL's words, `typname`, with modifiers and array brackets.
pub fn find_type(text: &str) -> Option<u32> {
    let text = text.trim();
    let text = text.strip_prefix("pg_catalog.").unwrap_or(text);
    let (base, array) = match text.find('[') {
        Some(bracket) => (text.get(..bracket)?.trim_end(), true),
        None => (text, false),
    };
    let (base, array) = base.strip_suffix(" array").map_or((base, array), |base| (base, true));
    let without_modifier = remove_modifier(base);
    let words: String = without_modifier.split_whitespace().collect::<Vec<_>>().join(" ");
    let folded = if words.starts_with('"') { words } else { words.to_lowercase() };
    let name = TYPE_WORDS.iter().find(|(word, _)| *word == folded).map_or(folded.as_str(), |(_, name)| name);
    let row = builtin::type_by_name(name.trim_matches('"'))?;
    match (array, row.array) {
        (false, _) => Some(row.oid),
        (true, 0) => None,
        (true, array_oid) => Some(array_oid),
    }
}

/// `timestamp(3) with time zone` becomes `timestamp with time zone`.
fn remove_modifier(text: &str) -> String {
    match (text.find('('), text.rfind(')')) {
        (Some(open), Some(close)) if open < close => {
            format!("{} {}", text.get(..open).unwrap_or(""), text.get(close + 1..).unwrap_or(""))
        }
        _ => text.to_string(),
    }
}

fn find_function(context: &FunctionContext, kind: RegKind, text: &str) -> Result<Option<u32>> {
    let (name, arguments) = match text.split_once('(') {
        Some((name, arguments)) => (name, Some(arguments.trim_end().trim_end_matches(')'))),
        None => (text, None),
    };
    let parts = split_name(name)?;
    let (schema, name) = match parts.as_slice() {
        [name] => (None, name),
        [schema, name] | [_, schema, name] => (Some(schema.as_str()), name),
        _ => return Ok(None),
    };
    if schema.is_none_or(|schema| schema == "pg_catalog") {
        let wanted: Option<Vec<Option<u32>>> =
            arguments.map(|list| list.split(',').filter(|word| !word.trim().is_empty()).map(find_type).collect());
        let same = |function: &&builtin::BuiltinFunction| {
            function.name == name
                && wanted.as_ref().is_none_or(|wanted| wanted.iter().copied().eq(function.arguments.iter().map(|oid| Some(*oid))))
        };
        let mut found = builtin::functions().iter().filter(same);
        if let Some(first) = found.next() {
            if kind == RegKind::Proc && found.next().is_some() {
                return Err(Error::new(ErrorKind::DuplicateFunction, format!("more than one function named \"{name}\"")));
            }
            return Ok(Some(first.oid));
        }
    }
    let lookup = |schema: &Schema| {
        context.snapshot.function(schema.id, name).filter(|function| context.snapshot.visible(context.principal, function.id))
    };
    Ok(match schema {
        Some(schema) => context.snapshot.schema(context.catalog, schema).and_then(|schema| lookup(schema)),
        None => search_schemas(context).into_iter().find_map(|entry| match entry {
            PathEntry::User(schema) => lookup(schema),
            PathEntry::System(_) => None,
        }),
    }
    .map(|function| function.id.0))
}

fn find_operator(text: &str) -> Result<Option<u32>> {
    let (name, arguments) = text.split_once('(').unwrap_or((text, ""));
    let name = name.trim().trim_start_matches("pg_catalog.");
    let wanted: Vec<String> =
        arguments.trim_end_matches(')').split(',').filter_map(|word| find_type(word).map(|oid| oid.to_string())).collect();
    let column = |row: &[&'static str], index: usize| row.get(index).copied().unwrap_or("");
    let mut found = builtin::static_rows("pg_operator").iter().filter(|row| {
        column(row, 1) == name
            && (wanted.is_empty()
                || wanted.last().map(String::as_str) == Some(column(row, 8))
                    && wanted.first().map(String::as_str) == Some(column(row, 7)))
    });
    let first = found.next();
    if wanted.is_empty() && found.next().is_some() {
        return Err(Error::new(ErrorKind::DuplicateFunction, format!("more than one operator named {name}")));
    }
    Ok(first.and_then(|row| column(row, 0).parse().ok()))
}

/// The object as its `reg*` type prints it: the name, with its schema when the search path does not lead to it.
pub fn display_object(context: &FunctionContext, kind: RegKind, oid: u32) -> String {
    if oid == 0 {
        return "-".to_string();
    }
    let known = match kind {
        RegKind::Class => display_relation(context, oid),
        RegKind::Type => display_type(context, oid, None),
        RegKind::Proc => display_function(context, oid, false),
        RegKind::Procedure => display_function(context, oid, true),
        RegKind::Oper | RegKind::Operator => display_operator(oid, kind == RegKind::Operator),
        RegKind::Namespace => schema_name(context, oid).map(|name| quote_identifier(&name)),
        RegKind::Role => find_role_name(context, oid).map(|name| quote_identifier(&name)),
    };
    known.unwrap_or_else(|| oid.to_string())
}

fn find_role_name(context: &FunctionContext, oid: u32) -> Option<String> {
    if oid == builtin::SYSTEM_ROLE {
        return Some(builtin::SYSTEM_ROLE_NAME.to_string());
    }
    context.snapshot.principal_by_id(ObjectId(oid)).map(|principal| principal.name.clone())
}

/// Name of the schema with this OID, if the principal may see it.
fn schema_name(context: &FunctionContext, oid: u32) -> Option<String> {
    match oid {
        builtin::PG_CATALOG => Some("pg_catalog".to_string()),
        builtin::INFORMATION_SCHEMA => Some("information_schema".to_string()),
        _ => {
            let schema = context.snapshot.schema_by_id(ObjectId(oid))?;
            context.snapshot.visible(context.principal, schema.id).then(|| schema.name.clone())
        }
    }
}

fn display_relation(context: &FunctionContext, oid: u32) -> Option<String> {
    if let Some(relation) = builtin::relation_by_oid(oid) {
        return Some(if relation_is_visible(context, oid) == Some(true) {
            quote_identifier(relation.name)
        } else {
            format!("{}.{}", relation.schema_name, quote_identifier(relation.name))
        });
    }
    let relation = context
        .snapshot
        .relation_by_id(ObjectId(oid))
        .filter(|relation| context.snapshot.visible(context.principal, relation.id))?;
    if relation_is_visible(context, oid) == Some(true) {
        return Some(quote_identifier(&relation.name));
    }
    let schema = context.snapshot.schema_by_id(relation.schema)?;
    let local = format!("{}.{}", quote_identifier(&schema.name), quote_identifier(&relation.name));
    if schema.catalog == context.catalog {
        return Some(local);
    }
    let catalog = context.snapshot.catalog_by_id(schema.catalog)?;
    Some(format!("{}.{local}", quote_identifier(&catalog.name)))
}

/// Whether the relation is found by its bare name; `None` if there is no such relation for this principal.
pub fn relation_is_visible(context: &FunctionContext, oid: u32) -> Option<bool> {
    let name = match builtin::relation_by_oid(oid) {
        Some(relation) => relation.name,
        None => {
            let relation = context.snapshot.relation_by_id(ObjectId(oid))?;
            if !context.snapshot.visible(context.principal, relation.id) {
                return None;
            }
            relation.name.as_str()
        }
    };
    Some(find_relation(context, &[name.to_string()]) == Some(oid))
}

/// A type as `format_type` prints it; `None` if there is no such type.
pub fn display_type(_context: &FunctionContext, oid: u32, typmod: Option<i32>) -> Option<String> {
    let row = builtin::type_by_oid(oid)?;
    if row.category == 'A' && row.element != 0 && row.length == -1 && row.name.starts_with('_') {
        let element = builtin::type_by_oid(row.element)?;
        return Some(format!("{}[]", type_words(element, typmod)));
    }
    Some(type_words(row, typmod))
}

fn type_words(row: &builtin::BuiltinType, typmod: Option<i32>) -> String {
    let modifier = typmod.filter(|typmod| *typmod >= 0);
    let length = |word: &str| modifier.map_or_else(|| word.to_string(), |typmod| format!("{word}({})", typmod - 4));
    let precision = modifier.map_or_else(String::new, |typmod| format!("({typmod})"));
    match row.name {
        "bool" => "boolean".to_string(),
        "int2" => "smallint".to_string(),
        "int4" => "integer".to_string(),
        "int8" => "bigint".to_string(),
        "float4" => "real".to_string(),
        "float8" => "double precision".to_string(),
        "varchar" => length("character varying"),
        // A character type without a length is not SQL's character(1), and PostgreSQL says so by its internal name.
        "bpchar" if typmod.is_some() && modifier.is_none() => "bpchar".to_string(),
        "bpchar" => length("character"),
        "time" => format!("time{precision} without time zone"),
        "timestamp" => format!("timestamp{precision} without time zone"),
        "timestamptz" => format!("timestamp{precision} with time zone"),
        // Below the fields that an interval may have, all ones for no digits in particular.
        "interval" => match modifier.map(|typmod| typmod & 0xffff) {
            None | Some(0xffff) => "interval".to_string(),
            Some(digits) => format!("interval({digits})"),
        },
        "char" => "\"char\"".to_string(),
        "any" | "trigger" | "unknown" => quote_identifier(row.name),
        "numeric" => modifier.map_or_else(
            || "numeric".to_string(),
            |typmod| {
                let scale = (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
                format!("numeric({},{scale})", ((typmod - 4) >> 16) & 0xffff)
            },
        ),
        other => other.to_string(),
    }
}

fn display_function(context: &FunctionContext, oid: u32, with_arguments: bool) -> Option<String> {
    let type_list =
        |types: &[u32]| types.iter().map(|oid| display_type(context, *oid, None).unwrap_or_default()).collect::<Vec<_>>().join(",");
    if let Some(function) = builtin::function_by_oid(oid) {
        let name = quote_identifier(function.name);
        return Some(if with_arguments { format!("{name}({})", type_list(&function.arguments)) } else { name });
    }
    let function = context
        .snapshot
        .function_by_id(ObjectId(oid))
        .filter(|function| context.snapshot.visible(context.principal, function.id))?;
    let name = if function_is_visible(context, oid) == Some(true) {
        quote_identifier(&function.name)
    } else {
        format!("{}.{}", quote_identifier(&context.snapshot.schema_by_id(function.schema)?.name), quote_identifier(&function.name))
    };
    let types: Vec<String> = function.parameters.iter().map(|(_, sql_type)| sql_type.display_name()).collect();
    Some(if with_arguments { format!("{name}({})", types.join(",")) } else { name })
}

/// Whether the function is found by its bare name; `None` if there is no such function for this principal.
pub fn function_is_visible(context: &FunctionContext, oid: u32) -> Option<bool> {
    if builtin::function_by_oid(oid).is_some() {
        return Some(true);
    }
    let function = context
        .snapshot
        .function_by_id(ObjectId(oid))
        .filter(|function| context.snapshot.visible(context.principal, function.id))?;
    let first = search_schemas(context).into_iter().find_map(|entry| match entry {
        PathEntry::User(schema) => context
            .snapshot
            .function(schema.id, &function.name)
            .filter(|function| context.snapshot.visible(context.principal, function.id)),
        PathEntry::System(_) => None,
    });
    Some(first.is_some_and(|first| first.id == function.id))
}

fn display_operator(oid: u32, with_arguments: bool) -> Option<String> {
    let text = oid.to_string();
    let column = |row: &[&'static str], index: usize| row.get(index).copied().unwrap_or("");
    let row = builtin::static_rows("pg_operator").iter().find(|row| column(row, 0) == text)?;
    let name = column(row, 1);
    if !with_arguments {
        return Some(name.to_string());
    }
    let side = |index| match column(row, index) {
        "0" => "NONE".to_string(),
        oid => oid.parse().ok().and_then(builtin::type_by_oid).map_or_else(String::new, |row| type_words(row, None)),
    };
    Some(format!("{name}({},{})", side(7), side(8)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_and_fold_as_in_statements() {
        assert_eq!(split_name("Public.\"Order \"\"s\"\"\"").unwrap(), ["public", "Order \"s\""]);
        assert_eq!(split_name(" a . b ").unwrap(), ["a", "b"]);
        assert!(split_name("a..b").is_err());
        assert!(split_name("\"a").is_err());
        assert!(split_name("").is_err());
    }

    #[test]
    fn types_are_found_by_all_their_names() {
        for (text, oid) in [
            ("int4", 23),
            ("integer", 23),
            ("INT", 23),
            ("character varying(10)", 1043),
            ("timestamp(3) with time zone", 1184),
            ("text[]", 1009),
            ("_text", 1009),
            ("pg_catalog.int8", 20),
            ("double  precision", 701),
            ("\"char\"", 18),
            ("char", 1042),
            ("numeric(12,2)", 1700),
            ("regclass", 2205),
        ] {
            assert_eq!(find_type(text), Some(oid), "{text}");
        }
        assert_eq!(find_type("no_such_type"), None);
    }

    #[test]
    fn identifiers_are_quoted_when_they_must_be() {
        assert_eq!(quote_identifier("orders"), "orders");
        assert_eq!(quote_identifier("Orders"), "\"Orders\"");
        assert_eq!(quote_identifier("select"), "\"select\"");
        assert_eq!(quote_identifier("a b"), "\"a b\"");
        assert_eq!(quote_identifier("name"), "name");
    }
}
