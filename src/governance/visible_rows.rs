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
        RowCount::Known(found) => Some(found),
        RowCount::Unknown => None,
        RowCount::Wanted => {
            // A filter that fails will tell the caller so when the query runs.
            let found = Arc::new(look(raw, row_filter, state).await.ok()?);
            counts.learn(row_filter, snapshot.version(), Arc::clone(&found));
            Some(found)
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

/// Counts first: the number of rows matters more, and its scan reads the fewest columns.
async fn look(raw: &Arc<dyn TableProvider>, row_filter: &Expr, state: &dyn Session) -> Result<FoundRows> {
    let mut rows = 0;
    each_batch(raw, row_filter, vec![], state, |batch| {
        rows += batch.num_rows();
        Ok(())
    })
    .await?;
    let schema = raw.schema();
    let integers: Vec<&FieldRef> = schema.fields().iter().filter(|field| field.data_type().is_signed_integer()).collect();
    let column = |field: &&FieldRef| cast(Expr::Column(Column::new(Some(raw_qualifier()), field.name())), DataType::Int64);
    let mut bounds: Vec<Option<(i64, i64)>> = vec![None; integers.len()];
    if !integers.is_empty() {
        each_batch(raw, row_filter, integers.iter().map(column).collect(), state, |batch| {
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
    }
    let typed = |(field, bounds): (&&FieldRef, Option<(i64, i64)>)| {
        let value = |value: i64| ScalarValue::Int64(Some(value)).cast_to(field.data_type());
        let (smallest, largest) = bounds?;
        Some(value(smallest).and_then(|smallest| Ok((field.name().clone(), (smallest, value(largest)?)))))
    };
    let bounds = integers.iter().zip(bounds).filter_map(typed).collect::<Result<_>>()?;
    Ok(FoundRows { rows, bounds })
}

/// Shows `see` these columns of the visible rows, until all are seen or the time is over.
async fn each_batch(
    raw: &Arc<dyn TableProvider>,
    row_filter: &Expr,
    columns: Vec<Expr>,
    state: &dyn Session,
    mut see: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let plan = LogicalPlanBuilder::scan(raw_qualifier(), provider_as_source(Arc::clone(raw)), None)?
        .filter(row_filter.clone())?
        .project(columns)?
        .build()?;
    let deadline = Instant::now() + BUDGET;
    let mut rows = execute_stream(state.create_physical_plan(&plan).await?, state.task_ctx())?;
    while let Ok(Some(batch)) = timeout_at(deadline, rows.next()).await {
        see(batch?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::arrow::datatypes::Field;
    use datafusion::prelude::lit;

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
