//! Writers for dates, times, timestamps and intervals.

use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType, DurationNanosecondType,
    DurationSecondType, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, Time32MillisecondType,
    Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

use super::Format;
use super::cells::Cells;
use super::column::ColumnWriter;
use super::scalar::primitive;
use crate::error::{Error, ErrorKind, Result};
use crate::types::Form;
use crate::types::values::calendar::{DAY_MICROS, POSTGRES_EPOCH_DAYS, POSTGRES_EPOCH_MICROS};
use crate::types::values::{IntervalValue, format_date, format_interval, format_time, format_timestamp, format_timestamptz};

fn out_of_range(what: &str) -> Error {
    Error::new(ErrorKind::DatetimeOutOfRange, format!("{what} out of range"))
}

pub(crate) fn date(data_type: &DataType, format: Format, settings: &Form) -> Option<Box<dyn ColumnWriter>> {
    const DAY_MILLIS: i64 = 86_400_000;
    let style = settings.date_style;
    let cell = move |days: i32, cells: &mut Cells| {
        match format {
            Format::Text => cells.text(&format_date(days, style)),
            Format::Binary => {
                let days = days.checked_sub(POSTGRES_EPOCH_DAYS).ok_or_else(|| out_of_range("date"))?;
                cells.fixed(days.to_be_bytes());
            }
        }
        Ok(())
    };
    Some(match data_type {
        DataType::Date32 => primitive::<Date32Type>(cell),
        DataType::Date64 => primitive::<Date64Type>(move |millis, cells| {
            cell(i32::try_from(millis.div_euclid(DAY_MILLIS)).map_err(|_| out_of_range("date"))?, cells)
        }),
        _ => return None,
    })
}

pub(crate) fn time(data_type: &DataType, format: Format) -> Option<Box<dyn ColumnWriter>> {
    let cell = move |micros: i64, cells: &mut Cells| {
        if !(0..=DAY_MICROS).contains(&micros) {
            return Err(out_of_range("time"));
        }
        match format {
            Format::Text => cells.text(&format_time(micros)),
            Format::Binary => cells.fixed(micros.to_be_bytes()),
        }
        Ok(())
    };
    Some(match data_type {
        DataType::Time32(TimeUnit::Second) => {
            primitive::<Time32SecondType>(move |value, cells| cell(i64::from(value) * 1_000_000, cells))
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            primitive::<Time32MillisecondType>(move |value, cells| cell(i64::from(value) * 1000, cells))
        }
        DataType::Time64(TimeUnit::Microsecond) => primitive::<Time64MicrosecondType>(cell),
        DataType::Time64(TimeUnit::Nanosecond) => {
            primitive::<Time64NanosecondType>(move |value, cells| cell(value.div_euclid(1000), cells))
        }
        _ => return None,
    })
}

/// Converts the unit to microseconds: nanoseconds lose what PostgreSQL cannot show.
fn micros_of<T: ArrowPrimitiveType<Native = i64>>(
    unit: TimeUnit,
    what: &'static str,
    mut cell: impl FnMut(i64, &mut Cells) -> Result<()> + Send + 'static,
) -> Box<dyn ColumnWriter> {
    match unit {
        TimeUnit::Microsecond => primitive::<T>(cell),
        TimeUnit::Nanosecond => primitive::<T>(move |value, cells| cell(value.div_euclid(1000), cells)),
        TimeUnit::Second | TimeUnit::Millisecond => {
            let factor = if unit == TimeUnit::Second { 1_000_000 } else { 1000 };
            primitive::<T>(move |value, cells| cell(value.checked_mul(factor).ok_or_else(|| out_of_range(what))?, cells))
        }
    }
}

fn timestamps(
    data_type: &DataType,
    cell: impl FnMut(i64, &mut Cells) -> Result<()> + Send + 'static,
) -> Option<Box<dyn ColumnWriter>> {
    let DataType::Timestamp(unit, _) = data_type else { return None };
    Some(match unit {
        TimeUnit::Second => micros_of::<TimestampSecondType>(*unit, "timestamp", cell),
        TimeUnit::Millisecond => micros_of::<TimestampMillisecondType>(*unit, "timestamp", cell),
        TimeUnit::Microsecond => micros_of::<TimestampMicrosecondType>(*unit, "timestamp", cell),
        TimeUnit::Nanosecond => micros_of::<TimestampNanosecondType>(*unit, "timestamp", cell),
    })
}

fn binary_timestamp(micros: i64, cells: &mut Cells) -> Result<()> {
    let micros = micros.checked_sub(POSTGRES_EPOCH_MICROS).ok_or_else(|| out_of_range("timestamp"))?;
    cells.fixed(micros.to_be_bytes());
    Ok(())
}

pub(crate) fn timestamp(data_type: &DataType, format: Format, settings: &Form) -> Option<Box<dyn ColumnWriter>> {
    let style = settings.date_style;
    match format {
        Format::Binary => timestamps(data_type, binary_timestamp),
        Format::Text => timestamps(data_type, move |micros, cells| {
            cells.text(&format_timestamp(micros, style));
            Ok(())
        }),
    }
}

pub(crate) fn timestamptz(data_type: &DataType, format: Format, settings: &Form) -> Option<Box<dyn ColumnWriter>> {
    let style = settings.date_style;
    let zone = settings.time_zone.clone();
    match format {
        Format::Binary => timestamps(data_type, binary_timestamp),
        Format::Text => timestamps(data_type, move |micros, cells| {
            cells.text(&format_timestamptz(micros, style, &zone));
            Ok(())
        }),
    }
}

/// Arrow's intervals, and its durations: the difference of two timestamps, which PostgreSQL shows in days and hours.
pub(crate) fn interval(data_type: &DataType, format: Format, settings: &Form) -> Option<Box<dyn ColumnWriter>> {
    let style = settings.interval_style;
    let cell = move |value: IntervalValue, cells: &mut Cells| match format {
        Format::Text => cells.text(&format_interval(value, style)),
        Format::Binary => {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&value.micros.to_be_bytes());
            bytes[8..12].copy_from_slice(&value.days.to_be_bytes());
            bytes[12..].copy_from_slice(&value.months.to_be_bytes());
            cells.fixed(bytes);
        }
    };
    let duration = move |micros: i64, cells: &mut Cells| {
        let days = i32::try_from(micros / DAY_MICROS).map_err(|_| out_of_range("interval"))?;
        cell(IntervalValue { months: 0, days, micros: micros % DAY_MICROS }, cells);
        Ok(())
    };
    Some(match data_type {
        DataType::Interval(IntervalUnit::YearMonth) => primitive::<IntervalYearMonthType>(move |months, cells| {
            cell(IntervalValue { months, days: 0, micros: 0 }, cells);
            Ok(())
        }),
        DataType::Interval(IntervalUnit::DayTime) => primitive::<IntervalDayTimeType>(move |value, cells| {
            cell(IntervalValue { months: 0, days: value.days, micros: i64::from(value.milliseconds) * 1000 }, cells);
            Ok(())
        }),
        DataType::Interval(IntervalUnit::MonthDayNano) => primitive::<IntervalMonthDayNanoType>(move |value, cells| {
            cell(IntervalValue { months: value.months, days: value.days, micros: value.nanoseconds / 1000 }, cells);
            Ok(())
        }),
        DataType::Duration(unit) => match unit {
            TimeUnit::Second => micros_of::<DurationSecondType>(*unit, "interval", duration),
            TimeUnit::Millisecond => micros_of::<DurationMillisecondType>(*unit, "interval", duration),
            TimeUnit::Microsecond => micros_of::<DurationMicrosecondType>(*unit, "interval", duration),
            TimeUnit::Nanosecond => micros_of::<DurationNanosecondType>(*unit, "interval", duration),
        },
        _ => return None,
    })
}
