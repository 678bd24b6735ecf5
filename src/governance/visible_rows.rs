//! How many rows a row filter leaves, and between which values their integers lie, for the planner.
//!
//! A join needs to know which of its sides is the smaller, and how many different keys there can be. The log's statistics are about hidden
//! rows as well and may not be told; what is said of visible rows alone may, because the caller can ask for it, too. It is found in the raw
//! scan under the row filter, without any predicate of the caller's, in a bounded time, and remembered beside the table's snapshot. Nothing is
//! told of a masked column.
//!
//! Not here: numbers of distinct values, bounds of other types than integers, on which tables are rarely joined.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute;
use datafusion::arrow::datatypes::{DataType, FieldRef, Int64Type, Schema};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, ColumnStatistics, ScalarValue, Statistics};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast};
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::scan::raw_qualifier;
use crate::lake::{FoundRows, RowCount, TableSnapshot};
use crate::sql::call::callee_of;

/// Longest time that counting may hold up a plan. What was counted until then is no estimate: how far a scan came depends on the hidden rows
/// that it went through.
const BUDGET: Duration = Duration::from_millis(200);
/// Of 100 rows, so many are believed to satisfy what the caller asks for: DataFusion's own guess for a predicate it knows nothing about.
const SELECTIVITY: usize = 20;

/// Rows of `snapshot` that are visible under `row_filter`; `None` if nobody knows.
pub(super) async fn visible_rows(
    snapshot: &TableSnapshot,
    raw: &Arc<dyn TableProvider>,
    row_filter: Option<&Expr>,
    state: &dyn Session,
) -> Option<Arc<FoundRows>> {
    let Some(row_filter) = row_filter else {
        let rows = snapshot.num_rows().and_then(|rows| usize::try_from(rows).ok())?;
        return Some(Arc::new(FoundRows { rows, ..FoundRows::default() }));
    };
    if row_filter.is_volatile() || reads_other_tables(row_filter) {
        return None;
    }
    let counts = snapshot.row_counts();
    match counts.of(row_filter, snapshot.version()) {
        RowCount::Known(found) => found,
        RowCount::Unknown => None,
        RowCount::Wanted => {
            // A filter that fails will tell the caller so when the query runs.
            let found = look(raw, row_filter, state, BUDGET).await.ok()?.map(Arc::new);
            counts.learn(row_filter, snapshot.version(), found.clone());
            found
        }
    }
}

/// What a scan of these columns may tell: rows, their width where that is fixed, and bounds of columns that are not `masked`.
pub(super) fn statistics(
    visible: Option<&FoundRows>,
    masked: &BTreeMap<String, Expr>,
    filtered: bool,
    limit: Option<usize>,
    schema: &Schema,
) -> Statistics {
    let estimate = |rows: usize| if filtered { rows / 100 * SELECTIVITY + rows % 100 * SELECTIVITY / 100 } else { rows };
    let rows = visible.map(|found| estimate(found.rows)).map(|rows| limit.map_or(rows, |limit| rows.min(limit)));
    let column = |field: &FieldRef| {
        let bounds = visible.and_then(|found| found.bounds.get(field.name())).filter(|_| !masked.contains_key(field.name()));
        let mut column = ColumnStatistics::new_unknown();
        if let Some((smallest, largest)) = bounds.filter(|(smallest, _)| smallest.data_type() == *field.data_type()) {
            column.min_value = Precision::Inexact(smallest.clone());
            column.max_value = Precision::Inexact(largest.clone());
        }
        column
    };
    let mut statistics = Statistics {
        num_rows: rows.map_or(Precision::Absent, Precision::Inexact),
        total_byte_size: Precision::Absent,
        column_statistics: schema.fields().iter().map(column).collect(),
    };
    statistics.calculate_total_byte_size(schema);
    statistics
}

fn reads_other_tables(expr: &Expr) -> bool {
    let reads = |node: &Expr| {
        matches!(node, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_))
            || callee_of(node).is_some()
    };
    expr.exists(|node| Ok(reads(node))).unwrap_or(true)
}

/// Counts first: the number of rows matters more, and its scan reads the fewest columns. `None` if not even that was done in time; bounds are
/// found of all columns or of none.
async fn look(raw: &Arc<dyn TableProvider>, row_filter: &Expr, state: &dyn Session, budget: Duration) -> Result<Option<FoundRows>> {
    let mut rows = 0;
    let counted = each_batch(raw, row_filter, vec![], state, budget, |batch| {
        rows += batch.num_rows();
        Ok(())
    })
    .await?;
    if !counted {
        return Ok(None);
    }
    let schema = raw.schema();
    let integers: Vec<&FieldRef> = schema.fields().iter().filter(|field| field.data_type().is_signed_integer()).collect();
    let column = |field: &&FieldRef| cast(Expr::Column(Column::new(Some(raw_qualifier()), field.name())), DataType::Int64);
    let mut bounds: Vec<Option<(i64, i64)>> = vec![None; integers.len()];
    if !integers.is_empty() {
        let seen = each_batch(raw, row_filter, integers.iter().map(column).collect(), state, budget, |batch| {
            for (bounds, column) in bounds.iter_mut().zip(batch.columns()) {
                let values = column.as_primitive::<Int64Type>();
                if let (Some(smallest), Some(largest)) = (compute::min(values), compute::max(values)) {
                    let (before, behind) = bounds.unwrap_or((smallest, largest));
                    *bounds = Some((before.min(smallest), behind.max(largest)));
                }
            }
            Ok(())
        })
        .await?;
        if !seen {
            return Ok(Some(FoundRows { rows, ..FoundRows::default() }));
        }
    }
    let typed = |(field, bounds): (&&FieldRef, Option<(i64, i64)>)| {
        let value = |value: i64| ScalarValue::Int64(Some(value)).cast_to(field.data_type());
        let (smallest, largest) = bounds?;
        Some(value(smallest).and_then(|smallest| Ok((field.name().clone(), (smallest, value(largest)?)))))
    };
    let bounds = integers.iter().zip(bounds).filter_map(typed).collect::<Result<_>>()?;
    Ok(Some(FoundRows { rows, bounds }))
}

/// Shows `see` these columns of the visible rows, until all are seen (true) or the time is over (false).
async fn each_batch(
    raw: &Arc<dyn TableProvider>,
    row_filter: &Expr,
    columns: Vec<Expr>,
    state: &dyn Session,
    budget: Duration,
    mut see: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<bool> {
    let plan = LogicalPlanBuilder::scan(raw_qualifier(), provider_as_source(Arc::clone(raw)), None)?
        .filter(row_filter.clone())?
        .project(columns)?
        .build()?;
    let deadline = Instant::now() + budget;
    let mut rows = execute_stream(state.create_physical_plan(&plan).await?, state.task_ctx())?;
    loop {
        match timeout_at(deadline, rows.next()).await {
            Ok(Some(batch)) => see(batch?)?,
            Ok(None) => return Ok(true),
            Err(_) => return Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::array::{ArrayRef, Int64Array};
    use datafusion::arrow::datatypes::{Field, SchemaRef};
    use datafusion::catalog::streaming::StreamingTable;
    use datafusion::execution::{SendableRecordBatchStream, TaskContext};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use datafusion::physical_plan::streaming::PartitionStream;
    use datafusion::prelude::{SessionContext, lit};

    /// Hands out one batch and then, after `pause`, another.
    #[derive(Debug)]
    struct Slow {
        batch: RecordBatch,
        schema: SchemaRef,
        pause: Duration,
    }

    impl PartitionStream for Slow {
        fn schema(&self) -> &SchemaRef {
            &self.schema
        }

        fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
            let (pause, batch) = (self.pause, self.batch.clone());
            let batches = futures::stream::iter([Duration::ZERO, pause]).then(move |pause| {
                let batch = batch.clone();
                async move {
                    tokio::time::sleep(pause).await;
                    Ok(batch)
                }
            });
            Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches))
        }
    }

    async fn found(pause: Duration) -> Option<FoundRows> {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let batch = RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let slow = Arc::new(Slow { schema: batch.schema(), batch, pause });
        let raw: Arc<dyn TableProvider> = Arc::new(StreamingTable::try_new(Arc::clone(&slow.schema), vec![slow]).unwrap());
        let filter = Expr::Column(Column::new(Some(raw_qualifier()), "id")).lt(lit(4_i64));
        let context = SessionContext::new();
        look(&raw, &filter, &context.state(), Duration::from_millis(300)).await.unwrap()
    }

    #[tokio::test]
    async fn a_count_that_is_not_finished_in_time_is_unknown() {
        let whole = found(Duration::ZERO).await.unwrap();
        assert_eq!((whole.rows, whole.bounds.len()), (8, 1));
        assert_eq!(found(Duration::from_secs(60)).await, None);
    }

    #[test]
    fn bounds_are_told_of_unmasked_columns_only() {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        let schema = Schema::new(vec![field("key"), field("salary"), field("other")]);
        let bounds = |from: i64, to: i64| (ScalarValue::Int64(Some(from)), ScalarValue::Int64(Some(to)));
        let bounds = [("key".to_string(), bounds(1, 9)), ("salary".to_string(), bounds(1000, 9000))].into();
        let found = FoundRows { rows: 50, bounds };
        let masked = [("salary".to_string(), lit(0_i64))].into();
        let told = statistics(Some(&found), &masked, true, None, &schema);
        assert_eq!(told.num_rows, Precision::Inexact(10));
        assert_eq!(told.column_statistics[0].max_value, Precision::Inexact(ScalarValue::Int64(Some(9))));
        assert_eq!(told.column_statistics[1..], [ColumnStatistics::new_unknown(), ColumnStatistics::new_unknown()]);
    }
}
