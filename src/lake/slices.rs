//! Large row groups, read a part at a time.
//!
//! ```text
//!  a file of large row groups ── footer: bytes and rows of each ──▶ ranges of rows ──▶ one file of the scan for each range
//! ```
//! The Parquet reader holds all pages that it needs of a row group before it decodes the first row. Row groups of a hundred megabytes are
//! usual, and every thread that scans holds one. A file that says where its pages begin can be read by ranges of rows instead, as if
//! each range were a file: pages at a border are read twice, dictionaries once for each range.
//!
//! Files without an index of their pages stay whole: each range would read its whole row group again.

use std::ops::Range;

use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetRowSelection;
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

/// Compressed bytes of the wanted columns that one range should have.
const SLICE: u64 = 4 << 20;

/// Row groups up to this size are read at once.
const WHOLE: u64 = 2 * SLICE;

/// Whether the footer of `file` is worth a look.
pub(super) fn may_be_sliced(file: &PartitionedFile) -> bool {
    file.object_meta.size > WHOLE
}

/// `file` as several: every row that `file` selects is in one of them, in order. `columns` are the wanted columns as the file names them.
pub(super) fn slices(file: PartitionedFile, footer: &ParquetMetaData, columns: &[&str]) -> Vec<PartitionedFile> {
    let ranges = ranges(footer, columns);
    let total = ranges.last().map_or(0, |range| range.end);
    let mut rest = match file.extensions.get::<ParquetRowSelection>() {
        Some(live) => live.selection().clone(),
        None => RowSelection::from(vec![RowSelector::select(total)]),
    };
    // A selection of another length than the file's is refused when the file is opened.
    let is_of_file = rest.iter().map(|rows| rows.row_count).sum::<usize>() == total;
    if ranges.len() < 2 || !is_of_file {
        return vec![file];
    }
    let slice = |range: Range<usize>| {
        let rows: Vec<RowSelector> = rest.split_off(range.len()).into();
        let (before, behind) = (RowSelector::skip(range.start), RowSelector::skip(total - range.end));
        let selection: RowSelection = std::iter::once(before).chain(rows).chain([behind]).collect();
        // What the log says about the file is not true of a part of it.
        let mut part = file.clone().with_extension(ParquetRowSelection::new(selection));
        part.statistics = None;
        part
    };
    ranges.into_iter().map(slice).collect()
}

/// Ranges of rows that cover the file; none crosses the border of a row group.
fn ranges(footer: &ParquetMetaData, columns: &[&str]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for number in 0..footer.num_row_groups() {
        let first = start;
        for border in borders(footer, number, columns) {
            ranges.push(start..first + border);
            start = first + border;
        }
        let end = first + usize::try_from(footer.row_group(number).num_rows()).unwrap_or(0);
        ranges.push(start..end);
        start = end;
    }
    ranges
}

/// Rows of a row group at which a new range begins: where pages of its largest wanted column do, as most pages of the others then do, too.
fn borders(footer: &ParquetMetaData, number: usize, columns: &[&str]) -> Vec<usize> {
    let group = footer.row_group(number);
    let is_wanted = |path: &[String]| path.first().is_some_and(|root| columns.contains(&root.as_str()));
    let size = |column: &ColumnChunkMetaData| u64::try_from(column.compressed_size()).unwrap_or(0);
    let wanted = group.columns().iter().enumerate().filter(|(_, column)| is_wanted(column.column_path().parts()));
    let sizes: Vec<(usize, u64)> = wanted.map(|(leaf, column)| (leaf, size(column))).collect();
    let total: u64 = sizes.iter().map(|(_, size)| size).sum();
    let largest = sizes.iter().max_by_key(|(_, size)| *size).filter(|_| total > WHOLE);
    let pages = largest.and_then(|(leaf, _)| footer.offset_index()?.get(number)?.get(*leaf));
    let Some(pages) = pages else { return vec![] };
    let rows = u64::try_from(group.num_rows()).unwrap_or(0);
    let step = rows / total.div_ceil(SLICE).max(1);
    let mut borders = Vec::new();
    let mut last = 0;
    for page in pages.page_locations() {
        let first = u64::try_from(page.first_row_index).unwrap_or(0);
        if first >= last + step.max(1) && rows - first.min(rows) >= step / 2 {
            last = first;
            borders.extend(usize::try_from(first));
        }
    }
    borders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lake::testing::TestLake;
    use crate::types::SqlType;
    use bytes::Bytes;
    use datafusion::arrow::array::{Int64Array, RecordBatch};
    use datafusion::parquet::arrow::ArrowWriter;
    use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaDataReader};
    use datafusion::parquet::file::properties::{EnabledStatistics, WriterProperties};
    use std::sync::Arc;

    /// The footer of a file with incompressible columns `a` and `b` in row groups of a million rows.
    fn footer(rows: i64, indexed: bool) -> ParquetMetaData {
        let noise = |salt: i64| {
            let values = (0..rows).map(|row| (row + salt).wrapping_mul(0x5851_F42D_4C95_7F2D).rotate_left(31));
            Arc::new(values.collect::<Int64Array>()) as _
        };
        let batch = RecordBatch::try_from_iter([("a", noise(1)), ("b", noise(2))]).unwrap();
        let statistics = if indexed { EnabledStatistics::Page } else { EnabledStatistics::None };
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(1_000_000))
            .set_dictionary_enabled(false)
            .set_statistics_enabled(statistics)
            .set_offset_index_disabled(!indexed)
            .build();
        let mut file = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        reader.try_parse(&Bytes::from(file)).unwrap();
        reader.finish().unwrap()
    }

    #[test]
    fn ranges_cover_the_file_and_stop_at_row_groups() {
        let footer = footer(3_200_000, true);
        let both = ranges(&footer, &["a", "b"]);
        // Three row groups of 16 MB in parts of 4 MiB, and one of 3 MB.
        assert_eq!(both.len(), 13, "{both:?}");
        assert_eq!((both[0].start, both[12].end), (0, 3_200_000));
        assert!(both.windows(2).all(|pair| pair[0].end == pair[1].start));
        for border in [1_000_000, 2_000_000, 3_000_000] {
            assert!(both.iter().any(|range| range.start == border), "{border}");
        }
        // The eight megabytes of one column are read at once.
        assert_eq!(ranges(&footer, &["a"]).len(), 4);
    }

    #[test]
    fn row_groups_without_an_index_of_pages_stay_whole() {
        assert_eq!(ranges(&footer(1_500_000, false), &["a", "b"]), [0..1_000_000, 1_000_000..1_500_000]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_table_of_slices_has_every_row_once() {
        let test = TestLake::new();
        let table = test.make("t", &[("v", SqlType::Int8), ("noise", SqlType::Int8)], &[]).await;
        let noise = "SELECT v, (v * 2654435761) % 9007199254740881 AS noise FROM generate_series(1, 1500000) AS g(v)";
        test.insert(&table, noise).await.unwrap();
        let state = test.context().state();
        let scan = test.newest(&table).await.provider().scan(&state, None, &[], None).await.unwrap();
        let scan = datafusion::physical_plan::displayable(scan.as_ref()).one_line().to_string();
        assert!(scan.matches(".parquet").count() > 2, "{scan}");
        assert_eq!(test.query(&table, "SELECT count(v), count(DISTINCT v), sum(v) FROM t").await, "1500000|1500000|1125000750000");
        assert_eq!(test.query(&table, "SELECT count(*), min(v), max(v) FROM t").await, "1500000|1|1500000");
        assert_eq!(test.query(&table, "SELECT v FROM t ORDER BY v DESC LIMIT 2 OFFSET 1").await, "1499999\n1499998");
    }

    #[test]
    fn deleted_rows_stay_deleted() {
        let footer = footer(2_000_000, true);
        let selectors = vec![RowSelector::skip(10), RowSelector::select(1_499_990), RowSelector::skip(500_000)];
        let file = PartitionedFile::new("f", 1 << 30).with_extension(ParquetRowSelection::new(RowSelection::from(selectors)));
        let parts = slices(file, &footer, &["a", "b"]);
        let selections: Vec<_> =
            parts.iter().map(|part| part.extensions.get::<ParquetRowSelection>().unwrap().selection()).collect();
        assert!(selections.len() > 4);
        assert_eq!(selections.iter().map(|selection| selection.row_count()).sum::<usize>(), 1_499_990);
        for selection in selections {
            assert_eq!(selection.iter().map(|selector| selector.row_count).sum::<usize>(), 2_000_000);
        }
    }
}
