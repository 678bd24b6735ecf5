//! Comparison of numerics whose common type would have more digits than there are.
//!
//! DataFusion brings both sides to one decimal type, and adds digits beyond 76 until its arithmetic overflows (apache/datafusion#24850). Here they
//! are compared by what stands before the point, then by what stands behind it, which fits always.

use std::cmp::Ordering;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal256Type, i256};
use datafusion::common::{DataFusionError, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, binary_expr, lit,
};

/// Most digits of a decimal.
const MOST: i16 = 76;

/// Whether the common type of two numbers has more digits than there are.
pub(super) fn exceeds(left: &DataType, right: &DataType) -> bool {
    let (Some((left, left_scale)), Some((right, right_scale))) = (digits(left), digits(right)) else { return false };
    left.max(right) + left_scale.max(right_scale) > MOST
}

/// Digits before and behind the point.
fn digits(data_type: &DataType) -> Option<(i16, i16)> {
    Some(match data_type {
        DataType::Int16 => (5, 0),
        DataType::Int32 | DataType::UInt32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            (i16::from(*precision) - i16::from(*scale), i16::from(*scale).max(0))
        }
        _ => return None,
    })
}

/// `left operator right`.
pub(super) fn compare(left: Expr, operator: Operator, right: Expr) -> Expr {
    let function = NumericOrder { signature: Signature::any(2, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    // NULL is distinct from what is not, which the order of the two does not tell.
    let distinct = match operator {
        Operator::IsDistinctFrom => Some(lit(true)),
        Operator::IsNotDistinctFrom => Some(lit(false)),
        _ => None,
    };
    let order = Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![left.clone(), right.clone()]));
    let Some(distinct) = distinct else { return binary_expr(order, operator, lit(0_i32)) };
    let both_null = left.clone().is_null().and(right.clone().is_null());
    let one_null = left.is_null().or(right.is_null());
    let differs = Expr::IsTrue(Box::new(order.not_eq(lit(0_i32)))).or(one_null.and(Expr::Not(Box::new(both_null))));
    binary_expr(differs, Operator::Eq, distinct)
}

/// -1, 0 or 1.
#[derive(Debug, PartialEq, Eq, Hash)]
struct NumericOrder {
    signature: Signature,
}

impl ScalarUDFImpl for NumericOrder {
    fn name(&self) -> &str {
        "numeric_order"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int32)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else { return internal_err!("two numbers have an order") };
        let ((left, left_scale), (right, right_scale)) =
            (wide(&left.to_array(args.number_rows)?)?, wide(&right.to_array(args.number_rows)?)?);
        let (left, right) = (left.as_primitive::<Decimal256Type>(), right.as_primitive::<Decimal256Type>());
        let orders = (0..left.len()).map(|row| {
            let both = left.is_valid(row) && right.is_valid(row);
            both.then(|| order((left.value(row), left_scale), (right.value(row), right_scale)).map(|order| order as i32))
                .transpose()
        });
        Ok(ColumnarValue::Array(Arc::new(orders.collect::<Result<Int32Array>>()?)))
    }
}

/// The same numbers as 256-bit decimals, and the digits behind their points.
fn wide(numbers: &ArrayRef) -> Result<(ArrayRef, u32)> {
    let target = match numbers.data_type() {
        DataType::Decimal256(..) => return Ok((Arc::clone(numbers), scale_of(numbers.data_type()))),
        DataType::Decimal128(precision, scale) => DataType::Decimal256(*precision, *scale),
        _ => DataType::Decimal256(20, 0),
    };
    Ok((cast(numbers, &target)?, scale_of(&target)))
}

fn scale_of(data_type: &DataType) -> u32 {
    match data_type {
        DataType::Decimal256(_, scale) => u32::from(scale.unsigned_abs()),
        _ => 0,
    }
}

fn order((left, left_scale): (i256, u32), (right, right_scale): (i256, u32)) -> Result<Ordering> {
    let beyond = || DataFusionError::Internal("a decimal with more digits than there are".into());
    let ten = i256::from_i128(10);
    let unit = |scale: u32| ten.checked_pow(scale).ok_or_else(beyond);
    let parts = |number: i256, scale: u32| {
        let unit = unit(scale)?;
        match (number.checked_div(unit), number.checked_rem(unit)) {
            (Some(whole), Some(fraction)) => Ok((whole, fraction)),
            _ => Err(beyond()),
        }
    };
    let ((left_whole, left_fraction), (right_whole, right_fraction)) = (parts(left, left_scale)?, parts(right, right_scale)?);
    let finest = left_scale.max(right_scale);
    let widened = |fraction: i256, scale: u32| fraction.checked_mul(unit(finest - scale)?).ok_or_else(beyond);
    Ok(left_whole.cmp(&right_whole).then(widened(left_fraction, left_scale)?.cmp(&widened(right_fraction, right_scale)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_two_scales_have_an_order() {
        let number = |text: &str| {
            let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
            let scale = u32::try_from(fraction.len()).unwrap();
            (i256::from_string(&format!("{whole}{fraction}")).unwrap(), scale)
        };
        let nines = "9".repeat(76);
        let tiny = format!("0.{}1", "0".repeat(75));
        for (left, right, expected) in [
            ("1", "1.0000", Ordering::Equal),
            ("-1.5", "-1.4999", Ordering::Less),
            ("-1", "-1.0001", Ordering::Greater),
            (nines.as_str(), tiny.as_str(), Ordering::Greater),
            ("0", tiny.as_str(), Ordering::Less),
            ("123456", "5.0000000000000000000000000000000000000000000000000000000000000000000000", Ordering::Greater),
        ] {
            assert_eq!(order(number(left), number(right)).unwrap(), expected, "{left} {right}");
            assert_eq!(order(number(right), number(left)).unwrap(), expected.reverse(), "{right} {left}");
        }
    }

    #[test]
    fn only_what_has_no_common_type_is_compared_by_parts() {
        assert!(!exceeds(&DataType::Decimal128(38, 10), &DataType::Decimal128(38, 0)));
        assert!(!exceeds(&DataType::Int64, &DataType::Decimal256(76, 57)));
        assert!(exceeds(&DataType::Int64, &DataType::Decimal256(76, 58)));
        assert!(exceeds(&DataType::Decimal256(76, 0), &DataType::Decimal256(76, 52)));
        assert!(!exceeds(&DataType::Float64, &DataType::Decimal256(76, 52)));
    }
}
