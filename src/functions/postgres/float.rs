//! Functions over floating-point numbers that fail where PostgreSQL's do: outside their domain, and where the result would be infinite
//! or zero only because there is no nearer number.

use super::integer::int4;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{Call, Declaration, immutable};
use crate::types::datum::Datum;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let power = immutable("power(float8, float8) -> float8", |call| float(power(call.float(0)?, call.float(1)?)));
    let log = immutable("log(float8) -> float8", |call| float(positive(call.float(0)?).map(f64::log10)));
    vec![
        immutable("mod(float8, float8) -> float8", |call| {
            let divisor = call.float(1)?;
            if divisor == 0.0 { Err(division_by_zero()) } else { Ok(Datum::Float(call.float(0)? % divisor)) }
        }),
        immutable("sqrt(float8) -> float8", |call| {
            let value = call.float(0)?;
            let negative = || Error::new(ErrorKind::InvalidPower, "cannot take square root of a negative number");
            if value < 0.0 { Err(negative()) } else { Ok(Datum::Float(value.sqrt())) }
        }),
        immutable("exp(float8) -> float8", |call| {
            let value = call.float(0)?;
            float(in_range(value.exp(), value.is_infinite(), value.is_infinite()))
        }),
        immutable("ln(float8) -> float8", |call| float(positive(call.float(0)?).map(f64::ln))),
        log.also("log10"),
        log,
        power.also("pow"),
        power,
        within("acos(float8) -> float8"),
        within("asin(float8) -> float8"),
        within("acosh(float8) -> float8"),
        within("atanh(float8) -> float8"),
        within("sin(float8) -> float8"),
        within("cos(float8) -> float8"),
        within("tan(float8) -> float8"),
        within("cot(float8) -> float8"),
        immutable("sind(float8) -> float8", |call| float(finite(call.float(0)?).map(|degrees| degrees.to_radians().sin()))),
        immutable("cosd(float8) -> float8", |call| float(finite(call.float(0)?).map(|degrees| degrees.to_radians().cos()))),
        immutable("tand(float8) -> float8", |call| float(finite(call.float(0)?).map(|degrees| degrees.to_radians().tan()))),
        immutable("width_bucket(float8, float8, float8, int4) -> int4", width_bucket),
        immutable("width_bucket(float8, float8[]) -> int4", |call| {
            let operand = call.float(0)?;
            let below = |bound: &&Datum| match bound {
                Datum::Float(bound) => *bound <= operand || operand.is_nan(),
                Datum::Int(bound) => (*bound as f64) <= operand || operand.is_nan(),
                _ => false,
            };
            Ok(Datum::Int(i64::try_from(call.list(1)?.iter().filter(below).count()).unwrap_or(i64::MAX)))
        }),
    ]
}

/// A function of one number that is not defined everywhere.
fn within(signature: &'static str) -> Declaration {
    let body: fn(&Call<'_>) -> Result<Datum> = match signature.split('(').next() {
        Some("acos") => |call| float(domain(call.float(0)?, |x| x.abs() <= 1.0).map(f64::acos)),
        Some("asin") => |call| float(domain(call.float(0)?, |x| x.abs() <= 1.0).map(f64::asin)),
        Some("acosh") => |call| float(domain(call.float(0)?, |x| x >= 1.0).map(f64::acosh)),
        Some("atanh") => |call| float(domain(call.float(0)?, |x| x.abs() <= 1.0).map(f64::atanh)),
        Some("sin") => |call| float(finite(call.float(0)?).map(f64::sin)),
        Some("cos") => |call| float(finite(call.float(0)?).map(f64::cos)),
        Some("tan") => |call| float(finite(call.float(0)?).map(f64::tan)),
        _ => |call| float(finite(call.float(0)?).map(|x| x.tan().recip())),
    };
    immutable(signature, body)
}

fn float(value: Result<f64>) -> Result<Datum> {
    value.map(Datum::Float)
}

pub(super) fn division_by_zero() -> Error {
    Error::new(ErrorKind::DivisionByZero, "division by zero")
}

fn domain(value: f64, inside: fn(f64) -> bool) -> Result<f64> {
    if value.is_nan() || inside(value) { Ok(value) } else { Err(Error::new(ErrorKind::NumericOutOfRange, "input is out of range")) }
}

fn finite(value: f64) -> Result<f64> {
    domain(value, f64::is_finite)
}

fn positive(value: f64) -> Result<f64> {
    let refused = |what: &str| Err(Error::new(ErrorKind::InvalidLogarithm, format!("cannot take logarithm of {what}")));
    if value == 0.0 {
        refused("zero")
    } else if value < 0.0 {
        refused("a negative number")
    } else {
        Ok(value)
    }
}

/// A result that may be infinite, or zero, only where that is exact.
fn in_range(value: f64, may_be_infinite: bool, may_be_zero: bool) -> Result<f64> {
    let refused = |what: &str| Err(Error::new(ErrorKind::NumericOutOfRange, format!("value out of range: {what}")));
    if value.is_infinite() && !may_be_infinite {
        refused("overflow")
    } else if value == 0.0 && !may_be_zero {
        refused("underflow")
    } else {
        Ok(value)
    }
}

fn power(base: f64, exponent: f64) -> Result<f64> {
    let refused = |message: &str| Err(Error::new(ErrorKind::InvalidPower, message));
    if base == 0.0 && exponent < 0.0 {
        return refused("zero raised to a negative power is undefined");
    }
    if base < 0.0 && exponent.is_finite() && exponent.fract() != 0.0 {
        return refused("a negative number raised to a non-integer power yields a complex result");
    }
    let exact = base.is_infinite() || exponent.is_infinite();
    in_range(base.powf(exponent), exact, exact || base == 0.0)
}

fn width_bucket(call: &Call<'_>) -> Result<Datum> {
    let (operand, low, high, buckets) = (call.float(0)?, call.float(1)?, call.float(2)?, call.int(3)?);
    let invalid = |message: &str| Err(Error::new(ErrorKind::InvalidWidthBucket, message));
    if buckets <= 0 {
        return invalid("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return invalid("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.is_infinite() || high.is_infinite() {
        return invalid("lower and upper bounds must be finite");
    }
    if low.total_cmp(&high).is_eq() {
        return invalid("lower bound cannot equal upper bound");
    }
    let beyond = if low < high { operand >= high } else { operand <= high };
    let before = if low < high { operand < low } else { operand > low };
    if before {
        return Ok(Datum::Int(0));
    }
    if beyond {
        return int4(i128::from(buckets) + 1);
    }
    // Halved where the difference of the bounds has no number.
    let fraction = if (high - low).is_finite() {
        (operand - low) / (high - low)
    } else {
        (operand / 2.0 - low / 2.0) / (high / 2.0 - low / 2.0)
    };
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and the number of buckets")]
    let bucket = (fraction * buckets as f64).floor() as i64;
    int4(i128::from(bucket.min(buckets - 1)) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_fail_where_postgresql_does() {
        assert!((power(2.0, 10.0).unwrap() - 1024.0).abs() < f64::EPSILON);
        assert_eq!(power(0.0, -1.0).unwrap_err().kind(), ErrorKind::InvalidPower);
        assert_eq!(power(-1.0, 0.5).unwrap_err().kind(), ErrorKind::InvalidPower);
        assert_eq!(power(10.0, 400.0).unwrap_err().message(), "value out of range: overflow");
        assert_eq!(power(10.0, -400.0).unwrap_err().message(), "value out of range: underflow");
        assert!(power(0.0, 2.0).is_ok() && power(f64::INFINITY, 2.0).is_ok() && power(1.0, f64::NAN).is_ok());
    }
}
