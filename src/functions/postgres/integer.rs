//! Functions over integers that fail where PostgreSQL's do.

use super::float::division_by_zero;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{Call, Declaration, immutable};
use crate::types::datum::Datum;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    vec![
        immutable("mod(int2, int2) -> int2", modulo),
        immutable("mod(int4, int4) -> int4", modulo),
        immutable("mod(int8, int8) -> int8", modulo),
        immutable("gcd(int4, int4) -> int4", |call| int4(gcd(call.int(0)?, call.int(1)?))),
        immutable("gcd(int8, int8) -> int8", |call| int8(gcd(call.int(0)?, call.int(1)?))),
        immutable("lcm(int4, int4) -> int4", |call| int4(lcm(call.int(0)?, call.int(1)?))),
        immutable("lcm(int8, int8) -> int8", |call| int8(lcm(call.int(0)?, call.int(1)?))),
    ]
}

/// An integer that must fit 32 bits.
pub(super) fn int4(value: i128) -> Result<Datum> {
    let fits = i32::try_from(value).map_err(|_| Error::new(ErrorKind::NumericOutOfRange, "integer out of range"));
    fits.map(|value| Datum::Int(value.into()))
}

fn int8(value: i128) -> Result<Datum> {
    i64::try_from(value).map(Datum::Int).map_err(|_| Error::new(ErrorKind::NumericOutOfRange, "bigint out of range"))
}

fn modulo(call: &Call<'_>) -> Result<Datum> {
    let divisor = call.int(1)?;
    if divisor == 0 { Err(division_by_zero()) } else { Ok(Datum::Int(call.int(0)?.wrapping_rem(divisor))) }
}

fn gcd(one: i64, two: i64) -> i128 {
    let (mut one, mut two) = (i128::from(one).abs(), i128::from(two).abs());
    while two != 0 {
        (one, two) = (two, one % two);
    }
    one
}

fn lcm(one: i64, two: i64) -> i128 {
    match gcd(one, two) {
        0 => 0,
        divisor => (i128::from(one).abs() / divisor).saturating_mul(i128::from(two).abs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_integers_have_divisors_and_multiples() {
        assert_eq!(gcd(i64::MIN, 0), 1 << 63);
        assert_eq!(gcd(i64::MIN, i64::MIN), 1 << 63);
        assert_eq!(lcm(i64::MIN, -1), 1 << 63);
        assert_eq!(lcm(6, -4), 12);
        assert_eq!(lcm(0, 0), 0);
        assert!(int4(1 << 31).is_err() && int8(1 << 63).is_err());
    }
}
