//! Texts put together from values of any type: `concat`, `concat_ws`, `format`, `array_to_string`, quoted literals.
//!
//! Each value stands in the result as its type's output function writes it, in the session's form: what `SELECT x` shows.

use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::ColumnarValue;

use super::text::quote_literal;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{ArgumentTexts, ArrayCall, Declaration, zoned_arrays};
use crate::functions::names;
use crate::types::SqlType;
use crate::types::encode::{ListRows, is_list, text_of};

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    vec![
        zoned_arrays("concat(any, any..) -> text", concat).called_on_null(),
        zoned_arrays("concat_ws(text, any, any..) -> text", concat_ws).called_on_null(),
        zoned_arrays("format(text) -> text", format).called_on_null(),
        zoned_arrays("format(text, any, any..) -> text", format).called_on_null(),
        zoned_arrays("quote_literal(text) -> text", |call| quoted(call, None)).called_on_null(),
        zoned_arrays("quote_literal(anyelement) -> text", |call| quoted(call, None)).called_on_null(),
        zoned_arrays("quote_nullable(text) -> text", |call| quoted(call, Some("NULL"))).called_on_null(),
        zoned_arrays("quote_nullable(anyelement) -> text", |call| quoted(call, Some("NULL"))).called_on_null(),
        zoned_arrays("array_to_string(anyarray, text) -> text", array_to_string).called_on_null(),
        zoned_arrays("array_to_string(anyarray, text, text) -> text", array_to_string).called_on_null(),
    ]
}

fn all_texts(call: &ArrayCall<'_>) -> Result<Vec<ArgumentTexts>> {
    (0..call.arguments.len()).map(|index| call.texts(index)).collect()
}

/// Longest text that is put together.
const MOST_BYTES: usize = 64 << 20;

fn within_limit(text: String) -> Result<String> {
    if text.len() > MOST_BYTES { Err(Error::new(ErrorKind::ProgramLimit, "requested length too large")) } else { Ok(text) }
}

fn concat(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    let texts = all_texts(call)?;
    call.each_row(|row| within_limit(texts.iter().filter_map(|text| text.get(row)).collect()).map(Some))
}

fn concat_ws(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    let texts = all_texts(call)?;
    let Some((separators, texts)) = texts.split_first() else { return Err(Error::internal("concat_ws without arguments")) };
    call.each_row(|row| {
        let Some(separator) = separators.get(row) else { return Ok(None) };
        let given: Vec<&str> = texts.iter().filter_map(|text| text.get(row)).collect();
        within_limit(given.join(separator)).map(Some)
    })
}

/// As a literal; NULL is NULL, or `null` as a word.
fn quoted(call: &ArrayCall<'_>, null: Option<&str>) -> Result<ColumnarValue> {
    // `quote_literal($1::text)` in PostgreSQL: what a cast gives, not what the output function writes.
    let texts = call.cast_to_text(0)?;
    call.each_row(|row| Ok(texts.get(row).map(quote_literal).or_else(|| null.map(str::to_string))))
}

fn array_to_string(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    let (array, is_constant) = call.array(0)?;
    let (separators, nulls) = (call.texts(1)?, if call.arguments.len() > 2 { Some(call.texts(2)?) } else { None });
    if *array.data_type() == DataType::Null {
        return call.each_row(|_| Ok(None));
    }
    let element = match call.types.first() {
        Some(SqlType::Array(element)) => element.as_ref().clone(),
        Some(SqlType::Int2Vector) => SqlType::Int2,
        Some(SqlType::OidVector) => SqlType::Oid,
        _ => SqlType::Text,
    };
    let is_vector_inside = matches!(element, SqlType::Int2Vector | SqlType::OidVector);
    // Lists inside are further dimensions, whose elements follow each other.
    let mut levels = vec![array];
    while let Some(list) = levels.last().filter(|list| is_list(list.data_type()) && !(is_vector_inside && levels.len() > 1)) {
        let values = std::sync::Arc::clone(ListRows::of(list)?.values());
        levels.push(values);
    }
    let leaves = levels.pop().ok_or_else(|| Error::internal("an array without elements"))?;
    let texts = text_of(&leaves, &element, call.form)?;
    let lists = levels.iter().map(ListRows::of).collect::<Result<Vec<_>>>()?;
    call.each_row(|row| {
        let start = lists.first().and_then(|list| list.row(if is_constant { 0 } else { row }));
        let (Some(range), Some(separator)) = (start, separators.get(row)) else { return Ok(None) };
        let mut ranges = vec![range];
        for list in lists.iter().skip(1) {
            ranges = ranges.into_iter().flatten().filter_map(|inner| list.row(inner)).collect();
        }
        let word = nulls.as_ref().and_then(|nulls| nulls.get(row));
        let text = |leaf: usize| if texts.is_null(leaf) { word } else { Some(texts.value(leaf)) };
        let given: Vec<&str> = ranges.into_iter().flatten().filter_map(text).collect();
        within_limit(given.join(separator)).map(Some)
    })
}

fn format(call: &ArrayCall<'_>) -> Result<ColumnarValue> {
    let texts = all_texts(call)?;
    let Some((templates, arguments)) = texts.split_first() else { return Err(Error::internal("format without arguments")) };
    call.each_row(|row| {
        let Some(template) = templates.get(row) else { return Ok(None) };
        let values: Vec<Option<&str>> = arguments.iter().map(|argument| argument.get(row)).collect();
        within_limit(filled(template, &values)?).map(Some)
    })
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidParameter, message.into())
}

/// A place of a template: `%[position$][-][width]type`.
struct Specifier<'t> {
    rest: &'t str,
}

impl Specifier<'_> {
    fn number(&mut self) -> Result<Option<usize>> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        if digits.is_empty() {
            return Ok(None);
        }
        if rest.is_empty() {
            return Err(unterminated());
        }
        let number = digits.parse::<i32>().ok().and_then(|number| usize::try_from(number).ok());
        let number = number.ok_or_else(|| Error::new(ErrorKind::NumericOutOfRange, "number is out of range"))?;
        self.rest = rest;
        Ok(Some(number))
    }

    fn skip(&mut self, character: char) -> bool {
        let stripped = self.rest.strip_prefix(character);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }
}

fn unterminated() -> Error {
    refused("unterminated format() type specifier").with_hint("For a single \"%\" use \"%%\".")
}

/// `format()`: `%s`, `%I`, `%L`, `%%`, with positions, and widths that may be arguments themselves.
fn filled(template: &str, arguments: &[Option<&str>]) -> Result<String> {
    let mut result = String::with_capacity(template.len());
    let mut rest = template;
    let mut next = 0;
    let take = |position: Option<usize>, next: &mut usize| -> Result<Option<&str>> {
        let index = match position {
            Some(0) => return Err(refused("format specifies argument 0, but arguments are numbered from 1")),
            Some(position) => position - 1,
            None => *next,
        };
        *next = index + 1;
        arguments.get(index).copied().ok_or_else(|| refused("too few arguments for format()"))
    };
    while let Some((before, after)) = rest.split_once('%') {
        result.push_str(before);
        let mut specifier = Specifier { rest: after };
        if after.is_empty() {
            return Err(unterminated());
        }
        if specifier.skip('%') {
            result.push('%');
            rest = specifier.rest;
            continue;
        }
        let first = specifier.number()?;
        let (position, mut width) = match first {
            Some(number) if specifier.skip('$') => (Some(number), None),
            other => (None, other),
        };
        let mut left = false;
        if width.is_none() {
            left = specifier.skip('-');
            while specifier.skip('-') {}
            width = if specifier.skip('*') {
                let width_position = specifier.number()?;
                if width_position.is_some() && !specifier.skip('$') {
                    return Err(refused("width argument position must be ended by \"$\""));
                }
                let given = take(width_position, &mut next)?.unwrap_or("0");
                let given: i64 = given.parse().map_err(|_| {
                    Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type integer: \"{given}\""))
                })?;
                left |= given < 0;
                Some(usize::try_from(given.unsigned_abs()).unwrap_or(usize::MAX))
            } else {
                specifier.number()?
            };
        }
        let Some(kind) = specifier.rest.chars().next() else { return Err(unterminated()) };
        rest = &specifier.rest[kind.len_utf8()..];
        if !matches!(kind, 's' | 'I' | 'L') {
            let message = format!("unrecognized format() type specifier \"{kind}\"");
            return Err(refused(message).with_hint("For a single \"%\" use \"%%\"."));
        }
        let argument = take(position, &mut next)?;
        let text = match (kind, argument) {
            ('I', None) => {
                return Err(Error::new(ErrorKind::NullNotAllowed, "null values cannot be formatted as an SQL identifier"));
            }
            ('L', None) => "NULL".to_string(),
            (_, None) => String::new(),
            ('I', Some(name)) => names::quote_identifier(name),
            ('L', Some(value)) => quote_literal(value),
            (_, Some(value)) => value.to_string(),
        };
        let missing = width.unwrap_or(0).saturating_sub(text.chars().count());
        if missing > MOST_BYTES {
            return Err(Error::new(ErrorKind::ProgramLimit, "requested length too large"));
        }
        let padding = " ".repeat(missing);
        result.push_str(&if left { format!("{text}{padding}") } else { format!("{padding}{text}") });
    }
    result.push_str(rest);
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_fills_its_template() {
        let arguments = [Some("a b"), Some("it's"), Some("5"), None];
        for (template, text) in [
            ("%s %I %L %%", "a b \"it's\" '5' %"),
            ("%s %I %L %3$s", "a b \"it's\" '5' 5"),
            ("%1$L|%2$-6s|", "'a b'|it's  |"),
            ("%3$s|%s|%1$L", "5||'a b'"),
            ("|%6s|%-6s|", "|   a b|it's  |"),
            ("|%2$*3$s|", "| it's|"),
            ("|%2$-*3$s|", "|it's |"),
        ] {
            assert_eq!(
                filled(template, &arguments).map_err(|error| error.message().to_string()),
                Ok(text.to_string()),
                "{template}"
            );
        }
        for wrong in ["%s %s %s %s %s", "%x", "%", "%1", "%0$s", "%1$", "%*5s", "%4$I"] {
            assert!(filled(wrong, &arguments).is_err(), "{wrong}");
        }
    }
}
