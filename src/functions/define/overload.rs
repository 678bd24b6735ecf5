//! Which overload a call means.
//!
//! ```text
//!  SQL types, as the binder knows them ── choose ──▶ PostgreSQL's rules (func_select_candidate): exact types, preferred types, the
//!                                                    string category for untyped literals
//!  Arrow types, as the engine asks ───── fit ─────▶ the cheapest conversion
//! ```
//! The binder narrows a function to the chosen overload, so that the engine's question has one answer.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

use super::Declaration;
use super::signature::Parameter;
use crate::functions::builtin::static_rows;
use crate::types::SqlType;
use crate::types::convert::is_text;

/// Source and target of the implicit casts of `pg_cast`.
static IMPLICIT: LazyLock<HashSet<(u32, u32)>> = LazyLock::new(|| {
    let oid = |row: &[&str], column: usize| row.get(column).and_then(|text| text.parse().ok()).unwrap_or(0);
    let implicit = static_rows("pg_cast").iter().filter(|row| row.get(4) == Some(&"i"));
    implicit.map(|row| (oid(row, 1), oid(row, 2))).collect()
});

/// How an argument of a known type becomes a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// It is of that very type.
    Exact,
    /// PostgreSQL converts it unasked.
    Implicit,
}

/// Whether PostgreSQL brings values of one type to the other unasked.
fn is_implicit(from: &SqlType, to: &SqlType) -> bool {
    match (from, to) {
        (SqlType::Array(from), SqlType::Array(to)) => from.oid() == to.oid() || is_implicit(from, to),
        (SqlType::Int2Vector, SqlType::Array(element)) => **element == SqlType::Int2,
        (SqlType::OidVector, SqlType::Array(element)) => **element == SqlType::Oid,
        _ => from.oid() == to.oid() || IMPLICIT.contains(&(from.oid(), to.oid())),
    }
}

fn way(parameter: &Parameter, argument: &SqlType) -> Option<Way> {
    match parameter {
        Parameter::Any | Parameter::AnyElement | Parameter::Exact(SqlType::Unknown) => Some(Way::Implicit),
        Parameter::AnyArray => {
            matches!(argument, SqlType::Array(_) | SqlType::Int2Vector | SqlType::OidVector).then_some(Way::Implicit)
        }
        Parameter::Object => (is_text(argument) || category(argument) == 'N').then_some(Way::Exact),
        Parameter::Exact(wanted) if wanted.oid() == argument.oid() => Some(Way::Exact),
        Parameter::Exact(wanted) => is_implicit(argument, wanted).then_some(Way::Implicit),
    }
}

/// `pg_type.typcategory`.
fn category(sql_type: &SqlType) -> char {
    match sql_type {
        SqlType::Bool => 'B',
        SqlType::Int2
        | SqlType::Int4
        | SqlType::Int8
        | SqlType::Float4
        | SqlType::Float8
        | SqlType::Numeric { .. }
        | SqlType::UnconstrainedNumeric
        | SqlType::Oid
        | SqlType::Reg(_) => 'N',
        SqlType::Text | SqlType::Varchar(_) | SqlType::Bpchar(_) | SqlType::Name => 'S',
        SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::Timestamptz => 'D',
        SqlType::Interval => 'T',
        SqlType::Array(_) | SqlType::Int2Vector | SqlType::OidVector => 'A',
        SqlType::Record(_) | SqlType::Void => 'P',
        SqlType::Unknown => 'X',
        SqlType::Char | SqlType::NodeTree => 'Z',
        SqlType::Bytea | SqlType::Uuid | SqlType::Json | SqlType::Jsonb | SqlType::Xid | SqlType::AclItem => 'U',
    }
}

/// `pg_type.typispreferred`.
fn is_preferred(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Bool | SqlType::Text | SqlType::Float8 | SqlType::Oid | SqlType::Timestamptz | SqlType::Interval)
}

/// What an untyped literal at this place would have to be, for the rules about categories.
fn place(parameter: &Parameter) -> (char, bool) {
    match parameter {
        Parameter::Exact(sql_type) => (category(sql_type), is_preferred(sql_type)),
        Parameter::Object => ('S', false),
        Parameter::Any | Parameter::AnyElement | Parameter::AnyArray => ('P', false),
    }
}

/// Keeps the candidates with the highest score.
fn keep_best(candidates: &mut Vec<&Declaration>, score: impl Fn(&Declaration) -> usize) {
    let best = candidates.iter().map(|candidate| score(candidate)).max().unwrap_or(0);
    candidates.retain(|candidate| score(candidate) == best);
}

/// The overload that PostgreSQL takes for arguments of these types; `None` if there is none without a conversion that somebody must
/// ask for. Where PostgreSQL finds several, the first that was declared.
pub(super) fn choose<'d>(overloads: &'d [Declaration], arguments: &[SqlType], data_types: &[DataType]) -> Option<&'d Declaration> {
    let known = || arguments.iter().enumerate().filter(|(_, argument)| **argument != SqlType::Unknown);
    let fits = |overload: &Declaration| {
        overload.admits(arguments.len())
            && known().all(|(index, argument)| {
                let fits = |data_type| overload.parameter(index).is_some_and(|parameter| fit_one(parameter, data_type).is_some());
                let is_known = overload.parameter(index).is_some_and(|parameter| way(parameter, argument).is_some());
                is_known && data_types.get(index).is_some_and(fits)
            })
    };
    let mut candidates: Vec<&Declaration> = overloads.iter().filter(|overload| fits(overload)).collect();
    let exact = |overload: &Declaration, index: usize, argument: &SqlType| {
        overload.parameter(index).and_then(|parameter| way(parameter, argument)) == Some(Way::Exact)
    };
    keep_best(&mut candidates, |overload| known().filter(|(index, argument)| exact(overload, *index, argument)).count());
    keep_best(&mut candidates, |overload| {
        let preferred = |index: usize| matches!(overload.parameter(index), Some(Parameter::Exact(wanted)) if is_preferred(wanted));
        known().filter(|(index, argument)| exact(overload, *index, argument) || preferred(*index)).count()
    });
    let untyped: Vec<usize> = (0..arguments.len()).filter(|index| arguments[*index] == SqlType::Unknown).collect();
    if candidates.len() > 1 && !untyped.is_empty() {
        by_category(&mut candidates, &untyped);
    }
    if candidates.len() > 1 && !untyped.is_empty() {
        // All that is known is of one type: so is the rest, if that decides.
        let mut types = known().map(|(_, argument)| argument);
        if let Some(first) = types.next()
            && types.all(|other| other.oid() == first.oid())
        {
            let accepts = |overload: &&Declaration| {
                untyped.iter().all(|index| overload.parameter(*index).is_some_and(|parameter| way(parameter, first).is_some()))
            };
            let accepting: Vec<&Declaration> = candidates.iter().copied().filter(accepts).collect();
            if let [one] = accepting.as_slice() {
                return Some(one);
            }
        }
    }
    candidates.first().copied()
}

/// For each untyped literal the string category if a candidate takes that, else the one that all candidates take; in it the preferred type.
fn by_category(candidates: &mut Vec<&Declaration>, untyped: &[usize]) {
    let at = |overload: &Declaration, index: usize| overload.parameter(index).map_or(('P', false), place);
    let mut kept = candidates.clone();
    for index in untyped {
        let mut categories = candidates.iter().map(|candidate| at(candidate, *index).0);
        let first = categories.next();
        let wanted = if first == Some('S') || candidates.iter().any(|candidate| at(candidate, *index).0 == 'S') {
            Some('S')
        } else {
            first.filter(|first| categories.all(|other| other == *first))
        };
        let Some(wanted) = wanted else { return };
        let has_preferred = candidates.iter().any(|candidate| at(candidate, *index) == (wanted, true));
        kept.retain(|candidate| {
            let (category, preferred) = at(candidate, *index);
            category == wanted && (preferred || !has_preferred)
        });
    }
    if !kept.is_empty() {
        *candidates = kept;
    }
}

/// What an untyped argument of a call becomes; `None` where it stays a text that the function reads itself.
pub(super) fn wanted(overload: &Declaration, index: usize, arguments: &[SqlType]) -> Option<SqlType> {
    let others = || arguments.iter().enumerate().filter(|(other, argument)| *other != index && **argument != SqlType::Unknown);
    let element = others().find_map(|(other, argument)| match (overload.parameter(other)?, argument) {
        (Parameter::AnyArray, SqlType::Array(element)) => Some(element.as_ref().clone()),
        (Parameter::AnyElement, element) => Some(element.clone()),
        _ => None,
    });
    match overload.parameter(index)? {
        Parameter::Exact(SqlType::Reg(_) | SqlType::Unknown | SqlType::Int2Vector | SqlType::OidVector | SqlType::Record(_))
        | Parameter::Object => None,
        Parameter::Exact(wanted) => Some(wanted.clone()),
        // An element to be looked for in an array is one of its elements.
        Parameter::Any if (0..arguments.len()).any(|other| overload.parameter(other) == Some(&Parameter::AnyArray)) => element,
        Parameter::Any => None,
        Parameter::AnyElement => element,
        Parameter::AnyArray => element.map(|element| SqlType::Array(Box::new(element))),
    }
}

impl Declaration {
    /// How badly the arguments fit, and the Arrow types that they have to be brought to; `None` if they do not.
    pub(super) fn fit(&self, arguments: &[DataType]) -> Option<(u32, Vec<DataType>)> {
        if !self.admits(arguments.len()) {
            return None;
        }
        let mut total = 0;
        let mut types = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let (cost, data_type) = fit_one(self.parameter(index)?, argument)?;
            total += cost;
            types.push(data_type);
        }
        Some((total, types))
    }

    /// [`Declaration::fit`], where a text that is no literal is not read as something else.
    pub(super) fn fit_typed(&self, sql_types: &[SqlType], arguments: &[DataType]) -> Option<(u32, Vec<DataType>)> {
        let (cost, types) = self.fit(arguments)?;
        let unasked = |((index, sql_type), wanted): ((usize, &SqlType), &DataType)| {
            let stays = is_string(wanted) && !matches!(self.parameter(index), Some(Parameter::Exact(SqlType::Array(_))));
            *sql_type == SqlType::Unknown || !is_text(sql_type) || stays
        };
        sql_types.iter().enumerate().zip(&types).all(unasked).then_some((cost, types))
    }
}

/// Cost of reading an untyped literal: more than every conversion between types.
pub(super) const FROM_TEXT: u32 = 100;

fn is_string(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

pub(super) fn fit_one(parameter: &Parameter, argument: &DataType) -> Option<(u32, DataType)> {
    if let DataType::Dictionary(_, values) = argument {
        return fit_one(parameter, values);
    }
    if let DataType::RunEndEncoded(_, values) = argument {
        return fit_one(parameter, values.data_type());
    }
    let kept = |cost| Some((cost, argument.clone()));
    match parameter {
        Parameter::Any => kept(40),
        Parameter::AnyElement => kept(30),
        Parameter::AnyArray if is_list(argument) || matches!(argument, DataType::Null) => kept(20),
        Parameter::AnyArray => None,
        Parameter::Object if is_string(argument) || argument.is_integer() || matches!(argument, DataType::Null) => kept(0),
        Parameter::Object => None,
        Parameter::Exact(sql_type) => fit_exact(sql_type, argument),
    }
}

fn fit_exact(sql_type: &SqlType, argument: &DataType) -> Option<(u32, DataType)> {
    let target = sql_type.arrow_type();
    if matches!(argument, DataType::Null) {
        return Some((1, target));
    }
    let kept = |cost| Some((cost, argument.clone()));
    let cast = |cost| Some((cost, target.clone()));
    match sql_type {
        SqlType::Bool => match argument {
            DataType::Boolean => kept(0),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Oid | SqlType::Xid => fit_integer(sql_type, argument),
        SqlType::Float4 | SqlType::Float8 => match argument {
            DataType::Float64 => kept(0),
            DataType::Float32 | DataType::Float16 => cast(1),
            integer if integer.is_integer() => cast(4),
            decimal if is_decimal(decimal) => cast(3),
            DataType::LargeBinary => kept(3),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Numeric { .. } | SqlType::UnconstrainedNumeric => match argument {
            decimal if is_decimal(decimal) => kept(0),
            DataType::LargeBinary => kept(0),
            // An integer is rather a double, PostgreSQL's preferred number.
            integer if integer.is_integer() => kept(5),
            // Read where the other arguments are brought to their types: the engine has no such cast.
            text if is_string(text) => kept(FROM_TEXT + 1),
            _ => None,
        },
        SqlType::Bytea => match argument {
            DataType::Binary | DataType::BinaryView | DataType::FixedSizeBinary(_) => kept(0),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Date => match argument {
            DataType::Date32 => kept(0),
            DataType::Date64 => cast(1),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Time => match argument {
            DataType::Time32(_) | DataType::Time64(_) => cast(0),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Timestamp => match argument {
            DataType::Timestamp(_, None) => cast(0),
            DataType::Date32 => kept(3),
            DataType::Date64 => Some((3, DataType::Date32)),
            text if is_string(text) => cast(FROM_TEXT + 1),
            _ => None,
        },
        SqlType::Timestamptz => match argument {
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => kept(0),
            DataType::Timestamp(_, Some(zone)) => Some((0, DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone))))),
            DataType::Timestamp(_, None) => Some((2, DataType::Timestamp(TimeUnit::Microsecond, None))),
            DataType::Date32 | DataType::Date64 => Some((2, DataType::Date32)),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Interval => match argument {
            DataType::Interval(IntervalUnit::MonthDayNano) => kept(0),
            DataType::Interval(_) | DataType::Duration(_) => cast(1),
            DataType::Time64(_) | DataType::Time32(_) => None,
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Reg(_) => match argument {
            DataType::UInt32 => kept(0),
            integer if integer.is_integer() => kept(2),
            text if is_string(text) => kept(5),
            _ => None,
        },
        SqlType::Array(element) => match argument {
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                let (cost, _) = fit_exact(element, field.data_type()).filter(|(cost, _)| *cost < FROM_TEXT)?;
                kept(cost)
            }
            text if is_string(text) => kept(FROM_TEXT),
            _ => None,
        },
        SqlType::Int2Vector | SqlType::OidVector => {
            if is_list(argument) {
                kept(0)
            } else {
                None
            }
        }
        SqlType::Text | SqlType::Varchar(_) | SqlType::Name | SqlType::Unknown | SqlType::Char | SqlType::Bpchar(_) => {
            if is_string(argument) { kept(0) } else { None }
        }
        SqlType::Json | SqlType::Jsonb | SqlType::Uuid | SqlType::AclItem | SqlType::NodeTree => {
            if is_string(argument) {
                kept(1)
            } else {
                None
            }
        }
        SqlType::Record(_) | SqlType::Void => None,
    }
}

fn fit_integer(sql_type: &SqlType, argument: &DataType) -> Option<(u32, DataType)> {
    let wanted = match sql_type {
        SqlType::Int2 => 2,
        SqlType::Int4 => 4,
        SqlType::Int8 => 8,
        _ => 5,
    };
    let width = match argument {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 2,
        DataType::UInt16 | DataType::Int32 => 4,
        DataType::UInt32 => 5,
        DataType::Int64 => 8,
        text if is_string(text) => return Some((FROM_TEXT, DataType::Int64)),
        _ => return None,
    };
    // A narrower parameter is not PostgreSQL's rule, but a literal may have been typed wider than PostgreSQL would.
    let cost = if width == wanted {
        0
    } else if width < wanted {
        1 + (wanted - width) / 3
    } else {
        10
    };
    Some((cost, argument.clone()))
}
