//! `to_char`, `to_date`, `to_timestamp` by templates (section 9.8 of PostgreSQL's manual). The language itself is
//! [`crate::types::values`]'; the one of numbers is `number_template`.

use super::number_template;
use crate::error::Result;
use crate::functions::define::{Call, Declaration, immutable, zoned};
use crate::types::datum::Datum;
use crate::types::from_arrow_interval;
use crate::types::values::{
    date_by_template, instant_by_template, interval_by_template, timestamp_by_template, timestamptz_by_template,
};

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    vec![
        zoned("to_char(timestamptz, text) -> text", to_char),
        immutable("to_char(timestamp, text) -> text", to_char),
        immutable("to_char(interval, text) -> text", to_char),
        immutable("to_char(numeric, text) -> text", number_template::to_char),
        immutable("to_char(float8, text) -> text", number_template::to_char),
        immutable("to_char(int8, text) -> text", number_template::to_char),
        immutable("to_number(text, text) -> numeric", number_template::to_number),
        immutable("to_date(text, text) -> date", |call| Ok(Datum::Date(date_by_template(call.text(0)?, call.text(1)?)?))),
        // Databricks'.
        immutable("to_date(text) -> date", |call| {
            let text = call.text(0)?;
            Ok(Datum::Date(date_by_template(text.get(..10).unwrap_or(text), "YYYY-MM-DD")?))
        }),
        zoned("to_timestamp(text, text) -> timestamptz", |call| {
            Ok(Datum::Timestamptz(timestamptz_by_template(call.text(0)?, call.text(1)?, call.zone)?))
        }),
    ]
}

fn to_char(call: &Call<'_>) -> Result<Datum> {
    let template = call.text(1)?;
    Ok(Datum::from(match call.get(0) {
        Datum::Timestamptz(utc) => instant_by_template(*utc, call.zone, template)?,
        Datum::Timestamp(local) => timestamp_by_template(*local, template)?,
        Datum::Interval(interval) => interval_by_template(from_arrow_interval(*interval), template)?,
        _ => None,
    }))
}
