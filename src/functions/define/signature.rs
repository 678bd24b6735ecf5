//! The words of a declaration: parameters, results, and the result's type for given arguments.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields};

use super::Declaration;
use crate::types::SqlType;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Parameter {
    Exact(SqlType),
    /// A name or an OID, left as it comes.
    Object,
    Any,
    AnyElement,
    AnyArray,
}

#[derive(Debug, Clone)]
pub(super) enum Returns {
    One(ResultType),
    Set(Option<String>, ResultType),
    Rows(Vec<(String, ResultType)>),
}

#[derive(Debug, Clone)]
pub(super) enum ResultType {
    Exact(SqlType),
    AnyElement,
    AnyArray,
}

impl Declaration {
    pub(super) fn return_field(&self, arguments: &[SqlType]) -> Field {
        let resolve = |result: &ResultType| self.resolve(result, arguments);
        match &self.returns {
            Returns::One(result) => resolve(result).field(self.name.as_str(), true),
            Returns::Set(_, result) => SqlType::Array(Box::new(resolve(result))).field(self.name.as_str(), true),
            Returns::Rows(columns) => {
                let fields: Fields = columns.iter().map(|(name, result)| resolve(result).field(name.as_str(), true)).collect();
                let element = Field::new_list_field(DataType::Struct(fields), true);
                Field::new(self.name.as_str(), DataType::List(Arc::new(element)), true)
            }
        }
    }

    fn resolve(&self, result: &ResultType, arguments: &[SqlType]) -> SqlType {
        let polymorphic =
            || arguments.iter().enumerate().find_map(|(index, sql_type)| element_of(self.parameter(index)?, sql_type));
        match result {
            ResultType::Exact(sql_type) => sql_type.clone(),
            ResultType::AnyElement => polymorphic().unwrap_or(SqlType::Text),
            ResultType::AnyArray => SqlType::Array(Box::new(polymorphic().unwrap_or(SqlType::Text))),
        }
    }
}

fn element_of(parameter: &Parameter, argument: &SqlType) -> Option<SqlType> {
    match (parameter, argument) {
        (Parameter::AnyElement, SqlType::Unknown) => Some(SqlType::Text),
        (Parameter::AnyElement, other) => Some(other.clone()),
        (Parameter::AnyArray, SqlType::Array(element)) => Some((**element).clone()),
        (Parameter::AnyArray, SqlType::Int2Vector) => Some(SqlType::Int2),
        (Parameter::AnyArray, SqlType::OidVector) => Some(SqlType::Oid),
        _ => None,
    }
}

pub(super) fn parameter(word: &str) -> Parameter {
    match word {
        "any" => Parameter::Any,
        "anyelement" => Parameter::AnyElement,
        "anyarray" => Parameter::AnyArray,
        "object" => Parameter::Object,
        other => Parameter::Exact(sql_type(other)),
    }
}

pub(super) fn returns_of(words: &str) -> Returns {
    let Some(set) = words.strip_prefix("setof ") else { return Returns::One(result_type(words)) };
    let Some(columns) = set.strip_prefix('(').and_then(|open| open.strip_suffix(')')) else {
        return Returns::Set(None, result_type(set));
    };
    let column = |text: &str| text.split_once(' ').map(|(name, word)| (name.to_string(), result_type(word)));
    let mut columns: Vec<(String, ResultType)> = columns.split(", ").filter_map(column).collect();
    // One output column is a set of values with a name, not of rows.
    match (columns.len(), columns.pop()) {
        (1, Some((name, result))) => Returns::Set(Some(name), result),
        (_, last) => Returns::Rows(columns.into_iter().chain(last).collect()),
    }
}

fn result_type(word: &str) -> ResultType {
    match word {
        "anyelement" => ResultType::AnyElement,
        "anyarray" => ResultType::AnyArray,
        other => ResultType::Exact(sql_type(other)),
    }
}

fn sql_type(word: &str) -> SqlType {
    SqlType::from_tag(word).unwrap_or(SqlType::Unknown)
}
