//! ISO 8601's intervals: `P1Y2M3W4DT5H6M7.8S`, `P0001-02-03T04:05:06`, `P00010203T040506`.

use super::interval_input::{Amount, DAY, Fault, Reading, Sum, Unit};

/// Reads the whole text, whose first letter is a `P`.
pub(super) fn read(text: &str) -> Reading<Sum> {
    let mut cursor = Cursor { rest: text.strip_prefix('P').filter(|rest| !rest.is_empty()).ok_or(Fault::Syntax)? };
    let mut sum = Sum::default();
    let mut in_date = true;
    let mut has_field = false;
    while !cursor.rest.is_empty() {
        if cursor.take('T') {
            (in_date, has_field) = (false, false);
            continue;
        }
        let digits = cursor.rest.trim_start_matches('-').bytes().take_while(u8::is_ascii_digit).count();
        let amount = cursor.number()?;
        let designator = cursor.next();
        let unit = match (designator, in_date) {
            (Some('Y'), true) => Unit::Year,
            (Some('M'), true) => Unit::Month,
            (Some('W'), true) => Unit::Week,
            (Some('D'), true) => Unit::Day,
            (Some('H'), false) => Unit::Hour,
            (Some('M'), false) => Unit::Minute,
            (Some('S'), false) => Unit::Second,
            _ if has_field => return Err(Fault::Syntax),
            (None | Some('T'), true) if digits == 8 => {
                run_together_date(&mut sum, amount)?;
                in_date = false;
                continue;
            }
            (None | Some('T' | '-'), true) => {
                if !dashed_date(&mut sum, amount, designator, &mut cursor)? {
                    return Ok(sum);
                }
                in_date = false;
                continue;
            }
            (None, false) if digits == 6 => {
                run_together_time(&mut sum, amount)?;
                return Ok(sum);
            }
            (None | Some(':'), false) => {
                colon_time(&mut sum, amount, designator, &mut cursor)?;
                return Ok(sum);
            }
            _ => return Err(Fault::Syntax),
        };
        sum.add(amount, unit)?;
        has_field = true;
    }
    Ok(sum)
}

struct Cursor<'a> {
    rest: &'a str,
}

impl Cursor<'_> {
    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn take(&mut self, wanted: char) -> bool {
        let rest = self.rest.strip_prefix(wanted);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A number with its fraction.
    #[expect(clippy::cast_possible_truncation, reason = "compared with the limit before")]
    fn number(&mut self) -> Reading<Amount> {
        let sign = usize::from(self.rest.starts_with('-'));
        let numeric = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
        let mut end = sign + self.rest[sign..].bytes().take_while(numeric).count();
        if let Some(exponent) = self.rest[end..].strip_prefix(['e', 'E']) {
            let sign = usize::from(exponent.starts_with(['+', '-']));
            let digits = exponent[sign..].bytes().take_while(u8::is_ascii_digit).count();
            end += if digits == 0 { 0 } else { 1 + sign + digits };
        }
        let (number, rest) = self.rest.split_at(end);
        let value: f64 = number.parse().map_err(|_| Fault::Syntax)?;
        self.rest = rest;
        if value.abs() > 1e15 {
            return Err(Fault::Range);
        }
        let whole = value.trunc();
        Ok(Amount { whole: whole as i64, fraction: value - whole })
    }
}

/// `00010203`: years, months, days.
fn run_together_date(sum: &mut Sum, amount: Amount) -> Reading<()> {
    sum.add(whole(amount.whole / 10_000), Unit::Year)?;
    sum.add_months(amount.whole / 100 % 100).ok_or(Fault::Range)?;
    sum.add_days(amount.whole % 100, 1).ok_or(Fault::Range)?;
    sum.add_fraction(amount.fraction, DAY).ok_or(Fault::Range)
}

/// `0001-02-03`, whose years have been read; whether a time follows.
fn dashed_date(sum: &mut Sum, years: Amount, separator: Option<char>, cursor: &mut Cursor<'_>) -> Reading<bool> {
    sum.add(years, Unit::Year)?;
    let mut separator = separator;
    for unit in [Unit::Month, Unit::Day] {
        match separator {
            None => return Ok(false),
            Some('T') => return Ok(true),
            Some('-') => sum.add(cursor.number()?, unit)?,
            Some(_) => return Err(Fault::Syntax),
        }
        separator = cursor.next();
    }
    match separator {
        None => Ok(false),
        Some('T') => Ok(true),
        Some(_) => Err(Fault::Syntax),
    }
}

/// `040506`: hours, minutes, seconds.
fn run_together_time(sum: &mut Sum, amount: Amount) -> Reading<()> {
    sum.add(whole(amount.whole / 10_000), Unit::Hour)?;
    sum.add(whole(amount.whole / 100 % 100), Unit::Minute)?;
    sum.add(whole(amount.whole % 100), Unit::Second)?;
    sum.add_fraction(amount.fraction, 1).ok_or(Fault::Range)
}

/// `04:05:06`, whose hours have been read.
fn colon_time(sum: &mut Sum, hours: Amount, separator: Option<char>, cursor: &mut Cursor<'_>) -> Reading<()> {
    sum.add(hours, Unit::Hour)?;
    let mut separator = separator;
    for unit in [Unit::Minute, Unit::Second] {
        match separator {
            None => return Ok(()),
            Some(':') => sum.add(cursor.number()?, unit)?,
            Some(_) => return Err(Fault::Syntax),
        }
        separator = cursor.next();
    }
    if separator.is_none() { Ok(()) } else { Err(Fault::Syntax) }
}

const fn whole(whole: i64) -> Amount {
    Amount { whole, fraction: 0.0 }
}
