//! Aggregates over numbers that are exact: averages and spreads as PostgreSQL computes them, from sums that cannot overflow.
//!
//! ```text
//!  avg(x)      ─▶ sum(x) / count(x)                               with the scale of a division
//!  stddev(x) ─▶ spread(count(x), sum(x), sum(x * x))              and its kin
//! ```
//! The parts are aggregates like all others: FILTER, OVER and GROUP BY go to each of them, and a sum that the query has besides is
//! computed once.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{AggregateUDF, Operator};

use super::Binder;
use super::numeric::{is_float, keyed};
use super::operator::{BinaryOp, is_integer};
use super::typed::Typed;
use crate::error::Result;
use crate::functions::numeric::aggregate::{of_distinct, sum};
use crate::functions::numeric::key::has_key;
use crate::functions::numeric::{self, Operation};
use crate::types::SqlType;
use crate::types::values::numeric::Spread;

/// Digits of a decimal up to which the engine's sums, ten digits wider, have room in 256 bits.
const SUMMED_WIDE: u8 = 66;

/// Aggregates that take any values and give them back, or count them.
const TAKE_ANYTHING: [&str; 23] = [
    "count",
    "grouping",
    "min",
    "max",
    "any_value",
    "array_agg",
    "collect_list",
    "first",
    "last",
    "first_value",
    "last_value",
    "nth_value",
    "lag",
    "lead",
    "mode",
    "percentile_disc",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "single_value",
    "max_by",
    "min_by",
];

/// One part: a name, maybe another function of that name, its argument, and whether DISTINCT is said.
pub(super) type Part<'p> = dyn Fn(&str, Option<Arc<AggregateUDF>>, Typed, bool) -> Result<Typed> + 'p;

fn spread(name: &str) -> Option<Spread> {
    Some(match name {
        "var_pop" | "var_population" => Spread::PopulationVariance,
        "var_samp" | "var_sample" | "var" | "variance" => Spread::SampleVariance,
        "stddev_pop" => Spread::PopulationDeviation,
        "stddev" | "stddev_samp" => Spread::SampleDeviation,
        _ => return None,
    })
}

fn is_exact(value: &Typed) -> bool {
    value.sql_type.is_numeric() || matches!(value.sql_type, SqlType::Int2 | SqlType::Int4 | SqlType::Int8) && is_integer(value)
}

impl Binder<'_> {
    /// The aggregate `name` over numbers, if it is one that PostgreSQL computes otherwise than the engine.
    pub(super) fn number_aggregate(&self, name: &str, value: &Typed, distinct: bool, part: &Part<'_>) -> Result<Option<Typed>> {
        let again = || self.copied(value);
        if (distinct && name == "count" || name.starts_with("approx_") && name.contains("distinct")) && has_key(&value.data_type) {
            return part(name, None, keyed(again()?), distinct).map(Some);
        }
        if name == "sum" {
            return match &value.data_type {
                DataType::LargeBinary if distinct => part(name, Some(of_distinct(None)), again()?, false).map(Some),
                DataType::LargeBinary => part(name, Some(sum()), again()?, false).map(Some),
                DataType::Decimal256(precision, _) if *precision > SUMMED_WIDE => {
                    let value = self.unconstrained(again()?)?;
                    self.number_aggregate(name, &value, distinct, part)
                }
                // Different ones are collected by the engine.
                DataType::Decimal128(..) if distinct => {
                    let aggregate = self.world.scope.registry.aggregate(name);
                    part(name, aggregate, again()?, true).map(Some)
                }
                DataType::Float32 => {
                    let sum = part(name, None, again()?, distinct)?;
                    self.cast(sum, &SqlType::Float4).map(Some)
                }
                _ => Ok(None),
            };
        }
        if !is_exact(value) {
            return Ok(None);
        }
        if matches!(name, "avg" | "mean") {
            let sum = self.part_or_sum(value, distinct, part)?;
            let counted = if distinct { keyed(again()?) } else { again()? };
            let count = part("count", None, counted, distinct)?;
            return self.numeric_arithmetic(&BinaryOp::Arithmetic(Operator::Divide), sum, count).map(Some);
        }
        let Some(what) = spread(name) else { return Ok(None) };
        if distinct {
            return part(name, Some(of_distinct(Some(what))), again()?, false).map(Some);
        }
        let count = part("count", None, again()?, false)?;
        // Not by a cast: the engine would call the sum of it as it calls the sum of the integers.
        let number = if is_integer(value) { self.unconstrained(again()?)? } else { again()? };
        let sum = self.part_or_sum(&number, false, part)?;
        let times = BinaryOp::Arithmetic(Operator::Multiply);
        let square = self.numeric_arithmetic(&times, self.copied(&number)?, number)?;
        let squares = self.part_or_sum(&square, false, part)?;
        let expr = numeric::call(Operation::Spread(what), vec![count.expr, sum.expr, squares.expr]);
        Ok(Some(Typed::new(expr, SqlType::UnconstrainedNumeric, true)))
    }

    fn part_or_sum(&self, value: &Typed, distinct: bool, part: &Part<'_>) -> Result<Typed> {
        match self.number_aggregate("sum", value, distinct, part)? {
            Some(sum) => Ok(sum),
            None => part("sum", None, self.copied(value)?, distinct),
        }
    }

    /// Arguments of an aggregate of the engine that knows no numerics with scales of their own: doubles for it.
    pub(super) fn aggregate_numbers(&self, name: &str, arguments: Vec<Typed>) -> Result<Vec<Typed>> {
        if TAKE_ANYTHING.contains(&name) {
            return Ok(arguments);
        }
        let double = |value: Typed| {
            let unknown_to_it = value.data_type == DataType::LargeBinary && name != "sum" && spread(name).is_none();
            if unknown_to_it && !is_float(&value) { self.cast(value, &SqlType::Float8) } else { Ok(value) }
        };
        arguments.into_iter().map(double).collect()
    }
}
