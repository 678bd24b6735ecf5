//! Operators that fail are functions of ours: integers that do not wrap, divisions, casts (`opaque_casts`), and `#`.
//!
//! DataFusion's `+`, `-` and `*` wrap on integers, silently; PostgreSQL raises 22003. DataFusion's own checked form cannot be asked for from a logical
//! plan, so an analyser rule puts a function in the operator's place after types were coerced. Decimals are checked by Arrow already, floats
//! need no check, and dates and intervals stay as they are.
//!
//! `/` and `%` fail as DataFusion's do, but DataFusion holds them for cheap and moves them before dearer conditions, such as `s ~ '^[0-9]+$'`, which
//! may be there to guard them. Functions it leaves where they are. And it makes 0 of `i # i` where `i` is NULL; a function is not taken apart.

use std::ops::BitXor;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Datum, PrimitiveArray};
use datafusion::arrow::compute::kernels::numeric::{add, div, mul, rem, sub};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType, Field, FieldRef, Int16Type, Int32Type, Int64Type};
use datafusion::arrow::error::ArrowError;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, internal_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use datafusion::optimizer::AnalyzerRule;

use super::opaque_casts::opaque;
use crate::error::{Error, ErrorKind};
use crate::types::SqlType;

/// The analyser rule.
#[derive(Debug, Default)]
pub(in crate::engine) struct CheckedArithmetic;

impl CheckedArithmetic {
    /// Checks the operators in one expression over `schema`.
    pub(in crate::engine) fn check(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        expr.transform_up(|node| {
            let Expr::BinaryExpr(BinaryExpr { left, op, right }) = &node else {
                let (node, changed) = opaque(node, schema);
                return Ok(if changed { Transformed::yes(node) } else { Transformed::no(node) });
            };
            let Some(operation) = Operation::of(*op) else { return Ok(Transformed::no(node)) };
            // Arguments of lambdas have no type here; they stay as they are.
            let (Ok(left_type), Ok(right_type)) = (left.get_type(schema), right.get_type(schema)) else {
                return Ok(Transformed::no(node));
            };
            if !operation.is_ours(&left_type, &right_type) {
                return Ok(Transformed::no(node));
            }
            let func =
                Arc::new(ScalarUDF::new_from_impl(Checked { operation, signature: Signature::any(2, Volatility::Immutable) }));
            let args = vec![left.as_ref().clone(), right.as_ref().clone()];
            Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(func, args))))
        })
    }
}

impl AnalyzerRule for CheckedArithmetic {
    fn name(&self) -> &str {
        "checked_arithmetic"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let checked = plan.transform_up_with_subqueries(|node| {
            let schema = match &node {
                // A scan's filters see all of its columns.
                LogicalPlan::TableScan(scan) => {
                    DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?
                }
                _ => merge_schema(&node.inputs()),
            };
            let names = NamePreserver::new(&node);
            let rewritten = node.map_expressions(|expr| {
                let name = names.save(&expr);
                Ok(self.check(expr, &schema)?.update_data(|expr| name.restore(expr)))
            })?;
            if rewritten.transformed { rewritten.map_data(LogicalPlan::recompute_schema) } else { Ok(rewritten) }
        })?;
        Ok(checked.data)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Xor,
}

impl Operation {
    fn of(operator: Operator) -> Option<Operation> {
        match operator {
            Operator::Plus => Some(Operation::Add),
            Operator::Minus => Some(Operation::Subtract),
            Operator::Multiply => Some(Operation::Multiply),
            Operator::Divide => Some(Operation::Divide),
            Operator::Modulo => Some(Operation::Modulo),
            Operator::BitwiseXor => Some(Operation::Xor),
            _ => None,
        }
    }

    fn is_ours(self, left: &DataType, right: &DataType) -> bool {
        let integers = left == right && left.is_signed_integer();
        match self {
            Operation::Add | Operation::Subtract | Operation::Multiply | Operation::Xor => integers,
            Operation::Divide | Operation::Modulo => integers || (left.is_decimal() && right.is_decimal()),
        }
    }

    const fn operator(self) -> Operator {
        match self {
            Operation::Add => Operator::Plus,
            Operation::Subtract => Operator::Minus,
            Operation::Multiply => Operator::Multiply,
            Operation::Divide => Operator::Divide,
            Operation::Modulo => Operator::Modulo,
            Operation::Xor => Operator::BitwiseXor,
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Operation::Add => "+",
            Operation::Subtract => "-",
            Operation::Multiply => "*",
            Operation::Divide => "/",
            Operation::Modulo => "%",
            Operation::Xor => "#",
        }
    }

    fn apply(self, left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
        match self {
            Operation::Add => add(left, right),
            Operation::Subtract => sub(left, right),
            Operation::Multiply => mul(left, right),
            Operation::Divide => div(left, right),
            Operation::Modulo => rem(left, right),
            Operation::Xor => xor(left, right),
        }
    }
}

/// Bits that are set in one of two integers of one type.
fn xor(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError> {
    fn of<T: ArrowPrimitiveType>(left: &dyn Datum, right: &dyn Datum) -> Result<ArrayRef, ArrowError>
    where
        T::Native: BitXor<Output = T::Native>,
    {
        let ((left, left_once), (right, right_once)) = (left.get(), right.get());
        let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<T>());
        let value = |array: &PrimitiveArray<T>, once: bool, row: usize| {
            let row = if once { 0 } else { row };
            array.is_valid(row).then(|| array.value(row))
        };
        let rows = if left_once { right.len() } else { left.len() };
        let both = |row| Some(value(left, left_once, row)? ^ value(right, right_once, row)?);
        Ok(Arc::new((0..rows).map(both).collect::<PrimitiveArray<T>>()))
    }
    match left.get().0.data_type() {
        DataType::Int16 => of::<Int16Type>(left, right),
        DataType::Int32 => of::<Int32Type>(left, right),
        DataType::Int64 => of::<Int64Type>(left, right),
        other => Err(ArrowError::NotYetImplemented(format!("# of {other}"))),
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Checked {
    operation: Operation,
    signature: Signature,
}

impl Checked {
    /// Whether it fails for some left operand, given its right one.
    pub(super) fn fails(&self, right: &Expr) -> bool {
        match self.operation {
            Operation::Xor => false,
            // The least integer has no negative.
            Operation::Divide | Operation::Modulo => match right {
                Expr::Literal(ScalarValue::Int16(Some(0 | -1)), _)
                | Expr::Literal(ScalarValue::Int32(Some(0 | -1)), _)
                | Expr::Literal(ScalarValue::Int64(Some(0 | -1)), _)
                | Expr::Literal(ScalarValue::Decimal128(Some(0), ..), _)
                | Expr::Literal(ScalarValue::Decimal256(..), _) => true,
                Expr::Literal(..) => false,
                _ => true,
            },
            Operation::Add | Operation::Subtract | Operation::Multiply => true,
        }
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        self.operation.symbol()
    }

    /// The name that the operator has, since other nodes refer to the column by it.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        match args {
            [left, right] => Ok(format!("{} {} {}", left.schema_name(), self.operation.symbol(), right.schema_name())),
            _ => internal_err!("an operator has two operands"),
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        match args.arg_fields {
            [left, right] => {
                let nullable = left.is_nullable() || right.is_nullable();
                let operator = self.operation.operator();
                let data_type = BinaryTypeCoercer::new(left.data_type(), &operator, right.data_type()).get_result_type()?;
                Ok(Arc::new(Field::new(self.name(), data_type, nullable)))
            }
            _ => internal_err!("an operator has two operands"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [left, right] = args.args.as_slice() else { return internal_err!("an operator has two operands") };
        let data_type = left.data_type();
        let result = match (left, right) {
            (ColumnarValue::Array(left), ColumnarValue::Array(right)) => self.operation.apply(left, right),
            (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => self.operation.apply(left, &right.to_scalar()?),
            (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => self.operation.apply(&left.to_scalar()?, right),
            (ColumnarValue::Scalar(left), ColumnarValue::Scalar(right)) => {
                let value =
                    self.operation.apply(&left.to_scalar()?, &right.to_scalar()?).map_err(|error| in_words(error, &data_type))?;
                return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&value, 0)?));
            }
        };
        result.map(ColumnarValue::Array).map_err(|error| in_words(error, &data_type))
    }
}

/// `integer out of range`, as PostgreSQL says; the type comes from the statement, no value is told.
fn in_words(error: ArrowError, data_type: &DataType) -> DataFusionError {
    if let ArrowError::ArithmeticOverflow(_) = error {
        let message = format!("{} out of range", SqlType::of_arrow(data_type).display_name());
        return DataFusionError::External(Box::new(Error::new(ErrorKind::NumericOutOfRange, message)));
    }
    DataFusionError::from(error)
}
