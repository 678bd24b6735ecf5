//! What compares as equal is one key: 0 and -0, all NaNs, intervals of one length.
//!
//! DataFusion sorts, numbers and counts floats by their bits and intervals by their parts, and refuses to number rows by intervals at all
//! (apache/datafusion#24915): `rank()` makes two of 0 and -0, `ORDER BY f, id` puts all of -0 before all of 0, `count(DISTINCT i)` tells a day from
//! 24 hours. So a key of these types is sorted, partitioned and counted by a value that is the same for what is equal in PostgreSQL. What is
//! handed out is the value as it was.
//!
//! Equality, joins and GROUP BY of floats need nothing: they are right.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Float32Type, Float64Type, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, internal_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    SortExpr, Volatility, WindowFrame, WindowFrameBound,
};
use datafusion::optimizer::AnalyzerRule;

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
                node.map_expressions(|expr| expr.transform_up(|inner| keyed_call(inner, &schema)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(keyed.data)
    }
}

fn keyed_call(node: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    match node {
        Expr::WindowFunction(mut window) => {
            let params = &mut window.params;
            let mut changed = keyed_all(&mut params.partition_by, schema)?;
            // Offsets are added to the values themselves.
            if !has_offsets(&params.window_frame) {
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

fn has_offsets(frame: &WindowFrame) -> bool {
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

/// What an expression is told apart by, if that is another value.
fn key(expr: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let Ok(data_type) = expr.get_type(schema) else { return Ok(None) };
    if key_type(&data_type).is_none() || is_key(expr) {
        return Ok(None);
    }
    let function = EqualKey { signature: Signature::any(1, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Ok(Some(Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr.clone()]))))
}

fn is_key(expr: &Expr) -> bool {
    matches!(expr, Expr::ScalarFunction(call) if call.func.inner().is::<EqualKey>())
}

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

fn key_type(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Float32 | DataType::Float64 => Some(data_type.clone()),
        other if *other == INTERVAL => Some(DataType::Decimal128(38, 0)),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct EqualKey {
    signature: Signature,
}

impl ScalarUDFImpl for EqualKey {
    fn name(&self) -> &str {
        "equal_key"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(Expr::to_string).collect())
    }

    /// The name of the value, since other nodes refer to the column by it.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first().and_then(key_type) {
            Some(data_type) => Ok(data_type),
            None => internal_err!("no key of {arg_types:?}"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let [field] = args.arg_fields else { return internal_err!("a key has one value") };
        let data_type = self.return_type(std::slice::from_ref(field.data_type()))?;
        Ok(Arc::new(Field::new(self.name(), data_type, field.is_nullable())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [value] = args.args.as_slice() else { return internal_err!("a key has one value") };
        let array = value.to_array(args.number_rows)?;
        let keys: ArrayRef =
            match array.data_type() {
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
                other if *other == INTERVAL => {
                    let lengths: Decimal128Array = array.as_primitive::<IntervalMonthDayNanoType>().unary(|interval| {
                        const DAY_NANOS: i128 = 86_400_000_000_000;
                        (i128::from(interval.months) * 30 + i128::from(interval.days)) * DAY_NANOS
                            + i128::from(interval.nanoseconds)
                    });
                    Arc::new(lengths.with_precision_and_scale(38, 0)?)
                }
                other => return internal_err!("no key of {other}"),
            };
        Ok(ColumnarValue::Array(keys))
    }
}
