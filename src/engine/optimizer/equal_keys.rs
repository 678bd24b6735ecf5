//! Floats that compare as equal are one key: 0 and -0, all NaNs.
//!
//! DataFusion sorts, numbers, counts and joins floats by their bits: `rank()` makes two of 0 and -0, `ORDER BY f, id` puts all of -0 before all of 0,
//! `f IN (SELECT '-0'::float8)` finds no 0. So a key is sorted, partitioned, joined and counted by a value that is the same for what is equal in
//! PostgreSQL. What is handed out is the value as it was.
//!
//! Comparisons and GROUP BY of floats need nothing: they are right. Lists of floats are looked up by bits: 0 among them brings -0 along.
//!
//! Not here: floats within arrays.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Float32Array, Float64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, Join, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, SortExpr, Volatility, WindowFrame, WindowFrameBound, WindowFrameUnits, lit,
};
use datafusion::optimizer::{AnalyzerRule, ApplyOrder, OptimizerConfig, OptimizerRule};

/// The analyser rule, before types are coerced.
#[derive(Debug)]
pub(super) struct EqualKeys;

impl AnalyzerRule for EqualKeys {
    fn name(&self) -> &str {
        "equal_keys"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let keyed = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Sort(mut sort) => {
                let schema = Arc::clone(sort.input.schema());
                let changed = keyed_sorts(&mut sort.expr, &schema)?;
                let node = LogicalPlan::Sort(sort);
                Ok(if changed { Transformed::yes(node) } else { Transformed::no(node) })
            }
            LogicalPlan::Window(_) | LogicalPlan::Aggregate(_) => {
                let schema = merge_schema(&node.inputs());
                let names = NamePreserver::new(&node);
                // The windows of a node have one order: if one of them adds to its values, all go by the values.
                let by_values = matches!(&node, LogicalPlan::Window(window) if window.window_expr.iter().any(adds_to_order));
                node.map_expressions(|expr| {
                    let name = names.save(&expr);
                    let keyed = expr.transform_up(|inner| keyed_call(inner, &schema, by_values))?;
                    Ok(keyed.update_data(|expr| name.restore(expr)))
                })
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(keyed.data)
    }
}

/// A join whose keys are floats, by what is the same for equal ones. Joins are made by many rules, so this is done last.
pub(super) fn keyed_join(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for (left, right) in &mut join.on {
        if let (Some(left_key), Some(right_key)) = (key(left, join.left.schema())?, key(right, join.right.schema())?) {
            (*left, *right) = (left_key, right_key);
            changed = true;
        }
    }
    let join = LogicalPlan::Join(join);
    Ok(if changed { Transformed::yes(join) } else { Transformed::no(join) })
}

fn keyed_call(node: Expr, schema: &DFSchema, by_values: bool) -> Result<Transformed<Expr>> {
    match node {
        Expr::WindowFunction(mut window) => {
            let params = &mut window.params;
            let mut changed = keyed_all(&mut params.partition_by, schema)?;
            if !by_values {
                changed |= keyed_sorts(&mut params.order_by, schema)?;
            }
            let node = Expr::WindowFunction(window);
            Ok(if changed { Transformed::yes(node) } else { Transformed::no(node) })
        }
        Expr::AggregateFunction(mut call) => {
            let mut changed = keyed_sorts(&mut call.params.order_by, schema)?;
            if call.params.distinct && call.func.name() == "count" {
                changed |= keyed_all(&mut call.params.args, schema)?;
            }
            let node = Expr::AggregateFunction(call);
            Ok(if changed { Transformed::yes(node) } else { Transformed::no(node) })
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Whether a window's frame is found by adding offsets to the values of its order.
fn adds_to_order(expr: &Expr) -> bool {
    expr.exists(|node| Ok(matches!(node, Expr::WindowFunction(window) if has_offsets(&window.params.window_frame)))).unwrap_or(true)
}

fn has_offsets(frame: &WindowFrame) -> bool {
    if frame.units != WindowFrameUnits::Range {
        return false;
    }
    let is_offset = |bound: &WindowFrameBound| match bound {
        WindowFrameBound::Preceding(offset) | WindowFrameBound::Following(offset) => !offset.is_null(),
        WindowFrameBound::CurrentRow => false,
    };
    is_offset(&frame.start_bound) || is_offset(&frame.end_bound)
}

fn keyed_sorts(sorts: &mut [SortExpr], schema: &DFSchema) -> Result<bool> {
    let mut changed = false;
    for sort in sorts {
        if let Some(keyed) = key(&sort.expr, schema)? {
            sort.expr = keyed;
            changed = true;
        }
    }
    Ok(changed)
}

fn keyed_all(exprs: &mut [Expr], schema: &DFSchema) -> Result<bool> {
    let mut changed = false;
    for expr in exprs {
        if let Some(keyed) = key(expr, schema)? {
            *expr = keyed;
            changed = true;
        }
    }
    Ok(changed)
}

/// 0 and -0 where either stands in a list.
#[derive(Debug)]
pub(super) struct BothZeros;

impl OptimizerRule for BothZeros {
    fn name(&self) -> &str {
        "both_zeros"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        plan.map_expressions(|expr| expr.transform_up(|node| Ok(with_both_zeros(node))))
    }
}

fn with_both_zeros(node: Expr) -> Transformed<Expr> {
    let Expr::InList(mut list) = node else { return Transformed::no(node) };
    let missing: Vec<Expr> = list
        .list
        .iter()
        .filter_map(|element| match element {
            Expr::Literal(ScalarValue::Float64(Some(zero)), _) if *zero == 0.0 => Some(lit(-*zero)),
            Expr::Literal(ScalarValue::Float32(Some(zero)), _) if *zero == 0.0 => Some(lit(-*zero)),
            _ => None,
        })
        .filter(|other| !list.list.contains(other))
        .collect();
    let changed = !missing.is_empty();
    list.list.extend(missing);
    if changed { Transformed::yes(Expr::InList(list)) } else { Transformed::no(Expr::InList(list)) }
}

/// What an expression is told apart by, if that is another value.
fn key(expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let Ok(data_type) = expr.get_type(schema) else { return Ok(None) };
    if !data_type.is_floating() || is_key(expr) {
        return Ok(None);
    }
    let function = EqualKey { signature: Signature::any(1, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Ok(Some(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr.clone()]))))
}

fn is_key(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.inner().is::<EqualKey>())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct EqualKey {
    signature: Signature,
}

impl ScalarUDFImpl for EqualKey {
    fn name(&self) -> &str {
        "equal_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [field] = args.arg_fields else { return internal_err!("a key has one value") };
        let data_type = self.return_type(std::slice::from_ref(field.data_type()))?;
        Ok(Arc::new(Field::new(self.name(), data_type, field.is_nullable())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return internal_err!("a key has one value") };
        let array = value.to_array(args.number_rows)?;
        let keys: ArrayRef = match array.data_type() {
            // Adding 0 makes 0 of -0, and of every NaN the one that is greater than all numbers.
            DataType::Float32 => Arc::new(
                array
                    .as_primitive::<Float32Type>()
                    .unary::<_, Float32Type>(|value| if value.is_nan() { f32::NAN } else { value + 0.0 }),
            ) as Arc<Float32Array>,
            DataType::Float64 => Arc::new(
                array
                    .as_primitive::<Float64Type>()
                    .unary::<_, Float64Type>(|value| if value.is_nan() { f64::NAN } else { value + 0.0 }),
            ) as Arc<Float64Array>,
            other => return internal_err!("no key of {other}"),
        };
        Ok(ColumnarValue::Array(keys))
    }
}
