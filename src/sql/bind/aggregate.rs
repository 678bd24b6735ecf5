//! One aggregate or window function over arguments that are bound already, and what the engine's functions need of numbers.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::expr::{AggregateFunction, NullTreatment, WindowFunction, WindowFunctionParams};
use datafusion::logical_expr::function::WindowUDFFieldArgs;
use datafusion::logical_expr::{AggregateUDF, Case, Expr, Operator, SortExpr, WindowFrame, WindowFunctionDefinition};

use super::Binder;
use super::arguments::call_error;
use super::coerce::{Family, element_type, family};
use super::function::{in_sql_types, selected_type};
use super::numeric::{converted, keyed};
use super::operator::is_integer;
use super::typed::Typed;
use crate::error::{Error, Result};
use crate::functions::numeric::Operation;
use crate::types::SqlType;
use crate::types::numeric::innermost;

/// What follows the arguments of an aggregate.
pub(super) struct AggregateClauses {
    pub(super) filter: Option<Typed>,
    pub(super) order_by: Vec<SortExpr>,
    pub(super) null_treatment: Option<NullTreatment>,
    /// WITHIN GROUP: the order is an argument.
    pub(super) within_group: bool,
    /// The arguments as they were written.
    pub(super) given: Vec<Expr>,
}

/// What follows the arguments of a window function.
pub(super) struct Over {
    pub(super) partition_by: Vec<Expr>,
    pub(super) order_by: Vec<SortExpr>,
    pub(super) window_frame: WindowFrame,
    pub(super) filter: Option<Typed>,
    pub(super) null_treatment: Option<NullTreatment>,
}

impl Binder<'_> {
    /// GREATEST and LEAST of intervals, which the engine does not compare by their length.
    pub(super) fn extreme_interval(&self, values: Vec<Typed>, better: Operator) -> Result<Option<Typed>> {
        let mut values = values.into_iter();
        let Some(mut best) = values.next() else { return Ok(None) };
        for value in values {
            let stays = self.compare(better, self.copied(&best)?, self.copied(&value)?)?;
            let alone = Expr::IsNull(Box::new(self.copied(&value)?.expr));
            let expr = Expr::Case(Case::new(
                None,
                vec![(Box::new(stays.expr.or(alone)), Box::new(best.expr))],
                Some(Box::new(value.expr)),
            ));
            best = Typed::new(expr, SqlType::Interval, best.nullable && value.nullable);
        }
        Ok(Some(best))
    }

    /// An array of numbers and a number that is looked for in it, by what they are equal by.
    fn alike_by_key(&self, mut arguments: Vec<Typed>) -> Result<Vec<Typed>> {
        if let [array, value, ..] = arguments.as_mut_slice()
            && let Some(element) = element_type(&array.sql_type)
            && family(&element) == Family::Number
        {
            let probe = Typed::new(array.expr.clone(), element, true);
            if self.common_type(&[&probe, value], "ARRAY")? == SqlType::UnconstrainedNumeric {
                *array = keyed(self.unconstrained_array(array.clone()));
                *value = keyed(self.unconstrained(value.clone())?);
            }
        }
        Ok(arguments)
    }

    /// The aggregate `name` over such a value, or another that is given.
    pub(super) fn aggregate_named(&self, name: &str, given: Option<Arc<AggregateUDF>>, value: &Typed) -> Result<Arc<AggregateUDF>> {
        let found = given.or_else(|| self.world.scope.registry.aggregate_over(name, &value.data_type));
        found.ok_or_else(|| Error::internal(format!("the aggregate {name} is not there")))
    }

    pub(super) fn one_aggregate(
        &self,
        name: &str,
        aggregate: &Arc<AggregateUDF>,
        arguments: Vec<Typed>,
        distinct: bool,
        clauses: &AggregateClauses,
    ) -> Result<Typed> {
        let (arguments, fields) =
            self.typed_arguments(name, aggregate.as_ref(), &|fields| aggregate.return_field(fields).is_ok(), arguments)?;
        let returns = aggregate.return_field(&fields).map_err(|error| call_error(error, name, &arguments))?;
        let result_type = selected_type(name, &arguments, &returns);
        let function = AggregateFunction::new_udf(
            Arc::clone(aggregate),
            arguments.into_iter().map(|argument| argument.expr).collect(),
            distinct,
            clauses.filter.as_ref().map(|filter| Box::new(filter.expr.clone())),
            clauses.order_by.clone(),
            clauses.null_treatment,
        );
        let expr =
            if clauses.within_group { Expr::AggregateFunction(function) } else { self.in_order(name, function, &clauses.given)? };
        let mut typed = Typed::of_field(expr, &returns);
        typed.nullable = name != "count";
        if let Some(sql_type) = result_type {
            typed.sql_type = sql_type;
        }
        Ok(in_sql_types(name, typed))
    }

    pub(super) fn one_window(
        &self,
        name: &str,
        definition: WindowFunctionDefinition,
        arguments: Vec<Typed>,
        over: &Over,
    ) -> Result<Typed> {
        let (arguments, returns) = match &definition {
            WindowFunctionDefinition::AggregateUDF(aggregate) => {
                let (arguments, fields) =
                    self.typed_arguments(name, aggregate.as_ref(), &|fields| aggregate.return_field(fields).is_ok(), arguments)?;
                let returns = aggregate.return_field(&fields).map_err(|error| call_error(error, name, &arguments))?;
                (arguments, returns)
            }
            WindowFunctionDefinition::WindowUDF(window) => {
                let (arguments, fields) = self.typed_arguments(name, window.as_ref(), &|_| true, arguments)?;
                let returns =
                    window.field(WindowUDFFieldArgs::new(&fields, name)).map_err(|error| call_error(error, name, &arguments))?;
                (arguments, returns)
            }
        };
        let result_type = selected_type(name, &arguments, &returns);
        let expr = Expr::WindowFunction(Box::new(WindowFunction {
            fun: definition,
            params: WindowFunctionParams {
                args: arguments.into_iter().map(|argument| argument.expr).collect(),
                partition_by: over.partition_by.clone(),
                order_by: over.order_by.clone(),
                window_frame: over.window_frame.clone(),
                filter: over.filter.as_ref().map(|filter| Box::new(filter.expr.clone())),
                null_treatment: over.null_treatment,
                distinct: false,
            },
        }));
        let mut typed = Typed::of_field(expr, &returns);
        if let Some(sql_type) = result_type {
            typed.sql_type = sql_type;
        }
        Ok(in_sql_types(name, typed))
    }

    /// Arguments for a function of the engine, which knows no numerics with scales of their own: text for what writes, doubles for what
    /// computes.
    pub(super) fn number_arguments(&self, name: &str, arguments: Vec<Typed>) -> Result<Vec<Typed>> {
        let constant_digits = arguments.get(1).is_none_or(|digits| matches!(digits.expr, Expr::Literal(..)));
        if matches!(name, "round" | "trunc") && arguments.len() == 2 {
            // Whether all results have one scale must be known once and for all: no later step may find another constant.
            let settled = |(index, value): (usize, Typed)| match (index, &value.expr) {
                (0, _) if !constant_digits && value.sql_type.is_numeric() => self.unconstrained(value),
                (1, Expr::Literal(digits, _)) if is_integer(&value) => {
                    let digits = digits.cast_to(&DataType::Int64).map_err(|error| Error::internal("digits").with_source(error))?;
                    Ok(Typed::constant(digits, SqlType::Int8))
                }
                _ => Ok(value),
            };
            return arguments.into_iter().enumerate().map(settled).collect();
        }
        if arguments.iter().any(|value| value.data_type.is_nested() && *innermost(&value.data_type) == DataType::LargeBinary) {
            let conversion = match name {
                "array_to_string" | "array_join" => Some((Operation::Text, SqlType::Text)),
                "array_sum" | "array_avg" | "array_product" | "array_add" | "array_subtract" | "array_scale"
                | "array_normalize" | "array_distance" => Some((Operation::Float8, SqlType::Float8)),
                _ => None,
            };
            if let Some((conversion, element)) = conversion {
                let target = SqlType::Array(Box::new(element));
                let known = |value: Typed| match innermost(&value.data_type) {
                    DataType::LargeBinary => converted(value, conversion, &target),
                    _ => value,
                };
                return Ok(arguments.into_iter().map(known).collect());
            }
        }
        if matches!(name, "array_position" | "array_positions" | "array_contains" | "array_has")
            && arguments.iter().any(|value| value.sql_type.is_numeric())
        {
            return self.alike_by_key(arguments);
        }
        if self.world.scope.registry.knows_numerics(name) {
            return Ok(arguments);
        }
        let target = if matches!(name, "concat" | "concat_ws") { SqlType::Text } else { SqlType::Float8 };
        let known = |value: Typed| if value.data_type == DataType::LargeBinary { self.cast(value, &target) } else { Ok(value) };
        arguments.into_iter().map(known).collect()
    }
}
