//! Binary values as PostgreSQL prints them with its default settings, in UTC.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, Timelike};

/// Type of the elements of the array type with this OID.
pub(crate) fn element_of(array: u32) -> Option<u32> {
    Some(match array {
        1000 => 16,
        1001 => 17,
        1002 => 18,
        1003 => 19,
        1005 => 21,
        1007 => 23,
        1009 => 25,
        1014 => 1042,
        1015 => 1043,
        1016 => 20,
        1021 => 700,
        1022 => 701,
        1028 => 26,
        1034 => 1033,
        1115 => 1114,
        1182 => 1082,
        1183 => 1083,
        1185 => 1184,
        1187 => 1186,
        1231 => 1700,
        2951 => 2950,
        199 => 114,
        3807 => 3802,
        2210 => 2205,
        2211 => 2206,
        _ => return None,
    })
}

/// The text of a value; `None` if the bytes are not one of that type.
pub(crate) fn text_of(oid: u32, bytes: &[u8]) -> Option<String> {
    if let Some(element) = element_of(oid) {
        return array(element, bytes);
    }
    Some(match oid {
        16 => match bytes {
            [0] => "f".into(),
            [1] => "t".into(),
            _ => return None,
        },
        17 => format!("\\x{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        20 => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        21 => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        23 => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        // oid, xid, and the object identifier types, which only text shows by name.
        26 | 28 | 24 | 2202..=2206 | 4089 | 4096 => u32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        22 | 30 => vector(oid, bytes)?,
        700 => float(f64::from(f32::from_be_bytes(bytes.try_into().ok()?)), &f32::from_be_bytes(bytes.try_into().ok()?), 6),
        701 => float(f64::from_be_bytes(bytes.try_into().ok()?), &f64::from_be_bytes(bytes.try_into().ok()?), 15),
        1082 => date(i32::from_be_bytes(bytes.try_into().ok()?))?,
        1083 => time(i64::from_be_bytes(bytes.try_into().ok()?)),
        1114 => timestamp(i64::from_be_bytes(bytes.try_into().ok()?), "")?,
        1184 => timestamp(i64::from_be_bytes(bytes.try_into().ok()?), "+00")?,
        1186 => interval(bytes)?,
        1700 => numeric(bytes)?,
        2278 => String::new(),
        2950 => uuid(bytes)?,
        3802 => String::from_utf8(bytes.strip_prefix(&[1])?.to_vec()).ok()?,
        _ => String::from_utf8(bytes.to_vec()).ok()?,
    })
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

fn take_int(bytes: &mut &[u8]) -> Option<i32> {
    take(bytes).map(i32::from_be_bytes)
}

/// The shortest digits that read back as the same number, laid out as `%g` would.
fn float(wide: f64, value: &dyn std::fmt::LowerExp, digits: i32) -> String {
    if wide.is_nan() {
        return "NaN".into();
    }
    if wide.is_infinite() {
        return if wide > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{mantissa}e{sign}{:02}", exponent.abs());
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let all: String = mantissa.chars().filter(|c| *c != '.').collect();
    let point = exponent + 1;
    if point <= 0 {
        return format!("{sign}0.{}{all}", "0".repeat(point.unsigned_abs() as usize));
    }
    let point = point as usize;
    match all.len() {
        length if length <= point => format!("{sign}{all}{}", "0".repeat(point - length)),
        _ => format!("{sign}{}.{}", &all[..point], &all[point..]),
    }
}

fn epoch() -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(2000, 1, 1)
}

fn date(days: i32) -> Option<String> {
    match days {
        i32::MAX => return Some("infinity".into()),
        i32::MIN => return Some("-infinity".into()),
        _ => {}
    }
    let span = Days::new(u64::from(days.unsigned_abs()));
    let date = if days < 0 { epoch()?.checked_sub_days(span)? } else { epoch()?.checked_add_days(span)? };
    Some(calendar(date).0)
}

/// A date, and whether it lies before Christ.
fn calendar(date: NaiveDate) -> (String, bool) {
    let before_christ = date.year() <= 0;
    let year = if before_christ { 1 - date.year() } else { date.year() };
    let suffix = if before_christ { " BC" } else { "" };
    (format!("{year:04}-{:02}-{:02}{suffix}", date.month(), date.day()), before_christ)
}

fn seconds(second: u32, micros: u32) -> String {
    if micros == 0 {
        return format!("{second:02}");
    }
    format!("{second:02}.{}", format!("{micros:06}").trim_end_matches('0'))
}

fn time(micros: i64) -> String {
    let second = micros / 1_000_000;
    let fraction = u32::try_from(micros % 1_000_000).unwrap_or_default();
    format!("{:02}:{:02}:{}", second / 3600, second / 60 % 60, seconds(u32::try_from(second % 60).unwrap_or_default(), fraction))
}

fn timestamp(micros: i64, zone: &str) -> Option<String> {
    match micros {
        i64::MAX => return Some("infinity".into()),
        i64::MIN => return Some("-infinity".into()),
        _ => {}
    }
    let moment: NaiveDateTime = epoch()?.and_hms_opt(0, 0, 0)?.checked_add_signed(TimeDelta::microseconds(micros))?;
    let (day, before_christ) = calendar(moment.date());
    let clock = format!("{:02}:{:02}:{}", moment.hour(), moment.minute(), seconds(moment.second(), moment.nanosecond() / 1000));
    Some(match day.strip_suffix(" BC") {
        Some(day) if before_christ => format!("{day} {clock}{zone} BC"),
        _ => format!("{day} {clock}{zone}"),
    })
}

fn interval(mut bytes: &[u8]) -> Option<String> {
    let micros = i64::from_be_bytes(take(&mut bytes)?);
    let (days, all_months) = (take_int(&mut bytes)?, take_int(&mut bytes)?);
    let mut parts: Vec<String> = Vec::new();
    let mut negative_before = false;
    for (count, one, many) in [(all_months / 12, "year", "years"), (all_months % 12, "mon", "mons"), (days, "day", "days")] {
        if count != 0 {
            let sign = if negative_before && count > 0 { "+" } else { "" };
            parts.push(format!("{sign}{count} {}", if count == 1 { one } else { many }));
            negative_before = count < 0;
        }
    }
    if micros != 0 || parts.is_empty() {
        let sign = match (micros < 0, negative_before) {
            (true, _) => "-",
            (false, true) => "+",
            (false, false) => "",
        };
        parts.push(format!("{sign}{}", time(i64::try_from(micros.unsigned_abs()).ok()?)));
    }
    Some(parts.join(" "))
}

fn numeric(mut bytes: &[u8]) -> Option<String> {
    let groups = i16::from_be_bytes(take(&mut bytes)?);
    let weight = i16::from_be_bytes(take(&mut bytes)?);
    let sign = u16::from_be_bytes(take(&mut bytes)?);
    let scale = usize::from(u16::from_be_bytes(take(&mut bytes)?));
    match sign {
        0xC000 => return Some("NaN".into()),
        0xD000 => return Some("Infinity".into()),
        0xF000 => return Some("-Infinity".into()),
        _ => {}
    }
    let mut digits = Vec::new();
    for _ in 0..groups {
        digits.push(i16::from_be_bytes(take(&mut bytes)?));
    }
    let group = |place: i16| usize::try_from(weight - place).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0);
    let mut whole = String::new();
    for place in (0..=weight.max(0)).rev() {
        whole.push_str(&format!("{:04}", group(place)));
    }
    let whole = whole.trim_start_matches('0');
    let mut fraction = String::new();
    let mut place = -1;
    while fraction.len() < scale {
        fraction.push_str(&format!("{:04}", group(place)));
        place -= 1;
    }
    fraction.truncate(scale);
    let sign = if sign == 0x4000 { "-" } else { "" };
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

fn uuid(bytes: &[u8]) -> Option<String> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (hex.len() == 32).then(|| format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// `int2vector` and `oidvector` print without braces.
fn vector(oid: u32, bytes: &[u8]) -> Option<String> {
    let text = array(if oid == 22 { 21 } else { 26 }, bytes)?;
    let inside = text.rsplit('=').next()?.trim_matches(['{', '}']);
    Some(inside.replace(',', " "))
}

fn array(element: u32, mut bytes: &[u8]) -> Option<String> {
    let dimensions = usize::try_from(take_int(&mut bytes)?).ok()?;
    let (_has_nulls, _element) = (take_int(&mut bytes)?, take_int(&mut bytes)?);
    if dimensions == 0 {
        return Some("{}".into());
    }
    let mut lengths = Vec::new();
    let mut bounds = Vec::new();
    for _ in 0..dimensions {
        lengths.push(usize::try_from(take_int(&mut bytes)?).ok()?);
        bounds.push(take_int(&mut bytes)?);
    }
    let body = nested(element, &lengths, &mut bytes)?;
    if bounds.iter().all(|bound| *bound == 1) {
        return Some(body);
    }
    let ranges = bounds.iter().zip(&lengths).map(|(low, length)| format!("[{low}:{}]", i64::from(*low) + *length as i64 - 1));
    // int2vector counts from 0, and prints no bounds.
    Some(format!("{}={body}", ranges.collect::<String>()))
}

fn nested(element: u32, lengths: &[usize], bytes: &mut &[u8]) -> Option<String> {
    let (length, inner) = lengths.split_first()?;
    let mut items = Vec::new();
    for _ in 0..*length {
        items.push(if inner.is_empty() { item(element, bytes)? } else { nested(element, inner, bytes)? });
    }
    Some(format!("{{{}}}", items.join(",")))
}

fn item(element: u32, bytes: &mut &[u8]) -> Option<String> {
    let length = take_int(bytes)?;
    let Ok(length) = usize::try_from(length) else { return Some("NULL".into()) };
    let (value, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    let text = text_of(element, value)?;
    let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || c.is_ascii_whitespace();
    let quoted = text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(special);
    Some(if quoted { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) } else { text })
}
