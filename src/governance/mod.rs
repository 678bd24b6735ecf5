//! Bound to governed: the one gate.
//!
//! ```text
//!   BoundQuery ──▶ every access is checked ──▶ every source is swapped ──▶ GovernedQuery
//!                  (authorize)                 (rewrite)
//!                                               ├ no policy for the caller: the raw provider
//!                                               ├ a filter or a mask: GovernedTable, an opaque leaf (scan)
//!                                               ├ a view or function with another's rights: opened where that tells nothing (lending),
//!                                               │ else an opaque leaf as well (view, call)
//!                                               └ system relation: rows that are filtered already
//! ```
//! A bound plan reads schema-only sources, which no planner accepts. Only this room swaps readable ones in, and only [`GovernedQuery`] carries them
//! out. The leaf is opaque because a predicate that can fail, such as `1 / (salary - 900)`, would tell a caller about rows that the filter
//! hides if the optimiser ran it first. [`govern`] reads no clock, no file and no network; a governed scan, once it is planned, counts visible rows.

mod authorize;
mod call;
mod effective;
mod leakproof;
mod lending;
mod rewrite;
mod scan;
mod system_table;
mod view;
mod visibility;
mod visible_rows;

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::logical_expr::LogicalPlan;

use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::ObjectId;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::source::BoundQuery;
use crate::system::SystemContext;
use crate::types::SqlType;

pub use authorize::{NameResolver, authorize_command};
pub(crate) use call::GovernedCalls;
pub use visibility::undefined;

/// What a governed query is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Its rows.
    Run,
    /// Its plan is printed.
    Explain,
    /// It is run, and its plan is printed with what was counted.
    ExplainAnalyze,
}

/// Checks what `bound` reads and makes it readable for `caller`, with every policy of the tables inside.
///
/// Pure, and cheap but for simplifying policies. Run it where the stack is deep: the engine's `on_planner` is for that.
///
/// # Errors
/// `Denied`, or `UndefinedRelation` (and its likes) for what the caller may not know of.
pub fn govern(bound: BoundQuery, caller: ObjectId, system: &Arc<SystemContext>, purpose: Purpose) -> Result<GovernedQuery> {
    if system.functions.principal != caller {
        return Err(Error::internal("a query is governed for somebody else than it was bound for"));
    }
    let check =
        |snapshot: &CatalogSnapshot| bound.accesses.iter().try_for_each(|access| authorize::check_access(snapshot, caller, access));
    check(system.in_force()).map_err(|error| {
        let granted_here = error.kind() == ErrorKind::Denied && check(&system.functions.snapshot).is_ok();
        if granted_here { error.with_hint("What this transaction has granted is in force once it is committed.") } else { error }
    })?;
    let BoundQuery {
        plan,
        columns,
        parameters,
        volatile,
        origins: _,
        typmods: _,
        accesses: _,
        of_the_moment: _,
        unfit_for_policies: _,
    } = bound;
    let readable = rewrite::rewrite(plan, caller, system, purpose)?;
    Ok(GovernedQuery { plan: readable.plan, columns, parameters, governed: readable.governed, volatile })
}

/// A query that its caller may run, with every policy already inside the plan.
///
/// Only [`govern`] builds one: the fields are private and nothing else constructs it.
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

    pub(crate) fn plan(&self) -> &LogicalPlan {
        &self.plan
    }

    pub(crate) fn into_plan(self) -> LogicalPlan {
        self.plan
    }
}

#[cfg(test)]
impl GovernedQuery {
    /// A query for tests of the engine, past the gate.
    pub(crate) fn for_tests(plan: LogicalPlan, governed: bool) -> Self {
        let columns = plan.schema().fields().iter().map(Arc::clone).collect();
        Self { plan, columns, parameters: vec![], governed, volatile: false }
    }

    /// The same with parameters.
    pub(crate) fn with_parameters(mut self, parameters: Vec<SqlType>) -> Self {
        self.parameters = parameters;
        self
    }
}

#[cfg(test)]
mod tests;
