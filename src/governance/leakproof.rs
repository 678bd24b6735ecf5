//! Which of a caller's predicates may be evaluated before a row filter has hidden rows.
//!
//! An allow-list: comparisons of unmasked columns and literals of exactly one type, and their logical combinations. Such a predicate
//! cannot fail, whatever row it meets, so it cannot tell about rows that the filter hides. Everything else stays above the governed scan:
//! arithmetic, casts that can fail, patterns, functions, CASE (its arms may fail), anything volatile, subqueries.
//!
//! The match is exhaustive: a new kind of expression stops the build until somebody has decided about it.
#![deny(clippy::wildcard_enum_match_arm)]

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, ExprSchemable, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::PhysicalExpr;
use datafusion::physical_plan::expressions::{Column as PhysicalColumn, DynamicFilterPhysicalExpr};

/// Decides about predicates over one governed table.
#[derive(Debug)]
pub(super) struct Leakproof {
    schema: DFSchema,
    masked: Vec<String>,
}

impl Leakproof {
    /// For a table with these columns, of which `masked` are masked.
    pub(super) fn new(schema: &Schema, masked: impl IntoIterator<Item = String>) -> datafusion::error::Result<Self> {
        Ok(Self {
            schema: DFSchema::from_unqualified_fields(schema.fields().clone(), std::collections::HashMap::new())?,
            masked: masked.into_iter().collect(),
        })
    }

    /// Whether `predicate` may go below the row filter. Its columns count by name: they are this table's.
    pub(super) fn admits(&self, predicate: &Expr) -> bool {
        let Ok(bare) = unqualified(predicate) else { return false };
        self.is_boolean(&bare) && self.is_predicate(&bare)
    }

    /// Exact for what is admitted: it is evaluated inside and need not be again. Everything else stays above.
    pub(super) fn pushdown(&self, filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
        let decide = |filter: &&Expr| match self.admits(filter) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Unsupported,
        };
        filters.iter().map(decide).collect()
    }

    /// A truth value that cannot fail.
    fn is_predicate(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Column(_) | Expr::Literal(..) => self.is_boolean(expr) && self.is_operand(expr),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match connection(*op) {
                Connection::Logical => {
                    self.is_boolean(left) && self.is_boolean(right) && self.is_predicate(left) && self.is_predicate(right)
                }
                Connection::Comparison => self.comparable(left, right),
                Connection::Other => false,
            },
            Expr::Not(inner)
            | Expr::IsTrue(inner)
            | Expr::IsFalse(inner)
            | Expr::IsUnknown(inner)
            | Expr::IsNotTrue(inner)
            | Expr::IsNotFalse(inner)
            | Expr::IsNotUnknown(inner) => self.is_boolean(inner) && self.is_predicate(inner),
            Expr::IsNull(inner) | Expr::IsNotNull(inner) => {
                self.is_operand(inner) || (self.is_boolean(inner) && self.is_predicate(inner))
            }
            Expr::Between(Between { expr, negated: _, low, high }) => self.comparable(expr, low) && self.comparable(expr, high),
            Expr::InList(InList { expr, list, negated: _ }) => {
                list.iter().all(|item| matches!(item, Expr::Literal(..)) && self.comparable(expr, item))
            }
            #[expect(deprecated, reason = "the match is exhaustive")]
            Expr::Alias(_)
            | Expr::ScalarVariable(..)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::Negative(_)
            | Expr::Case(_)
            | Expr::Cast(_)
            | Expr::TryCast(_)
            | Expr::ScalarFunction(_)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_)
            | Expr::ScalarSubquery(_)
            | Expr::Wildcard { .. }
            | Expr::GroupingSet(_)
            | Expr::Placeholder(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::Unnest(_)
            | Expr::HigherOrderFunction(_)
            | Expr::Lambda(_)
            | Expr::LambdaVariable(_) => false,
        }
    }

    /// A value that is there without computing: an unmasked column, a literal, or one of them widened without loss.
    fn is_operand(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Column(column) => {
                !self.masked.contains(&column.name) && self.schema.has_column_with_unqualified_name(&column.name)
            }
            Expr::Literal(..) => true,
            Expr::Cast(Cast { expr: inner, field }) => {
                self.is_operand(inner) && inner.get_type(&self.schema).is_ok_and(|from| widens(&from, field.data_type()))
            }
            #[expect(deprecated, reason = "the match is exhaustive")]
            Expr::Alias(_)
            | Expr::ScalarVariable(..)
            | Expr::BinaryExpr(_)
            | Expr::Like(_)
            | Expr::SimilarTo(_)
            | Expr::Not(_)
            | Expr::IsNotNull(_)
            | Expr::IsNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::TryCast(_)
            | Expr::ScalarFunction(_)
            | Expr::AggregateFunction(_)
            | Expr::WindowFunction(_)
            | Expr::InList(_)
            | Expr::Exists(_)
            | Expr::InSubquery(_)
            | Expr::SetComparison(_)
            | Expr::ScalarSubquery(_)
            | Expr::Wildcard { .. }
            | Expr::GroupingSet(_)
            | Expr::Placeholder(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::Unnest(_)
            | Expr::HigherOrderFunction(_)
            | Expr::Lambda(_)
            | Expr::LambdaVariable(_) => false,
        }
    }

    /// Both are operands of exactly one type whose comparison is total.
    fn comparable(&self, left: &Expr, right: &Expr) -> bool {
        if !self.is_operand(left) || !self.is_operand(right) {
            return false;
        }
        match (left.get_type(&self.schema), right.get_type(&self.schema)) {
            (Ok(left), Ok(right)) => left == right && is_plain(&left),
            _ => false,
        }
    }

    fn is_boolean(&self, expr: &Expr) -> bool {
        expr.get_type(&self.schema).is_ok_and(|data_type| data_type == DataType::Boolean)
    }

    /// Whether a run-time filter of a join, TopK or aggregate above may reach the raw scan: it compares plain unmasked columns and nothing
    /// else. `projected` are the governed scan's output columns.
    pub(super) fn admits_dynamic(&self, filter: &Arc<dyn PhysicalExpr>, projected: &Schema) -> bool {
        let Some(dynamic) = filter.downcast_ref::<DynamicFilterPhysicalExpr>() else { return false };
        let operands = dynamic.children();
        !operands.is_empty()
            && operands.into_iter().all(|operand| {
                let Some(column) = operand.downcast_ref::<PhysicalColumn>() else { return false };
                let Some(field) = projected.fields().get(column.index()) else { return false };
                !self.masked.contains(field.name()) && is_plain(field.data_type())
            })
    }
}

/// The same expression without qualifiers.
fn unqualified(expr: &Expr) -> datafusion::error::Result<Expr> {
    use datafusion::common::tree_node::{Transformed, TreeNode};
    let bare = expr.clone().transform_up(|node| {
        Ok(if let Expr::Column(column) = node {
            Transformed::yes(Expr::Column(datafusion::common::Column::new_unqualified(column.name)))
        } else {
            Transformed::no(node)
        })
    })?;
    Ok(bare.data)
}

enum Connection {
    Logical,
    Comparison,
    Other,
}

fn connection(operator: Operator) -> Connection {
    match operator {
        Operator::And | Operator::Or => Connection::Logical,
        Operator::Eq
        | Operator::NotEq
        | Operator::Lt
        | Operator::LtEq
        | Operator::Gt
        | Operator::GtEq
        | Operator::IsDistinctFrom
        | Operator::IsNotDistinctFrom => Connection::Comparison,
        Operator::Plus
        | Operator::Minus
        | Operator::Multiply
        | Operator::Divide
        | Operator::Modulo
        | Operator::RegexMatch
        | Operator::RegexIMatch
        | Operator::RegexNotMatch
        | Operator::RegexNotIMatch
        | Operator::LikeMatch
        | Operator::ILikeMatch
        | Operator::NotLikeMatch
        | Operator::NotILikeMatch
        | Operator::BitwiseAnd
        | Operator::BitwiseOr
        | Operator::BitwiseXor
        | Operator::BitwiseShiftRight
        | Operator::BitwiseShiftLeft
        | Operator::StringConcat
        | Operator::AtArrow
        | Operator::ArrowAt
        | Operator::Arrow
        | Operator::LongArrow
        | Operator::HashArrow
        | Operator::HashLongArrow
        | Operator::AtAt
        | Operator::IntegerDivide
        | Operator::HashMinus
        | Operator::AtQuestion
        | Operator::Question
        | Operator::QuestionAnd
        | Operator::QuestionPipe
        | Operator::Colon => Connection::Other,
    }
}

/// Types with a total comparison of their own: no nesting, no dictionaries.
fn is_plain(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Boolean
                | DataType::Float32
                | DataType::Float64
                | DataType::Decimal128(..)
                | DataType::Decimal256(..)
                | DataType::Date32
                | DataType::Timestamp(..)
                | DataType::Time64(_)
                | DataType::Utf8
                | DataType::LargeUtf8
                | DataType::Utf8View
                | DataType::Binary
                | DataType::LargeBinary
                | DataType::BinaryView
        )
}

/// Casts that neither fail nor lose anything. A date fits into seconds and milliseconds of a timestamp, but not into finer ones.
fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    from == to
        || matches!(
            (from, to),
            (T::Int8, T::Int16 | T::Int32 | T::Int64)
                | (T::Int16, T::Int32 | T::Int64)
                | (T::Int32, T::Int64)
                | (T::UInt8, T::UInt16 | T::UInt32 | T::UInt64 | T::Int16 | T::Int32 | T::Int64)
                | (T::UInt16, T::UInt32 | T::UInt64 | T::Int32 | T::Int64)
                | (T::UInt32, T::UInt64 | T::Int64)
                | (T::Float32, T::Float64)
                | (T::Utf8, T::Utf8View)
                | (T::Utf8View, T::LargeUtf8)
                | (T::Binary, T::BinaryView)
                | (T::Date32, T::Timestamp(TimeUnit::Second | TimeUnit::Millisecond, None))
        )
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Field;
    use datafusion::functions::expr_fn::{lower, random};
    use datafusion::prelude::*;

    use super::*;

    fn leakproof() -> Leakproof {
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("small", DataType::Int32, true),
            Field::new("name", DataType::Utf8View, true),
            Field::new("ssn", DataType::Utf8View, true),
            Field::new("day", DataType::Date32, true),
            Field::new("flag", DataType::Boolean, true),
            Field::new("tags", DataType::new_list(DataType::Int64, true), true),
        ]);
        Leakproof::new(&schema, ["ssn".to_string()]).unwrap()
    }

    fn view(text: &str) -> Expr {
        lit(datafusion::common::ScalarValue::Utf8View(Some(text.into())))
    }

    #[test]
    fn comparisons_of_unmasked_columns_and_literals_of_one_type_enter() {
        let leakproof = leakproof();
        for predicate in [
            col("t.id").gt(lit(3_i64)),
            col("id").between(lit(1_i64), lit(2_i64)),
            col("id").in_list(vec![lit(1_i64), lit(2_i64)], true),
            col("name").eq(view("x")).or(col("flag")),
            not(col("flag")).and(col("name").is_null()),
            col("flag").is_true(),
            cast(col("small"), DataType::Int64).lt(col("id")),
            col("id").is_not_null(),
            binary_expr(col("id"), Operator::IsDistinctFrom, lit(1_i64)),
            lit(true),
        ] {
            assert!(leakproof.admits(&predicate), "{predicate}");
        }
    }

    #[test]
    fn whatever_can_fail_or_reads_a_mask_stays_out() {
        let leakproof = leakproof();
        for predicate in [
            col("ssn").eq(view("x")),
            col("ssn").is_null(),
            col("id").gt(lit(3_i32)),
            col("id").gt(lit(3.0)),
            (lit(1_i64) / (col("id") - lit(9_i64))).gt_eq(lit(0_i64)),
            cast(col("name"), DataType::Int64).gt(lit(0_i64)),
            try_cast(col("name"), DataType::Int64).gt(lit(0_i64)),
            cast(col("id"), DataType::Int32).gt(lit(0_i32)),
            cast(col("day"), DataType::Timestamp(TimeUnit::Nanosecond, None)).is_null(),
            col("name").like(view("x%")),
            lower(col("name")).eq(view("x")),
            random().gt(lit(0.5)),
            when(col("flag"), lit(true)).otherwise(col("id").eq(lit(1_i64))).unwrap(),
            col("tags").eq(col("tags")),
            col("id").in_list(vec![lit(1_i64), col("id") / lit(0_i64)], false),
            col("id").eq(col("nowhere")),
            col("id").and(col("flag")),
            col("flag").and(lower(col("name")).eq(view("x"))),
            placeholder("$1"),
        ] {
            assert!(!leakproof.admits(&predicate), "{predicate}");
        }
    }
}
