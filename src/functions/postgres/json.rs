//! JSON: values to JSON text, and the parts of JSON text. JSON travels as text; it is parsed where it is taken apart.

use datafusion::logical_expr::ColumnarValue;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{ArrayCall, Call, Declaration, immutable, zoned_arrays};
use crate::functions::output::{float_text, text_of, timestamp_text};
use crate::functions::time::{self, Zone};
use crate::types::SqlType;
use crate::types::datum::{Datum, numeric_text};

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = building();
    for prefix in ["json", "jsonb"] {
        all.extend(taking_apart().into_iter().map(|declaration| {
            let name = declaration.name.strip_prefix("json_").unwrap_or(&declaration.name).to_string();
            declaration.also(&format!("{prefix}_{name}"))
        }));
    }
    all.push(immutable("get_json_object(text, text) -> text", |call| get_json_object(call.text(0)?, call.text(1)?)));
    all.push(immutable("jsonb_pretty(json) -> text", |call| {
        Ok(Datum::text(serde_json::to_string_pretty(&parse(call.text(0)?)?).ok()))
    }));
    all.push(immutable("jsonb_contains(json, json) -> bool", |call| {
        Ok(Datum::Bool(contains(&parse(call.text(0)?)?, &parse(call.text(1)?)?)))
    }));
    all.push(immutable("jsonb_exists(json, text) -> bool", |call| {
        let key = call.text(1)?;
        Ok(Datum::Bool(match parse(call.text(0)?)? {
            Value::Object(fields) => fields.contains_key(key),
            Value::Array(items) => items.iter().any(|item| item.as_str() == Some(key)),
            Value::String(text) => text == key,
            _ => false,
        }))
    }));
    all
}

fn parse(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| Error::new(ErrorKind::InvalidText, "invalid input syntax for type json").with_source(error))
}

/// A string as JSON.
pub(crate) fn quoted(text: &str) -> String {
    Value::String(text.to_string()).to_string()
}

/// A value as JSON text. Strings of the types json and jsonb are JSON already.
pub(crate) fn json_of(datum: &Datum, is_json: bool, zone: Zone) -> String {
    match datum {
        Datum::Null => "null".to_string(),
        Datum::Bool(value) => value.to_string(),
        Datum::Int(number) => number.to_string(),
        Datum::Float(number) if number.is_finite() => float_text(*number),
        Datum::Numeric(value, scale) => numeric_text(*value, *scale),
        Datum::Text(text) if is_json => text.clone(),
        Datum::Timestamp(local) => quoted(&timestamp_text(*local, 'T', "")),
        Datum::Timestamptz(utc) => {
            let offset = zone.offset_at(*utc);
            let minutes = format!("{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 3600, offset.abs() / 60 % 60);
            quoted(&timestamp_text(time::utc_to_local(zone, *utc), 'T', &minutes))
        }
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

fn build_object(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    let count = call.arguments.len();
    if !count.is_multiple_of(2) {
        return Err(Error::new(ErrorKind::InvalidParameter, "argument list must have even number of elements")
            .with_hint("The arguments of json_build_object() must consist of alternating keys and values."));
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
        Ok(Some(format!("{{{}}}", fields.join(", "))))
    })
}

fn build_array(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    let items = (0..call.arguments.len()).map(|index| call.json(index)).collect::<Result<Vec<_>>>()?;
    call.each_row(|row| {
        let items: Vec<&str> = items.iter().map(|item| item.get(row).unwrap_or("null")).collect();
        Ok(Some(format!("[{}]", items.join(", "))))
    })
}

/// `to_json`: the value, written as it is in results.
fn as_a_whole(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    let json = call.json(0)?;
    call.each_row(|row| Ok(json.get(row).map(str::to_string)))
}

fn building() -> Vec<Declaration> {
    let to_json = zoned_arrays("to_json(any) -> json", as_a_whole);
    let object = zoned_arrays("json_build_object(any..) -> json", build_object).called_on_null();
    let array = zoned_arrays("json_build_array(any..) -> json", build_array).called_on_null();
    vec![
        to_json.also("to_jsonb"),
        to_json.also("row_to_json"),
        to_json.also("array_to_json"),
        zoned_arrays("row_to_json(any, bool) -> json", as_a_whole),
        to_json,
        object.also("jsonb_build_object"),
        object,
        array.also("jsonb_build_array"),
        array,
    ]
}

fn as_json(value: Option<&Value>) -> Datum {
    Datum::text(value.map(ToString::to_string))
}

/// A part as text: strings without their quotes, JSON's null as NULL.
fn as_text(value: Option<&Value>) -> Datum {
    match value {
        None | Some(Value::Null) => Datum::Null,
        Some(Value::String(text)) => Datum::from(text),
        Some(other) => Datum::from(other.to_string()),
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

fn items(call: &Call<'_>, show: fn(Option<&Value>) -> Datum) -> Result<Datum> {
    match parse(call.text(0)?)? {
        Value::Array(items) => Ok(Datum::List(items.iter().map(|item| show(Some(item))).collect())),
        _ => Err(Error::new(ErrorKind::InvalidParameter, "cannot extract elements from a scalar or an object")),
    }
}

fn pairs(call: &Call<'_>, show: fn(Option<&Value>) -> Datum) -> Result<Datum> {
    match parse(call.text(0)?)? {
        Value::Object(fields) => {
            let row = |(key, value): (&String, &Value)| {
                Datum::Row(vec![("key".to_string(), key.into()), ("value".to_string(), show(Some(value)))])
            };
            Ok(Datum::List(fields.iter().map(row).collect()))
        }
        _ => Err(Error::new(ErrorKind::InvalidParameter, "cannot deconstruct a scalar or an array")),
    }
}

/// The functions that exist for json and for jsonb.
fn taking_apart() -> Vec<Declaration> {
    vec![
        immutable("json_object_field(json, text) -> json", |call| {
            Ok(as_json(parse(call.text(0)?)?.as_object().and_then(|fields| fields.get(call.text(1).ok()?))))
        }),
        immutable("json_object_field_text(json, text) -> text", |call| {
            Ok(as_text(parse(call.text(0)?)?.as_object().and_then(|fields| fields.get(call.text(1).ok()?))))
        }),
        immutable("json_array_element(json, int4) -> json", |call| Ok(as_json(element(&parse(call.text(0)?)?, call.int(1)?)))),
        immutable("json_array_element_text(json, int4) -> text", |call| Ok(as_text(element(&parse(call.text(0)?)?, call.int(1)?)))),
        immutable("json_extract_path(json, text..) -> json", |call| Ok(as_json(follow(&parse(call.text(0)?)?, &path_of(call))))),
        immutable("json_extract_path_text(json, text..) -> text", |call| {
            Ok(as_text(follow(&parse(call.text(0)?)?, &path_of(call))))
        }),
        immutable("json_extract_path(json, text[]) -> json", |call| Ok(as_json(follow(&parse(call.text(0)?)?, &path_of(call))))),
        immutable("json_extract_path_text(json, text[]) -> text", |call| {
            Ok(as_text(follow(&parse(call.text(0)?)?, &path_of(call))))
        }),
        immutable("json_array_length(json) -> int4", |call| match parse(call.text(0)?)? {
            Value::Array(items) => Ok(Datum::Int(i64::try_from(items.len()).unwrap_or(i64::MAX))),
            _ => Err(Error::new(ErrorKind::InvalidParameter, "cannot get array length of a non-array")),
        }),
        immutable("json_typeof(json) -> text", |call| {
            Ok(Datum::from(match parse(call.text(0)?)? {
                Value::Null => "null",
                Value::Bool(_) => "boolean",
                Value::Number(_) => "number",
                Value::String(_) => "string",
                Value::Array(_) => "array",
                Value::Object(_) => "object",
            }))
        }),
        immutable("json_strip_nulls(json) -> json", |call| Ok(Datum::from(without_nulls(parse(call.text(0)?)?).to_string()))),
        immutable("json_array_elements(json) -> setof (value json)", |call| items(call, as_json)),
        immutable("json_array_elements_text(json) -> setof (value text)", |call| items(call, as_text)),
        immutable("json_object_keys(json) -> setof text", |call| match parse(call.text(0)?)? {
            Value::Object(fields) => Ok(Datum::from(fields.keys().cloned().collect::<Vec<_>>())),
            _ => Err(Error::new(ErrorKind::InvalidParameter, "cannot call json_object_keys on a scalar or an array")),
        }),
        immutable("json_each(json) -> setof (key text, value json)", |call| pairs(call, as_json)),
        immutable("json_each_text(json) -> setof (key text, value text)", |call| pairs(call, as_text)),
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
        (Value::Array(whole), scalar) => whole.contains(scalar),
        (whole, part) => whole == part,
    }
}

/// Databricks' `get_json_object(text, '$.a.b[0]')`; NULL for text that is not JSON.
fn get_json_object(text: &str, path: &str) -> Result<Datum> {
    let Some(path) = path.strip_prefix('$') else { return Ok(Datum::Null) };
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Ok(Datum::Null) };
    let steps: Vec<&str> =
        path.split(['.', '[', ']']).map(|step| step.trim_matches(['\'', '"'])).filter(|step| !step.is_empty()).collect();
    Ok(as_text(follow(&value, &steps)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_json() {
        let row = Datum::Row(vec![("a".into(), Datum::Int(1)), ("b".into(), Datum::from("x\"y")), ("c".into(), Datum::Null)]);
        assert_eq!(json_of(&row, false, Zone::Utc), r#"{"a":1,"b":"x\"y","c":null}"#);
        assert_eq!(json_of(&Datum::Timestamptz(0), false, Zone::Fixed(5400)), r#""1970-01-01T01:30:00+01:30""#);
        assert_eq!(json_of(&Datum::from("{}"), true, Zone::Utc), "{}");
    }

    #[test]
    fn json_is_taken_apart() {
        let value = parse(r#"{"a":[1,{"b":"x"}]}"#).unwrap();
        assert_eq!(as_text(follow(&value, &["a", "1", "b"])), Datum::from("x"));
        assert_eq!(as_json(follow(&value, &["a", "-1"])), Datum::from(r#"{"b":"x"}"#));
        assert_eq!(as_json(follow(&value, &["z"])), Datum::Null);
        assert_eq!(get_json_object(r#"{"a":[{"b":7}]}"#, "$.a[0].b").unwrap(), Datum::from("7"));
        assert!(contains(&value, &parse(r#"{"a":[1]}"#).unwrap()));
    }
}
