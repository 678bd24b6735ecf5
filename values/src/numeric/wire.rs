//! PostgreSQL's binary form: the number of digits, the weight of the first, the sign and the display scale as 16 bits each, then the
//! digits in base 10000. Zeros at either end are left out.

use super::natural::Natural;
use super::wide::{GROUP, Wide, head};
use super::{MAX_SCALE, Numeric, Repr, is_small, raised};
use crate::error::{Error, ErrorKind, Result};

const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const NAN: u16 = 0xc000;
const INFINITY: u16 = 0xd000;
const NEGATIVE_INFINITY: u16 = 0xf000;

/// The scale that PostgreSQL sends with an infinity: the bits of its own storage that say so.
const INFINITE_SCALE: i32 = 0x20;

/// Bytes before the digits.
const HEADER: usize = 8;

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidBinary, message)
}

impl Numeric {
    /// Appends the binary form.
    pub fn to_binary(&self, out: &mut Vec<u8>) {
        match &self.repr {
            Repr::NaN => write_header(out, (0, 0, NAN, 0)),
            Repr::Infinity { negative } => {
                write_header(out, (0, 0, if *negative { NEGATIVE_INFINITY } else { INFINITY }, INFINITE_SCALE))
            }
            Repr::Small { unscaled, scale } => write_small(*unscaled, *scale, out),
            Repr::Large(wide) => write_wide(wide, out),
        }
    }

    /// Reads the binary form, as PostgreSQL receives it: digits that the display scale would hide are cut off.
    ///
    /// # Errors
    /// 22P03 for bytes that are no numeric, 22003 for one with too many digits before the point.
    pub fn from_binary(bytes: &[u8]) -> Result<Self> {
        let field = |place: usize| {
            let bytes = bytes.get(place * 2..place * 2 + 2)?;
            Some(u16::from_be_bytes(bytes.try_into().ok()?))
        };
        let insufficient = || Error::new(ErrorKind::ProtocolViolation, "insufficient data left in message");
        let (Some(count), Some(weight), Some(sign), Some(scale)) = (field(0), field(1), field(2), field(3)) else {
            return Err(insufficient());
        };
        if ![POSITIVE, NEGATIVE, NAN, INFINITY, NEGATIVE_INFINITY].contains(&sign) {
            return Err(invalid("invalid sign in external \"numeric\" value"));
        }
        if i32::from(scale) > MAX_SCALE {
            return Err(invalid("invalid scale in external \"numeric\" value"));
        }
        if let Some(number) = read_small(bytes, (count, weight, sign, scale)) {
            return Ok(number);
        }
        let mut digits = Vec::with_capacity(usize::from(count) * 4);
        for place in 0..usize::from(count) {
            let group = field(4 + place).ok_or_else(insufficient)?;
            if group >= 10_000 {
                return Err(invalid("invalid digit in external \"numeric\" value"));
            }
            digits.extend(
                [group / 1000, group / 100 % 10, group / 10 % 10, group % 10].map(|digit| u8::try_from(digit).unwrap_or_default()),
            );
        }
        if bytes.len() != HEADER + usize::from(count) * 2 {
            return Err(invalid("incorrect binary data format"));
        }
        match sign {
            NAN => return Ok(Numeric::NAN),
            INFINITY => return Ok(Numeric::INFINITY),
            NEGATIVE_INFINITY => return Ok(Numeric::NEGATIVE_INFINITY),
            _ => {}
        }
        let weight = i32::from(weight.cast_signed());
        let own_scale = (i32::from(count) - 1 - weight) * GROUP;
        let number = Wide::new(sign == NEGATIVE, Natural::from_digits(digits.into_iter()), own_scale);
        Numeric::from_wide(number.truncated(i32::from(scale)))
    }
}

/// A well-formed number of few digits, of which the scale hides none; `None` for others.
fn read_small(bytes: &[u8], (count, weight, sign, scale): (u16, u16, u16, u16)) -> Option<Numeric> {
    const MOST: u16 = 8;
    let digits = bytes.get(HEADER..)?;
    if count > MOST || digits.len() != usize::from(count) * 2 || ![POSITIVE, NEGATIVE].contains(&sign) {
        return None;
    }
    let mut number = 0_i128;
    for pair in digits.as_chunks::<2>().0 {
        let group = u16::from_be_bytes(*pair);
        if group >= 10_000 {
            return None;
        }
        number = number * 10_000 + i128::from(group);
    }
    // How far the last digit stands above the last shown one.
    let shift = (i32::from(weight.cast_signed()) + 1 - i32::from(count)) * GROUP + i32::from(scale);
    let number = match u32::try_from(shift) {
        Ok(shift) => raised(number, shift).filter(|number| is_small(*number))?,
        Err(_) => {
            let power = i128::from(10_i16.checked_pow(shift.unsigned_abs())?);
            (number % power == 0).then_some(number / power)?
        }
    };
    Some(Numeric::small(if sign == NEGATIVE { -number } else { number }, scale))
}

/// Number of digits, weight, sign and scale.
fn write_header(out: &mut Vec<u8>, (count, weight, sign, scale): (usize, i32, u16, i32)) {
    let count = u16::try_from(count).unwrap_or(u16::MAX);
    let weight = i16::try_from(weight).unwrap_or(i16::MAX);
    let scale = u16::try_from(scale).unwrap_or(u16::MAX);
    out.extend(count.to_be_bytes().into_iter().chain(weight.to_be_bytes()).chain(sign.to_be_bytes()).chain(scale.to_be_bytes()));
}

const fn sign(negative: bool) -> u16 {
    if negative { NEGATIVE } else { POSITIVE }
}

fn write_small(unscaled: i128, scale: u16, out: &mut Vec<u8>) {
    /// Groups of a number of 38 digits, however they lie to the point.
    const GROUPS: usize = 11;
    let mut rest = unscaled.unsigned_abs();
    let (_, weight) = head(rest, i32::from(scale));
    let mut groups = [[0; 2]; GROUPS];
    let mut first = GROUPS;
    // The digits behind the point fill whole groups.
    let mut place = (GROUP - i32::from(scale).rem_euclid(GROUP)).rem_euclid(GROUP);
    while rest > 0 && first > 0 {
        let power = 10_u128.pow(u32::try_from(GROUP - place).unwrap_or_default());
        let (group, next) = match u64::try_from(rest) {
            Ok(short) => {
                let power = u64::try_from(power).unwrap_or(1);
                (short % power, u128::from(short / power))
            }
            Err(_) => (u64::try_from(rest % power).unwrap_or_default(), rest / power),
        };
        let group = group * 10_u64.pow(u32::try_from(place).unwrap_or_default());
        (rest, place) = (next, 0);
        first -= 1;
        groups[first] = u16::try_from(group).unwrap_or_default().to_be_bytes();
    }
    let zeros = groups[first..].iter().rev().take_while(|group| **group == [0; 2]).count();
    let groups = &groups[first..GROUPS - zeros];
    write_header(out, (groups.len(), weight, sign(unscaled < 0), i32::from(scale)));
    out.extend_from_slice(groups.as_flattened());
}

fn write_wide(wide: &Wide, out: &mut Vec<u8>) {
    let groups = wide.leading_groups(i32::MAX);
    write_header(out, (groups.len(), wide.weight(), sign(wide.is_negative()), wide.scale()));
    out.extend(groups.into_iter().flat_map(u16::to_be_bytes));
}
