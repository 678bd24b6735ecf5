//! What information_schema says about a type: lengths, precisions, names. Shared by the `_pg_*` functions and by the relations.

/// `character_maximum_length` of a column.
pub fn character_length(oid: u32, typmod: i64) -> Option<i32> {
    match oid {
        1042 | 1043 if typmod >= 0 => i32::try_from(typmod - 4).ok(),
        _ => None,
    }
}

/// `character_octet_length` of a column.
pub fn octet_length(oid: u32, typmod: i64) -> Option<i32> {
    match oid {
        25 | 1042 | 1043 if typmod < 0 => Some(1 << 30),
        1042 | 1043 => i32::try_from((typmod - 4) * 4).ok(),
        _ => None,
    }
}

/// `numeric_precision` of a column.
pub fn numeric_precision(oid: u32, typmod: i64) -> Option<i32> {
    match oid {
        21 => Some(16),
        23 => Some(32),
        20 => Some(64),
        700 => Some(24),
        701 => Some(53),
        1700 if typmod >= 0 => i32::try_from(((typmod - 4) >> 16) & 0xffff).ok(),
        _ => None,
    }
}

/// `numeric_precision_radix` of a column.
pub fn numeric_radix(oid: u32) -> Option<i32> {
    match oid {
        21 | 23 | 20 | 700 | 701 => Some(2),
        1700 => Some(10),
        _ => None,
    }
}

/// `numeric_scale` of a column.
pub fn numeric_scale(oid: u32, typmod: i64) -> Option<i32> {
    match oid {
        21 | 23 | 20 => Some(0),
        1700 if typmod >= 0 => i32::try_from((((typmod - 4) & 0x7ff) ^ 1024) - 1024).ok(),
        _ => None,
    }
}

/// `datetime_precision` of a column.
pub fn datetime_precision(oid: u32, typmod: i64) -> Option<i32> {
    match oid {
        1082 => Some(0),
        1083 | 1114 | 1184 | 1186 if typmod < 0 => Some(6),
        1083 | 1114 | 1184 | 1186 => i32::try_from(typmod & 0xffff).ok(),
        _ => None,
    }
}
