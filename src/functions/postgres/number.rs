//! Arithmetic whose PostgreSQL meaning the engine's own functions do not have, and sizes in words.

use datafusion::arrow::datatypes::i256;
use rand::Rng as _;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{Call, Declaration, immutable, stable, volatile};
use crate::types::SqlType;
use crate::types::datum::{Datum, numeric_text, rescale};

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = vec![
        immutable("mod(int4, int4) -> int4", modulo),
        immutable("mod(int8, int8) -> int8", modulo),
        immutable("mod(numeric, numeric) -> numeric", |call| {
            let (value, divisor, scale) = same_scale(call)?;
            if divisor == i256::ZERO { Err(division_by_zero()) } else { Ok(Datum::Numeric(value.wrapping_rem(divisor), scale)) }
        })
        .returning(|types, _| SqlType::Numeric { precision: 38, scale: greatest_scale(types) }),
        immutable("mod(float8, float8) -> float8", |call| {
            let divisor = call.float(1)?;
            if divisor == 0.0 { Err(division_by_zero()) } else { Ok(Datum::Float(call.float(0)? % divisor)) }
        }),
        immutable("div(numeric, numeric) -> numeric", |call| {
            let (value, divisor, _) = same_scale(call)?;
            if divisor == i256::ZERO { Err(division_by_zero()) } else { Ok(Datum::Numeric(value.wrapping_div(divisor), 0)) }
        })
        .returning(|_, _| SqlType::Numeric { precision: 38, scale: 0 }),
        immutable("div(float8, float8) -> float8", |call| {
            let divisor = call.float(1)?;
            if divisor == 0.0 { Err(division_by_zero()) } else { Ok(Datum::Float((call.float(0)? / divisor).trunc())) }
        }),
        immutable("gcd(int4, int4) -> int4", |call| Ok(Datum::Int(gcd(call.int(0)?, call.int(1)?)))),
        immutable("gcd(int8, int8) -> int8", |call| Ok(Datum::Int(gcd(call.int(0)?, call.int(1)?)))),
        immutable("lcm(int4, int4) -> int4", lcm),
        immutable("lcm(int8, int8) -> int8", lcm),
        immutable("factorial(int8) -> numeric", |call| {
            let number = call.int(0)?;
            if number < 0 {
                return Err(Error::new(ErrorKind::NumericOutOfRange, "factorial of a negative number is undefined"));
            }
            let product =
                (1..=i128::from(number.min(40))).try_fold(1_i128, i128::checked_mul).filter(|product| *product < 10_i128.pow(38));
            product
                .map(|product| Datum::Numeric(i256::from_i128(product), 0))
                .ok_or_else(|| Error::new(ErrorKind::NumericOutOfRange, "value overflows numeric format"))
        })
        .returning(|_, _| SqlType::Numeric { precision: 38, scale: 0 }),
        immutable("pmod(int8, int8) -> int8", |call| {
            let divisor = call.int(1)?;
            if divisor == 0 { Ok(Datum::Null) } else { Ok(Datum::Int(call.int(0)?.rem_euclid(divisor))) }
        }),
        immutable("width_bucket(float8, float8, float8, int4) -> int4", width_bucket),
        immutable("width_bucket(float8, float8[]) -> int4", |call| {
            let operand = call.float(0)?;
            let bounds = call.list(1)?.iter().filter(|bound| match bound {
                Datum::Float(bound) => *bound <= operand,
                Datum::Int(bound) => (*bound as f64) <= operand,
                _ => false,
            });
            Ok(Datum::Int(i64::try_from(bounds.count()).unwrap_or(i64::MAX)))
        }),
        immutable("scale(numeric) -> int4", |call| {
            Ok(match call.get(0) {
                Datum::Numeric(_, scale) => Datum::Int((*scale).into()),
                _ => Datum::Int(0),
            })
        }),
        immutable("sind(float8) -> float8", |call| Ok(Datum::Float(call.float(0)?.to_radians().sin()))),
        immutable("cosd(float8) -> float8", |call| Ok(Datum::Float(call.float(0)?.to_radians().cos()))),
        immutable("tand(float8) -> float8", |call| Ok(Datum::Float(call.float(0)?.to_radians().tan()))),
        volatile("random(int4, int4) -> int4", random_between),
        volatile("random(int8, int8) -> int8", random_between),
        volatile("random() -> float8", |_| Ok(Datum::Float(rand::rng().random::<f64>()))),
        volatile("rand() -> float8", |_| Ok(Datum::Float(rand::rng().random::<f64>()))),
        volatile("gen_random_uuid() -> uuid", |_| Ok(Datum::from(uuid::Uuid::new_v4().to_string()))),
        volatile("uuid() -> text", |_| Ok(Datum::from(uuid::Uuid::new_v4().to_string()))),
        volatile("uuid_generate_v4() -> uuid", |_| Ok(Datum::from(uuid::Uuid::new_v4().to_string()))),
    ];
    all.extend(sizes());
    all
}

fn modulo(call: &Call<'_>) -> Result<Datum> {
    let divisor = call.int(1)?;
    if divisor == 0 { Err(division_by_zero()) } else { Ok(Datum::Int(call.int(0)?.wrapping_rem(divisor))) }
}

/// Both arguments at the greater of their scales.
fn same_scale(call: &Call<'_>) -> Result<(i256, i256, i8)> {
    let decimal = |index| match call.get(index) {
        Datum::Numeric(value, scale) => Ok((*value, *scale)),
        Datum::Int(value) => Ok((i256::from_i128((*value).into()), 0)),
        _ => Err(Error::internal("a decimal function got another type")),
    };
    let ((one, one_scale), (two, two_scale)) = (decimal(0)?, decimal(1)?);
    let scale = one_scale.max(two_scale);
    Ok((rescale(one, one_scale, scale)?, rescale(two, two_scale, scale)?, scale))
}

fn greatest_scale(types: &[SqlType]) -> i8 {
    let scale = |sql_type: &SqlType| if let SqlType::Numeric { scale, .. } = sql_type { *scale } else { 0 };
    types.iter().map(scale).max().unwrap_or(0)
}

fn gcd(one: i64, two: i64) -> i64 {
    let (mut one, mut two) = (one.wrapping_abs(), two.wrapping_abs());
    while two != 0 {
        (one, two) = (two, one.wrapping_rem(two));
    }
    one
}

fn lcm(call: &Call<'_>) -> Result<Datum> {
    let (one, two) = (call.int(0)?, call.int(1)?);
    let divisor = gcd(one, two);
    if divisor == 0 {
        return Ok(Datum::Int(0));
    }
    let product = (one / divisor).checked_mul(two).and_then(i64::checked_abs);
    product.map(Datum::Int).ok_or_else(|| Error::new(ErrorKind::NumericOutOfRange, "bigint out of range"))
}

fn random_between(call: &Call<'_>) -> Result<Datum> {
    let (low, high) = (call.int(0)?, call.int(1)?);
    if low > high {
        return Err(Error::new(ErrorKind::InvalidParameter, "lower bound must be less than or equal to upper bound"));
    }
    Ok(Datum::Int(rand::rng().random_range(low..=high)))
}

fn division_by_zero() -> Error {
    Error::new(ErrorKind::DivisionByZero, "division by zero")
}

fn width_bucket(call: &Call<'_>) -> Result<Datum> {
    let (operand, low, high, buckets) = (call.float(0)?, call.float(1)?, call.float(2)?, call.int(3)?);
    let invalid = |message: &str| Err(Error::new(ErrorKind::InvalidParameter, message));
    if buckets <= 0 {
        return invalid("count must be greater than zero");
    }
    if operand.is_nan() || low.is_nan() || high.is_nan() {
        return invalid("operand, lower bound, and upper bound cannot be NaN");
    }
    if low.total_cmp(&high).is_eq() {
        return invalid("lower bound cannot equal upper bound");
    }
    let fraction = (operand - low) / (high - low);
    #[expect(clippy::cast_possible_truncation, reason = "between 0 and the number of buckets")]
    let bucket = if fraction < 0.0 {
        0
    } else if fraction >= 1.0 {
        buckets + 1
    } else {
        (fraction * buckets as f64).floor() as i64 + 1
    };
    Ok(Datum::Int(bucket))
}

/// Sizes of relations. A table's size tells about rows that a policy may hide, so nothing is told here; DESCRIBE shows it to owners.
fn sizes() -> Vec<Declaration> {
    let unknown = |signature| stable(signature, |_| Ok(Datum::Int(0)));
    vec![
        immutable("pg_size_pretty(int8) -> text", |call| Ok(Datum::from(size_text(call.int(0)?.into())))),
        immutable("pg_size_pretty(numeric) -> text", |call| {
            Ok(match call.get(0) {
                Datum::Numeric(value, scale) => {
                    let whole = numeric_text(*value, *scale);
                    Datum::from(size_text(whole.split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0)))
                }
                Datum::Int(value) => Datum::from(size_text((*value).into())),
                _ => Datum::Null,
            })
        }),
        immutable("pg_size_bytes(text) -> int8", size_bytes),
        unknown("pg_relation_size(regclass) -> int8"),
        unknown("pg_relation_size(regclass, text) -> int8"),
        unknown("pg_table_size(regclass) -> int8"),
        unknown("pg_indexes_size(regclass) -> int8"),
        unknown("pg_total_relation_size(regclass) -> int8"),
        unknown("pg_database_size(object) -> int8"),
        unknown("pg_tablespace_size(object) -> int8"),
        immutable("pg_column_size(any) -> int4", |_| Ok(Datum::Null)),
    ]
}

/// A number of bytes as PostgreSQL writes it: `8192 bytes`, `10 kB`.
fn size_text(bytes: i128) -> String {
    if bytes.abs() < 10 * 1024 {
        return format!("{bytes} bytes");
    }
    let mut size = bytes / 512;
    for unit in ["kB", "MB", "GB", "TB", "PB"] {
        if size.abs() < 20 * 1024 - 1 || unit == "PB" {
            let half = if size < 0 { size - 1 } else { size + 1 };
            return format!("{} {unit}", half / 2);
        }
        size /= 1024;
    }
    format!("{bytes} bytes")
}

fn size_bytes(call: &Call<'_>) -> Result<Datum> {
    let text = call.text(0)?.trim();
    let invalid = || Error::new(ErrorKind::InvalidParameter, format!("invalid size: \"{text}\""));
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let shift = match unit.trim().to_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        "tb" => 40,
        "pb" => 50,
        _ => return Err(invalid().with_hint("Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")),
    };
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let bytes = (number * (1_i64 << shift) as f64).round() as i64;
    Ok(Datum::Int(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_with_their_unit() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (8192, "8192 bytes"),
            (10_240, "10 kB"),
            (1 << 20, "1024 kB"),
            (123_456_789, "118 MB"),
            (-20_480, "-20 kB"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
    }
}
