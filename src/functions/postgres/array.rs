//! Arrays, and the functions that return sets.

use std::cmp::Ordering;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{Call, Declaration, immutable, zoned};
use crate::functions::numeric::key::interval_length;
use crate::types::datum::Datum;
use crate::types::from_arrow_interval;
use crate::types::values::calendar::DAY_MICROS;
use crate::types::values::{IntervalValue, TimeZone, moment};

/// Most rows that one call of a set-returning function may give: they are made in memory.
const MAX_ROWS: usize = 4 << 20;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = sizes();
    all.extend(comparison());
    all.extend(search());
    all.extend(sets());
    all.extend(series());
    all
}

/// Length along a dimension: nested lists are further dimensions.
fn length(list: &[Datum], dimension: i64) -> Option<usize> {
    if list.is_empty() || dimension < 1 {
        return None;
    }
    match (dimension, list.first()) {
        (1, _) => Some(list.len()),
        (_, Some(Datum::List(inner))) => length(inner, dimension - 1),
        _ => None,
    }
}

fn dimensions(list: &[Datum]) -> Vec<usize> {
    let mut result = Vec::new();
    let mut level = Some(list);
    while let Some(items) = level.filter(|items| !items.is_empty()) {
        result.push(items.len());
        level = match items.first() {
            Some(Datum::List(inner)) => Some(inner),
            _ => None,
        };
    }
    result
}

fn count(number: Option<usize>) -> Datum {
    Datum::from(number.and_then(|number| i64::try_from(number).ok()))
}

fn sizes() -> Vec<Declaration> {
    let upper = immutable("array_upper(anyarray, int4) -> int4", |call| Ok(count(length(call.list(0)?, call.int(1)?))));
    vec![
        upper.also("array_length"),
        upper,
        immutable("array_lower(anyarray, int4) -> int4", |call| Ok(count(length(call.list(0)?, call.int(1)?).map(|_| 1)))),
        immutable("array_ndims(anyarray) -> int4", |call| Ok(count(Some(dimensions(call.list(0)?).len()).filter(|n| *n > 0)))),
        immutable("array_dims(anyarray) -> text", |call| {
            let text: String = dimensions(call.list(0)?).iter().map(|size| format!("[1:{size}]")).collect();
            Ok(if text.is_empty() { Datum::Null } else { Datum::from(text) })
        }),
        immutable("cardinality(anyarray) -> int4", |call| {
            Ok(count(Some(if call.list(0)?.is_empty() { 0 } else { dimensions(call.list(0)?).iter().product() })))
        }),
        immutable("size(anyarray) -> int4", |call| Ok(count(Some(call.list(0)?.len())))),
        immutable("array_size(anyarray) -> int4", |call| Ok(count(Some(call.list(0)?.len())))),
    ]
}

/// How PostgreSQL orders two elements: numbers by value, NaN behind all others, NULL last; arrays by their elements, then by their lengths.
fn compare(one: &Datum, two: &Datum) -> Ordering {
    let float = |one: f64, two: f64| one.partial_cmp(&two).unwrap_or_else(|| one.is_nan().cmp(&two.is_nan()));
    match (one, two) {
        (Datum::Null, Datum::Null) => Ordering::Equal,
        (Datum::Null, _) => Ordering::Greater,
        (_, Datum::Null) => Ordering::Less,
        (Datum::Bool(one), Datum::Bool(two)) => one.cmp(two),
        (Datum::Int(one), Datum::Int(two)) => one.cmp(two),
        (Datum::Float(one), Datum::Float(two)) => float(*one, *two),
        (Datum::Int(one), Datum::Float(two)) => float(*one as f64, *two),
        (Datum::Float(one), Datum::Int(two)) => float(*one, *two as f64),
        (Datum::Text(one), Datum::Text(two)) => one.cmp(two),
        (Datum::Bytes(one), Datum::Bytes(two)) => one.cmp(two),
        (Datum::Date(one), Datum::Date(two)) => one.cmp(two),
        (Datum::Time(one), Datum::Time(two))
        | (Datum::Timestamp(one), Datum::Timestamp(two))
        | (Datum::Timestamptz(one), Datum::Timestamptz(two)) => one.cmp(two),
        (Datum::Numeric(one), Datum::Numeric(two)) => one.compare(two),
        (Datum::Interval(one), Datum::Interval(two)) => interval_length(*one).cmp(&interval_length(*two)),
        (Datum::List(one), Datum::List(two)) => compare_lists(one, two),
        (Datum::Row(one), Datum::Row(two)) => {
            let fields = |row: &[(String, Datum)]| row.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>();
            compare_lists(&fields(one), &fields(two))
        }
        _ => {
            if one == two {
                Ordering::Equal
            } else {
                Ordering::Less
            }
        }
    }
}

fn compare_lists(one: &[Datum], two: &[Datum]) -> Ordering {
    let elements = one.iter().zip(two).map(|(one, two)| compare(one, two)).find(|order| order.is_ne());
    elements.unwrap_or_else(|| one.len().cmp(&two.len()))
}

/// Whether two elements are the same, NULL and NULL as well.
fn same(one: &Datum, two: &Datum) -> bool {
    compare(one, two).is_eq()
}

/// Whether all elements of `part` are in `whole`; a NULL is in nothing.
fn contains(whole: &[Datum], part: &[Datum]) -> bool {
    flat(part).into_iter().all(|item| !item.is_null() && flat(whole).into_iter().any(|found| same(found, item)))
}

/// The elements of all dimensions.
fn flat(list: &[Datum]) -> Vec<&Datum> {
    list.iter().flat_map(|item| if let Datum::List(inner) = item { flat(inner) } else { vec![item] }).collect()
}

fn comparison() -> Vec<Declaration> {
    vec![
        immutable("btarraycmp(anyarray, anyarray) -> int4", |call| {
            Ok(Datum::Int(compare_lists(call.list(0)?, call.list(1)?) as i64))
        }),
        immutable("arraycontains(anyarray, anyarray) -> bool", |call| Ok(Datum::Bool(contains(call.list(0)?, call.list(1)?)))),
        immutable("arraycontained(anyarray, anyarray) -> bool", |call| Ok(Datum::Bool(contains(call.list(1)?, call.list(0)?)))),
        immutable("arrayoverlap(anyarray, anyarray) -> bool", |call| {
            let (one, two) = (flat(call.list(0)?), flat(call.list(1)?));
            Ok(Datum::Bool(one.iter().any(|item| !item.is_null() && two.iter().any(|other| same(item, other)))))
        }),
        immutable("array_remove(anyarray, anyelement) -> anyarray", |call| {
            if call.get(0).is_null() {
                return Ok(Datum::Null);
            }
            Ok(Datum::List(call.list(0)?.iter().filter(|item| !same(item, call.get(1))).cloned().collect()))
        })
        .called_on_null(),
        immutable("array_replace(anyarray, anyelement, anyelement) -> anyarray", |call| {
            if call.get(0).is_null() {
                return Ok(Datum::Null);
            }
            let replaced = |item: &Datum| if same(item, call.get(1)) { call.get(2) } else { item }.clone();
            Ok(Datum::List(call.list(0)?.iter().map(replaced).collect()))
        })
        .called_on_null(),
        immutable("array_part(anyarray, int8, int8) -> anyarray", |call| {
            let list = call.list(0)?;
            let size = i64::try_from(list.len()).unwrap_or(i64::MAX);
            let (low, high) = (call.int(1)?.max(1), call.int(2)?.min(size));
            let place = |number: i64| usize::try_from(number).unwrap_or(0);
            Ok(Datum::List(if low > high { vec![] } else { list[place(low - 1)..place(high)].to_vec() }))
        }),
    ]
}

fn search() -> Vec<Declaration> {
    let position = |call: &Call<'_>| {
        if call.get(0).is_null() {
            return Ok(Datum::Null);
        }
        let skip = usize::try_from(call.get(2).as_int().unwrap_or(1) - 1).unwrap_or(0);
        let found = call.list(0)?.iter().enumerate().skip(skip).find(|(_, item)| same(item, call.get(1)));
        Ok(count(found.map(|(index, _)| index + 1)))
    };
    vec![
        immutable("array_position(anyarray, any) -> int4", position).called_on_null(),
        immutable("array_position(anyarray, any, int4) -> int4", position).called_on_null(),
        immutable("array_positions(anyarray, any) -> int4[]", |call| {
            if call.get(0).is_null() {
                return Ok(Datum::Null);
            }
            let found = call.list(0)?.iter().enumerate().filter(|(_, item)| same(item, call.get(1)));
            Ok(Datum::List(found.map(|(index, _)| count(Some(index + 1))).collect()))
        })
        .called_on_null(),
        immutable("array_contains(anyarray, any) -> bool", |call| {
            Ok(Datum::Bool(call.list(0)?.iter().any(|item| same(item, call.get(1)))))
        }),
        immutable("trim_array(anyarray, int4) -> anyarray", |call| {
            let list = call.list(0)?;
            let keep = usize::try_from(call.int(1)?).ok().and_then(|n| list.len().checked_sub(n));
            let keep = keep.ok_or_else(|| {
                Error::new(ErrorKind::InvalidParameter, format!("number of elements to trim must be between 0 and {}", list.len()))
            })?;
            Ok(Datum::List(list.iter().take(keep).cloned().collect()))
        }),
        immutable("array_fill(anyelement, int4[]) -> anyarray", |call| {
            let Datum::List(sizes) = call.get(1) else {
                return Err(Error::new(ErrorKind::DataException, "dimension array must not be null"));
            };
            let [Datum::Int(size)] = sizes.as_slice() else { return Err(Error::unsupported("array_fill with several dimensions")) };
            let size = usize::try_from(*size).unwrap_or(0);
            if size > MAX_ROWS {
                return Err(too_many());
            }
            Ok(Datum::List(vec![call.get(0).clone(); size]))
        })
        .called_on_null(),
    ]
}

fn too_many() -> Error {
    Error::new(ErrorKind::ProgramLimit, format!("a set-returning function may give at most {MAX_ROWS} rows"))
        .with_hint("Join several smaller series.")
}

fn subscripts(size: usize, reverse: bool) -> Datum {
    let numbers = (1..=size).map(|index| count(Some(index)));
    Datum::List(if reverse { numbers.rev().collect() } else { numbers.collect() })
}

fn sets() -> Vec<Declaration> {
    vec![
        immutable("generate_subscripts(anyarray, int4) -> setof int4", |call| {
            Ok(subscripts(length(call.list(0)?, call.int(1)?).unwrap_or(0), false))
        }),
        immutable("generate_subscripts(anyarray, int4, bool) -> setof int4", |call| {
            Ok(subscripts(length(call.list(0)?, call.int(1)?).unwrap_or(0), call.bool(2)?))
        }),
        immutable("unnest(anyarray) -> setof anyelement", |call| Ok(call.get(0).clone())),
        immutable("explode(anyarray) -> setof anyelement", |call| Ok(call.get(0).clone())),
        immutable("_pg_expandarray(anyarray) -> setof (x anyelement, n int4)", |call| {
            let row = |(index, item): (usize, &Datum)| {
                Datum::Row(vec![("x".to_string(), item.clone()), ("n".to_string(), count(Some(index + 1)))])
            };
            Ok(Datum::List(call.list(0)?.iter().enumerate().map(row).collect()))
        }),
    ]
}

fn zero_step() -> Error {
    Error::new(ErrorKind::InvalidParameter, "step size cannot equal zero")
}

/// Values from `start` to `stop`, both included, each made by `next` from the last.
fn walk(start: i64, stop: i64, forward: bool, next: impl Fn(i64) -> Result<Option<i64>>, wrap: fn(i64) -> Datum) -> Result<Datum> {
    let mut values = Vec::new();
    let mut current = Some(start);
    while let Some(value) = current.filter(|value| if forward { *value <= stop } else { *value >= stop }) {
        if values.len() >= MAX_ROWS {
            return Err(too_many());
        }
        values.push(wrap(value));
        current = next(value)?;
    }
    Ok(Datum::List(values))
}

fn integers(call: &Call<'_>) -> Result<Datum> {
    let step = if call.arguments.len() > 2 { call.int(2)? } else { 1 };
    if step == 0 {
        return Err(zero_step());
    }
    walk(call.int(0)?, call.int(1)?, step > 0, |value| Ok(value.checked_add(step)), Datum::Int)
}

/// A series of timestamps, or of instants in a zone.
fn times(start: i64, stop: i64, step: IntervalValue, zone: Option<&TimeZone>, wrap: fn(i64) -> Datum) -> Result<Datum> {
    let days = i128::from(step.months) * 30 + i128::from(step.days);
    let span = days * i128::from(DAY_MICROS) + i128::from(step.micros);
    if span == 0 {
        return Err(zero_step());
    }
    let next = |value| {
        let moved = match zone {
            Some(zone) => moment::instant_plus(value, step, zone)?,
            None => moment::timestamp_plus(value, step)?,
        };
        Ok((moved != value).then_some(moved))
    };
    walk(start, stop, span > 0, next, wrap)
}

/// `generate_series` of instants in a zone.
fn instants(call: &Call<'_>, zone: &TimeZone) -> Result<Datum> {
    match (call.get(0), call.get(1), call.get(2)) {
        (Datum::Timestamptz(start), Datum::Timestamptz(stop), Datum::Interval(step)) => {
            times(*start, *stop, from_arrow_interval(*step), Some(zone), Datum::Timestamptz)
        }
        _ => Ok(Datum::Null),
    }
}

fn series() -> Vec<Declaration> {
    vec![
        immutable("generate_series(int4, int4) -> setof int4", integers),
        immutable("generate_series(int4, int4, int4) -> setof int4", integers),
        immutable("generate_series(int8, int8) -> setof int8", integers),
        immutable("generate_series(int8, int8, int8) -> setof int8", integers),
        immutable("sequence(int8, int8) -> int8[]", integers),
        immutable("sequence(int8, int8, int8) -> int8[]", integers),
        immutable("generate_series(timestamp, timestamp, interval) -> setof timestamp", |call| {
            match (call.get(0), call.get(1), call.get(2)) {
                (Datum::Timestamp(start), Datum::Timestamp(stop), Datum::Interval(step)) => {
                    times(*start, *stop, from_arrow_interval(*step), None, Datum::Timestamp)
                }
                _ => Ok(Datum::Null),
            }
        }),
        zoned("generate_series(timestamptz, timestamptz, interval) -> setof timestamptz", |call| instants(call, call.zone)),
        zoned("generate_series(timestamptz, timestamptz, interval, text) -> setof timestamptz", |call| {
            instants(call, &TimeZone::lookup(call.text(3)?)?)
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_stop_at_their_end_and_at_the_limit() {
        let step = |value: i64| Ok(value.checked_add(2));
        assert_eq!(walk(1, 6, true, step, Datum::Int).unwrap(), Datum::from(vec![1_i64, 3, 5]));
        assert_eq!(walk(1, 0, true, step, Datum::Int).unwrap(), Datum::List(vec![]));
        assert!(walk(1, i64::MAX, true, |value| Ok(value.checked_add(1)), Datum::Int).is_err());
        assert!(times(0, 10, IntervalValue::default(), None, Datum::Timestamp).is_err());
    }

    #[test]
    fn months_step_by_the_calendar() {
        let month = IntervalValue { months: 1, ..IntervalValue::default() };
        let start = 19_723 * DAY_MICROS;
        let stop = 19_797 * DAY_MICROS;
        let Datum::List(found) = times(start, stop, month, None, Datum::Timestamp).unwrap() else { panic!("a list") };
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn dimensions_are_nested_lists() {
        let matrix = [Datum::from(vec![1_i64, 2, 3]), Datum::from(vec![4_i64, 5, 6])];
        assert_eq!(dimensions(&matrix), [2, 3]);
        assert_eq!(length(&matrix, 2), Some(3));
        assert_eq!(length(&[], 1), None);
    }
}
