//! The functions and operators over regular expressions (PostgreSQL 9.7.3, 9.4; Databricks' `regexp_extract`, `rlike`).

use std::ops::Range;

use super::Pattern;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{Call, Declaration, immutable};
use crate::types::datum::Datum;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = operators();
    all.extend(pieces());
    all.extend(positions());
    all.extend(replacing());
    all
}

type Groups = Vec<Option<Range<usize>>>;

fn operators() -> Vec<Declaration> {
    vec![
        immutable("textregexeq(text, text) -> bool", |call| is_match(call, "").map(Datum::Bool)),
        immutable("textregexne(text, text) -> bool", |call| is_match(call, "").map(|found| Datum::Bool(!found))),
        immutable("texticregexeq(text, text) -> bool", |call| is_match(call, "i").map(Datum::Bool)),
        immutable("texticregexne(text, text) -> bool", |call| is_match(call, "i").map(|found| Datum::Bool(!found))),
        immutable("rlike(text, text) -> bool", |call| is_match(call, "").map(Datum::Bool)),
        immutable("regexp_like(text, text) -> bool", |call| is_match(call, "").map(Datum::Bool)),
        immutable("regexp_like(text, text, text) -> bool", |call| {
            let flags = without_global(call, 2, "regexp_like()", None)?;
            is_match(call, flags).map(Datum::Bool)
        }),
    ]
}

fn is_match(call: &Call<'_>, flags: &str) -> Result<bool> {
    Ok(Pattern::of(call.text(1)?, flags)?.is_match(call.text(0)?))
}

fn flags_of<'a>(call: &Call<'a>, index: usize) -> &'a str {
    call.get(index).as_text().unwrap_or("")
}

/// Flags of a function that looks at one match or at all of them, whatever the flags say.
fn without_global<'a>(call: &Call<'a>, index: usize, function: &str, instead: Option<&str>) -> Result<&'a str> {
    let flags = flags_of(call, index);
    if !flags.contains('g') {
        return Ok(flags);
    }
    let error = Error::new(ErrorKind::InvalidParameter, format!("{function} does not support the \"global\" option"));
    Err(match instead {
        Some(instead) => error.with_hint(format!("Use the {instead} function instead.")),
        None => error,
    })
}

/// An argument that counts from `least`.
fn counted(call: &Call<'_>, index: usize, name: &str, least: i64, default: i64) -> Result<usize> {
    let number = if call.get(index).is_null() { default } else { call.int(index)? };
    if number < least {
        return Err(Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"{name}\": {number}")));
    }
    usize::try_from(number).map_err(|_| Error::internal("a count that is no size"))
}

/// Where character `start` (from 1) begins, in bytes; `None` behind the end.
fn byte_of(text: &str, start: usize) -> Option<usize> {
    text.char_indices().map(|(at, _)| at).chain([text.len()]).nth(start - 1)
}

fn at(text: &str, range: Option<&Range<usize>>) -> Datum {
    Datum::text(range.and_then(|range| text.get(range.clone())))
}

/// The groups of a match, or the whole of it where there is no group.
fn captured(text: &str, groups: &Groups) -> Datum {
    let shown = if groups.len() == 1 { groups.as_slice() } else { groups.get(1..).unwrap_or_default() };
    Datum::List(shown.iter().map(|group| at(text, group.as_ref())).collect())
}

fn pieces() -> Vec<Declaration> {
    vec![
        immutable("regexp_match(text, text) -> text[]", first_match),
        immutable("regexp_match(text, text, text) -> text[]", first_match),
        immutable("regexp_matches(text, text) -> setof text[]", all_matches),
        immutable("regexp_matches(text, text, text) -> setof text[]", all_matches),
        immutable("regexp_split_to_array(text, text) -> text[]", |call| split(call, "regexp_split_to_array()")),
        immutable("regexp_split_to_array(text, text, text) -> text[]", |call| split(call, "regexp_split_to_array()")),
        immutable("regexp_split_to_table(text, text) -> setof text", |call| split(call, "regexp_split_to_table()")),
        immutable("regexp_split_to_table(text, text, text) -> setof text", |call| split(call, "regexp_split_to_table()")),
        immutable("substring_pattern(text, text) -> text", |call| {
            let text = call.text(0)?;
            let found = Pattern::of(call.text(1)?, "")?.captures_at(text, 0);
            // The first group, or the whole match.
            Ok(found.map_or(Datum::Null, |groups| at(text, groups.get(usize::from(groups.len() > 1)).and_then(Option::as_ref))))
        }),
        immutable("regexp_extract(text, text) -> text", |call| extracted(call, 1)),
        immutable("regexp_extract(text, text, int4) -> text", |call| extracted(call, counted(call, 2, "idx", 0, 1)?)),
    ]
}

fn first_match(call: &Call<'_>) -> Result<Datum> {
    let flags = without_global(call, 2, "regexp_match()", Some("regexp_matches"))?;
    let text = call.text(0)?;
    let found = Pattern::of(call.text(1)?, flags)?.captures_at(text, 0);
    Ok(found.map_or(Datum::Null, |groups| captured(text, &groups)))
}

fn all_matches(call: &Call<'_>) -> Result<Datum> {
    let (text, flags) = (call.text(0)?, flags_of(call, 2));
    let pattern = Pattern::of(call.text(1)?, flags)?;
    let limit = if flags.contains('g') { usize::MAX } else { 1 };
    Ok(Datum::List(pattern.matches(text, 0).take(limit).map(|groups| captured(text, &groups)).collect()))
}

fn split(call: &Call<'_>, function: &str) -> Result<Datum> {
    let flags = without_global(call, 2, function, None)?;
    let text = call.text(0)?;
    let pattern = Pattern::of(call.text(1)?, flags)?;
    let mut pieces = Vec::new();
    let mut start = 0;
    for found in pattern.matches(text, 0).filter_map(|groups| groups.first().cloned().flatten()) {
        // An empty match splits between characters, never at the ends or right behind a match.
        if found.is_empty() && (found.start == start || found.start >= text.len()) {
            continue;
        }
        pieces.push(text.get(start..found.start).unwrap_or_default());
        start = found.end;
    }
    pieces.push(text.get(start..).unwrap_or_default());
    Ok(Datum::from(pieces))
}

/// Databricks' `regexp_extract`: the empty string where nothing matches.
fn extracted(call: &Call<'_>, group: usize) -> Result<Datum> {
    let text = call.text(0)?;
    let groups = Pattern::of(call.text(1)?, "")?.captures_at(text, 0).unwrap_or_default();
    let found = groups.get(group).and_then(Option::as_ref).and_then(|range| text.get(range.clone()));
    Ok(Datum::from(found.unwrap_or_default()))
}

fn positions() -> Vec<Declaration> {
    vec![
        immutable("regexp_count(text, text) -> int4", count),
        immutable("regexp_count(text, text, int4) -> int4", count),
        immutable("regexp_count(text, text, int4, text) -> int4", count),
        immutable("regexp_instr(text, text) -> int4", position),
        immutable("regexp_instr(text, text, int4) -> int4", position),
        immutable("regexp_instr(text, text, int4, int4) -> int4", position),
        immutable("regexp_instr(text, text, int4, int4, int4) -> int4", position),
        immutable("regexp_instr(text, text, int4, int4, int4, text) -> int4", position),
        immutable("regexp_instr(text, text, int4, int4, int4, text, int4) -> int4", position),
        immutable("regexp_substr(text, text) -> text", substr),
        immutable("regexp_substr(text, text, int4) -> text", substr),
        immutable("regexp_substr(text, text, int4, int4) -> text", substr),
        immutable("regexp_substr(text, text, int4, int4, text) -> text", substr),
        immutable("regexp_substr(text, text, int4, int4, text, int4) -> text", substr),
    ]
}

fn whole(number: usize) -> Datum {
    Datum::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn count(call: &Call<'_>) -> Result<Datum> {
    let text = call.text(0)?;
    let start = counted(call, 2, "start", 1, 1)?;
    let flags = without_global(call, 3, "regexp_count()", None)?;
    let pattern = Pattern::of(call.text(1)?, flags)?;
    Ok(whole(byte_of(text, start).map_or(0, |from| pattern.matches(text, from).count())))
}

/// Where the nth match or a group of it begins, in characters; behind it when the fifth argument is 1.
fn position(call: &Call<'_>) -> Result<Datum> {
    let text = call.text(0)?;
    let start = counted(call, 2, "start", 1, 1)?;
    let nth = counted(call, 3, "n", 1, 1)?;
    let end = counted(call, 4, "endoption", 0, 0)?;
    if end > 1 {
        return Err(Error::new(ErrorKind::InvalidParameter, format!("invalid value for parameter \"endoption\": {end}")));
    }
    let flags = without_global(call, 5, "regexp_instr()", None)?;
    let group = counted(call, 6, "subexpr", 0, 0)?;
    let found = nth_group(call.text(1)?, flags, text, (start, nth, group))?;
    let byte = found.map(|range| if end == 1 { range.end } else { range.start });
    Ok(whole(byte.and_then(|byte| text.get(..byte)).map_or(0, |before| before.chars().count() + 1)))
}

fn substr(call: &Call<'_>) -> Result<Datum> {
    let text = call.text(0)?;
    let start = counted(call, 2, "start", 1, 1)?;
    let nth = counted(call, 3, "n", 1, 1)?;
    let flags = without_global(call, 4, "regexp_substr()", None)?;
    let group = counted(call, 5, "subexpr", 0, 0)?;
    Ok(at(text, nth_group(call.text(1)?, flags, text, (start, nth, group))?.as_ref()))
}

fn nth_group(pattern: &str, flags: &str, text: &str, (start, nth, group): (usize, usize, usize)) -> Result<Option<Range<usize>>> {
    let pattern = Pattern::of(pattern, flags)?;
    let Some(from) = byte_of(text, start).filter(|_| group <= pattern.groups()) else { return Ok(None) };
    Ok(pattern.matches(text, from).nth(nth - 1).and_then(|groups| groups.get(group).cloned().flatten()))
}

fn replacing() -> Vec<Declaration> {
    vec![
        immutable("regexp_replace(text, text, text) -> text", |call| replaced(call, "", 1, Some(1))),
        immutable("regexp_replace(text, text, text, text) -> text", |call| {
            let flags = call.text(3)?;
            if flags.starts_with(|first: char| first.is_ascii_digit()) {
                return Err(Error::new(
                    ErrorKind::InvalidParameter,
                    format!("invalid regular expression option: \"{}\"", &flags[..1]),
                )
                .with_hint(
                    "If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.",
                ));
            }
            replaced(call, flags, 1, if flags.contains('g') { None } else { Some(1) })
        }),
        immutable("regexp_replace(text, text, text, int4) -> text", |call| {
            replaced(call, "", counted(call, 3, "start", 1, 1)?, Some(1))
        }),
        immutable("regexp_replace(text, text, text, int4, int4) -> text", |call| {
            let (start, nth) = (counted(call, 3, "start", 1, 1)?, counted(call, 4, "n", 0, 1)?);
            replaced(call, "", start, Some(nth).filter(|nth| *nth > 0))
        }),
        immutable("regexp_replace(text, text, text, int4, int4, text) -> text", |call| {
            let (start, nth) = (counted(call, 3, "start", 1, 1)?, counted(call, 4, "n", 0, 1)?);
            replaced(call, flags_of(call, 5), start, Some(nth).filter(|nth| *nth > 0))
        }),
    ]
}

/// The text with match number `nth` replaced, or with all of them.
fn replaced(call: &Call<'_>, flags: &str, start: usize, nth: Option<usize>) -> Result<Datum> {
    let (text, replacement) = (call.text(0)?, call.text(2)?);
    let pattern = Pattern::of(call.text(1)?, flags)?;
    let Some(from) = byte_of(text, start) else { return Ok(Datum::from(text)) };
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    for (index, groups) in pattern.matches(text, from).enumerate() {
        let Some(found) = groups.first().cloned().flatten() else { break };
        if nth.is_none_or(|nth| nth == index + 1) {
            result.push_str(text.get(copied..found.start).unwrap_or_default());
            push_replacement(&mut result, replacement, text, &groups);
            copied = found.end;
        }
        if nth.is_some_and(|nth| index + 1 >= nth) {
            break;
        }
    }
    result.push_str(text.get(copied..).unwrap_or_default());
    Ok(Datum::from(result))
}

/// `\1` to `\9` are groups, `\&` the whole match, `\\` a backslash; before anything else a backslash is itself.
fn push_replacement(result: &mut String, replacement: &str, text: &str, groups: &Groups) {
    let group = |result: &mut String, index: usize| {
        let range = groups.get(index).and_then(Option::as_ref);
        result.push_str(range.and_then(|range| text.get(range.clone())).unwrap_or_default());
    };
    let mut characters = replacement.chars().peekable();
    while let Some(character) = characters.next() {
        let Some(next) = characters.peek().copied().filter(|_| character == '\\') else {
            result.push(character);
            continue;
        };
        match next {
            '1'..='9' => group(result, next.to_digit(10).map_or(0, |digit| digit as usize)),
            '&' => group(result, 0),
            '\\' => result.push('\\'),
            _ => {
                result.push('\\');
                continue;
            }
        }
        characters.next();
    }
}
