//! Footers of data files, such that what DataFusion's Parquet reader concludes from them is right.
//!
//! ```text
//!  footer of a file ── is it what the log says? ──▶ statistics that may be believed ──▶ kept in memory ──▶ scan
//! ```
//! The reader leaves out row groups and pages by the statistics of a footer: at the start, by bounds that joins and top-k sorts find while
//! they run, and for a limit. It reads more out of them than writers have put in, so what may be misread is taken out before it sees it:
//!
//! | statistics | why | what is left |
//! |---|---|---|
//! | bounds of floats | writers leave NaN out, which is greater than every number; zeros of both signs are equal | the minimum, a zero as -0.0 |
//! | bounds of INT96, old bounds of byte strings | their order is not defined | none |
//! | Bloom filters of floats | there are many NaNs, and two zeros | none |
//! | a null count that is absent | it is taken for zero (apache/datafusion#25239, #25242) | one that is neither zero nor all rows |
//!
//! Absent: indexes of pages are not changed but for those of floats, which are not used; null counts that they lack are unknown to the reader.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::{CachedParquetMetaData, DFParquetMetadata};
use datafusion::datasource::physical_plan::parquet::{DefaultParquetFileReaderFactory, ParquetFileReaderFactory};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::basic::{LogicalType, Type as PhysicalType};
use datafusion::parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, RowGroupMetaData};
use datafusion::parquet::file::page_index::column_index::ColumnIndexMetaData;
use datafusion::parquet::file::statistics::{Statistics, ValueStatistics};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::ObjectStore;

use crate::error::{Error, ErrorKind};

/// Rows that the log says a file has, deleted ones included: an extension of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoredRows(pub(super) u64);

/// Reads the footers of one table's files, and keeps them.
#[derive(Debug, Clone)]
pub(super) struct Footers {
    /// Name for messages.
    table: String,
    store: Arc<dyn ObjectStore>,
    cache: Arc<FileMetadataCache>,
    /// Bytes at the end of a file to read at first.
    size_hint: Option<usize>,
}

impl Footers {
    pub(super) fn new(table: &str, store: Arc<dyn ObjectStore>, cache: Arc<FileMetadataCache>, size_hint: Option<usize>) -> Self {
        Self { table: table.to_string(), store, cache, size_hint }
    }

    /// The footer of `file`, with the index of its pages if `policy` asks for it and the file has one.
    ///
    /// # Errors
    /// [`ErrorKind::DataCorrupted`] if the file has another number of rows than its log says; what the storage says; a footer that cannot be
    /// read.
    pub(super) async fn read(&self, file: &PartitionedFile, policy: PageIndexPolicy) -> Result<Arc<ParquetMetaData>> {
        let footer = self.believable(file, policy).await?;
        let rows = u64::try_from(footer.file_metadata().num_rows()).ok();
        match file.extensions.get::<StoredRows>() {
            Some(StoredRows(stored)) if rows != Some(*stored) => {
                let differs = format!("a data file of table \"{}\" has another number of rows than its log says", self.table);
                Err(DataFusionError::External(Box::new(Error::new(ErrorKind::DataCorrupted, differs))))
            }
            _ => Ok(footer),
        }
    }

    async fn believable(&self, file: &PartitionedFile, policy: PageIndexPolicy) -> Result<Arc<ParquetMetaData>> {
        let meta = &file.object_meta;
        let known = self.cache.get(&meta.location).filter(|known| known.is_valid_for(meta));
        let known = known.and_then(|known| {
            let known = known.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>()?;
            Some(Arc::clone(known.parquet_metadata()))
        });
        if let Some(known) = known.filter(|known| policy == PageIndexPolicy::Skip || !lacks_page_index(known)) {
            return Ok(known);
        }
        let footer = DFParquetMetadata::new(self.store.as_ref(), meta)
            .with_metadata_size_hint(self.size_hint)
            .with_page_index_policy(Some(policy))
            .fetch_metadata()
            .await?;
        let footer = Arc::new(believable(Arc::unwrap_or_clone(footer))?);
        let kept = CachedFileMetadataEntry::new(meta.clone(), Arc::new(CachedParquetMetaData::new(Arc::clone(&footer))));
        self.cache.put(&meta.location, kept);
        Ok(footer)
    }
}

impl ParquetFileReaderFactory for Footers {
    fn create_reader(
        &self,
        partition_index: usize,
        file: PartitionedFile,
        size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let pages = DefaultParquetFileReaderFactory::new(Arc::clone(&self.store));
        let pages = pages.create_reader(partition_index, file.clone(), size_hint, metrics)?;
        Ok(Box::new(FileReader { footers: self.clone(), file, pages }))
    }
}

/// Reads one file: its pages as they are, its footer by [`Footers`].
struct FileReader {
    footers: Footers,
    file: PartitionedFile,
    pages: Box<dyn AsyncFileReader + Send>,
}

impl AsyncFileReader for FileReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.pages.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.pages.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let policy = options.map_or(PageIndexPolicy::Skip, ArrowReaderOptions::column_index_policy);
        let read = async move { self.footers.read(&self.file, policy).await };
        read.map(|read| read.map_err(|error| ParquetError::External(Box::new(error)))).boxed()
    }
}

/// True if the file has an index of its pages that was not read.
fn lacks_page_index(footer: &ParquetMetaData) -> bool {
    let is_read = footer.column_index().is_some() && footer.offset_index().is_some();
    !is_read && footer.row_groups().iter().flat_map(RowGroupMetaData::columns).any(|chunk| chunk.offset_index_offset().is_some())
}

/// `footer` without what may be misread.
fn believable(footer: ParquetMetaData) -> Result<ParquetMetaData> {
    if !footer.row_groups().iter().any(|group| group.columns().iter().any(is_doubtful)) {
        return Ok(footer);
    }
    let mut builder = footer.into_builder();
    let indexes = builder.take_column_index().map(|mut groups| {
        for (group, indexes) in builder.row_groups().iter().zip(&mut groups) {
            for (chunk, index) in group.columns().iter().zip(indexes) {
                if is_unordered(chunk) {
                    *index = ColumnIndexMetaData::NONE;
                }
            }
        }
        groups
    });
    let groups = builder.take_row_groups().into_iter().map(believable_group).collect::<ParquetResult<Vec<_>>>()?;
    Ok(builder.set_row_groups(groups).set_column_index(indexes).build())
}

fn believable_group(group: RowGroupMetaData) -> ParquetResult<RowGroupMetaData> {
    let rows = u64::try_from(group.num_rows()).unwrap_or_default();
    let mut builder = group.into_builder();
    let chunks = builder.take_columns().into_iter();
    let chunks = chunks.map(|chunk| if is_doubtful(&chunk) { believable_chunk(chunk, rows) } else { Ok(chunk) });
    builder.set_column_metadata(chunks.collect::<ParquetResult<Vec<_>>>()?).build()
}

/// True if the order of statistics is not that of queries, or none.
fn is_unordered(chunk: &ColumnChunkMetaData) -> bool {
    let is_half = || chunk.column_descr().logical_type_ref() == Some(&LogicalType::Float16);
    match chunk.column_type() {
        PhysicalType::FLOAT | PhysicalType::DOUBLE | PhysicalType::INT96 => true,
        PhysicalType::FIXED_LEN_BYTE_ARRAY => is_half(),
        _ => false,
    }
}

fn is_doubtful(chunk: &ColumnChunkMetaData) -> bool {
    let lacks_count = |statistics: &Statistics| statistics.null_count_opt().is_none();
    is_unordered(chunk) || chunk.statistics().is_some_and(|statistics| lacks_count(statistics) || is_old(statistics))
}

/// True for byte strings whose bounds may have been compared as signed bytes.
fn is_old(statistics: &Statistics) -> bool {
    matches!(statistics, Statistics::ByteArray(_) | Statistics::FixedLenByteArray(_)) && statistics.is_min_max_deprecated()
}

fn believable_chunk(chunk: ColumnChunkMetaData, rows: u64) -> ParquetResult<ColumnChunkMetaData> {
    // In a column that may be NULL, a number that says neither that none nor that all of its values are.
    let unknown = if chunk.column_descr().max_def_level() == 0 { 0 } else { rows.saturating_add(1) };
    let is_unordered = is_unordered(&chunk);
    let statistics = chunk.statistics().map(|statistics| {
        let nulls = statistics.null_count_opt().unwrap_or(unknown);
        let is_old = is_old(statistics);
        match statistics {
            Statistics::Float(bounds) => lower_bound(bounds.min_opt().copied().filter(|min| !min.is_nan()), -0.0, nulls),
            Statistics::Double(bounds) => lower_bound(bounds.min_opt().copied().filter(|min| !min.is_nan()), -0.0, nulls),
            Statistics::Boolean(bounds) => counted(bounds, nulls),
            Statistics::Int32(bounds) => counted(bounds, nulls),
            Statistics::Int64(bounds) => counted(bounds, nulls),
            Statistics::ByteArray(bounds) if !is_old => counted(bounds, nulls),
            Statistics::FixedLenByteArray(bounds) if !is_old && !is_unordered => counted(bounds, nulls),
            Statistics::ByteArray(_) => unbounded::<ByteArray>(nulls),
            Statistics::FixedLenByteArray(_) => unbounded::<FixedLenByteArray>(nulls),
            Statistics::Int96(_) => unbounded::<Int96>(nulls),
        }
    });
    let mut builder = chunk.into_builder();
    if let Some(statistics) = statistics {
        builder = builder.set_statistics(statistics);
    }
    if is_unordered {
        builder = builder.set_column_index_offset(None).set_column_index_length(None);
        builder = builder.set_bloom_filter_offset(None).set_bloom_filter_length(None);
    }
    builder.build()
}

/// A minimum of floats; `zero` is the least of those that are equal to zero.
fn lower_bound<T: Copy + PartialEq>(min: Option<T>, zero: T, nulls: u64) -> Statistics
where
    Statistics: From<ValueStatistics<T>>,
{
    let min = min.map(|min| if min == zero { zero } else { min });
    Statistics::from(ValueStatistics::new(min, None, None, Some(nulls), false))
}

fn unbounded<T>(nulls: u64) -> Statistics
where
    Statistics: From<ValueStatistics<T>>,
{
    Statistics::from(ValueStatistics::<T>::new(None, None, None, Some(nulls), false))
}

fn counted<T: Clone>(bounds: &ValueStatistics<T>, nulls: u64) -> Statistics
where
    Statistics: From<ValueStatistics<T>>,
{
    let counted =
        ValueStatistics::new(bounds.min_opt().cloned(), bounds.max_opt().cloned(), bounds.distinct_count(), Some(nulls), false);
    Statistics::from(counted.with_min_is_exact(bounds.min_is_exact()).with_max_is_exact(bounds.max_is_exact()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{ArrayRef, Float32Array, Float64Array, Int32Array, RecordBatch};
    use datafusion::parquet::file::properties::WriterProperties;
    use datafusion::parquet::file::statistics::{Statistics, ValueStatistics};
    use serde_json::{Value, json};

    use crate::error::ErrorKind;
    use crate::lake::testing::{Foreign, TestLake, schema};
    use crate::lake::{AsOf, TableRef};
    use crate::types::SqlType;

    fn of_rows(rows: usize) -> WriterProperties {
        WriterProperties::builder()
            .set_max_row_group_row_count(Some(rows))
            .set_data_page_row_count_limit(1)
            .set_write_batch_size(1)
            .set_dictionary_enabled(false)
            .build()
    }

    /// Rows that satisfy `condition`, as the scan finds them and as they are without help of any statistics.
    async fn both(test: &TestLake, table: &TableRef, condition: &str) -> (String, String) {
        let ids = "SELECT string_agg(CAST(id AS varchar), ' ' ORDER BY id) FROM";
        let found = test.query(table, &format!("{ids} t WHERE {condition}")).await;
        // A condition is not moved below a limit.
        let all = test.query(table, &format!("{ids} (SELECT * FROM t LIMIT 1000000) WHERE {condition}")).await;
        (found, all)
    }

    const CONDITIONS: &[&str] = &[
        "x > 100",
        "x >= 100",
        "x = 'NaN'",
        "x >= 'NaN'",
        "x > 'NaN'",
        "x < 'NaN'",
        "x <> 'NaN'",
        "NOT x <= 100",
        "NOT x < 'Infinity'",
        "x <> 5",
        "x <= 'NaN'",
        "x = 0",
        "x = -0.0",
        "x < 0",
        "x <= -0.0",
        "x >= 0",
        "x > -0.0",
        "x IN ('NaN', 5)",
        "x IN (0, 100)",
        "x NOT IN (1, 5)",
        "x BETWEEN 2 AND 'NaN'",
        "x IS NULL",
        "x IS NOT NULL",
        "x IS DISTINCT FROM 5",
        "x IS NOT DISTINCT FROM 'NaN'",
        "-x < -100",
        "CAST(x AS real) > 100",
        "f > 100",
        "f = 'NaN'",
        "f >= 'NaN'",
        "NOT f <= 100",
        "f IN ('NaN')",
        "f = 0",
        "f IS NULL",
        "x > 100 OR id = 0",
        "x > 100 AND f > 100",
    ];

    /// Files whose bounds leave NaN out, as the writers of Parquet and Delta do.
    fn floats(test: &TestLake, rows_in_group: usize) -> TableRef {
        let mut table = Foreign::new(test, "t", &schema(&[("id", "integer"), ("x", "double"), ("f", "float")]), &[]);
        let nan = Some(f64::NAN);
        let files = [
            vec![Some(1.0), Some(5.0)],
            vec![nan, Some(2.0)],
            vec![Some(-0.0)],
            vec![Some(0.0)],
            vec![nan, nan],
            vec![Some(f64::INFINITY), Some(f64::NEG_INFINITY)],
            vec![None, nan],
            vec![None, None],
            vec![None, Some(3.0)],
            vec![Some(5.0)],
            vec![nan, Some(-7.0), Some(1e300), nan],
        ];
        let mut id = 0;
        for (number, values) in files.into_iter().enumerate() {
            let ids: Int32Array = values
                .iter()
                .map(|_| {
                    id += 1;
                    id
                })
                .collect();
            let (x, f): (Float64Array, Float32Array) =
                (values.iter().copied().collect(), values.iter().map(|value| value.map(|value| value as f32)).collect());
            let nulls = values.iter().filter(|value| value.is_none()).count();
            let finite: Vec<f64> = values.iter().flatten().copied().filter(|value| value.is_finite()).collect();
            let columns: [(&str, ArrayRef); 3] = [("id", Arc::new(ids)), ("x", Arc::new(x)), ("f", Arc::new(f))];
            let batch = RecordBatch::try_from_iter(columns).unwrap();
            let name = format!("{number}.parquet");
            table.file(&name, &batch, of_rows(rows_in_group));
            let mut statistics = json!({"numRecords": batch.num_rows(), "nullCount": {"id": 0, "x": nulls, "f": nulls}});
            if !finite.is_empty() {
                let bound = |pick: fn(f64, f64) -> f64| finite.iter().copied().reduce(pick).unwrap();
                statistics["minValues"] = json!({"x": bound(f64::min), "f": bound(f64::min)});
                statistics["maxValues"] = json!({"x": bound(f64::max), "f": bound(f64::max)});
            }
            let add = table.add(&name, &statistics);
            table.commit(&[add]);
        }
        test.table("t")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_statistics_of_others_hide_a_nan_or_a_zero() {
        for rows_in_group in [1, 2, 100] {
            let test = TestLake::new();
            let table = floats(&test, rows_in_group);
            for condition in CONDITIONS {
                let (found, all) = both(&test, &table, condition).await;
                assert_eq!(found, all, "{condition}");
            }
            assert_eq!(test.query(&table, "SELECT count(*) FROM t WHERE x = 'NaN'").await, "6");
            assert_eq!(test.query(&table, "SELECT max(x), min(x), max(f), count(x) FROM t").await, "NaN|-inf|NaN|17");
            assert_eq!(
                test.query(&table, "SELECT x FROM t ORDER BY x DESC NULLS LAST LIMIT 7").await,
                "NaN\nNaN\nNaN\nNaN\nNaN\nNaN\ninf"
            );
            assert_eq!(test.query(&table, "SELECT x FROM t WHERE x > 3 ORDER BY x LIMIT 3").await, "5.0\n5.0\n1e300");
            let join = "SELECT count(*) FROM (SELECT x FROM t WHERE id IN (3, 4)) a JOIN t b ON a.x = b.x";
            assert_eq!(test.query(&table, join).await, "7");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_statistics_of_ours_hide_a_nan_or_a_zero() {
        let test = TestLake::new();
        let table = test.make("t", &[("id", SqlType::Int4), ("x", SqlType::Float8), ("f", SqlType::Float4)], &[]).await;
        for rows in [
            "(1, 1.5, 1.5), (2, 'NaN', 'NaN')",
            "(3, 7, 7)",
            "(4, -0.0, -0.0), (5, NULL, NULL)",
            "(6, 0, 0)",
            "(7, 'NaN', 'NaN')",
            "(8, 'Infinity', '-Infinity')",
        ] {
            let rows = format!("SELECT * FROM (VALUES {rows}) AS v(id, x, f)");
            let rows = rows.replace("* FROM", "id, CAST(x AS double) AS x, CAST(f AS real) AS f FROM");
            test.insert(&table, &rows).await.unwrap();
        }
        for condition in CONDITIONS {
            let (found, all) = both(&test, &table, condition).await;
            assert_eq!(found, all, "{condition}");
        }
        // What others read of it: nothing of the floats in the footers, and no bound beside a NaN in the log.
        let log = |version| std::fs::read_to_string(test.commit_file("t", version)).unwrap();
        let bounds = |version: u64| {
            let added = log(version)
                .lines()
                .find(|line| line.contains("\"add\""))
                .map(|line| serde_json::from_str::<Value>(line).unwrap())
                .unwrap();
            let statistics: Value = serde_json::from_str(added["add"]["stats"].as_str().unwrap()).unwrap();
            (statistics["minValues"]["x"].clone(), statistics["maxValues"]["x"].clone())
        };
        assert_eq!(bounds(1), (json!(1.5), Value::Null));
        assert_eq!(bounds(2), (json!(7.0), json!(7.0)));
        assert_eq!(bounds(5), (Value::Null, Value::Null));
        for file in std::fs::read_dir(test.directory.path().join("t"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file())
        {
            let mut reader = datafusion::parquet::file::metadata::ParquetMetaDataReader::new();
            reader.try_parse(&std::fs::File::open(file).unwrap()).unwrap();
            let footer = reader.finish().unwrap();
            let chunks = footer.row_group(0).columns();
            assert!(chunks[0].statistics().is_some_and(|statistics| statistics.null_count_opt() == Some(0)));
            assert!(chunks[1].statistics().is_none() && chunks[2].statistics().is_none());
            assert!(chunks.iter().all(|chunk| chunk.offset_index_offset().is_some()));
        }
    }

    /// Three row groups of `k`, one with NULL, without the number of NULLs in footer or log.
    fn uncounted(test: &TestLake) -> TableRef {
        let mut table = Foreign::new(test, "t", &schema(&[("id", "integer"), ("k", "integer")]), &[]);
        let k = Int32Array::from(vec![
            Some(0),
            Some(1),
            Some(2),
            None,
            Some(100),
            Some(101),
            Some(200),
            Some(201),
            None,
            None,
            None,
            None,
            Some(7),
        ]);
        let ids: Int32Array = (0..13).collect();
        let columns: [(&str, ArrayRef); 2] = [("id", Arc::new(ids)), ("k", Arc::new(k))];
        table.file("f.parquet", &RecordBatch::try_from_iter(columns).unwrap(), of_rows(3));
        table.change_footer("f.parquet", |chunk| {
            let Some(Statistics::Int32(known)) = chunk.statistics().cloned() else { return chunk };
            let unknown = ValueStatistics::new(known.min_opt().copied(), known.max_opt().copied(), None, None, false);
            chunk
                .into_builder()
                .set_statistics(Statistics::Int32(unknown))
                .set_column_index_offset(None)
                .set_column_index_length(None)
                .build()
                .unwrap()
        });
        let add =
            table.add("f.parquet", &json!({"numRecords": 13, "minValues": {"id": 0, "k": 0}, "maxValues": {"id": 12, "k": 201}}));
        table.commit(&[add]);
        test.table("t")
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_count_of_nulls_that_is_absent_is_not_zero() {
        let test = TestLake::new();
        let table = uncounted(&test);
        for condition in [
            "k IS NULL",
            "k IS NOT NULL",
            "k IS NULL OR k > 150",
            "k NOT IN (0, 1)",
            "k IS DISTINCT FROM 1",
            "k IS NOT DISTINCT FROM NULL",
            "NOT (k > 1)",
            "COALESCE(k, 5) = 5",
            "k = 7",
            "k > 150",
        ] {
            let (found, all) = both(&test, &table, condition).await;
            assert_eq!(found, all, "{condition}");
        }
        assert_eq!(both(&test, &table, "k IS NULL").await.0, "3 8 9 10 11");
        assert_eq!(test.query(&table, "SELECT count(*), count(k), min(k), max(k) FROM t").await, "13|8|0|201");
        assert_eq!(test.query(&table, "SELECT id FROM t ORDER BY k DESC NULLS FIRST, id LIMIT 4").await, "3\n8\n9\n10");
        assert_eq!(test.query(&table, "SELECT id FROM t WHERE k IS NULL LIMIT 4").await.lines().count(), 4);
        assert_eq!(test.query(&table, "SELECT count(*) FROM (SELECT id FROM t WHERE k >= 0 LIMIT 8)").await, "8");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_with_other_rows_than_its_log_says_is_damaged() {
        let test = TestLake::new();
        let mut table = Foreign::new(&test, "t", &schema(&[("id", "integer")]), &[]);
        let column: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
        table.file("f.parquet", &RecordBatch::try_from_iter([("id", column)]).unwrap(), of_rows(10));
        let add = table.add("f.parquet", &json!({"numRecords": 563}));
        table.commit(&[add]);
        let snapshot = test.lake.snapshot(&test.table("t"), AsOf::Latest).await.unwrap();
        let error = test.query_on(&snapshot, "SELECT sum(id) FROM t").await.unwrap_err();
        let error = crate::error::datafusion::from_datafusion(error, true);
        assert_eq!(error.kind(), ErrorKind::DataCorrupted, "{error:?}");
        assert!(error.message().contains("another number of rows"), "{error:?}");
    }
}
