//! The registry: which name is which function.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::execution::SessionStateDefaults;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

use super::aggregate::{self, SUMMED_NARROW};
use super::behaviour::Behaviour;
use super::builtin::data_lines;
use super::conditional::If;
use super::context::FunctionContext;
use super::databricks;
use super::define::{self, Declaration};
use super::extreme;
use super::interval_aggregate;
use super::postgres::advisory;
use super::postgres::sleep::Sleep;
use super::postgres::{self, Extract, Round};
use super::variance;

/// The functions that a statement may call.
pub struct Functions {
    ours: BTreeMap<String, Arc<[Declaration]>>,
    scalars: BTreeMap<String, Arc<ScalarUDF>>,
    aggregates: BTreeMap<String, Arc<AggregateUDF>>,
    windows: BTreeMap<String, Arc<WindowUDF>>,
    planners: Vec<Arc<dyn ExprPlanner>>,
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").field("ours", &self.ours.len()).field("scalars", &self.scalars.len()).finish_non_exhaustive()
    }
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
    /// Whether the list's elements are structs, one field for each column.
    pub composite: bool,
}

/// What the allow-list says about a function of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// May be called by its name.
    Allowed,
    /// May not be called; the name may still belong to a function of ours.
    Refused,
    /// Replaced by a function of ours.
    Replaced,
}

/// The allow-list: `kind name verdict`, one line for every name that the engine's functions have.
fn allow_list() -> HashMap<(&'static str, &'static str), Verdict> {
    data_lines(include_str!("engine_functions.tsv"))
        .filter_map(|line| match line.as_slice() {
            [kind, name, verdict, ..] => {
                let verdict = match *verdict {
                    "allow" => Verdict::Allowed,
                    "replaced" => Verdict::Replaced,
                    _ => Verdict::Refused,
                };
                Some(((*kind, *name), verdict))
            }
            _ => None,
        })
        .collect()
}

/// Other names for functions of the engine.
const SCALAR_ALIASES: [(&str, &str); 1] = [("len", "character_length")];
/// Functions of the engine that take values of any type, apart from those over arrays.
const ANY_VALUES: [&str; 18] = [
    "cardinality",
    "coalesce",
    "element_at",
    "flatten",
    "get_field",
    "greatest",
    "if",
    "ifnull",
    "iff",
    "least",
    "map",
    "named_struct",
    "nullif",
    "nvl",
    "nvl2",
    "row",
    "struct",
    "list_length",
];
const AGGREGATE_ALIASES: [(&str, &str); 7] = [
    ("variance", "var_samp"),
    ("every", "bool_and"),
    ("mean", "avg"),
    ("approx_count_distinct", "approx_distinct"),
    ("collect_list", "array_agg"),
    ("first", "first_value"),
    ("last", "last_value"),
];

impl Functions {
    /// Builds the registry; done once.
    pub fn new() -> Arc<Self> {
        postgres::session::remember_start();
        let verdicts = allow_list();
        let allowed = |kind: &'static str, name: &str| verdicts.get(&(kind, name)) == Some(&Verdict::Allowed);
        let mut scalars = BTreeMap::new();
        for function in SessionStateDefaults::default_scalar_functions() {
            for name in names(function.name(), function.aliases()).filter(|name| allowed("scalar", name)) {
                scalars.insert(name, Arc::clone(&function));
            }
        }
        let mut aggregates = BTreeMap::new();
        for function in SessionStateDefaults::default_aggregate_functions() {
            for name in names(function.name(), function.aliases()).filter(|name| allowed("aggregate", name)) {
                aggregates.insert(name, Arc::clone(&function));
            }
        }
        let mut windows = BTreeMap::new();
        for function in SessionStateDefaults::default_window_functions() {
            for name in names(function.name(), function.aliases()).filter(|name| allowed("window", name)) {
                windows.insert(name, Arc::clone(&function));
            }
        }
        scalars.insert("if".to_string(), If::function());
        scalars.insert("iff".to_string(), If::function());
        scalars.insert("pg_sleep".to_string(), Sleep::function());
        scalars.extend(Round::functions().into_iter().map(|(name, function)| (name.to_string(), function)));
        for function in aggregate::aggregates().into_iter().chain(variance::aggregates()) {
            aggregates.insert(function.name().to_string(), Arc::new(function));
        }
        alias(&mut scalars, &SCALAR_ALIASES);
        alias(&mut aggregates, &AGGREGATE_ALIASES);
        Arc::new(Self { ours: group(), scalars, aggregates, windows, planners: SessionStateDefaults::default_expr_planners() })
    }

    /// The scalar function `name` (lower case, without schema) for a statement.
    pub fn scalar(&self, name: &str, context: &Arc<FunctionContext>) -> Option<Arc<ScalarUDF>> {
        if name == "extract" {
            return Some(Extract::function(context));
        }
        if let Some(waiting) = advisory::function(name, context) {
            return Some(waiting);
        }
        if let Some(overloads) = self.ours.get(name) {
            let returns_one = overloads.iter().any(|overload| overload.set_columns().is_none());
            return returns_one.then(|| define::scalar(name, overloads, context));
        }
        self.scalars.get(name).map(Arc::clone)
    }

    /// What the scalar or set-returning function `name` depends on and does. Aggregates and window functions are immutable, all of them.
    pub fn behaviour(&self, name: &str) -> Option<Behaviour> {
        if name == "extract" {
            return Some(Behaviour::Zoned);
        }
        if advisory::is_waiting(name) {
            return Some(Behaviour::Effect);
        }
        let ours = self.ours.get(name).map(|overloads| define::behaviour(overloads));
        ours.or_else(|| self.scalars.get(name).map(|function| Behaviour::of_engine(function.signature().volatility)))
    }

    /// Whether the scalar function `name` takes numerics with scales of their own: ours do, and those of the engine that take anything.
    pub fn knows_numerics(&self, name: &str) -> bool {
        let rounds = self.scalars.get(name).is_some_and(|function| function.inner().is::<Round>());
        let anything = name.contains("array") || ANY_VALUES.contains(&name);
        rounds || anything || name == "extract" || self.ours.contains_key(name)
    }

    /// The aggregate function `name`.
    pub fn aggregate(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.aggregates.get(name).map(Arc::clone)
    }

    /// The aggregate function `name` over values of `data_type`. `sum` of `integer` is `bigint` and cannot overflow, so that is the
    /// engine's own; ours would see a `bigint` once the engine has widened its argument.
    pub fn aggregate_over(&self, name: &str, data_type: &DataType) -> Option<Arc<AggregateUDF>> {
        match (name, data_type) {
            ("sum", DataType::Int8 | DataType::Int16 | DataType::Int32) => Some(sum_udaf()),
            ("sum", DataType::Decimal128(SUMMED_NARROW.., _)) => Some(super::numeric::decimal_sum::sum()),
            ("sum", DataType::LargeBinary) => Some(super::numeric::aggregate::sum()),
            ("min" | "max", DataType::Float32 | DataType::Float64) => extreme::over_floats(name),
            ("sum" | "avg" | "mean", DataType::Interval(_)) => interval_aggregate::over_intervals(name),
            _ => self.aggregate(name),
        }
    }

    /// The window function `name`. Aggregates with OVER are found by [`Functions::aggregate`].
    pub fn window(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.windows.get(name).map(Arc::clone)
    }

    /// The set-returning function `name`: `generate_series`, `unnest`, `generate_subscripts`, ..
    pub fn table(&self, name: &str, context: &Arc<FunctionContext>) -> Option<SetReturning> {
        let overloads = self.ours.get(name)?;
        let first = overloads.iter().find(|overload| overload.set_columns().is_some())?;
        let columns = first.set_columns()?;
        Some(SetReturning { list: define::scalar(name, overloads, context), columns, composite: first.is_composite() })
    }

    /// Names of all scalar functions.
    pub fn scalar_names(&self) -> Vec<String> {
        let ours = self.ours.iter().filter(|(_, overloads)| overloads.iter().any(|overload| overload.set_columns().is_none()));
        let mut all: Vec<String> =
            ours.map(|(name, _)| name.clone()).chain(self.scalars.keys().cloned()).chain(["extract".to_string()]).collect();
        all.extend(advisory::WAITING.iter().map(|(name, ..)| (*name).to_string()));
        all.sort();
        all.dedup();
        all
    }

    /// Names of all set-returning functions.
    pub fn table_names(&self) -> Vec<String> {
        let sets = self.ours.iter().filter(|(_, overloads)| overloads.iter().any(|overload| overload.set_columns().is_some()));
        sets.map(|(name, _)| name.clone()).collect()
    }

    /// Names of all aggregate functions.
    pub fn aggregate_names(&self) -> Vec<String> {
        self.aggregates.keys().cloned().collect()
    }

    /// Names of all window functions.
    pub fn window_names(&self) -> Vec<String> {
        self.windows.keys().cloned().collect()
    }

    /// Planners of SQL syntax that stands for functions: POSITION, `a[1]`, ..
    pub fn expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.planners
    }
}

fn names(name: &str, aliases: &[String]) -> impl Iterator<Item = String> {
    std::iter::once(name.to_string()).chain(aliases.to_vec())
}

fn alias<T>(functions: &mut BTreeMap<String, Arc<T>>, aliases: &[(&str, &str)]) {
    for (alias, name) in aliases {
        if let Some(function) = functions.get(*name).map(Arc::clone) {
            functions.entry((*alias).to_string()).or_insert(function);
        }
    }
}

/// Our declarations, by name.
fn group() -> BTreeMap<String, Arc<[Declaration]>> {
    let mut groups: BTreeMap<String, Vec<Declaration>> = BTreeMap::new();
    for declaration in postgres::declarations().into_iter().chain(databricks::declarations()) {
        groups.entry(declaration.name.clone()).or_default().push(declaration);
    }
    groups.into_iter().map(|(name, overloads)| (name, overloads.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every name that the engine has, with its kind.
    fn engine_names() -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        for function in SessionStateDefaults::default_scalar_functions() {
            all.extend(names(function.name(), function.aliases()).map(|name| ("scalar", name)));
        }
        for function in SessionStateDefaults::default_aggregate_functions() {
            all.extend(names(function.name(), function.aliases()).map(|name| ("aggregate", name)));
        }
        for function in SessionStateDefaults::default_window_functions() {
            all.extend(names(function.name(), function.aliases()).map(|name| ("window", name)));
        }
        for function in SessionStateDefaults::default_higher_order_functions() {
            all.extend(names(function.name(), function.aliases()).map(|name| ("higher-order", name)));
        }
        for function in SessionStateDefaults::default_table_functions() {
            all.push(("table", function.name().to_string()));
        }
        all.sort();
        all.dedup();
        all
    }

    #[test]
    fn every_function_of_the_engine_is_allowed_or_refused_by_name() {
        let verdicts = allow_list();
        let unknown: Vec<_> =
            engine_names().into_iter().filter(|(kind, name)| !verdicts.contains_key(&(*kind, name.as_str()))).collect();
        assert!(unknown.is_empty(), "classify in engine_functions.tsv: {unknown:?}");
    }

    #[test]
    fn what_is_replaced_is_there() {
        let functions = Functions::new();
        let (scalars, sets, aggregates) = (functions.scalar_names(), functions.table_names(), functions.aggregate_names());
        for ((kind, name), _) in allow_list().into_iter().filter(|(_, verdict)| *verdict == Verdict::Replaced) {
            let found = |names: &[String]| names.iter().any(|known| known == name);
            assert!(if kind == "aggregate" { found(&aggregates) } else { found(&scalars) || found(&sets) }, "{kind} {name}");
        }
        assert!(!scalars.contains(&"arrow_cast".to_string()));
    }

    #[test]
    fn the_allow_list_names_nothing_that_the_engine_lacks() {
        let names = engine_names();
        let stale: Vec<_> =
            allow_list().into_keys().filter(|(kind, name)| !names.contains(&(*kind, (*name).to_string()))).collect();
        assert!(stale.is_empty(), "remove from engine_functions.tsv: {stale:?}");
    }
}
