//! A table's rows as a plan over DataFusion's Parquet reader.
//!
//! ```text
//!  filters ──▶ files whose statistics may match ──▶ deleted rows as row selections ──▶ file groups ──▶ slices ──▶ Parquet scan
//! ```
//! Planning touches object storage for what is not cached yet of two things: deletion vectors, and the footers of a few large files that are
//! read without a filter (`slices.rs`). Filters are used to leave out files
//! and are evaluated again above the scan: they are pushed down as inexact. Writing hooks of `TableProvider` are absent on purpose.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::pruning::PrunableStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{DataFusionError, Result, Statistics, ToDFSchema};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::parquet::file::metadata::PageIndexPolicy;
use datafusion::physical_expr_adapter::PhysicalExprAdapterFactory;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_datasource::compute_all_files_statistics;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::files::DataFile;
use super::footers::{Footers, StoredRows};
use super::slices::{may_be_sliced, slices};
use super::snapshot::TableSnapshot;

/// Deletion vectors that one scan reads at a time.
const DELETION_VECTORS_AT_ONCE: usize = 16;

/// Footers that one scan reads at a time.
const FOOTERS_AT_ONCE: usize = 16;

/// A scan of more large files than these begins without their footers and reads whole row groups.
const SLICED_FILES: usize = 64;

/// The rows of one version of a table.
#[derive(Debug)]
pub(super) struct TableScan {
    snapshot: Arc<TableSnapshot>,
}

impl TableScan {
    pub(super) fn new(snapshot: Arc<TableSnapshot>) -> Self {
        Self { snapshot }
    }

    /// The files that may hold a row for which all `filters` are true.
    fn matching_files(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<&Arc<DataFile>>> {
        let files = self.snapshot.files();
        let all = || files.iter().collect();
        let Some(predicate) = conjunction(filters.to_vec()) else { return Ok(all()) };
        if files.is_empty() {
            return Ok(vec![]);
        }
        let schema = self.snapshot.scan_schema.table_schema();
        let predicate = state.create_physical_expr(predicate, &Arc::clone(schema).to_dfschema()?)?;
        let pruning = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).build(predicate);
        let Some(pruning) = pruning else { return Ok(all()) };
        let unknown = Arc::new(Statistics::new_unknown(schema));
        let statistics = files.iter().map(|file| file.file.statistics.clone().unwrap_or_else(|| Arc::clone(&unknown))).collect();
        let keep = pruning.prune(&PrunableStatistics::new(statistics, Arc::clone(schema)))?;
        Ok(files.iter().zip(keep).filter_map(|(file, keep)| keep.then_some(file)).collect())
    }

    async fn scan_files(&self, files: Vec<&Arc<DataFile>>) -> Result<Vec<PartitionedFile>> {
        let snapshot = &self.snapshot;
        stream::iter(files.into_iter().map(Arc::clone))
            .map(|file| async move {
                let live =
                    snapshot.deletion_vectors.live_rows(&snapshot.table, &snapshot.store, &snapshot.loaded.engine, &file).await;
                let scanned = match file.stored_rows {
                    Some(rows) => file.file.clone().with_extension(StoredRows(rows)),
                    None => file.file.clone(),
                };
                match live.map_err(|error| DataFusionError::External(Box::new(error)))? {
                    Some(live) => Ok(scanned.with_extension(live.as_ref().clone())),
                    None => Ok(scanned),
                }
            })
            .buffered(DELETION_VECTORS_AT_ONCE)
            .try_collect()
            .await
    }

    fn footers(&self, state: &dyn Session) -> Result<Footers> {
        let environment = state.runtime_env();
        let store = environment.object_store(self.snapshot.store.engine_url())?;
        let size_hint = state.default_table_options().parquet.global.metadata_size_hint;
        Ok(Footers::new(&self.snapshot.table.name, store, environment.cache_manager.get_file_metadata_cache(), size_hint))
    }

    /// Large files as ranges of rows, so that a scan of everything holds little at a time.
    async fn sliced(&self, state: &dyn Session, groups: Vec<FileGroup>, positions: &[usize]) -> Result<Vec<FileGroup>> {
        let large = groups.iter().flat_map(FileGroup::iter).filter(|file| may_be_sliced(file)).count();
        if large == 0 || large > SLICED_FILES {
            return Ok(groups);
        }
        let snapshot = &self.snapshot;
        let footers = self.footers(state)?;
        let fields = snapshot.scan_schema.table_schema().fields();
        let columns: Vec<&str> =
            positions.iter().filter_map(|column| snapshot.stored_columns.stored_name(fields[*column].name())).collect();
        let slice = async |file: PartitionedFile| {
            if !may_be_sliced(&file) {
                return Ok(vec![file]);
            }
            let footer = footers.read(&file, PageIndexPolicy::Optional).await?;
            Ok::<_, DataFusionError>(slices(file, &footer, &columns))
        };
        let mut sliced = Vec::with_capacity(groups.len());
        for group in groups {
            let statistics = group.file_statistics(None).cloned().map(Arc::new);
            let parts: Vec<_> = stream::iter(group.into_inner()).map(&slice).buffered(FOOTERS_AT_ONCE).try_collect().await?;
            let group = FileGroup::new(parts.into_iter().flatten().collect());
            sliced.push(match statistics {
                Some(statistics) => group.with_statistics(statistics),
                None => group,
            });
        }
        Ok(sliced)
    }
}

/// The first files that together have `limit` rows; all, if that is not known.
fn enough_files(files: Vec<&Arc<DataFile>>, limit: usize) -> Vec<&Arc<DataFile>> {
    let mut rows = 0_u64;
    let wanted = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut count = 0;
    for file in &files {
        if rows >= wanted {
            break;
        }
        let Some(live) = file.live_rows() else { return files };
        rows = rows.saturating_add(live);
        count += 1;
    }
    files.into_iter().take(count).collect()
}

#[async_trait]
impl TableProvider for TableScan {
    fn schema(&self) -> SchemaRef {
        self.snapshot.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(filters
            .iter()
            .map(
                |filter| {
                    if filter.is_volatile() {
                        TableProviderFilterPushDown::Unsupported
                    } else {
                        TableProviderFilterPushDown::Inexact
                    }
                },
            )
            .collect())
    }

    fn statistics(&self) -> Option<Statistics> {
        let mut statistics = Statistics::new_unknown(&self.snapshot.schema());
        let rows = self.snapshot.num_rows().and_then(|rows| usize::try_from(rows).ok());
        statistics.num_rows = rows.map_or(Precision::Absent, Precision::Exact);
        Some(statistics)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let snapshot = &self.snapshot;
        let mut files = self.matching_files(state, filters)?;
        if let Some(limit) = limit.filter(|_| filters.is_empty()) {
            files = enough_files(files, limit);
        }
        let mut files = self.scan_files(files).await?;
        // A file that says nothing of itself would be left out of what is said of all.
        let unknown = Arc::new(Statistics::new_unknown(snapshot.scan_schema.table_schema()));
        for file in files.iter_mut().filter(|file| file.statistics.is_none()) {
            file.statistics = Some(Arc::clone(&unknown));
        }
        let groups = match files.is_empty() {
            true => vec![FileGroup::new(vec![])],
            false => FileGroup::new(files).split_files(state.config().target_partitions()),
        };
        let table_schema = snapshot.scan_schema.table_schema();
        let (groups, statistics) = compute_all_files_statistics(groups, Arc::clone(table_schema), true, false)?;
        let positions = match projection {
            Some(columns) => columns.iter().map(|column| snapshot.scan_positions[*column]).collect(),
            None => snapshot.scan_positions.clone(),
        };
        let groups = if filters.is_empty() { self.sliced(state, groups, &positions).await? } else { groups };
        let mut options = state.default_table_options().parquet;
        // Old Spark writes timestamps as INT96; read as nanoseconds, most of their range would overflow.
        options.global.coerce_int96 = Some("us".into());
        let mut source = ParquetSource::new(snapshot.scan_schema.clone());
        if let Some(size_hint) = options.global.metadata_size_hint {
            source = source.with_metadata_size_hint(size_hint);
        }
        let source = source.with_table_parquet_options(options).with_parquet_file_reader_factory(Arc::new(self.footers(state)?));
        let config = FileScanConfigBuilder::new(snapshot.store.engine_url().clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(Some(positions))?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::clone(&snapshot.stored_columns) as Arc<dyn PhysicalExprAdapterFactory>))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
