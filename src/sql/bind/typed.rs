//! An expression together with its type.
//!
//! Types are carried along while a statement is bound, instead of being asked from DataFusion again and again: PostgreSQL's types are
//! finer than Arrow's (`oid`, `name`, untyped literals), and asking a deep tree at every level would cost its square.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::Binder;
use super::error::plan_error;
use crate::catalog::securable::ObjectId;
use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;

/// The modifier of an interval of any fields, without its digits.
const ALL_INTERVAL_FIELDS: i32 = 0x7fff << 16;

/// Nodes that the expressions of one statement may have in copies.
const MOST_COPIED: usize = 500_000;

/// Levels that the body of a function may have with its arguments in it. Much behind the binder goes through expressions by recursion.
const DEEPEST_BODY: usize = 1_000;

/// Nodes of expressions that a node of a plan counts for.
const PLAN_NODE: usize = 25;

/// A bound expression, its SQL type and its Arrow type.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    pub(super) expr: Expr,
    /// [`SqlType::Unknown`] for literals and parameters that no context has typed yet.
    pub(super) sql_type: SqlType,
    pub(super) data_type: DataType,
    pub(super) nullable: bool,
    /// Table and attribute number, if this is a plain column of a table.
    pub(super) origin: Option<(ObjectId, i16)>,
    /// The type's modifiers were written down, in a column's definition or a cast, and not worked out from operands.
    pub(super) declared: bool,
    /// Digits of seconds behind the point, where a cast has said how many.
    pub(super) fraction: Option<u32>,
}

impl Typed {
    /// An expression whose values lie in the type's own Arrow representation.
    pub(super) fn new(expr: Expr, sql_type: SqlType, nullable: bool) -> Self {
        let data_type = sql_type.arrow_type();
        Self { expr, sql_type, data_type, nullable, origin: None, declared: false, fraction: None }
    }

    /// An expression of the type that `field` describes.
    pub(super) fn of_field(expr: Expr, field: &Field) -> Self {
        Self {
            expr,
            sql_type: SqlType::of_field(field),
            data_type: field.data_type().clone(),
            nullable: field.is_nullable(),
            origin: None,
            declared: false,
            fraction: None,
        }
    }

    /// A typed constant.
    pub(super) fn constant(value: ScalarValue, sql_type: SqlType) -> Self {
        let (data_type, nullable) = (value.data_type(), value.is_null());
        Self { expr: Expr::Literal(value, None), sql_type, data_type, nullable, origin: None, declared: false, fraction: None }
    }

    /// An untyped string literal.
    pub(super) fn unknown(text: String) -> Self {
        Self::constant(ScalarValue::Utf8(Some(text)), SqlType::Unknown)
    }

    /// The untyped NULL.
    pub(super) fn null() -> Self {
        Self::constant(ScalarValue::Null, SqlType::Unknown)
    }

    /// A boolean expression.
    pub(super) fn boolean(expr: Expr) -> Self {
        Self::new(expr, SqlType::Bool, true)
    }

    /// Whether the type is still open.
    pub(super) fn is_unknown(&self) -> bool {
        self.sql_type == SqlType::Unknown
    }

    /// Whether this is the literal NULL.
    pub(super) fn is_null_literal(&self) -> bool {
        matches!(&self.expr, Expr::Literal(value, _) if value.is_null())
    }

    /// The text of an untyped or text literal.
    pub(super) fn literal_text(&self) -> Option<&str> {
        match &self.expr {
            Expr::Literal(ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)), _) => Some(text),
            _ => None,
        }
    }

    /// The same values under another SQL type of the same representation.
    pub(super) fn retyped(mut self, sql_type: SqlType) -> Self {
        self.sql_type = sql_type;
        self.origin = None;
        self.declared = false;
        self.fraction = None;
        self
    }

    /// `atttypmod` as clients are told: PostgreSQL's computed numerics have none, though ours always have digits and scale.
    pub(super) fn typmod(&self) -> i32 {
        if let Some(digits) = self.fraction.and_then(|digits| i32::try_from(digits).ok()) {
            return if self.sql_type == SqlType::Interval { ALL_INTERVAL_FIELDS | digits } else { digits };
        }
        let computed = matches!(&self.sql_type, SqlType::Numeric { .. }) && !self.declared;
        let computed_elements = matches!(&self.sql_type, SqlType::Array(element) if matches!(**element, SqlType::Numeric { .. }));
        if computed || computed_elements && !self.declared { -1 } else { self.sql_type.typmod() }
    }

    /// A field of this type, tagged where the Arrow type alone would not tell the SQL type.
    pub(super) fn field(&self, name: &str) -> FieldRef {
        let field = Field::new(name, self.data_type.clone(), self.nullable);
        let tagged = if SqlType::of_field(&field) == self.sql_type { field } else { field.with_metadata(self.sql_type.metadata()) };
        Arc::new(tagged)
    }

    /// The column `name` of `relation`, with this one's type.
    pub(super) fn as_column(&self, column: Column) -> Typed {
        Typed { expr: Expr::Column(column), ..self.clone() }
    }
}

impl Binder<'_> {
    /// The value once more, for an expression that must name it twice. Nested, such expressions double at every level.
    ///
    /// # Errors
    /// 54001 if the statement would become too large.
    pub(super) fn copied(&self, value: &Typed) -> Result<Typed> {
        value.expr.apply(|_| Ok(self.count_copied(1))).map_err(plan_error)?;
        self.check_copied(
            "expression",
            "Expressions that are used more than once are nested too deeply; compute the inner ones in a subquery.",
        )?;
        Ok(value.clone())
    }

    /// The plan of a query that the statement names more than once. Named in each other, such queries double as well.
    ///
    /// # Errors
    /// 54001 if the statement would become too large.
    pub(super) fn copied_plan(&self, plan: &LogicalPlan) -> Result<LogicalPlan> {
        plan.apply(|_| Ok(self.count_copied(PLAN_NODE))).map_err(plan_error)?;
        self.check_copied("query", USED_TOO_OFTEN)?;
        Ok(plan.clone())
    }

    /// A view is bound anew wherever it is named.
    ///
    /// # Errors
    /// As [`Binder::copied_plan`].
    pub(super) fn count_view(&self) -> Result<()> {
        self.count_copied(PLAN_NODE);
        self.check_copied("query", USED_TOO_OFTEN)
    }

    /// Functions that call each other stack their bodies.
    ///
    /// # Errors
    /// 54001 if `body` has become too deep.
    pub(super) fn check_depth(&self, body: &Typed) -> Result<()> {
        if depth(&body.expr) <= DEEPEST_BODY {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooComplex, "expression is too complex")
            .with_hint("Functions are nested too deeply in each other."))
    }

    fn count_copied(&self, nodes: usize) -> TreeNodeRecursion {
        let mut shared = self.world.shared.borrow_mut();
        shared.copied += nodes;
        if shared.copied > MOST_COPIED { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue }
    }

    fn check_copied(&self, what: &str, hint: &str) -> Result<()> {
        if self.world.shared.borrow().copied <= MOST_COPIED {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooComplex, format!("{what} is too complex")).with_hint(hint))
    }
}

/// Levels of an expression.
#[recursive::recursive]
fn depth(expr: &Expr) -> usize {
    let mut deepest = 0;
    // The closure never fails.
    let _ = expr.apply_children(|child| {
        deepest = deepest.max(depth(child));
        Ok(TreeNodeRecursion::Continue)
    });
    deepest + 1
}

const USED_TOO_OFTEN: &str = "Common table expressions and views use each other too often; store the result of one in a table.";

/// An output column of a query: the name that clients see, and the internal column that holds it.
#[derive(Debug, Clone)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) value: Typed,
}
