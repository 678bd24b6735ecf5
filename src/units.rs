//! Values with their unit in the type, as configuration writes them: `"64MiB"`, `"15s"`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// A number of bytes, written with a binary unit: `0B`, `512KiB`, `64MiB`, `2GiB`, `1TiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// `n` mebibytes.
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// `n` kibibytes.
    pub const fn kib(n: u64) -> Self {
        Self(n << 10)
    }

    /// As a number of bytes for lengths in memory; saturates on a 32-bit machine.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const BYTE_UNITS: [(&str, u32); 5] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        for (unit, shift) in BYTE_UNITS {
            if let Some(digits) = text.strip_suffix(unit) {
                let number: u64 = digits.trim().parse().map_err(|_| format!("{text:?} is not a size, such as \"64MiB\""))?;
                return number.checked_mul(1 << shift).map(ByteSize).ok_or_else(|| format!("{text:?} is too large"));
            }
        }
        Err(format!("{text:?} has no unit; write B, KiB, MiB, GiB or TiB"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, shift) =
            BYTE_UNITS.into_iter().find(|(_, shift)| self.0 != 0 && self.0.trailing_zeros() >= *shift).unwrap_or(("B", 0));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

/// A span of time, written with a unit: `500ms`, `15s`, `10min`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanDuration(pub Duration);

impl HumanDuration {
    /// `n` seconds.
    pub const fn secs(n: u64) -> Self {
        Self(Duration::from_secs(n))
    }

    /// `n` milliseconds.
    pub const fn millis(n: u64) -> Self {
        Self(Duration::from_millis(n))
    }
}

const TIME_UNITS: [(&str, u64); 5] = [("ms", 1), ("min", 60_000), ("s", 1000), ("h", 3_600_000), ("d", 86_400_000)];

impl FromStr for HumanDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        for (unit, millis) in TIME_UNITS {
            if let Some(digits) = text.strip_suffix(unit) {
                let number: u64 = digits.trim().parse().map_err(|_| format!("{text:?} is not a duration, such as \"15s\""))?;
                let total = number.checked_mul(millis).ok_or_else(|| format!("{text:?} is too long"))?;
                return Ok(Self(Duration::from_millis(total)));
            }
        }
        Err(format!("{text:?} has no unit; write ms, s, min, h or d"))
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        let (unit, size) = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000)]
            .into_iter()
            .find(|(_, size)| millis != 0 && millis.is_multiple_of(*size))
            .unwrap_or(("ms", 1));
        write!(f, "{}{unit}", millis / size)
    }
}

macro_rules! text_form {
    ($($type:ty),*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}
text_form!(ByteSize, HumanDuration);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_read_back_what_they_print() {
        for text in ["0B", "1B", "64MiB", "3GiB", "1536KiB"] {
            assert_eq!(text.parse::<ByteSize>().map(|size| size.to_string()).as_deref(), Ok(text));
        }
        for text in ["0ms", "500ms", "15s", "10min", "36h", "7d"] {
            assert_eq!(text.parse::<HumanDuration>().map(|span| span.to_string()).as_deref(), Ok(text));
        }
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        assert!("64".parse::<ByteSize>().is_err());
        assert!("15".parse::<HumanDuration>().is_err());
        assert!("99999999TiB".parse::<ByteSize>().is_err());
    }
}
