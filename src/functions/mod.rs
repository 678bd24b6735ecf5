//! SQL functions: an explicit allow-list.
//!
//! ```text
//!  name ─▶ Functions ─┬─ ours (PostgreSQL's and Databricks' words; may hold the statement's FunctionContext)
//!                     └─ DataFusion's, if the allow-list names them
//! ```
//! A name that stands in neither list does not exist, whatever the engine underneath can do: an upgrade that brings a new function
//! fails a test until somebody has decided about it. No function reads files, the network, the environment or the engine's build;
//! nothing a user creates can stand in front of a function named here.

pub mod builtin;
mod context;

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub use context::FunctionContext;

/// The functions that a statement may call.
#[derive(Debug)]
pub struct Functions {
    scalars: HashMap<String, Arc<ScalarUDF>>,
    aggregates: HashMap<String, Arc<AggregateUDF>>,
    windows: HashMap<String, Arc<WindowUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

/// A function that returns a set of rows, as a scalar function that returns them as one list.
///
/// The binder unnests `list`: in FROM, in LATERAL and in a select list alike. A list of structs makes one column for each field.
#[derive(Debug, Clone)]
pub struct SetReturning {
    /// Returns the rows of one call as a list; NULL and the empty list are no rows.
    pub list: Arc<ScalarUDF>,
    /// Names of the output columns: one, unless the list's elements are structs.
    pub columns: Vec<String>,
}

impl Functions {
    /// Builds the registry; done once.
    pub fn new() -> Arc<Self> {
        let mut scalars = HashMap::new();
        for function in SessionStateDefaults::default_scalar_functions() {
            for name in std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str)) {
                scalars.insert(name.to_string(), Arc::clone(&function));
            }
        }
        let mut aggregates = HashMap::new();
        for function in SessionStateDefaults::default_aggregate_functions() {
            for name in std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str)) {
                aggregates.insert(name.to_string(), Arc::clone(&function));
            }
        }
        let mut windows = HashMap::new();
        for function in SessionStateDefaults::default_window_functions() {
            for name in std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str)) {
                windows.insert(name.to_string(), Arc::clone(&function));
            }
        }
        Arc::new(Self { scalars, aggregates, windows, planners: SessionStateDefaults::default_expr_planners() })
    }

    /// The scalar function `name` (lower case, without schema) for a statement.
    pub fn scalar(&self, name: &str, _context: &Arc<FunctionContext>) -> Option<Arc<ScalarUDF>> {
        self.scalars.get(name).map(Arc::clone)
    }

    /// The aggregate function `name`.
    pub fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(name).map(Arc::clone)
    }

    /// The window function `name`. Aggregates with OVER are found by [`Functions::aggregate`].
    pub fn window(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.windows.get(name).map(Arc::clone)
    }

    /// The set-returning function `name`: `generate_series`, `unnest`, `generate_subscripts`, ..
    pub fn table(&self, _name: &str, _context: &Arc<FunctionContext>) -> Option<SetReturning> {
        None
    }

    /// Names of all scalar functions.
    pub fn scalar_names(&self) -> Vec<String> {
        self.scalars.keys().cloned().collect()
    }

    /// Names of all aggregate functions.
    pub fn aggregate_names(&self) -> Vec<String> {
        self.aggregates.keys().cloned().collect()
    }

    /// Names of all window functions.
    pub fn window_names(&self) -> Vec<String> {
        self.windows.keys().cloned().collect()
    }

    /// Planners of SQL syntax that stands for functions: EXTRACT, POSITION, `a[1]`, ..
    pub fn expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }
}
