//! Which of a log's statistics may be believed, and how far.
//!
//! DataFusion answers COUNT, MIN and MAX from statistics marked `Exact`, and leaves out files by those marked `Inexact`. A value that the
//! writer may have shortened must therefore never be `Exact`, and one that may lie on the wrong side must not be there at all:
//!
//! | column | minimum | maximum |
//! |---|---|---|
//! | integers, dates, booleans | exact if bounds are tight and no row is deleted | same |
//! | strings | inexact: a prefix | inexact: a prefix made larger by its writer |
//! | timestamps | inexact | inexact, one millisecond added: logs cut microseconds |
//! | decimals | inexact up to 15 digits: logs pass through JSON numbers | same |
//! | floats | inexact, a zero as -0.0, which is equal | none: writers leave NaN out, which sorts above all |
//!
//! A count of NULLs that is absent is unknown, never zero.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};

use super::kernel::schema::StoredField;

/// Digits that survive a way through a JSON number held as a double.
const DECIMAL_DIGITS_IN_DOUBLE: u8 = 15;

/// The statistics of a batch of files, by column.
pub(super) struct LogStatistics {
    columns: Vec<ColumnBounds>,
    num_records: Option<Int64Array>,
    tight_bounds: Option<BooleanArray>,
}

struct ColumnBounds {
    data_type: DataType,
    min: Option<ArrayRef>,
    max: Option<ArrayRef>,
    null_count: Option<ArrayRef>,
}

impl LogStatistics {
    /// Reads the struct `{numRecords, nullCount, minValues, maxValues, tightBounds}` for the data columns `fields`.
    pub(super) fn new(stats: Option<&StructArray>, fields: &[(FieldRef, &StoredField)]) -> Self {
        let part = |name: &str| stats.and_then(|stats| stats.column_by_name(name));
        let of_column = |part_name: &str, stored: &StoredField| -> Option<ArrayRef> {
            let column = part(part_name)?.as_struct_opt()?.column_by_name(&stored.stored_name)?;
            (!column.data_type().is_nested()).then(|| Arc::clone(column))
        };
        let columns = fields
            .iter()
            .map(|(field, stored)| {
                let bound = |part_name| of_column(part_name, stored).and_then(|array| cast(&array, field.data_type()).ok());
                ColumnBounds {
                    data_type: field.data_type().clone(),
                    min: bound("minValues"),
                    max: bound("maxValues"),
                    null_count: of_column("nullCount", stored),
                }
            })
            .collect();
        Self {
            columns,
            num_records: part("numRecords").and_then(|array| array.as_primitive_opt::<Int64Type>().cloned()),
            tight_bounds: part("tightBounds").and_then(|array| array.as_boolean_opt().cloned()),
        }
    }

    /// Rows stored in file `row`, deleted ones included.
    pub(super) fn stored_rows(&self, row: usize) -> Option<u64> {
        let records = self.num_records.as_ref().filter(|records| records.is_valid(row))?;
        u64::try_from(records.value(row)).ok()
    }

    /// Statistics of the live rows of file `row`: data columns, then partition columns with these values.
    pub(super) fn of_file(&self, row: usize, deleted: u64, partition_values: &[ScalarValue]) -> Statistics {
        let live = self.stored_rows(row).map(|stored| usize::try_from(stored.saturating_sub(deleted)).unwrap_or(usize::MAX));
        let tight = deleted == 0 && self.tight_bounds.as_ref().is_none_or(|tight| tight.is_null(row) || tight.value(row));
        let data = self.columns.iter().map(|column| column.of_file(row, tight, live));
        let partition = partition_values.iter().map(|value| partition_column(value, live));
        Statistics {
            num_rows: live.map_or(Precision::Absent, Precision::Exact),
            total_byte_size: Precision::Absent,
            column_statistics: data.chain(partition).collect(),
        }
    }
}

impl ColumnBounds {
    fn of_file(&self, row: usize, tight: bool, live: Option<usize>) -> ColumnStatistics {
        let value = |bounds: &Option<ArrayRef>| {
            let bounds = bounds.as_ref().filter(|bounds| bounds.is_valid(row))?;
            ScalarValue::try_from_array(bounds, row).ok()
        };
        let nulls = self.null_count.as_ref().filter(|nulls| nulls.is_valid(row)).and_then(|nulls| {
            let nulls = nulls.as_primitive_opt::<Int64Type>()?.value(row);
            usize::try_from(nulls).ok()
        });
        ColumnStatistics {
            null_count: precision(nulls, tight),
            min_value: lower_bound(value(&self.min), &self.data_type, tight),
            max_value: upper_bound(value(&self.max), &self.data_type, tight),
            sum_value: Precision::Absent,
            distinct_count: Precision::Absent,
            byte_size: match (self.data_type.primitive_width(), live) {
                (Some(width), Some(live)) => Precision::Exact(width.saturating_mul(live)),
                _ => Precision::Absent,
            },
        }
    }
}

fn precision<T: std::fmt::Debug + Clone + PartialEq + Eq + PartialOrd>(value: Option<T>, exact: bool) -> Precision<T> {
    match value {
        Some(value) if exact => Precision::Exact(value),
        Some(value) => Precision::Inexact(value),
        None => Precision::Absent,
    }
}

fn is_exact(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Date32 | DataType::Boolean)
}

fn is_lossy_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal128(digits, _) if *digits > DECIMAL_DIGITS_IN_DOUBLE)
}

fn lower_bound(value: Option<ScalarValue>, data_type: &DataType, tight: bool) -> Precision<ScalarValue> {
    let value = match value {
        // A NaN bounds nothing, and a zero is equal to the one with the other sign.
        Some(ScalarValue::Float32(Some(min))) => (!min.is_nan()).then_some(ScalarValue::from(if min == 0.0 { -0.0 } else { min })),
        Some(ScalarValue::Float64(Some(min))) => (!min.is_nan()).then_some(ScalarValue::from(if min == 0.0 { -0.0 } else { min })),
        other => other.filter(|_| !is_lossy_decimal(data_type)),
    };
    precision(value, tight && is_exact(data_type))
}

fn upper_bound(value: Option<ScalarValue>, data_type: &DataType, tight: bool) -> Precision<ScalarValue> {
    let value = match value {
        Some(ScalarValue::Float32(_) | ScalarValue::Float64(_)) => None,
        Some(ScalarValue::TimestampMicrosecond(Some(micros), zone)) => {
            Some(ScalarValue::TimestampMicrosecond(Some(micros.saturating_add(999)), zone))
        }
        other => other.filter(|_| !is_lossy_decimal(data_type)),
    };
    precision(value, tight && is_exact(data_type))
}

/// A partition column has one value in the whole file. DataFusion's own helper claims that it is never NULL.
fn partition_column(value: &ScalarValue, live: Option<usize>) -> ColumnStatistics {
    let bound = if value.is_null() { Precision::Absent } else { Precision::Exact(value.clone()) };
    ColumnStatistics {
        null_count: match (value.is_null(), live) {
            (false, _) => Precision::Exact(0),
            (true, Some(live)) => Precision::Exact(live),
            (true, None) => Precision::Absent,
        },
        max_value: bound.clone(),
        min_value: bound,
        sum_value: Precision::Absent,
        distinct_count: Precision::Absent,
        byte_size: Precision::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_that_no_writer_shortens_are_exact() {
        let exact = |value: ScalarValue| {
            let data_type = value.data_type();
            let min = lower_bound(Some(value.clone()), &data_type, true);
            let max = upper_bound(Some(value), &data_type, true);
            (min.is_exact(), max.is_exact())
        };
        assert_eq!(exact(ScalarValue::Int64(Some(1))), (Some(true), Some(true)));
        assert_eq!(exact(ScalarValue::Date32(Some(1))), (Some(true), Some(true)));
        assert_eq!(exact(ScalarValue::from("a")), (Some(false), Some(false)));
        assert_eq!(exact(ScalarValue::TimestampMicrosecond(Some(1), None)), (Some(false), Some(false)));
        assert_eq!(exact(ScalarValue::Float64(Some(1.0))), (Some(false), None));
        assert_eq!(exact(ScalarValue::Decimal128(Some(1), 12, 2)), (Some(false), Some(false)));
        assert_eq!(exact(ScalarValue::Decimal128(Some(1), 38, 2)), (None, None));
    }

    #[test]
    fn a_cut_timestamp_still_bounds_its_microseconds() {
        let data_type = DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, None);
        let max = upper_bound(Some(ScalarValue::TimestampMicrosecond(Some(5_000), None)), &data_type, true);
        assert_eq!(max, Precision::Inexact(ScalarValue::TimestampMicrosecond(Some(5_999), None)));
    }

    #[test]
    fn a_null_partition_value_counts_its_rows() {
        let null = partition_column(&ScalarValue::Int32(None), Some(7));
        assert_eq!((null.null_count, null.min_value), (Precision::Exact(7), Precision::Absent));
    }
}
