//! Resolved text to bound statement: PostgreSQL's semantics over DataFusion's plans.
//!
//! ```text
//!  ast::Query ─▶ query (WITH, set operations, ORDER BY, LIMIT)
//!                  └▶ select (FROM, WHERE, GROUP BY, windows, sets, DISTINCT)
//!                       ├▶ relation (tables, views, functions, joins, LATERAL)      names, view
//!                       └▶ expression ─▶ operator, function, subquery, coerce        policy
//!      plan ─▶ unnest: subqueries as joins
//! ```
//! The AST is bound to DataFusion's [`LogicalPlan`](datafusion::logical_expr::LogicalPlan) by our own binder and not by DataFusion's
//! `SqlToRel`: that one refuses two output columns of one name, does not know untyped literals, merges column names of different
//! scopes, and ignores several clauses in silence. What stays DataFusion's is everything behind the plan.
//!
//! Everything here is pure: no I/O, no clock, no task. [`resolve`](super::resolve) has pinned what is needed; governance decides later
//! whether it may be read. A privilege is never looked at, only recorded as an [`Access`].

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::Column;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast;

use self::expression::{Clause, Place};
use self::names::SearchPath;
use self::range::{Environment, Range};
use self::typed::{Output, Typed};
use super::internal_name::Series;
use super::resolve::Resolved;
use super::scope::Scope;
use super::source::{Access, AccessBy, BoundQuery};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::ObjectId;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::FunctionContext;
use crate::lake::AsOf;
use crate::types::SqlType;

mod aggregate;
mod aggregate_level;
mod arguments;
mod cast;
mod coerce;
mod comparison;
mod cte;
mod error;
mod expression;
mod frame;
mod function;
mod grouping;
mod hidden;
mod in_list;
mod interval_type;
mod join;
mod kernels;
mod literal;
mod mistyped;
mod moment;
pub mod names;
mod number_aggregate;
mod numeric;
mod operator;
mod output_name;
mod parts;
mod pattern;
mod policy;
mod qualify;
mod query;
mod range;
mod recursion;
mod relation;
mod select;
mod set_operation;
mod sets;
mod subquery;
mod table_function;
#[cfg(test)]
mod tests;
mod typed;
mod unnest;
mod view;
mod window;

pub(crate) use error::{at, name_parts, name_span, undefined_relation};
pub use policy::{check_mask, check_row_filter, unfit_for_policies};
pub(crate) use qualify::is_builtin;
pub use qualify::{qualify_expression, qualify_query};
pub(crate) use unnest::unnested;

/// How deep views and functions may be nested.
pub(crate) const MAX_DEPTH: usize = 32;

/// What all binders of one statement share.
struct World<'a> {
    scope: &'a Scope,
    resolved: &'a Resolved,
    names: Series,
    shared: RefCell<Shared>,
    /// The session as policies see it.
    fixed: OnceCell<Arc<FunctionContext>>,
}

impl<'a> World<'a> {
    fn new(scope: &'a Scope, resolved: &'a Resolved, shared: Shared) -> Self {
        Self { scope, resolved, names: Series::of_binder(), shared: RefCell::new(shared), fixed: OnceCell::new() }
    }
}

/// What a statement gathers while it is bound.
#[derive(Default)]
struct Shared {
    /// False where `$n` may not stand: in views, functions and policies.
    accepts_parameters: bool,
    parameters: Vec<Option<SqlType>>,
    accesses: BTreeSet<Access>,
    volatile: bool,
    /// A function was called that knows the statement's own moment.
    of_the_moment: bool,
    /// The first thing met that no policy may depend on.
    unfit_for_policies: Option<String>,
    /// Nodes of expressions that stand in the plan a second time.
    copied: usize,
    /// Every internal column with its type, for references from subqueries.
    columns: HashMap<Column, FieldRef>,
    /// Whether functions read relations, as far as it was asked.
    reading: HashMap<ObjectId, bool>,
    /// Policies of tables that were bound already.
    policies: HashMap<(ObjectId, AsOf), Arc<super::source::BoundPolicies>>,
}

/// Binds with the privileges of one reader: the caller, or the owner of a view or function.
struct Binder<'a> {
    world: &'a World<'a>,
    by: AccessBy,
    path: SearchPath,
    /// Views and functions that are being expanded, outermost first.
    active: Vec<ObjectId>,
    /// Inside a policy function: nothing that a client can set may be asked.
    policy: bool,
    /// Inside text of somebody else than the session's user, at whatever depth: it may have no effect in that user's name.
    foreign: bool,
}

impl<'a> Binder<'a> {
    fn of_session(world: &'a World<'a>) -> Self {
        let path = SearchPath::of_session(&world.scope.functions);
        Self { world, by: AccessBy::Caller, path, active: vec![], policy: false, foreign: false }
    }

    /// A binder for the stored text of `object`: with its owner's privileges and no search path.
    ///
    /// # Errors
    /// 42P17 if the object contains itself, 54001 if it is nested too deeply.
    fn inside(&self, object: ObjectId, owner: ObjectId) -> Result<Binder<'a>> {
        if self.active.contains(&object) {
            return Err(Error::new(ErrorKind::InvalidObjectDefinition, "infinite recursion detected in a view or function"));
        }
        if self.active.len() >= MAX_DEPTH {
            return Err(too_deep());
        }
        let mut active = self.active.clone();
        active.push(object);
        Ok(Binder {
            world: self.world,
            by: AccessBy::Owner(owner),
            path: SearchPath::empty(&self.world.scope.functions),
            active,
            policy: self.policy,
            foreign: self.foreign || owner != self.world.scope.functions.principal,
        })
    }

    /// What functions and casts may ask: the statement's own context, or a fixed session's inside a policy.
    fn context(&self) -> &Arc<FunctionContext> {
        let session = &self.world.scope.functions;
        if self.policy { self.world.fixed.get_or_init(|| Arc::new(session.fixed())) } else { session }
    }

    /// The principal whose privileges count.
    fn reader(&self) -> ObjectId {
        match self.by {
            AccessBy::Caller => self.world.scope.functions.current_user,
            AccessBy::Owner(owner) => owner,
        }
    }

    fn record(&self, securable: ObjectId, privilege: Privilege) {
        self.world.shared.borrow_mut().accesses.insert(Access { securable, privilege, by: self.by });
    }

    /// An internal name that nothing else in the statement has.
    fn unique(&self, base: &str) -> String {
        self.world.names.next(base)
    }

    /// Remembers the type of an internal column.
    fn register(&self, column: &Column, value: &Typed) {
        self.world.shared.borrow_mut().columns.insert(column.clone(), value.field(&column.name));
    }

    /// Binds `text` without parameters of the statement: `$n` has no meaning in stored text.
    fn without_parameters<T>(&self, bind: impl FnOnce() -> Result<T>) -> Result<T> {
        let before = std::mem::replace(&mut self.world.shared.borrow_mut().accepts_parameters, false);
        let result = bind();
        self.world.shared.borrow_mut().accepts_parameters = before;
        // A place in stored text is none in the statement.
        result.map_err(Error::without_position)
    }

    /// Whether the text that is bound is that of a view, a function or a policy.
    fn stored(&self) -> bool {
        self.policy || !self.active.is_empty()
    }

    /// The version that a time travel clause names; in stored text whatever the session has set.
    fn as_of(&self, version: Option<&ast::TableVersion>) -> Result<AsOf> {
        if let (true, Some(ast::TableVersion::TimestampAsOf(moment) | ast::TableVersion::ForSystemTimeAsOf(moment))) =
            (self.stored(), version)
        {
            // For what it calls: a policy may not depend on all of that.
            self.expression(moment, Place::new(&Range::default(), &Environment::EMPTY, Clause::Expression))?;
        }
        super::resolve::as_of(version, self.world.scope, self.stored())
    }
}

/// 54001 for views over views over views.
pub(crate) fn too_deep() -> Error {
    Error::new(ErrorKind::TooComplex, format!("views and functions are nested more than {MAX_DEPTH} deep"))
}

/// Binds `query`: pure, no I/O, no clock.
///
/// `parameters` are the declared types of `$1`, `$2`, ..; those without one are inferred.
///
/// # Errors
/// PostgreSQL's, with a position where it is known: 42P01, 42703, 42702, 42883, 42804, 42803, 42P18, ..
pub fn bind(query: &ast::Query, resolved: &Resolved, scope: &Scope, parameters: &[Option<SqlType>]) -> Result<BoundQuery> {
    bind_to(query, resolved, scope, parameters, &[])
}

/// Binds a query whose output is assigned to columns: INSERT's. Untyped literals and parameters take the columns' types, and what can
/// be assigned is converted, as PostgreSQL does; output columns have the targets' names and types.
///
/// # Errors
/// As [`bind`], and 42804 for a value that its column does not take, 42601 for another number of columns.
pub fn bind_to(
    query: &ast::Query,
    resolved: &Resolved,
    scope: &Scope,
    parameters: &[Option<SqlType>],
    targets: &[(String, SqlType)],
) -> Result<BoundQuery> {
    let declared = parameters.iter().map(|declared| declared.clone().filter(|declared| *declared != SqlType::Unknown)).collect();
    let shared = Shared { accepts_parameters: true, parameters: declared, ..Shared::default() };
    let world = World::new(scope, resolved, shared);
    let binder = Binder::of_session(&world);
    let (plan, outputs) = binder.statement(query, targets)?;
    drop(binder);
    let shared = world.shared.into_inner();
    let parameters = shared
        .parameters
        .into_iter()
        .enumerate()
        .map(|(index, inferred)| {
            inferred.ok_or_else(|| {
                Error::new(ErrorKind::IndeterminateDatatype, format!("could not determine data type of parameter ${}", index + 1))
            })
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(BoundQuery {
        plan,
        origins: outputs.iter().map(|output| output.value.origin).collect(),
        typmods: outputs.iter().map(|output| output.value.typmod()).collect(),
        columns: outputs.iter().map(|output| output.value.field(&output.name)).collect(),
        parameters,
        accesses: shared.accesses.into_iter().collect(),
        volatile: shared.volatile,
        of_the_moment: shared.of_the_moment,
        unfit_for_policies: shared.unfit_for_policies,
    })
}

/// Binds one expression over the (unqualified) columns of `schema`.
///
/// For the check of a function's body the schema holds its parameters. An aggregate, a window or `$n` may not stand in it.
///
/// # Errors
/// As [`bind`].
pub fn bind_expression(expr: &ast::Expr, schema: &Schema, resolved: &Resolved, scope: &Scope) -> Result<Expr> {
    let world = World::new(scope, resolved, Shared::default());
    let binder = Binder::of_session(&world);
    let range = binder.range_of_schema(schema);
    let value = binder.expression(expr, Place::new(&range, &Environment::EMPTY, Clause::Expression))?;
    Ok(binder.settled(value)?.expr)
}

/// The SQL type of an expression over the columns of `schema`, bound as by [`bind_expression`].
///
/// # Errors
/// As [`bind`].
pub fn type_of_expression(expr: &ast::Expr, schema: &Schema, resolved: &Resolved, scope: &Scope) -> Result<SqlType> {
    let world = World::new(scope, resolved, Shared::default());
    let binder = Binder::of_session(&world);
    let range = binder.range_of_schema(schema);
    let value = binder.expression(expr, Place::new(&range, &Environment::EMPTY, Clause::Expression))?;
    Ok(binder.settled(value)?.sql_type)
}

/// The moment that TIMESTAMP AS OF names: a constant, read in the session's time zone, or in UTC in stored text.
pub(crate) fn evaluate_moment(expr: &ast::Expr, scope: &Scope, stored: bool) -> Result<datafusion::common::ScalarValue> {
    let resolved = Resolved::default();
    let scope = if stored { Cow::Owned(scope.fixed()) } else { Cow::Borrowed(scope) };
    let scope = scope.as_ref();
    let world = World::new(scope, &resolved, Shared::default());
    let binder = Binder::of_session(&world);
    let range = Range::default();
    let value = binder.expression(expr, Place::new(&range, &Environment::EMPTY, Clause::Expression))?;
    let moment = binder.cast(value, &SqlType::Timestamptz)?;
    binder.constant(moment)
}

impl Binder<'_> {
    fn range_of_schema(&self, schema: &Schema) -> Range {
        let columns = schema
            .fields()
            .iter()
            .map(|field| {
                let column = Column::new_unqualified(field.name().clone());
                let value = Typed::of_field(Expr::Column(column.clone()), field);
                self.register(&column, &value);
                Output { name: field.name().clone(), value }
            })
            .collect();
        Range::of_columns(columns)
    }
}
