//! How plans are made: DataFusion's own rules, our settings, and rules of ours: values go by their keys, integers do not wrap, functions do not build
//! values without bound, expressions do not grow without bound, constants fail before there are rows, volatile functions stay where they
//! are called, operators take turns. Every rule stops when its plan is no longer wanted.
//!
//! The base state is made once and holds rules only. Functions, tables and catalogs cannot be found in it by name: a bound plan carries them.

mod checked_arithmetic;
mod equal_keys;
mod failing;
mod failing_constants;
mod group_filters;
mod growth;
mod guards;
mod identity;
mod in_lists;
mod interruptible;
mod keys;
mod large_constants;
mod null_equal;
mod opaque_casts;
mod output_cap;
mod single_keys;
mod sliding;
mod turns;
mod volatile;
mod waiting;
mod whole_groups;
mod window_turns;

use std::sync::Arc;

use datafusion::common::config::ConfigNonZeroUsize;
use datafusion::execution::SessionState;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::functions_aggregate::first_last::first_value_udaf;
use datafusion::optimizer::{Analyzer, AnalyzerRule, Optimizer, OptimizerRule};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::optimizer::PhysicalOptimizer;
use datafusion::prelude::SessionConfig;

use super::options::EngineOptions;
use super::runtime::memory_bounds;
use equal_keys::{BothZeros, EqualKeys};
use failing_constants::FailingConstants;
use group_filters::GroupFilters;
use growth::BoundedGrowth;
use guards::FilteredArguments;
use in_lists::SeparateLists;
use interruptible::interruptible;
use keys::ByKeys;
use large_constants::LargeConstants;
use null_equal::{NullEqualKeys, PlainKeys};
use single_keys::SingleKeys;
use turns::TakeTurns;
use volatile::{MOVING, PostponedCalls, Shielded, VolatileFilters};
use waiting::WaitingCalls;
use whole_groups::WholeGroups;
use window_turns::WindowTurns;

use crate::error::{Error, ErrorKind, Result};

pub(super) use checked_arithmetic::CheckedArithmetic;
pub(super) use guards::guarded_condition;
pub(super) use output_cap::OutputCap;
pub(super) use turns::Turns;

/// The state that every statement's state is a copy of.
pub(super) fn base_state(options: &EngineOptions, runtime: Arc<RuntimeEnv>) -> Result<SessionState> {
    let state = SessionStateBuilder::new()
        .with_config(config(options)?)
        .with_runtime_env(runtime)
        // The optimiser looks it up by name to plan DISTINCT ON.
        .with_aggregate_functions(vec![first_value_udaf()])
        .with_analyzer_rules(analyzer_rules(options))
        .with_optimizer_rules(optimizer_rules())
        .with_physical_optimizer_rules(physical_rules())
        .with_query_planner(Arc::new(NullEqualKeys))
        .build();
    Ok(state)
}

fn analyzer_rules(options: &EngineOptions) -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
    let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> =
        vec![Arc::new(WaitingCalls), Arc::new(BoundedGrowth), Arc::new(EqualKeys), Arc::new(ByKeys)];
    rules.extend(Analyzer::new().rules);
    rules.push(Arc::new(CheckedArithmetic));
    rules.push(Arc::new(OutputCap::new(options.function_output.as_usize())));
    rules.push(Arc::new(WindowTurns));
    rules.push(Arc::new(LargeConstants));
    interruptible(rules).map(|rule| rule as _).collect()
}

fn optimizer_rules() -> Vec<Arc<dyn OptimizerRule + Send + Sync>> {
    let plain_keys = Arc::new(PlainKeys::default());
    let mut rules = Optimizer::new().rules;
    for rule in rules.iter_mut().filter(|rule| rule.name() == plain_keys.name()) {
        *rule = Arc::clone(&plain_keys) as _;
    }
    for rule in rules.iter_mut().filter(|rule| rule.name() == "push_down_filter") {
        *rule = Arc::new(VolatileFilters(Arc::new(GroupFilters(Arc::clone(rule)))));
    }
    rules.insert(0, Arc::new(FailingConstants));
    rules.insert(1, Arc::new(PostponedCalls));
    rules.insert(2, Arc::new(SeparateLists));
    rules.insert(3, Arc::new(FilteredArguments));
    rules.push(Arc::new(SingleKeys));
    rules.push(Arc::new(BothZeros));
    interruptible(rules).map(|rule| rule as _).collect()
}

fn physical_rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let mut rules = PhysicalOptimizer::new().rules;
    for rule in rules.iter_mut().filter(|rule| MOVING.contains(&rule.name())) {
        *rule = Arc::new(Shielded(Arc::clone(rule)));
    }
    let filters = rules.iter().position(|rule| rule.name() == whole_groups::BEFORE).unwrap_or(rules.len());
    rules.insert(filters, Arc::new(WholeGroups));
    // The last: what it puts in says nothing to the others.
    rules.push(Arc::new(TakeTurns));
    interruptible(rules).map(|rule| rule as _).collect()
}

fn config(options: &EngineOptions) -> Result<SessionConfig> {
    let planning = &options.planning;
    let mut config = SessionConfig::new()
        .with_target_partitions(options.partitions())
        .with_create_default_catalog_and_schema(false)
        .with_information_schema(false);
    let settings = config.options_mut();
    settings.execution.batch_size = ConfigNonZeroUsize::try_new(planning.batch_size)
        .map_err(|_| Error::new(ErrorKind::Config, "engine.planning.batch_size must be at least 1"))?;
    settings.execution.planning_concurrency = options.planners();
    settings.execution.collect_statistics = planning.statistics;
    settings.execution.sort_spill_reservation_bytes = spill_reservation(options);
    settings.execution.parquet.pushdown_filters = planning.filter_while_decoding;
    settings.execution.parquet.enable_page_index = planning.page_index;
    settings.optimizer.enable_dynamic_filter_pushdown = planning.dynamic_filters;
    settings.optimizer.enable_join_dynamic_filter_pushdown = planning.dynamic_filters;
    settings.optimizer.enable_topk_dynamic_filter_pushdown = planning.dynamic_filters;
    settings.optimizer.enable_aggregate_dynamic_filter_pushdown = planning.dynamic_filters;
    settings.optimizer.prefer_hash_join = planning.hash_joins;
    settings.optimizer.hash_join_single_partition_threshold = planning.broadcast_threshold.as_usize();
    // Moving field accesses towards the leaves loses the qualifiers of equal names: joins over them become ambiguous.
    settings.optimizer.enable_leaf_expression_pushdown = false;
    settings.explain.show_statistics = false;
    // Plans of common subexpressions say that a CASE may be NULL where its logical form cannot, and the check takes that for a fault.
    settings.execution.skip_physical_aggregate_schema_check = true;
    Ok(config)
}

/// Every sort of a query takes its reservation when it begins, and other sorts may have begun before: all of them together must fit into what the
/// first leaves.
fn spill_reservation(options: &EngineOptions) -> usize {
    let (total, per_query, _) = memory_bounds(options);
    let limit = per_query.unwrap_or(total).min(total);
    options.planning.sort_spill_reservation.as_usize().min(limit / (32 * options.partitions()))
}

/// The same state, but joins that a hash table cannot hold are sorted and merged, which spills.
pub(super) fn with_merge_joins(state: &SessionState) -> SessionState {
    let mut state = state.clone();
    let settings = state.config_mut().options_mut();
    settings.optimizer.prefer_hash_join = false;
    // DataFusion plans a sort-merge join only where it repartitions.
    settings.optimizer.repartition_joins = true;
    settings.execution.target_partitions = settings.execution.target_partitions.max(2);
    begin(&mut state);
    state
}

/// Number of the first name that DataFusion's rules make up in a statement, such as `__common_expr_4294967296`. They count from 1 otherwise, and a
/// stored column may be called so.
const FIRST_ALIAS: usize = 1 << 32;

/// A statement begins: its settings are in force, its moment is now.
pub(super) fn begin(state: &mut SessionState) {
    let options = Arc::clone(state.config_options());
    let properties = state.execution_props_mut();
    properties.mark_start_execution(options);
    properties.alias_generator.update_min_id(FIRST_ALIAS - 1);
}
