//! Bound to governed: the one gate.
//!
//! ```text
//!   BoundQuery ──▶ every access is checked ──▶ every source is swapped ──▶ GovernedQuery
//!                  (authorize)                 (rewrite)
//!                                               ├ no policy for the caller: the raw provider
//!                                               ├ a filter or a mask: GovernedTable, an opaque leaf (scan)
//!                                               └ system relation: rows that are filtered already
//! ```
//! A bound plan reads schema-only sources, which no planner accepts. Only this room swaps readable ones in, and only [`GovernedQuery`] carries them
//! out. The leaf is opaque because a predicate that can fail, such as `1 / (salary - 900)`, would tell a caller about rows that the filter
//! hides if the optimiser ran it first. Nothing here reads a clock, a file or the network.

use datafusion::arrow::datatypes::FieldRef;
use datafusion::logical_expr::LogicalPlan;

use crate::catalog::types::SqlType;

/// A query that its caller may run, with every policy already inside the plan.
///
/// Only `govern` builds one: the fields are private and nothing else constructs it.
#[derive(Debug, Clone)]
pub struct GovernedQuery {
    plan: LogicalPlan,
    columns: Vec<FieldRef>,
    parameters: Vec<SqlType>,
    governed: bool,
    volatile: bool,
}

impl GovernedQuery {
    /// Output columns: names and SQL types as clients read them.
    pub fn columns(&self) -> &[FieldRef] {
        &self.columns
    }

    /// Types of `$1`, `$2`, ..
    pub fn parameters(&self) -> &[SqlType] {
        &self.parameters
    }

    /// Whether a row filter or a mask is at work somewhere in the plan: errors and EXPLAIN say less then.
    pub fn is_governed(&self) -> bool {
        self.governed
    }

    /// Whether two runs may differ though no table changed.
    pub fn is_volatile(&self) -> bool {
        self.volatile
    }

    pub(crate) fn into_plan(self) -> LogicalPlan {
        self.plan
    }
}
