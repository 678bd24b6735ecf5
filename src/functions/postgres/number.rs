//! Random numbers, and sizes in words.

use rand::Rng as _;

use crate::error::{Error, ErrorKind, Result};
use crate::functions::define::{Call, Declaration, immutable, stable, volatile};
use crate::types::datum::Datum;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = vec![
        immutable("pmod(int8, int8) -> int8", |call| {
            let divisor = call.int(1)?;
            if divisor == 0 { Ok(Datum::Null) } else { Ok(Datum::Int(call.int(0)?.rem_euclid(divisor))) }
        }),
        volatile("random(int4, int4) -> int4", random_between),
        volatile("random(int8, int8) -> int8", random_between),
        volatile("random() -> float8", |_| Ok(Datum::Float(rand::rng().random::<f64>()))),
        volatile("rand() -> float8", |_| Ok(Datum::Float(rand::rng().random::<f64>()))),
        volatile("gen_random_uuid() -> uuid", |_| Ok(Datum::from(uuid::Uuid::new_v4().to_string()))),
        volatile("uuid() -> text", |_| Ok(Datum::from(uuid::Uuid::new_v4().to_string()))),
        volatile("uuid_generate_v4() -> uuid", |_| Ok(Datum::from(uuid::Uuid::new_v4().to_string()))),
    ];
    all.extend(sizes());
    all
}

fn random_between(call: &Call<'_>) -> Result<Datum> {
    let (low, high) = (call.int(0)?, call.int(1)?);
    if low > high {
        return Err(Error::new(ErrorKind::InvalidParameter, "lower bound must be less than or equal to upper bound"));
    }
    Ok(Datum::Int(rand::rng().random_range(low..=high)))
}

/// Sizes of relations. A table's size tells about rows that a policy may hide, so nothing is told here; DESCRIBE shows it to owners.
fn sizes() -> Vec<Declaration> {
    let unknown = |signature| stable(signature, |_| Ok(Datum::Int(0)));
    vec![
        immutable("pg_size_pretty(int8) -> text", |call| Ok(Datum::from(size_text(call.int(0)?.into())))),
        immutable("pg_size_pretty(numeric) -> text", |call| {
            Ok(match call.get(0) {
                Datum::Numeric(value) => Datum::from(size_text(value.trunc(0).to_i128(0).unwrap_or(0))),
                Datum::Int(value) => Datum::from(size_text((*value).into())),
                _ => Datum::Null,
            })
        }),
        immutable("pg_size_bytes(text) -> int8", size_bytes),
        unknown("pg_relation_size(regclass) -> int8"),
        unknown("pg_relation_size(regclass, text) -> int8"),
        unknown("pg_table_size(regclass) -> int8"),
        unknown("pg_indexes_size(regclass) -> int8"),
        unknown("pg_total_relation_size(regclass) -> int8"),
        unknown("pg_database_size(object) -> int8"),
        unknown("pg_tablespace_size(object) -> int8"),
        immutable("pg_column_size(any) -> int4", |_| Ok(Datum::Null)),
    ]
}

/// A number of bytes as PostgreSQL writes it: `8192 bytes`, `10 kB`.
fn size_text(bytes: i128) -> String {
    if bytes.abs() < 10 * 1024 {
        return format!("{bytes} bytes");
    }
    let mut size = bytes / 512;
    for unit in ["kB", "MB", "GB", "TB", "PB"] {
        if size.abs() < 20 * 1024 - 1 || unit == "PB" {
            let half = if size < 0 { size - 1 } else { size + 1 };
            return format!("{} {unit}", half / 2);
        }
        size /= 1024;
    }
    format!("{bytes} bytes")
}

fn size_bytes(call: &Call<'_>) -> Result<Datum> {
    let text = call.text(0)?.trim();
    let invalid = || Error::new(ErrorKind::InvalidParameter, format!("invalid size: \"{text}\""));
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number: f64 = number.parse().map_err(|_| invalid())?;
    let shift = match unit.trim().to_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "kb" => 10,
        "mb" => 20,
        "gb" => 30,
        "tb" => 40,
        "pb" => 50,
        _ => return Err(invalid().with_hint("Valid units are \"bytes\", \"B\", \"kB\", \"MB\", \"GB\", \"TB\", and \"PB\".")),
    };
    #[expect(clippy::cast_possible_truncation, reason = "saturates")]
    let bytes = (number * (1_i64 << shift) as f64).round() as i64;
    Ok(Datum::Int(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_with_their_unit() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (8192, "8192 bytes"),
            (10_240, "10 kB"),
            (1 << 20, "1024 kB"),
            (123_456_789, "118 MB"),
            (-20_480, "-20 kB"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
    }
}
