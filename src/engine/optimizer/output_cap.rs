//! Bounds for functions whose result may be far larger than their arguments.
//!
//! ```text
//!   repeat(x, n), range(a, b), ..   ─▶ capped: refused before anything is built, from the arguments alone
//!   concat(..), replace(..), ..     ─▶ capped: refused afterwards; each call can only multiply by a small factor
//!   a || b                          ─▶ bounded(a || b): the same for the operator
//! ```
//! Memory of scalar functions is not counted by any pool: one `repeat('x', 2000000000)` would take the process with it. The rule runs as an
//! analyser rule, before constant folding, and so in governed plans as well.
//!
//! The same functions are those that compute long over a batch of large values. Scans evaluate them, where no operator could be given smaller batches
//! (`turns`), so a capped function takes large batches apart itself and looks up in between.

use std::hash::Hash;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::interval_arithmetic::Interval;
use datafusion::logical_expr::preimage::PreimageResult;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Documentation, Expr, ExpressionPlacement, LogicalPlan, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, binary_expr,
};
use datafusion::optimizer::AnalyzerRule;

use crate::engine::turn;
use crate::error::{Error, ErrorKind};

/// A batch of results may hold this many times what one value may.
const BATCH_FACTOR: usize = 16;

/// How large a function's results get, told from its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// First argument times second: `repeat`.
    Times,
    /// Second argument in characters: `lpad`, `rpad`.
    Length,
    /// First argument in characters.
    Space,
    /// Second argument in elements: `array_repeat`, `array_resize`.
    Elements,
    /// From the first to the second argument by the third.
    Range,
    /// Known afterwards only, but not far above the arguments.
    Measured,
}

fn growth(name: &str) -> Option<Growth> {
    Some(match name {
        "repeat" => Growth::Times,
        "lpad" | "rpad" => Growth::Length,
        "space" => Growth::Space,
        "array_repeat" | "list_repeat" | "array_resize" | "list_resize" | "array_fill" => Growth::Elements,
        "range" | "generate_series" | "gen_series" => Growth::Range,
        "concat" | "concat_ws" | "replace" | "translate" | "overlay" | "regexp_replace" | "array_concat" | "array_cat"
        | "list_concat" | "list_cat" | "array_append" | "array_push_back" | "array_prepend" | "array_to_string"
        | "list_to_string" | "array_join" | "format" | "quote_literal" | "string_to_array" | "string_to_list" | "flatten"
        | "array_replace_all" => Growth::Measured,
        // Never larger than their arguments, but slow over large ones.
        "digest" | "md5" | "sha224" | "sha256" | "sha384" | "sha512" | "split_part" => Growth::Measured,
        name if name.starts_with("regexp_") => Growth::Measured,
        _ => return None,
    })
}

/// Bytes of arguments or results that are computed without looking up.
const PIECE: f64 = 1_048_576.0;

/// The analyser rule.
#[derive(Debug)]
pub(in crate::engine) struct OutputCap {
    limit: usize,
}

impl OutputCap {
    /// Values of at most `limit` bytes.
    pub(in crate::engine) fn new(limit: usize) -> Self {
        Self { limit }
    }

    /// Puts the bounds into one expression.
    pub(in crate::engine) fn bound(&self, expr: Expr) -> Result<Transformed<Expr>> {
        expr.transform_down(|node| Ok(balanced(node)))?.transform_data(|expr| expr.transform_up(|node| Ok(self.bound_node(node))))
    }

    fn bound_node(&self, node: Expr) -> Transformed<Expr> {
        match node {
            Expr::ScalarFunction(call) if !call.func.inner().is::<Capped>() => match growth(call.func.name()) {
                Some(growth) => {
                    let capped = Capped { inner: Arc::clone(&call.func), growth, limit: self.limit };
                    let func = Arc::new(ScalarUDF::new_from_impl(capped));
                    Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(func, call.args)))
                }
                None => Transformed::no(Expr::ScalarFunction(call)),
            },
            Expr::BinaryExpr(BinaryExpr { op: Operator::StringConcat, .. }) => {
                let func = Arc::new(ScalarUDF::new_from_impl(Bounded {
                    signature: Signature::any(1, Volatility::Immutable),
                    limit: self.limit,
                }));
                Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(func, vec![node])))
            }
            other => Transformed::no(other),
        }
    }
}

impl AnalyzerRule for OutputCap {
    fn name(&self) -> &str {
        "output_cap"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let bounded = plan.transform_up_with_subqueries(|node| {
            // ORDER BY of an aggregate is part of its name.
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(self.bound(expr)?.update_data(|expr| name.restore(expr)))
            })
        })?;
        if bounded.transformed { bounded.data.recompute_schema() } else { Ok(bounded.data) }
    }
}

/// Longest `a || b || ..` that stays as it is: more than the depth of the balanced ones.
const SHORT: usize = 16;

/// A long `a || b || ..` as a balanced tree, which means the same. Each level of an expression costs planning and execution, and the latter copies
/// all that the levels below have put together.
fn balanced(node: Expr) -> Transformed<Expr> {
    let mut operands = vec![];
    let mut first = &node;
    while let Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) = first {
        operands.push(right.as_ref().clone());
        first = left;
    }
    if operands.len() < SHORT {
        return Transformed::no(node);
    }
    operands.push(first.clone());
    operands.reverse();
    while operands.len() > 1 {
        let mut pairs = Vec::with_capacity(operands.len().div_ceil(2));
        let mut rest = operands.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => binary_expr(left, Operator::StringConcat, right),
                None => left,
            });
        }
        operands = pairs;
    }
    operands.pop().map_or_else(|| Transformed::no(node), Transformed::yes)
}

fn too_large(name: &str) -> DataFusionError {
    DataFusionError::External(Box::new(
        Error::new(ErrorKind::ProgramLimit, format!("result of {name} is too large"))
            .with_hint("The server bounds the size of one value; ask for a shorter one."),
    ))
}

/// Refuses arrays of strings, bytes or lists with a value above `limit`, or too many large ones.
fn measure(name: &str, array: &dyn Array, limit: usize) -> Result<()> {
    let total = array.get_buffer_memory_size();
    if total <= limit {
        return Ok(());
    }
    let widest = widest_value(array);
    if widest > limit || total > limit.saturating_mul(BATCH_FACTOR) { Err(too_large(name)) } else { Ok(()) }
}

/// Bytes of the widest value; elements count eight bytes each.
fn widest_value(array: &dyn Array) -> usize {
    let spans = |offsets: &[i32]| offsets.windows(2).map(|pair| usize::try_from(pair[1] - pair[0]).unwrap_or(0)).max().unwrap_or(0);
    match array.data_type() {
        DataType::Utf8 => spans(array.as_string::<i32>().value_offsets()),
        DataType::Binary => spans(array.as_binary::<i32>().value_offsets()),
        DataType::List(_) => spans(array.as_list::<i32>().value_offsets()).saturating_mul(8),
        DataType::Utf8View => array.as_string_view().iter().flatten().map(str::len).max().unwrap_or(0),
        DataType::BinaryView => array.as_binary_view().iter().flatten().map(<[u8]>::len).max().unwrap_or(0),
        DataType::LargeUtf8 => array.as_string::<i64>().iter().flatten().map(str::len).max().unwrap_or(0),
        DataType::LargeList(_) => {
            array.as_list::<i64>().iter().flatten().map(|list| list.len().saturating_mul(8)).max().unwrap_or(0)
        }
        _ => 0,
    }
}

fn check_columnar(name: &str, value: &ColumnarValue, limit: usize) -> Result<()> {
    match value {
        ColumnarValue::Array(array) => measure(name, array.as_ref(), limit),
        ColumnarValue::Scalar(scalar) => measure(name, scalar.to_array()?.as_ref(), limit),
    }
}

/// A function that is refused before or after it built too much.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Capped {
    inner: Arc<ScalarUDF>,
    growth: Growth,
    limit: usize,
}

impl Capped {
    /// Calls the function, piece by piece if that takes long: `size` is how large its results will be as far as is known.
    fn call(&self, args: ScalarFunctionArgs, size: f64) -> Result<ColumnarValue> {
        let arrays =
            || args.args.iter().filter_map(|value| if let ColumnarValue::Array(array) = value { Some(array) } else { None });
        let given: usize = arrays().map(|array| array.get_buffer_memory_size()).sum();
        let pieces = (size.max(given as f64) / PIECE).min(args.number_rows as f64) as usize;
        if pieces < 2 || arrays().next().is_none() {
            return self.inner.invoke_with_args(args);
        }
        let rows = args.number_rows.div_ceil(pieces);
        let (mut results, mut total) = (Vec::with_capacity(pieces), 0);
        for start in (0..args.number_rows).step_by(rows) {
            turn::look_up()?;
            let number_rows = rows.min(args.number_rows - start);
            let slice = |value: &ColumnarValue| match value {
                ColumnarValue::Array(array) => ColumnarValue::Array(array.slice(start, number_rows)),
                ColumnarValue::Scalar(scalar) => ColumnarValue::Scalar(scalar.clone()),
            };
            let piece = ScalarFunctionArgs {
                args: args.args.iter().map(slice).collect(),
                arg_fields: args.arg_fields.clone(),
                number_rows,
                return_field: Arc::clone(&args.return_field),
                config_options: Arc::clone(&args.config_options),
            };
            let result = self.inner.invoke_with_args(piece)?.into_array(number_rows)?;
            total += result.get_buffer_memory_size();
            if total > self.limit.saturating_mul(BATCH_FACTOR) {
                return Err(too_large(self.inner.name()));
            }
            results.push(result);
        }
        let results: Vec<&dyn Array> = results.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&results)?))
    }

    /// Refuses from the arguments alone; returns how large the results will be, zero if that is not known.
    fn foresee(&self, args: &ScalarFunctionArgs) -> Result<f64> {
        let at = |position: usize| match args.args.get(position) {
            Some(value) => value.clone().into_array(args.number_rows).map(Some),
            None => Ok(None),
        };
        let mut total: f64 = 0.0;
        let mut add = |bytes: f64| {
            total += bytes.max(0.0);
            let limit = self.limit as f64;
            if bytes > limit || total > limit * BATCH_FACTOR as f64 { Err(too_large(self.inner.name())) } else { Ok(()) }
        };
        match self.growth {
            Growth::Measured => {}
            Growth::Times => {
                let (Some(texts), Some(counts)) = (at(0)?, at(1)?) else { return Ok(0.0) };
                let counts = numbers(&counts)?;
                (0..args.number_rows).try_for_each(|row| add(length(&texts, row) * value(&counts, row)))?;
            }
            Growth::Length | Growth::Space | Growth::Elements => {
                let position = if self.growth == Growth::Space { 0 } else { 1 };
                let Some(counts) = at(position)? else { return Ok(0.0) };
                let counts = numbers(&counts)?;
                let texts = at(0)?;
                (0..args.number_rows).try_for_each(|row| {
                    let unit = match (self.growth, &texts) {
                        (Growth::Elements, Some(element)) => length(element, row).max(8.0),
                        _ => 1.0,
                    };
                    add(unit * value(&counts, row))
                })?;
            }
            Growth::Range => {
                let Some(first) = at(0)? else { return Ok(0.0) };
                let (start, stop) = match at(1)? {
                    Some(stop) => (Some(units(&first)?), units(&stop)?),
                    None => (None, units(&first)?),
                };
                let step = at(2)?.map(|step| step_units(&step)).transpose()?;
                (0..args.number_rows).try_for_each(|row| {
                    let from = start.as_ref().map_or(0.0, |start| value(start, row));
                    let by = step.as_ref().map_or(1.0, |step| value(step, row)).abs();
                    if by == 0.0 { Ok(()) } else { add((value(&stop, row) - from).abs() / by * 8.0) }
                })?;
            }
        }
        Ok(total)
    }
}

/// As doubles: exact enough for a bound.
fn numbers(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(cast(array, &DataType::Float64)?)
}

fn value(numbers: &ArrayRef, row: usize) -> f64 {
    let numbers = numbers.as_primitive::<Float64Type>();
    if numbers.is_null(row) { 0.0 } else { numbers.value(row) }
}

/// Bytes of a string, or eight for anything else.
fn length(array: &ArrayRef, row: usize) -> f64 {
    if array.is_null(row) {
        return 0.0;
    }
    let bytes = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value(row).len(),
        DataType::LargeUtf8 => array.as_string::<i64>().value(row).len(),
        DataType::Utf8View => array.as_string_view().value(row).len(),
        DataType::List(_) => array.as_list::<i32>().value(row).get_buffer_memory_size(),
        _ => 8,
    };
    bytes as f64
}

/// Numbers as they are, dates in days, timestamps in their unit turned to days.
fn units(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) | DataType::Utf8 | DataType::Utf8View => {
            let micros = DataType::Timestamp(datafusion::arrow::datatypes::TimeUnit::Microsecond, None);
            let whole = cast(&cast(array, &micros)?, &DataType::Int64)?;
            let days = whole.as_primitive::<Int64Type>().unary::<_, Float64Type>(|value| value as f64 / 86_400_000_000.0);
            Ok(Arc::new(days))
        }
        _ => numbers(array),
    }
}

/// Steps in the same units: months count 28 days.
fn step_units(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Interval(_) => {
            let fine = cast(array, &DataType::Interval(IntervalUnit::MonthDayNano))?;
            let days = fine.as_primitive::<IntervalMonthDayNanoType>().unary::<_, Float64Type>(|step| {
                f64::from(step.months) * 28.0 + f64::from(step.days) + step.nanoseconds as f64 / 86_400e9
            });
            Ok(Arc::new(days))
        }
        _ => numbers(array),
    }
}

impl ScalarUDFImpl for Capped {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        let inner = Arc::new(self.inner.inner().with_updated_config(config)?);
        Some(ScalarUDF::new_from_impl(Capped { inner, growth: self.growth, limit: self.limit }))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.inner().is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        turn::look_up()?;
        let size = self.foresee(&args)?;
        let result = self.call(args, size)?;
        check_columnar(self.inner.name(), &result, self.limit)?;
        Ok(result)
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, info)
    }

    fn preimage(&self, args: &[Expr], literal: &Expr, info: &SimplifyContext) -> Result<PreimageResult> {
        self.inner.inner().preimage(args, literal, info)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn evaluate_bounds(&self, input: &[&Interval]) -> Result<Interval> {
        self.inner.evaluate_bounds(input)
    }

    fn propagate_constraints(&self, interval: &Interval, inputs: &[&Interval]) -> Result<Option<Vec<Interval>>> {
        self.inner.propagate_constraints(interval, inputs)
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.inner.output_ordering(inputs)
    }

    fn preserves_lex_ordering(&self, inputs: &[ExprProperties]) -> Result<bool> {
        self.inner.preserves_lex_ordering(inputs)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }

    fn placement(&self, args: &[ExpressionPlacement]) -> ExpressionPlacement {
        self.inner.inner().placement(args)
    }
}

/// Its argument, unless that is too large. Stands around the `||` operator.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    signature: Signature,
    limit: usize,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        "bounded"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.iter().map(|arg| arg.schema_name().to_string()).collect())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields.first() {
            Some(field) => Ok(Arc::clone(field)),
            None => datafusion::common::internal_err!("bounded() has one argument"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(value) = args.args.into_iter().next() else {
            return datafusion::common::internal_err!("bounded() has one argument");
        };
        check_columnar("||", &value, self.limit)?;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::*;

    use super::*;

    async fn run(expr: Expr) -> Result<usize> {
        let state = datafusion::execution::session_state::SessionStateBuilder::new()
            .with_analyzer_rule(Arc::new(OutputCap::new(1 << 20)))
            .build();
        let batches = SessionContext::new_with_state(state).read_empty()?.select(vec![expr.alias("x")])?.collect().await?;
        Ok(batches.iter().map(|batch| batch.num_rows()).sum())
    }

    #[tokio::test]
    async fn bombs_are_refused_before_they_go_off() {
        use datafusion::functions::expr_fn::{lpad, repeat};
        use datafusion::functions_nested::expr_fn::{array_repeat, range};
        for bomb in [
            repeat(lit("x"), lit(2_000_000_000_i64)),
            lpad(vec![lit("x"), lit(2_000_000_000_i64)]),
            array_repeat(lit(1_i64), lit(2_000_000_000_i64)),
            range(lit(0_i64), lit(2_000_000_000_i64), lit(1_i64)),
            binary_expr(repeat(lit("x"), lit(1_000_000_i64)), Operator::StringConcat, repeat(lit("x"), lit(1_000_000_i64))),
        ] {
            let error = crate::error::datafusion::from_datafusion(run(bomb.clone()).await.unwrap_err(), false);
            assert_eq!(error.kind().sqlstate(), "54000", "{bomb}: {error:?}");
        }
    }

    #[test]
    fn a_long_concatenation_is_balanced_and_keeps_order_and_name() {
        fn depth(expr: &Expr) -> usize {
            let Expr::BinaryExpr(BinaryExpr { left, right, .. }) = expr else { return 0 };
            1 + depth(left).max(depth(right))
        }
        let chain = |operands: usize| {
            (1..operands).fold(col("c0"), |left, n| binary_expr(left, Operator::StringConcat, col(format!("c{n}"))))
        };
        assert!(!balanced(chain(SHORT)).transformed);
        let long = chain(60);
        let name = long.schema_name().to_string();
        let even = long.transform_down(|node| Ok(balanced(node))).unwrap().data;
        assert_eq!((depth(&even), even.schema_name().to_string()), (6, name));
    }

    #[tokio::test]
    async fn large_batches_are_computed_in_pieces_that_come_to_the_same() {
        use datafusion::functions::expr_fn::repeat;
        let state = datafusion::execution::session_state::SessionStateBuilder::new()
            .with_analyzer_rule(Arc::new(OutputCap::new(1 << 20)))
            .build();
        let numbers: ArrayRef =
            Arc::new(datafusion::arrow::array::Int64Array::from_iter((0..3_000).map(|n| (n % 7 > 0).then_some(n))));
        let batch = datafusion::arrow::array::RecordBatch::try_from_iter([("n", numbers)]).unwrap();
        let frame = SessionContext::new_with_state(state).read_batch(batch).unwrap();
        let batches = frame.select(vec![repeat(lit("xy"), col("n")).alias("x")]).unwrap().collect().await.unwrap();
        let column = datafusion::arrow::compute::cast(batches[0].column(0), &DataType::Utf8).unwrap();
        let expected: Vec<_> = (0..3_000_usize).map(|n| (n % 7 > 0).then(|| "xy".repeat(n))).collect();
        assert!(column.as_string::<i32>().iter().eq(expected.iter().map(Option::as_deref)));
    }

    #[tokio::test]
    async fn ordinary_calls_pass() {
        use datafusion::functions::expr_fn::{concat, repeat};
        use datafusion::functions_nested::expr_fn::range;
        for call in [
            repeat(lit("ab"), lit(1000_i64)),
            concat(vec![lit("a"), lit("b")]),
            range(lit(0_i64), lit(100_i64), lit(2_i64)),
            binary_expr(lit("a"), Operator::StringConcat, lit("b")),
        ] {
            assert_eq!(run(call).await.unwrap(), 1);
        }
    }
}
