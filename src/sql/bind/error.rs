//! Errors with PostgreSQL's wording and positions.

use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::ast::{Ident, ObjectName, ObjectNamePart};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::error::{Error, ErrorKind};

/// Where a span begins: 1-based, in characters. The parser numbers characters through the whole text, in the column.
pub(super) fn position(span: Span) -> Option<usize> {
    usize::try_from(span.start.column).ok().filter(|column| *column > 0)
}

/// Adds the position of `span`, if it is known and the error has none.
pub(crate) fn at(error: Error, span: Span) -> Error {
    match position(span) {
        Some(position) if error.position().is_none() => error.with_position(position),
        _ => error,
    }
}

/// An identifier; the parser has folded it if it was not quoted.
pub(super) fn folded(ident: &Ident) -> String {
    ident.value.clone()
}

/// The parts of a name, folded.
pub(crate) fn name_parts(name: &ObjectName) -> Vec<String> {
    name.0.iter().filter_map(ObjectNamePart::as_ident).map(folded).collect()
}

/// Where a name begins.
pub(crate) fn name_span(name: &ObjectName) -> Span {
    name.0.iter().find_map(ObjectNamePart::as_ident).map_or_else(Span::empty, |ident| ident.span)
}

/// 42P01.
pub(crate) fn undefined_relation(parts: &[String], span: Span) -> Error {
    at(Error::new(ErrorKind::UndefinedRelation, format!("relation \"{}\" does not exist", parts.join("."))), span)
}

/// 42703.
pub(super) fn undefined_column(parts: &[String], span: Span) -> Error {
    let shown = match parts {
        [column] => format!("\"{column}\""),
        qualified => qualified.join("."),
    };
    at(Error::new(ErrorKind::UndefinedColumn, format!("column {shown} does not exist")), span)
}

/// 42804 and the like, for a condition that must be boolean.
pub(super) fn not_boolean(clause: &str, found: &str) -> Error {
    Error::new(ErrorKind::DatatypeMismatch, format!("argument of {clause} must be type boolean, not type {found}"))
}

/// What DataFusion says about a plan that we built: its text may hold internal names, so only the log gets it.
pub(super) fn plan_error(error: DataFusionError) -> Error {
    match error {
        DataFusionError::NotImplemented(what) => {
            let short = what.lines().next().unwrap_or_default().to_string();
            Error::new(ErrorKind::Unsupported, "this form of query is not supported").with_source(short)
        }
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => plan_error(*inner),
        other => Error::internal(format!("binder: {other}")),
    }
}
