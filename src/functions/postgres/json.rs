//! JSON: values to JSON text, and the parts of JSON text. JSON travels as text; it is parsed where it is taken apart.

use datafusion::logical_expr::ColumnarValue;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{ArrayCall, Call, Declaration, immutable, zoned_arrays};
use crate::functions::output::{float_text, text_of};
use crate::types::SqlType;
use crate::types::datum::Datum;
use crate::types::values::{
    DateFormat, DateOrder, DateStyle, TimeZone, canonical_jsonb, compare_jsonb, format_timestamp, format_timestamptz, jsonb_text,
    parse_json,
};

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = building();
    all.extend(taking_apart());
    all.extend(sets());
    all.push(immutable("get_json_object(text, text) -> text", |call| get_json_object(call.text(0)?, call.text(1)?)));
    all.push(immutable("jsonb_pretty(jsonb) -> text", |call| {
        Ok(Datum::text(serde_json::to_string_pretty(&parse_json(call.text(0)?)?).ok()))
    }));
    all.push(immutable("jsonb_cmp(jsonb, jsonb) -> int4", |call| {
        Ok(Datum::Int(compare_jsonb(&parse_json(call.text(0)?)?, &parse_json(call.text(1)?)?) as i64))
    }));
    all.push(immutable("jsonb_contains(jsonb, jsonb) -> bool", |call| {
        Ok(Datum::Bool(contains(&parse_json(call.text(0)?)?, &parse_json(call.text(1)?)?)))
    }));
    all.push(immutable("jsonb_contained(jsonb, jsonb) -> bool", |call| {
        Ok(Datum::Bool(contains(&parse_json(call.text(1)?)?, &parse_json(call.text(0)?)?)))
    }));
    all.push(immutable("jsonb_exists(jsonb, text) -> bool", |call| {
        let key = call.text(1)?;
        Ok(Datum::Bool(match parse_json(call.text(0)?)? {
            Value::Object(fields) => fields.contains_key(key),
            Value::Array(items) => items.iter().any(|item| item.as_str() == Some(key)),
            Value::String(text) => text == key,
            _ => false,
        }))
    }));
    all
}

/// A string as JSON.
pub(crate) fn quoted(text: &str) -> String {
    Value::String(text.to_string()).to_string()
}

/// How JSON shows moments, whatever the session's style.
const XSD: DateStyle = DateStyle { format: DateFormat::Xsd, order: DateOrder::Mdy };

/// A value as JSON text. Strings of the types json and jsonb are JSON already.
pub(crate) fn json_of(datum: &Datum, is_json: bool, zone: &TimeZone) -> String {
    match datum {
        Datum::Null => "null".to_string(),
        Datum::Bool(value) => value.to_string(),
        Datum::Int(number) => number.to_string(),
        Datum::Float(number) if number.is_finite() => float_text(*number),
        Datum::Numeric(value) if value.is_finite() => value.to_string(),
        Datum::Text(text) if is_json => text.clone(),
        Datum::Timestamp(local) => quoted(format_timestamp(*local, XSD).as_str()),
        Datum::Timestamptz(utc) => quoted(format_timestamptz(*utc, XSD, zone).as_str()),
        Datum::List(items) => {
            let inner: Vec<String> = items.iter().map(|item| json_of(item, is_json, zone)).collect();
            format!("[{}]", inner.join(","))
        }
        Datum::Row(fields) => {
            let inner: Vec<String> =
                fields.iter().map(|(name, value)| format!("{}:{}", quoted(name), json_of(value, false, zone))).collect();
            format!("{{{}}}", inner.join(","))
        }
        other => quoted(&text_of(other, zone)),
    }
}

/// Whether values of the type are JSON text already.
pub(crate) fn is_json(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Json | SqlType::Jsonb => true,
        SqlType::Array(element) => is_json(element),
        _ => false,
    }
}

fn object(call: &ArrayCall<'_>, finish: fn(String) -> Result<String>) -> Result<ColumnarValue> {
    let count = call.arguments.len();
    if !count.is_multiple_of(2) {
        return Err(Error::new(ErrorKind::InvalidParameter, "argument list must have even number of elements")
            .with_hint("The arguments of json_build_object() must consist of alternating keys and values."));
    }
    let is_scalar = |index: usize| {
        !matches!(call.types.get(index), Some(SqlType::Json | SqlType::Jsonb | SqlType::Array(_) | SqlType::Record(_)))
            && call.fields.get(index).is_none_or(|field| !field.data_type().is_nested())
    };
    if !(0..count).step_by(2).all(is_scalar) {
        return Err(Error::new(ErrorKind::InvalidParameter, "key value must be scalar, not array, composite, or json"));
    }
    let pair = |index: usize| Ok((call.texts(index)?, call.json(index + 1)?));
    let pairs = (0..count).step_by(2).map(pair).collect::<Result<Vec<_>>>()?;
    call.each_row(|row| {
        let mut fields = Vec::with_capacity(pairs.len());
        for (key, value) in &pairs {
            let Some(key) = key.get(row) else {
                return Err(Error::new(ErrorKind::InvalidParameter, "null value not allowed for object key"));
            };
            fields.push(format!("{} : {}", quoted(key), value.get(row).unwrap_or("null")));
        }
        finish(format!("{{{}}}", fields.join(", "))).map(Some)
    })
}

fn array(call: &ArrayCall<'_>, finish: fn(String) -> Result<String>) -> Result<ColumnarValue> {
    let items = (0..call.arguments.len()).map(|index| call.json(index)).collect::<Result<Vec<_>>>()?;
    call.each_row(|row| {
        let items: Vec<&str> = items.iter().map(|item| item.get(row).unwrap_or("null")).collect();
        finish(format!("[{}]", items.join(", "))).map(Some)
    })
}

/// `to_json`: the value, written as it is in results.
fn as_a_whole(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    let json = call.json(0)?;
    call.each_row(|row| Ok(json.get(row).map(str::to_string)))
}

/// What a function of json gives, as the function of jsonb beside it gives it.
fn normalised(json: String) -> Result<String> {
    canonical_jsonb(&json)
}

fn building() -> Vec<Declaration> {
    let to_json = zoned_arrays("to_json(any) -> json", as_a_whole);
    vec![
        to_json.also("row_to_json"),
        to_json.also("array_to_json"),
        zoned_arrays("to_jsonb(any) -> jsonb", |call| {
            let json = call.json(0)?;
            call.each_row(|row| json.get(row).map(canonical_jsonb).transpose())
        }),
        zoned_arrays("row_to_json(any, bool) -> json", as_a_whole),
        to_json,
        zoned_arrays("json_build_object(any..) -> json", |call| object(call, Ok)).called_on_null(),
        zoned_arrays("json_build_array(any..) -> json", |call| array(call, Ok)).called_on_null(),
        zoned_arrays("jsonb_build_object(any..) -> jsonb", |call| object(call, normalised)).called_on_null(),
        zoned_arrays("jsonb_build_array(any..) -> jsonb", |call| array(call, normalised)).called_on_null(),
    ]
}

/// Which of the two types a document has: jsonb is shown in its one form, with its keys in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    Jsonb,
}

/// How a part of a document is shown.
type Show = fn(Kind, Option<&Value>) -> Datum;

fn as_json(kind: Kind, value: Option<&Value>) -> Datum {
    Datum::text(value.map(|value| match kind {
        Kind::Json => value.to_string(),
        Kind::Jsonb => jsonb_text(value),
    }))
}

/// A part as text: strings without their quotes, JSON's null as NULL.
fn as_text(kind: Kind, value: Option<&Value>) -> Datum {
    match value {
        None | Some(Value::Null) => Datum::Null,
        Some(Value::String(text)) => Datum::from(text),
        part => as_json(kind, part),
    }
}

fn element(value: &Value, index: i64) -> Option<&Value> {
    let items = value.as_array()?;
    let position = if index < 0 { index + i64::try_from(items.len()).ok()? } else { index };
    items.get(usize::try_from(position).ok()?)
}

/// Follows a path of keys and numbers.
fn follow<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Object(fields) => fields.get(*step),
        Value::Array(_) => element(value, step.parse().ok()?),
        _ => None,
    })
}

fn path_of<'a>(call: &'a Call<'_>) -> Vec<&'a str> {
    match call.get(1) {
        Datum::List(steps) => steps.iter().filter_map(Datum::as_text).collect(),
        _ => call.arguments.iter().skip(1).filter_map(Datum::as_text).collect(),
    }
}

fn items(call: &Call<'_>, kind: Kind, show: Show) -> Result<Datum> {
    let refused = |what: &str| Err(Error::new(ErrorKind::InvalidParameter, format!("cannot extract elements from {what}")));
    match parse_json(call.text(0)?)? {
        Value::Array(items) => Ok(Datum::List(items.iter().map(|item| show(kind, Some(item))).collect())),
        Value::Object(_) => refused("an object"),
        _ => refused("a scalar"),
    }
}

fn pairs(call: &Call<'_>, kind: Kind, show: Show) -> Result<Datum> {
    let refused = |what: &str| Err(Error::new(ErrorKind::InvalidParameter, format!("cannot deconstruct {what}")));
    match parse_json(call.text(0)?)? {
        Value::Object(fields) => {
            let row = |(key, value): (&String, &Value)| {
                Datum::Row(vec![("key".to_string(), key.into()), ("value".to_string(), show(kind, Some(value)))])
            };
            let mut fields: Vec<_> = fields.iter().collect();
            if kind == Kind::Jsonb {
                fields.sort_by_key(|(key, _)| (key.len(), *key));
            }
            Ok(Datum::List(fields.into_iter().map(row).collect()))
        }
        Value::Array(_) => refused("an array"),
        _ => refused("a scalar"),
    }
}

fn field(call: &Call<'_>, kind: Kind, show: Show) -> Result<Datum> {
    let (document, key) = (parse_json(call.text(0)?)?, call.text(1)?);
    Ok(show(kind, document.as_object().and_then(|fields| fields.get(key))))
}

fn item(call: &Call<'_>, kind: Kind, show: Show) -> Result<Datum> {
    let (document, index) = (parse_json(call.text(0)?)?, call.int(1)?);
    let scalar = !document.is_array() && !document.is_object();
    // jsonb keeps a scalar as an array of one.
    let found = if scalar && kind == Kind::Jsonb && matches!(index, 0 | -1) { Some(&document) } else { element(&document, index) };
    Ok(show(kind, found))
}

fn at_path(call: &Call<'_>, kind: Kind, show: Show) -> Result<Datum> {
    let document = parse_json(call.text(0)?)?;
    if let Datum::List(steps) = call.get(1)
        && steps.iter().any(Datum::is_null)
    {
        return Ok(Datum::Null);
    }
    Ok(show(kind, follow(&document, &path_of(call))))
}

fn length(call: &Call<'_>) -> Result<Datum> {
    let refused = |what: &str| Err(Error::new(ErrorKind::InvalidParameter, format!("cannot get array length of {what}")));
    match parse_json(call.text(0)?)? {
        Value::Array(items) => Ok(Datum::Int(i64::try_from(items.len()).unwrap_or(i64::MAX))),
        Value::Object(_) => refused("a non-array"),
        _ => refused("a scalar"),
    }
}

fn type_of(call: &Call<'_>) -> Result<Datum> {
    Ok(Datum::from(match parse_json(call.text(0)?)? {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }))
}

fn stripped(call: &Call<'_>, kind: Kind) -> Result<Datum> {
    Ok(as_json(kind, Some(&without_nulls(parse_json(call.text(0)?)?))))
}

fn keys(call: &Call<'_>, kind: Kind, function: &str) -> Result<Datum> {
    let refused = |what: &str| Err(Error::new(ErrorKind::InvalidParameter, format!("cannot call {function} on {what}")));
    match parse_json(call.text(0)?)? {
        Value::Object(fields) => {
            let mut keys: Vec<String> = fields.keys().cloned().collect();
            if kind == Kind::Jsonb {
                keys.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
            }
            Ok(Datum::from(keys))
        }
        Value::Array(_) => refused("an array"),
        _ => refused("a scalar"),
    }
}

/// The functions that exist for json and for jsonb, and give one value.
fn taking_apart() -> Vec<Declaration> {
    vec![
        immutable("json_object_field(json, text) -> json", |call| field(call, Kind::Json, as_json)),
        immutable("jsonb_object_field(jsonb, text) -> jsonb", |call| field(call, Kind::Jsonb, as_json)),
        immutable("json_object_field_text(json, text) -> text", |call| field(call, Kind::Json, as_text)),
        immutable("jsonb_object_field_text(jsonb, text) -> text", |call| field(call, Kind::Jsonb, as_text)),
        immutable("json_array_element(json, int4) -> json", |call| item(call, Kind::Json, as_json)),
        immutable("jsonb_array_element(jsonb, int4) -> jsonb", |call| item(call, Kind::Jsonb, as_json)),
        immutable("json_array_element_text(json, int4) -> text", |call| item(call, Kind::Json, as_text)),
        immutable("jsonb_array_element_text(jsonb, int4) -> text", |call| item(call, Kind::Jsonb, as_text)),
        immutable("json_extract_path(json, text..) -> json", |call| at_path(call, Kind::Json, as_json)),
        immutable("jsonb_extract_path(jsonb, text..) -> jsonb", |call| at_path(call, Kind::Jsonb, as_json)),
        immutable("json_extract_path_text(json, text..) -> text", |call| at_path(call, Kind::Json, as_text)),
        immutable("jsonb_extract_path_text(jsonb, text..) -> text", |call| at_path(call, Kind::Jsonb, as_text)),
        immutable("json_extract_path(json, text[]) -> json", |call| at_path(call, Kind::Json, as_json)),
        immutable("jsonb_extract_path(jsonb, text[]) -> jsonb", |call| at_path(call, Kind::Jsonb, as_json)),
        immutable("json_extract_path_text(json, text[]) -> text", |call| at_path(call, Kind::Json, as_text)),
        immutable("jsonb_extract_path_text(jsonb, text[]) -> text", |call| at_path(call, Kind::Jsonb, as_text)),
        immutable("json_array_length(json) -> int4", length),
        immutable("jsonb_array_length(jsonb) -> int4", length),
        immutable("json_typeof(json) -> text", type_of),
        immutable("jsonb_typeof(jsonb) -> text", type_of),
        immutable("json_strip_nulls(json) -> json", |call| stripped(call, Kind::Json)),
        immutable("jsonb_strip_nulls(jsonb) -> jsonb", |call| stripped(call, Kind::Jsonb)),
    ]
}

/// Those that give sets.
fn sets() -> Vec<Declaration> {
    vec![
        immutable("json_array_elements(json) -> setof (value json)", |call| items(call, Kind::Json, as_json)),
        immutable("jsonb_array_elements(jsonb) -> setof (value jsonb)", |call| items(call, Kind::Jsonb, as_json)),
        immutable("json_array_elements_text(json) -> setof (value text)", |call| items(call, Kind::Json, as_text)),
        immutable("jsonb_array_elements_text(jsonb) -> setof (value text)", |call| items(call, Kind::Jsonb, as_text)),
        immutable("json_object_keys(json) -> setof text", |call| keys(call, Kind::Json, "json_object_keys")),
        immutable("jsonb_object_keys(jsonb) -> setof text", |call| keys(call, Kind::Jsonb, "jsonb_object_keys")),
        immutable("json_each(json) -> setof (key text, value json)", |call| pairs(call, Kind::Json, as_json)),
        immutable("jsonb_each(jsonb) -> setof (key text, value jsonb)", |call| pairs(call, Kind::Jsonb, as_json)),
        immutable("json_each_text(json) -> setof (key text, value text)", |call| pairs(call, Kind::Json, as_text)),
        immutable("jsonb_each_text(jsonb) -> setof (key text, value text)", |call| pairs(call, Kind::Jsonb, as_text)),
    ]
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, without_nulls(value))).collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, value)| whole.get(key).is_some_and(|found| contains(found, value)))
        }
        (Value::Array(whole), Value::Array(part)) => part.iter().all(|value| whole.iter().any(|found| contains(found, value))),
        (Value::Array(whole), scalar) => whole.iter().any(|item| compare_jsonb(item, scalar).is_eq()),
        (whole, part) => compare_jsonb(whole, part).is_eq(),
    }
}

/// Databricks' `get_json_object(text, '$.a.b[0]')`; NULL for text that is not JSON.
fn get_json_object(text: &str, path: &str) -> Result<Datum> {
    let Some(path) = path.strip_prefix('$') else { return Ok(Datum::Null) };
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Ok(Datum::Null) };
    let steps: Vec<&str> =
        path.split(['.', '[', ']']).map(|step| step.trim_matches(['\'', '"'])).filter(|step| !step.is_empty()).collect();
    Ok(match follow(&value, &steps) {
        None | Some(Value::Null) => Datum::Null,
        Some(Value::String(text)) => Datum::from(text),
        Some(part) => Datum::from(part.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_json() {
        let row = Datum::Row(vec![("a".into(), Datum::Int(1)), ("b".into(), Datum::from("x\"y")), ("c".into(), Datum::Null)]);
        assert_eq!(json_of(&row, false, &TimeZone::utc()), r#"{"a":1,"b":"x\"y","c":null}"#);
        assert_eq!(json_of(&Datum::Timestamptz(0), false, &TimeZone::fixed(5400)), r#""1970-01-01T01:30:00+01:30""#);
        assert_eq!(json_of(&Datum::from("{}"), true, &TimeZone::utc()), "{}");
    }

    #[test]
    fn json_is_taken_apart() {
        let value = parse_json(r#"{"a":[1,{"b":"x"}]}"#).unwrap();
        assert_eq!(follow(&value, &["a", "1", "b"]), Some(&Value::from("x")));
        assert_eq!(follow(&value, &["a", "-1", "b"]), Some(&Value::from("x")));
        assert_eq!(follow(&value, &["z"]), None);
        assert_eq!(get_json_object(r#"{"a":[{"b":7}]}"#, "$.a[0].b").unwrap(), Datum::from("7"));
        assert!(contains(&value, &parse_json(r#"{"a":[1]}"#).unwrap()));
    }
}
