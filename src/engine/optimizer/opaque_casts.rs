//! Casts that change values or refuse some are functions of ours, which no rule of the library looks through.
//!
//! DataFusion takes a cast of a column for the value of the column: `n::int = 1` becomes `n = 1.00`, in plans, in the physical expressions of a
//! scan and where files and row groups are left out. That is right where every value has a cast of its own in the same order, and wrong
//! where 1.01 and 1.49 are 1 as well, where 70000 is no smallint and the statement must fail, and where `'10'` comes before `'9'`. Casts of
//! the first kind stay what they are, so that files can be left out by them.
//!
//! A moment's date is told to the optimiser as the range of moments of that day, which is exact.

use std::sync::Arc;

use datafusion::arrow::compute::CastOptions;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::format::DEFAULT_FORMAT_OPTIONS;
use datafusion::common::{DFSchema, ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    Cast, ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TryCast,
    Volatility,
};

use crate::types::SqlType;

/// The expression, as a function of ours if it is a cast that changes values or refuses some.
pub(super) fn opaque(node: Expr, schema: &DFSchema) -> (Expr, bool) {
    let (inner, target, safe) = match &node {
        Expr::Cast(Cast { expr, field }) => (expr, field, false),
        Expr::TryCast(TryCast { expr, field }) => (expr, field, true),
        _ => return (node, false),
    };
    // Arguments of lambdas have no type here; structs are cast by the names of their fields, which no rule takes apart.
    let Ok(from) = inner.get_type(schema) else { return (node, false) };
    if is_transparent(&from, target.data_type()) || target.data_type().is_nested() {
        return (node, false);
    }
    let fails = !safe && refuses(&from, target.data_type());
    let conversion = Conversion { target: Arc::clone(target), safe, fails, signature: Signature::any(1, Volatility::Immutable) };
    let argument = inner.as_ref().clone();
    let function = Arc::new(ScalarUDF::new_from_impl(conversion));
    (Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![argument])), true)
}

/// Whether each value has a cast, no two have the same, and the casts are ordered as the values are. What the library makes of such a cast is right.
fn is_transparent(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to || from.is_null() || (from.is_string() && to.is_string()) || (from.is_binary() && to.is_binary()) {
        return true;
    }
    match (from, to) {
        (T::Decimal128(p1, s1) | T::Decimal256(p1, s1), T::Decimal128(p2, s2) | T::Decimal256(p2, s2)) => {
            s2 >= s1 && whole_digits(*p2, *s2) >= whole_digits(*p1, *s1)
        }
        (integer, T::Decimal128(precision, scale) | T::Decimal256(precision, scale)) => {
            *scale >= 0 && most_digits(integer).is_some_and(|digits| digits <= whole_digits(*precision, *scale))
        }
        (T::Int8 | T::Int16 | T::UInt8 | T::UInt16, T::Float32 | T::Float64) | (T::Int32 | T::UInt32 | T::Float32, T::Float64) => {
            true
        }
        // A date before the first moment or behind the last is no moment; the range of dates that tables have is narrower.
        (T::Date32, T::Timestamp(_, None)) => true,
        (T::Timestamp(from_unit, from_zone), T::Timestamp(to_unit, to_zone)) => {
            from_zone.is_some() == to_zone.is_some() && fineness(*from_unit) <= fineness(*to_unit)
        }
        (T::Boolean, to) => to.is_integer(),
        (from, to) if from.is_signed_integer() && to.is_signed_integer() => bits(from) <= bits(to),
        (from, to) if from.is_unsigned_integer() && to.is_integer() => {
            bits(from) < bits(to) || (to.is_unsigned_integer() && bits(from) == bits(to))
        }
        _ => false,
    }
}

fn whole_digits(precision: u8, scale: i8) -> i16 {
    i16::from(precision) - i16::from(scale)
}

fn most_digits(integer: &DataType) -> Option<i16> {
    Some(match integer {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        DataType::UInt64 => 20,
        _ => return None,
    })
}

fn bits(integer: &DataType) -> usize {
    integer.primitive_width().unwrap_or(0)
}

fn fineness(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    }
}

const DAY_MICROS: i64 = 86_400_000_000;

/// A cast.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Conversion {
    target: FieldRef,
    /// NULL instead of an error.
    safe: bool,
    fails: bool,
    signature: Signature,
}

impl Conversion {
    /// Whether some value has no cast.
    pub(super) const fn fails(&self) -> bool {
        self.fails
    }
}

/// Whether some value of type `from` has no cast.
fn refuses(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    !matches!(
        (from, to),
        (T::Timestamp(..), T::Date32 | T::Time64(_) | T::Timestamp(..))
            | (T::Int32 | T::Int64 | T::UInt32 | T::UInt64 | T::Decimal128(..) | T::Decimal256(..), T::Float32 | T::Float64)
    )
}

impl ScalarUDFImpl for Conversion {
    fn name(&self) -> &str {
        if self.safe { "try_cast" } else { "cast" }
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let [value] = args else { return internal_err!("a cast has one operand") };
        let name = if self.safe { "TRY_CAST" } else { "CAST" };
        Ok(format!("{name}({value} AS {})", SqlType::of_arrow(self.target.data_type()).display_name()))
    }

    /// Not the name of the value: a join by a cast computes it in a column beside the value.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [value] => Ok(format!("{}({} AS {})", self.name(), value.schema_name(), self.target.data_type())),
            _ => internal_err!("a cast has one operand"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.target.data_type().clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let nullable = self.safe || args.arg_fields.iter().any(|field| field.is_nullable());
        let field = Field::new(self.name(), self.target.data_type().clone(), nullable);
        Ok(Arc::new(field.with_metadata(self.target.metadata().clone())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return internal_err!("a cast has one operand") };
        let options = CastOptions { safe: self.safe, format_options: DEFAULT_FORMAT_OPTIONS };
        value.cast_to(self.target.data_type(), Some(&options))
    }

    /// The moments of a day.
    fn preimage(&self, args: &[Expr], lit_expr: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        let [moment] = args else { return Ok(PreimageResult::None) };
        let (Expr::Literal(ScalarValue::Date32(Some(day)), _), DataType::Timestamp(TimeUnit::Microsecond, None)) =
            (lit_expr, info.get_data_type(moment)?)
        else {
            return Ok(PreimageResult::None);
        };
        let midnight = |day: i64| day.checked_mul(DAY_MICROS);
        let (Some(begin), Some(end)) = (midnight(i64::from(*day)), midnight(i64::from(*day) + 1)) else {
            return Ok(PreimageResult::None);
        };
        let at = |micros| ScalarValue::TimestampMicrosecond(Some(micros), None);
        let interval = Box::new(Interval::try_new(at(begin), at(end))?);
        Ok(PreimageResult::Range { expr: moment.clone(), interval })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_are_looked_through_only_where_they_keep_every_value_apart_and_in_order() {
        use DataType as T;
        let micros = |zone: Option<&str>| T::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (from, to) in [
            (T::Int16, T::Int64),
            (T::UInt32, T::Int64),
            (T::Int32, T::Decimal128(12, 2)),
            (T::Decimal128(10, 2), T::Decimal128(12, 3)),
            (T::Int32, T::Float64),
            (T::Utf8View, T::Utf8),
            (T::Date32, micros(None)),
            (micros(Some("UTC")), micros(Some("Europe/Berlin"))),
        ] {
            assert!(is_transparent(&from, &to), "{from} {to}");
        }
        for (from, to) in [
            (T::Int32, T::Int16),
            (T::Int64, T::UInt32),
            (T::UInt32, T::Int32),
            (T::Int64, T::Float64),
            (T::Int32, T::Decimal128(10, 2)),
            (T::Decimal128(10, 2), T::Int32),
            (T::Decimal128(10, 2), T::Decimal128(10, 1)),
            (T::Decimal128(10, 2), T::Decimal128(10, 3)),
            (T::Decimal128(10, 2), T::Float64),
            (T::Float64, T::Float32),
            (T::Utf8, T::Int32),
            (T::Int32, T::Utf8),
            (micros(None), T::Date32),
            (micros(None), micros(Some("UTC"))),
            (T::Timestamp(TimeUnit::Nanosecond, None), micros(None)),
            (T::Int32, T::Boolean),
        ] {
            assert!(!is_transparent(&from, &to), "{from} {to}");
        }
    }
}
