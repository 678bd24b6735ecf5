//! How many rows a row filter leaves, for the planner.
//!
//! A join needs to know which of its sides is the smaller. The log's statistics count hidden rows as well and may not be told; the number of
//! visible rows may, because the caller can count them too. It is counted from the raw scan under the row filter, without any predicate of the
//! caller's, for a bounded time, and remembered beside the table's snapshot.
//!
//! Not here: bounds of columns, numbers of distinct values.

use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::datatypes::Schema;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::scan::raw_qualifier;
use crate::lake::{RowCount, TableSnapshot};

/// Longest time that counting may hold up a plan; what was counted until then is the estimate.
const BUDGET: Duration = Duration::from_millis(200);
/// Of 100 rows, so many are believed to satisfy what the caller asks for: DataFusion's own guess for a predicate it knows nothing about.
const SELECTIVITY: usize = 20;

/// Rows of `snapshot` that are visible under `row_filter`; `None` if nobody knows.
pub(super) async fn visible_rows(
    snapshot: &TableSnapshot,
    raw: &Arc<dyn TableProvider>,
    row_filter: Option<&Expr>,
    state: &dyn Session,
) -> Option<usize> {
    let Some(row_filter) = row_filter else {
        return snapshot.num_rows().and_then(|rows| usize::try_from(rows).ok());
    };
    if row_filter.is_volatile() || reads_other_tables(row_filter) {
        return None;
    }
    let counts = snapshot.row_counts();
    match counts.of(row_filter, snapshot.version()) {
        RowCount::Known(rows) => Some(rows),
        RowCount::Unknown => None,
        RowCount::Wanted => {
            // A filter that fails will tell the caller so when the query runs.
            let rows = count(raw, row_filter, state).await.ok()?;
            counts.learn(row_filter, snapshot.version(), rows);
            Some(rows)
        }
    }
}

/// What a scan of these columns may tell: rows, and their width where that is fixed.
pub(super) fn statistics(visible: Option<usize>, filtered: bool, limit: Option<usize>, schema: &Schema) -> Statistics {
    let estimate = |rows: usize| if filtered { rows / 100 * SELECTIVITY + rows % 100 * SELECTIVITY / 100 } else { rows };
    let rows = visible.map(estimate).map(|rows| limit.map_or(rows, |limit| rows.min(limit)));
    let mut statistics = Statistics {
        num_rows: rows.map_or(Precision::Absent, Precision::Inexact),
        total_byte_size: Precision::Absent,
        column_statistics: vec![ColumnStatistics::new_unknown(); schema.fields().len()],
    };
    statistics.calculate_total_byte_size(schema);
    statistics
}

fn reads_other_tables(expr: &Expr) -> bool {
    expr.exists(|node| Ok(matches!(node, Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_))))
        .unwrap_or(true)
}

async fn count(raw: &Arc<dyn TableProvider>, row_filter: &Expr, state: &dyn Session) -> Result<usize> {
    let nothing: Vec<Expr> = vec![];
    let plan = LogicalPlanBuilder::scan(raw_qualifier(), provider_as_source(Arc::clone(raw)), None)?
        .filter(row_filter.clone())?
        .project(nothing)?
        .build()?;
    let deadline = Instant::now() + BUDGET;
    let mut rows = execute_stream(state.create_physical_plan(&plan).await?, state.task_ctx())?;
    let mut counted = 0;
    while let Ok(Some(batch)) = timeout_at(deadline, rows.next()).await {
        counted += batch?.num_rows();
    }
    Ok(counted)
}
