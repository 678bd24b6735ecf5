//! Arguments of calls: what an untyped one is read as, which overload they choose, and what is not converted unasked.
//!
//! ```text
//!  a first argument of bytes ─▶ the function over bytes
//!  a function of ours        ─▶ define::resolved: PostgreSQL's choice, and the types of its literals
//!  a function of the engine  ─▶ literals as texts, else as the first types that its signature takes
//! ```

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::type_coercion::functions::{UDFCoercionExt, fields_with_udf};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF};

use super::Binder;
use super::coerce::element_type;
use super::function::undefined_function;
use super::typed::Typed;
use crate::error::datafusion::from_datafusion;
use crate::error::{Error, Result};
use crate::functions::define;
use crate::functions::postgres::bytes::OVER_BYTES;
use crate::types::SqlType;
use crate::types::convert::is_text;

/// Functions of the engine that would take bytes for text.
const TEXT_ONLY: [&str; 14] = [
    "lower",
    "upper",
    "initcap",
    "left",
    "right",
    "reverse",
    "replace",
    "translate",
    "split_part",
    "strpos",
    "starts_with",
    "ascii",
    "char_length",
    "character_length",
];

impl Binder<'_> {
    /// A call whose first argument is a `bytea` means the function over bytes; there are no others over text for it.
    pub(super) fn over_bytes(
        &self,
        name: &str,
        arguments: Vec<Typed>,
        otherwise: impl FnOnce(Vec<Typed>) -> Result<Typed>,
    ) -> Result<Typed> {
        if arguments.first().is_none_or(|first| first.sql_type != SqlType::Bytea) {
            return otherwise(arguments);
        }
        if TEXT_ONLY.contains(&name) {
            return Err(undefined_function(name, &arguments));
        }
        let over_bytes = OVER_BYTES.iter().find(|(text, _)| *text == name);
        match over_bytes.and_then(|(_, bytes)| self.world.scope.registry.scalar(bytes, self.context())) {
            Some(function) => self.scalar_call(name, &function, arguments),
            None => otherwise(arguments),
        }
    }

    /// The overload of a function of ours that the arguments choose, and the arguments with what is untyped among them read as it
    /// wants. Functions of the engine stay as they are, but for `char(n)`, which is text without its spaces there.
    pub(super) fn overload(
        &self,
        name: &str,
        function: &Arc<ScalarUDF>,
        accepts: &dyn Fn(&[FieldRef]) -> bool,
        arguments: Vec<Typed>,
    ) -> Result<(Arc<ScalarUDF>, Vec<Typed>)> {
        if !define::is_ours(function) {
            let arguments = arguments.into_iter().map(|argument| match argument.sql_type {
                SqlType::Bpchar(_) if name == "octet_length" => self.padded(argument),
                SqlType::Bpchar(_) => self.cast(argument, &SqlType::Text),
                _ => Ok(argument),
            });
            return Ok((Arc::clone(function), arguments.collect::<Result<_>>()?));
        }
        let open: Vec<usize> = (0..arguments.len())
            .filter(|index| arguments[*index].is_unknown() && matches!(arguments[*index].expr, Expr::Placeholder(_)))
            .collect();
        let arguments =
            if open.is_empty() { arguments } else { self.typed_parameters(function.as_ref(), accepts, arguments, &open)? };
        let types: Vec<SqlType> = arguments.iter().map(|argument| argument.sql_type.clone()).collect();
        let data_types: Vec<DataType> = arguments.iter().map(|argument| argument.data_type.clone()).collect();
        let Some(define::Resolved { function, wanted }) = define::resolved(function, &types, &data_types) else {
            return Err(undefined_function(name, &arguments));
        };
        let arguments = arguments.into_iter().zip(wanted).map(|(argument, wanted)| match wanted {
            Some(wanted) if argument.is_unknown() => self.cast(argument, &wanted),
            _ => Ok(argument),
        });
        Ok((function, arguments.collect::<Result<_>>()?))
    }

    /// Arguments with every untyped one settled by the function's signature, and the fields that the function will get.
    pub(super) fn typed_arguments<F: UDFCoercionExt>(
        &self,
        name: &str,
        function: &F,
        accepts: &dyn Fn(&[FieldRef]) -> bool,
        arguments: Vec<Typed>,
    ) -> Result<(Vec<Typed>, Vec<FieldRef>)> {
        let open: Vec<usize> = arguments
            .iter()
            .enumerate()
            .filter(|(_, argument)| argument.is_unknown() && matches!(argument.expr, Expr::Placeholder(_)))
            .map(|(index, _)| index)
            .collect();
        let arguments = if open.is_empty() { arguments } else { self.typed_parameters(function, accepts, arguments, &open)? };
        let arguments = self.typed_literals(function, arguments)?;
        let fields: Vec<FieldRef> = arguments.iter().map(|argument| argument.field("")).collect();
        let coerced = fields_with_udf(&fields, function).map_err(|error| call_error(error, name, &arguments))?;
        // A text that is no literal is not read as something else unasked, nor anything else written as a text.
        let through_text = arguments.iter().zip(&coerced).any(|(argument, field)| {
            let (from, to) = (&argument.data_type, field.data_type());
            let is_text = is_text(&argument.sql_type) && from.is_string();
            let plain = !argument.is_unknown() && !to.is_nested() && !from.is_nested() && *from != DataType::Null;
            plain && (is_text && !to.is_string() || !from.is_string() && to.is_string())
        });
        if through_text {
            return Err(undefined_function(name, &arguments));
        }
        // An untyped literal is read as what the function wants of it, so that a wrong one is reported as PostgreSQL would.
        let arguments = arguments
            .into_iter()
            .zip(&coerced)
            .map(|(argument, field)| {
                let wants_text = field.data_type().is_string() || matches!(field.data_type(), DataType::Null);
                if argument.is_unknown() && argument.literal_text().is_some() && !wants_text && !field.data_type().is_nested() {
                    // The coerced field still says that the literal has no type.
                    let wanted = match SqlType::of_field(field) {
                        SqlType::Unknown => SqlType::of_arrow(field.data_type()),
                        known => known,
                    };
                    self.cast(argument, &wanted)
                } else {
                    Ok(argument)
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let fields: Vec<FieldRef> = arguments.iter().map(|argument| argument.field("")).collect();
        let coerced = fields_with_udf(&fields, function).map_err(|error| call_error(error, name, &arguments))?;
        Ok((arguments, coerced))
    }

    /// Untyped literals that the signature does not take for texts, as the first types that it takes: those of the other arguments, else
    /// the preferred types of PostgreSQL's categories.
    fn typed_literals<F: UDFCoercionExt>(&self, function: &F, arguments: Vec<Typed>) -> Result<Vec<Typed>> {
        /// With more of them the call is refused as it is.
        const MOST: usize = 3;
        let fields: Vec<FieldRef> = arguments.iter().map(|argument| argument.field("")).collect();
        let untyped: Vec<usize> = (0..arguments.len())
            .filter(|index| arguments[*index].is_unknown() && arguments[*index].literal_text().is_some())
            .collect();
        if untyped.is_empty() || untyped.len() > MOST || fields_with_udf(&fields, function).is_ok() {
            return Ok(arguments);
        }
        let mut candidates = vec![SqlType::Text];
        let known: Vec<&SqlType> =
            arguments.iter().map(|argument| &argument.sql_type).filter(|of| **of != SqlType::Unknown).collect();
        candidates.extend(known.iter().filter_map(|sql_type| element_type(sql_type)));
        candidates.extend(known.into_iter().cloned());
        candidates.extend([SqlType::Float8, SqlType::Int8, SqlType::Timestamptz, SqlType::Date, SqlType::Interval]);
        candidates.dedup();
        let combinations = candidates.len().pow(u32::try_from(untyped.len()).unwrap_or(0));
        for mut combination in 0..combinations {
            let mut fields = fields.clone();
            let mut chosen = vec![];
            for index in &untyped {
                let candidate = &candidates[combination % candidates.len()];
                combination /= candidates.len();
                fields[*index] = Arc::new(candidate.field("", true));
                chosen.push((*index, candidate.clone()));
            }
            if fields_with_udf(&fields, function).is_err() {
                continue;
            }
            let mut arguments = arguments;
            for (index, sql_type) in chosen {
                arguments[index] = self.cast(arguments[index].clone(), &sql_type)?;
            }
            return Ok(arguments);
        }
        Ok(arguments)
    }

    /// Types for parameters in a call: the first of a few that the signature takes.
    fn typed_parameters<F: UDFCoercionExt>(
        &self,
        function: &F,
        accepts: &dyn Fn(&[FieldRef]) -> bool,
        arguments: Vec<Typed>,
        open: &[usize],
    ) -> Result<Vec<Typed>> {
        let candidates = [
            SqlType::Text,
            SqlType::Int4,
            SqlType::Int8,
            SqlType::Float8,
            SqlType::Timestamp,
            SqlType::Date,
            SqlType::Interval,
            SqlType::Array(Box::new(SqlType::Text)),
        ];
        for candidate in &candidates {
            let fields: Vec<FieldRef> = arguments
                .iter()
                .enumerate()
                .map(
                    |(index, argument)| {
                        if open.contains(&index) { Arc::new(candidate.field("", true)) } else { argument.field("") }
                    },
                )
                .collect();
            let Ok(coerced) = fields_with_udf(&fields, function) else { continue };
            if !accepts(&coerced) {
                continue;
            }
            return arguments
                .into_iter()
                .zip(coerced)
                .enumerate()
                .map(|(index, (argument, field))| match open.contains(&index) {
                    // A function that reads text for anything says by the coerced type what it really wants.
                    true if field.data_type().is_string() => self.cast(argument, candidate),
                    true => self.cast(argument, &SqlType::of_field(&field)),
                    false => Ok(argument),
                })
                .collect();
        }
        arguments.into_iter().map(|argument| self.settled(argument)).collect()
    }

    /// Arguments of aggregates that make JSON: values whose text the session chooses are written before they are collected.
    pub(super) fn json_texts(&self, name: &str, distinct: bool, mut arguments: Vec<Typed>) -> Result<Vec<Typed>> {
        let index = match name {
            "json_agg" | "jsonb_agg" => 0,
            "json_object_agg" | "jsonb_object_agg" => 1,
            _ => return Ok(arguments),
        };
        let is_chosen = |value: &&mut Typed| {
            matches!(
                value.sql_type,
                SqlType::Timestamptz | SqlType::Interval | SqlType::Float4 | SqlType::Bytea | SqlType::Bpchar(_) | SqlType::Reg(_)
            )
        };
        if let Some(value) = arguments.get_mut(index).filter(|value| !distinct && is_chosen(value)) {
            *value = self.call_builtin("to_json", vec![value.clone()])?;
        }
        Ok(arguments)
    }

    /// Bytes as hex digits, for what the engine does with text only.
    pub(super) fn hex(&self, bytes: Typed) -> Result<Typed> {
        let bytes = self.cast(bytes, &SqlType::Bytea)?;
        match &bytes.expr {
            Expr::Literal(ScalarValue::Binary(Some(bytes)), _) => {
                Ok(Typed::constant(ScalarValue::Utf8(Some(hex::encode(bytes))), SqlType::Text))
            }
            _ => self.call_builtin("encode", vec![bytes, Typed::unknown("hex".to_string())]),
        }
    }
}

/// The value of a function over constants.
pub(super) fn evaluate(
    function: &Arc<ScalarUDF>,
    values: Vec<ScalarValue>,
    fields: &[FieldRef],
    returns: &FieldRef,
) -> Result<ScalarValue> {
    let arguments = values
        .into_iter()
        .zip(fields)
        .map(|(value, field)| {
            let value = if value.data_type() == *field.data_type() { value } else { value.cast_to(field.data_type())? };
            Ok(ColumnarValue::Scalar(value))
        })
        .collect::<datafusion::common::Result<Vec<_>>>()
        .map_err(|error| from_datafusion(error, false))?;
    let result = function
        .invoke_with_args(ScalarFunctionArgs {
            args: arguments,
            arg_fields: fields.to_vec(),
            number_rows: 1,
            return_field: Arc::clone(returns),
            config_options: Arc::new(ConfigOptions::default()),
        })
        .map_err(|error| from_datafusion(error, false))?;
    match result {
        ColumnarValue::Scalar(value) => Ok(value),
        ColumnarValue::Array(array) => ScalarValue::try_from_array(&array, 0).map_err(|error| from_datafusion(error, false)),
    }
}

/// What a function says about its arguments: its own error if it is one of ours, else 42883.
pub(super) fn call_error(error: datafusion::common::DataFusionError, name: &str, arguments: &[Typed]) -> Error {
    match error {
        datafusion::common::DataFusionError::External(inner) => match inner.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(other) => undefined_function(name, arguments).with_source(other),
        },
        other => undefined_function(name, arguments).with_source(other),
    }
}
