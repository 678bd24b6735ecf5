//! Aggregates over window frames look up, and begin anew for a frame where they cannot take values back (`sliding`).
//!
//! A window of n rows whose frames have n rows asks its accumulator n times for a result, in one piece of work for the whole partition. What
//! `array_agg`, `string_agg` or `median` do for each is n again. No piece of input can be cut for it, so the accumulator looks up at every step.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, Expr, LogicalPlan, ReversedUDAF, SetMonotonicity, Signature,
    WindowFunctionDefinition,
};
use datafusion::optimizer::AnalyzerRule;

use super::sliding::sliding;
use crate::engine::turn;

/// The analyser rule.
#[derive(Debug)]
pub(super) struct WindowTurns;

impl AnalyzerRule for WindowTurns {
    fn name(&self) -> &str {
        "window_turns"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let attentive = |expr: Expr| expr.transform_up(|node| Ok(attentive(node)));
        Ok(plan.transform_up_with_subqueries(|node| node.map_expressions(attentive))?.data)
    }
}

fn attentive(node: Expr) -> Transformed<Expr> {
    match node {
        Expr::WindowFunction(mut window) => {
            let wrapped = match &window.fun {
                WindowFunctionDefinition::AggregateUDF(aggregate) if !aggregate.inner().is::<Attentive>() => {
                    Attentive::around(Arc::clone(aggregate))
                }
                WindowFunctionDefinition::AggregateUDF(_) | WindowFunctionDefinition::WindowUDF(_) => {
                    return Transformed::no(Expr::WindowFunction(window));
                }
            };
            window.fun = WindowFunctionDefinition::AggregateUDF(wrapped);
            Transformed::yes(Expr::WindowFunction(window))
        }
        other => Transformed::no(other),
    }
}

/// An aggregate whose accumulators look up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Attentive {
    inner: Arc<AggregateUDF>,
}

impl Attentive {
    fn around(inner: Arc<AggregateUDF>) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(Self { inner }))
    }
}

impl AggregateUDFImpl for Attentive {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.schema_name(params)
    }

    fn human_display(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.human_display(params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_schema_name(params)
    }

    fn display_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        self.inner.display_name(params)
    }

    fn window_function_display_name(&self, params: &WindowFunctionParams) -> Result<String> {
        self.inner.window_function_display_name(params)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field(&self, fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(fields)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(LookingUp(self.inner.accumulator(args)?)))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(LookingUp(sliding(&self.inner, args)?)))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn with_beneficial_ordering(self: Arc<Self>, beneficial: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        let ordered = Arc::clone(self.inner.inner()).with_beneficial_ordering(beneficial)?;
        Ok(ordered.map(|inner| Arc::new(Self { inner: Arc::new(AggregateUDF::new_from_shared_impl(inner)) }) as _))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Reversed(reversed) => ReversedUDAF::Reversed(Attentive::around(reversed)),
            same => same,
        }
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn is_descending(&self) -> Option<bool> {
        self.inner.is_descending()
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn supports_null_handling_clause(&self) -> bool {
        self.inner.supports_null_handling_clause()
    }

    fn supports_within_group_clause(&self) -> bool {
        self.inner.supports_within_group_clause()
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

#[derive(Debug)]
struct LookingUp(Box<dyn Accumulator>);

impl Accumulator for LookingUp {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        turn::look_up()?;
        self.0.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        turn::look_up()?;
        self.0.evaluate()
    }

    fn size(&self) -> usize {
        self.0.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.0.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        turn::look_up()?;
        self.0.merge_batch(states)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        turn::look_up()?;
        self.0.retract_batch(values)
    }

    fn supports_retract_batch(&self) -> bool {
        self.0.supports_retract_batch()
    }
}
