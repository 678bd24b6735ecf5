//! Functions over `numeric`, with the scales and the errors of PostgreSQL's.

use super::float::division_by_zero;
use crate::error::{Error, Result};
use crate::functions::define::{Call, Declaration, immutable};
use crate::types::datum::Datum;
use crate::types::values::numeric::Numeric;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let power = immutable("power(numeric, numeric) -> numeric", |call| number(call.numeric(0)?.power(call.numeric(1)?.as_ref())));
    vec![
        immutable("mod(numeric, numeric) -> numeric", |call| {
            let divisor = call.numeric(1)?;
            if divisor.is_zero() { Err(division_by_zero()) } else { number(call.numeric(0)?.rem(divisor.as_ref())) }
        }),
        immutable("div(numeric, numeric) -> numeric", |call| number(call.numeric(0)?.div_trunc(call.numeric(1)?.as_ref()))),
        immutable("gcd(numeric, numeric) -> numeric", |call| number(call.numeric(0)?.gcd(call.numeric(1)?.as_ref()))),
        immutable("lcm(numeric, numeric) -> numeric", |call| number(call.numeric(0)?.lcm(call.numeric(1)?.as_ref()))),
        immutable("factorial(int8) -> numeric", |call| number(Numeric::factorial(call.int(0)?))),
        immutable("sqrt(numeric) -> numeric", |call| number(call.numeric(0)?.sqrt())),
        immutable("exp(numeric) -> numeric", |call| number(call.numeric(0)?.exp())),
        immutable("ln(numeric) -> numeric", |call| number(call.numeric(0)?.ln())),
        immutable("log(numeric) -> numeric", |call| number(call.numeric(0)?.log10())),
        immutable("log10(numeric) -> numeric", |call| number(call.numeric(0)?.log10())),
        immutable("log(numeric, numeric) -> numeric", |call| {
            number(Numeric::log(call.numeric(0)?.as_ref(), call.numeric(1)?.as_ref()))
        }),
        power.also("pow"),
        power,
        immutable("scale(numeric) -> int4", |call| Ok(count(call.numeric(0)?.scale()))),
        immutable("min_scale(numeric) -> int4", |call| Ok(count(call.numeric(0)?.min_scale()))),
        immutable("trim_scale(numeric) -> numeric", |call| Ok(Datum::Numeric(call.numeric(0)?.trim_scale()))),
        immutable("width_bucket(numeric, numeric, numeric, int4) -> int4", |call| {
            let (low, high) = (call.numeric(1)?, call.numeric(2)?);
            let buckets = i32::try_from(call.int(3)?).map_err(|_| Error::internal("an integer of more than 32 bits"))?;
            call.numeric(0)?.width_bucket(low.as_ref(), high.as_ref(), buckets).map(|bucket| Datum::Int(bucket.into()))
        }),
        immutable("width_bucket(numeric, numeric[]) -> int4", thresholds),
    ]
}

fn number(value: Result<Numeric>) -> Result<Datum> {
    value.map(Datum::Numeric)
}

fn count(digits: Option<i32>) -> Datum {
    digits.map_or(Datum::Null, |digits| Datum::Int(digits.into()))
}

fn thresholds(call: &Call<'_>) -> Result<Datum> {
    let bounds = call
        .list(1)?
        .iter()
        .map(|bound| match bound {
            Datum::Numeric(bound) => Ok(bound.clone()),
            Datum::Int(bound) => Ok(Numeric::from_i64(*bound)),
            _ => Err(Error::internal("thresholds that are no numbers")),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Datum::Int(call.numeric(0)?.width_bucket_in(&bounds).into()))
}
