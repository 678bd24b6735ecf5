//! Kernels over arrays of dates, times, timestamps and intervals: what a function of them reads and how it answers.
//!
//! ```text
//!  ColumnarValue ── dates | times | timestamps | instants | intervals | zones ──▶ Column ── binary / unary ──▶ ColumnarValue
//! ```
//! A constant stays a constant, NULL stays NULL, and the first error ends the call. Dates and timestamps without a zone become instants in
//! the session's zone where an instant is wanted. The arithmetic itself is [`crate::types::values`]'.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, PrimitiveBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Float64Type, Int64Type, IntervalMonthDayNanoType, Time64MicrosecondType, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;

use super::define::ArrayCall;
use crate::error::{Error, Result};
use crate::types::datum::from_arrow;
use crate::types::values::{IntervalValue, TimeZone, moment};
use crate::types::{from_arrow_interval, to_arrow_interval};

/// An argument: one value for all rows, or one for each.
pub(crate) struct Column<T> {
    values: Vec<Option<T>>,
    is_constant: bool,
}

impl<T: Clone> Column<T> {
    /// The value of a row.
    pub(crate) fn get(&self, row: usize) -> Option<T> {
        self.values.get(if self.is_constant { 0 } else { row }).cloned().flatten()
    }

    /// Each value, changed.
    pub(crate) fn map<U>(self, change: impl Fn(T) -> U) -> Column<U> {
        Column { values: self.values.into_iter().map(|value| value.map(&change)).collect(), is_constant: self.is_constant }
    }
}

fn argument<'a>(call: &ArrayCall<'a>, index: usize) -> Result<&'a ColumnarValue> {
    call.arguments.get(index).ok_or_else(|| Error::internal("a function got fewer arguments than it has"))
}

/// An argument as an array of one row if it is a constant.
fn array_of(value: &ColumnarValue, rows: usize) -> Result<(ArrayRef, bool)> {
    let is_constant = matches!(value, ColumnarValue::Scalar(_));
    let array = value.to_array(if is_constant { 1 } else { rows });
    Ok((array.map_err(|error| Error::internal("a function's argument").with_source(error))?, is_constant))
}

fn read<P: ArrowPrimitiveType, T>(array: &ArrayRef, convert: impl Fn(P::Native) -> Result<T>) -> Result<Vec<Option<T>>> {
    let array = array
        .as_primitive_opt::<P>()
        .ok_or_else(|| Error::internal(format!("a function of dates and times got {}", array.data_type())))?;
    array.iter().map(|value| value.map(&convert).transpose()).collect()
}

fn column<P: ArrowPrimitiveType>(call: &ArrayCall<'_>, index: usize) -> Result<Column<P::Native>> {
    let (array, is_constant) = array_of(argument(call, index)?, call.rows)?;
    Ok(Column { values: read::<P, _>(&array, Ok)?, is_constant })
}

/// Days.
pub(crate) fn dates(call: &ArrayCall<'_>, index: usize) -> Result<Column<i32>> {
    column::<Date32Type>(call, index)
}

/// Microseconds since midnight.
pub(crate) fn times(call: &ArrayCall<'_>, index: usize) -> Result<Column<i64>> {
    column::<Time64MicrosecondType>(call, index)
}

/// Doubles.
pub(crate) fn floats(call: &ArrayCall<'_>, index: usize) -> Result<Column<f64>> {
    let (array, is_constant) = array_of(argument(call, index)?, call.rows)?;
    let array = cast(&array, &DataType::Float64).map_err(from_arrow)?;
    Ok(Column { values: read::<Float64Type, _>(&array, Ok)?, is_constant })
}

/// Integers of any width.
pub(crate) fn integers(call: &ArrayCall<'_>, index: usize) -> Result<Column<i64>> {
    let (array, is_constant) = array_of(argument(call, index)?, call.rows)?;
    let array = cast(&array, &DataType::Int64).map_err(from_arrow)?;
    Ok(Column { values: read::<Int64Type, _>(&array, Ok)?, is_constant })
}

/// Intervals.
pub(crate) fn intervals(call: &ArrayCall<'_>, index: usize) -> Result<Column<IntervalValue>> {
    let (array, is_constant) = array_of(argument(call, index)?, call.rows)?;
    let values = read::<IntervalMonthDayNanoType, _>(&array, |value| Ok(from_arrow_interval(value)))?;
    Ok(Column { values, is_constant })
}

/// Timestamps, also those of dates.
pub(crate) fn timestamps(call: &ArrayCall<'_>, index: usize) -> Result<Column<i64>> {
    let (array, is_constant) = array_of(argument(call, index)?, call.rows)?;
    let values = match array.data_type() {
        DataType::Date32 => read::<Date32Type, _>(&array, moment::midnight)?,
        _ => read::<TimestampMicrosecondType, _>(&array, Ok)?,
    };
    Ok(Column { values, is_constant })
}

/// Instants, also those of dates and timestamps on the clocks of the session's zone.
pub(crate) fn instants(call: &ArrayCall<'_>, index: usize) -> Result<Column<i64>> {
    let (array, is_constant) = array_of(argument(call, index)?, call.rows)?;
    let of_local = |local: i64| moment::instant_of_local(local, call.zone);
    let values = match array.data_type() {
        DataType::Date32 => read::<Date32Type, _>(&array, |days| of_local(moment::midnight(days)?))?,
        DataType::Timestamp(_, None) => read::<TimestampMicrosecondType, _>(&array, of_local)?,
        _ => read::<TimestampMicrosecondType, _>(&array, Ok)?,
    };
    Ok(Column { values, is_constant })
}

/// Texts, each read once as long as it stays the same.
pub(crate) fn words<T: Clone>(call: &ArrayCall<'_>, index: usize, parse: impl Fn(&str) -> Result<T>) -> Result<Column<T>> {
    let (array, is_constant) = array_of(argument(call, index)?, call.rows)?;
    let array = cast(&array, &DataType::Utf8).map_err(from_arrow)?;
    let mut last: Option<(&str, T)> = None;
    let mut values = Vec::with_capacity(array.len());
    for text in array.as_string::<i32>() {
        values.push(match text {
            None => None,
            Some(text) => match &last {
                Some((known, value)) if *known == text => Some(value.clone()),
                _ => Some(last.insert((text, parse(text)?)).1.clone()),
            },
        });
    }
    Ok(Column { values, is_constant })
}

/// The zones that texts name.
pub(crate) fn zones(call: &ArrayCall<'_>, index: usize) -> Result<Column<Arc<TimeZone>>> {
    words(call, index, |text| TimeZone::lookup(text).map(Arc::new))
}

/// The answer of a function of one argument.
pub(crate) fn unary<A: Clone, R: ArrowPrimitiveType>(
    call: &ArrayCall<'_>,
    value: &Column<A>,
    compute: impl Fn(A) -> Result<R::Native>,
) -> Result<ColumnarValue> {
    rows::<R>(call, value.is_constant, |row| value.get(row).map(&compute).transpose())
}

/// The answer of a function of two arguments.
pub(crate) fn binary<A: Clone, B: Clone, R: ArrowPrimitiveType>(
    call: &ArrayCall<'_>,
    left: &Column<A>,
    right: &Column<B>,
    compute: impl Fn(A, B) -> Result<R::Native>,
) -> Result<ColumnarValue> {
    rows::<R>(call, left.is_constant && right.is_constant, |row| match (left.get(row), right.get(row)) {
        (Some(left), Some(right)) => compute(left, right).map(Some),
        _ => Ok(None),
    })
}

/// The answer of a function of three arguments.
pub(crate) fn ternary<A: Clone, B: Clone, C: Clone, R: ArrowPrimitiveType>(
    call: &ArrayCall<'_>,
    (first, second, third): (&Column<A>, &Column<B>, &Column<C>),
    compute: impl Fn(A, B, C) -> Result<R::Native>,
) -> Result<ColumnarValue> {
    let is_constant = first.is_constant && second.is_constant && third.is_constant;
    rows::<R>(call, is_constant, |row| match (first.get(row), second.get(row), third.get(row)) {
        (Some(first), Some(second), Some(third)) => compute(first, second, third).map(Some),
        _ => Ok(None),
    })
}

fn rows<R: ArrowPrimitiveType>(
    call: &ArrayCall<'_>,
    is_constant: bool,
    compute: impl Fn(usize) -> Result<Option<R::Native>>,
) -> Result<ColumnarValue> {
    let count = if is_constant { 1 } else { call.rows };
    let mut builder = PrimitiveBuilder::<R>::with_capacity(count);
    for row in 0..count {
        builder.append_option(compute(row)?);
    }
    let array: PrimitiveArray<R> = builder.finish();
    if !PrimitiveArray::<R>::is_compatible(call.returns) {
        return Err(Error::internal(format!("a function of dates and times gives {}", call.returns)));
    }
    let array: ArrayRef = Arc::new(array.with_data_type(call.returns.clone()));
    if is_constant {
        let scalar = ScalarValue::try_from_array(&array, 0);
        return Ok(ColumnarValue::Scalar(scalar.map_err(|error| Error::internal("a function's result").with_source(error))?));
    }
    Ok(ColumnarValue::Array(array))
}

/// The answer of a function that gives intervals.
pub(crate) fn interval_of_two<A: Clone, B: Clone>(
    call: &ArrayCall<'_>,
    left: &Column<A>,
    right: &Column<B>,
    compute: impl Fn(A, B) -> Result<IntervalValue>,
) -> Result<ColumnarValue> {
    binary::<_, _, IntervalMonthDayNanoType>(call, left, right, |left, right| to_arrow_interval(compute(left, right)?))
}

/// The answer of a function of one argument that gives intervals.
pub(crate) fn interval_of_one<A: Clone>(
    call: &ArrayCall<'_>,
    value: &Column<A>,
    compute: impl Fn(A) -> Result<IntervalValue>,
) -> Result<ColumnarValue> {
    unary::<_, IntervalMonthDayNanoType>(call, value, |value| to_arrow_interval(compute(value)?))
}
