//! What sqlparser accepts and the warehouse does not: refused here, so that nothing behind can overlook it.
//!
//! A clause that is parsed and then forgotten gives a wrong answer without a word: `FOR UPDATE`, `TABLESAMPLE` and time travel are
//! dropped like that by planners. The structs of the AST are taken apart field by field, without `..`, so that a new version of
//! sqlparser with a new clause does not compile until somebody decides about it. What may pass has to be honoured by the binder.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, Expr, Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart, Query, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableFactor, TableVersion, TableWithJoins, Visit as _, Visitor,
    WildcardAdditionalOptions,
};

use super::reader::refused;
use crate::error::{Error, ErrorKind, Result};

/// Refuses clauses that the warehouse does not have, at any depth of a query.
pub(super) fn query(query: &Query) -> Result<()> {
    outcome(query.visit(&mut Check))
}

/// The same for an expression.
pub(super) fn expression(expr: &Expr) -> Result<()> {
    outcome(expr.visit(&mut Check))
}

fn outcome(flow: ControlFlow<Error>) -> Result<()> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Check;

fn flow(result: Result<()>) -> ControlFlow<Error> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl Visitor for Check {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        flow(check_query(query))
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<Error> {
        flow(check_select(select))
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Error> {
        flow(check_table(table))
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        flow(check_expression(expr))
    }
}

pub(super) fn row_locks() -> Error {
    refused("FOR UPDATE or FOR SHARE", "Tables are read from a snapshot; there are no row locks.")
}

fn check_query(query: &Query) -> Result<()> {
    let Query { with, body, order_by: _, limit_clause: _, fetch, locks, for_clause, settings, format_clause, pipe_operators } =
        query;
    if !locks.is_empty() {
        return Err(row_locks());
    }
    if for_clause.is_some() || settings.is_some() || format_clause.is_some() || !pipe_operators.is_empty() {
        return Err(foreign("a clause of another dialect"));
    }
    if fetch.as_ref().is_some_and(|fetch| fetch.percent) {
        return Err(refused("FETCH FIRST with PERCENT", "Use a window function: percent_rank() OVER (ORDER BY ..)."));
    }
    for cte in with.iter().flat_map(|with| &with.cte_tables) {
        check_alias(&cte.alias)?;
        if cte.from.is_some() {
            return Err(foreign("FROM behind a common table expression"));
        }
    }
    check_body(body)
}

fn check_body(body: &SetExpr) -> Result<()> {
    match body {
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => Err(refused(
            "a data-modifying statement in or behind WITH",
            "Put the WITH clause into the query of INSERT: INSERT INTO t WITH .. SELECT ..",
        )),
        // The arms of a chain are as deep as it is long: a loop, not a recursion. Their own queries and selects are visited anyway.
        SetExpr::SetOperation { .. } => {
            let mut arms = vec![body];
            while let Some(arm) = arms.pop() {
                match arm {
                    SetExpr::SetOperation { left, right, op: _, set_quantifier } => {
                        if matches!(
                            set_quantifier,
                            ast::SetQuantifier::ByName | ast::SetQuantifier::AllByName | ast::SetQuantifier::DistinctByName
                        ) {
                            return Err(refused("a set operation BY NAME", "List the columns of both queries in the same order."));
                        }
                        arms.extend([left.as_ref(), right.as_ref()]);
                    }
                    SetExpr::Select(_) | SetExpr::Query(_) => {}
                    other => check_body(other)?,
                }
            }
            Ok(())
        }
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => Ok(()),
        SetExpr::Table(_) => Err(refused("TABLE in this place", "Write SELECT * FROM the table.")),
    }
}

fn check_select(select: &Select) -> Result<()> {
    let Select {
        select_token: _,
        optimizer_hints: _,
        distinct: _,
        select_modifiers,
        top,
        top_before_distinct: _,
        projection,
        exclude,
        into,
        from,
        lateral_views,
        prewhere,
        selection: _,
        connect_by,
        group_by: _,
        cluster_by,
        distribute_by,
        sort_by,
        having: _,
        named_window: _,
        qualify: _,
        window_before_qualify: _,
        value_table_mode,
        flavor,
    } = select;
    if into.is_some() {
        return Err(refused("SELECT INTO", "Use CREATE TABLE .. AS SELECT .."));
    }
    if !lateral_views.is_empty() {
        return Err(refused("LATERAL VIEW", "Use CROSS JOIN LATERAL unnest(..)."));
    }
    let has_foreign_clause = select_modifiers.is_some()
        || top.is_some()
        || exclude.is_some()
        || prewhere.is_some()
        || value_table_mode.is_some()
        || !connect_by.is_empty()
        || !cluster_by.is_empty()
        || !distribute_by.is_empty()
        || !sort_by.is_empty()
        || *flavor != SelectFlavor::Standard;
    if has_foreign_clause {
        return Err(foreign("a clause of another dialect"));
    }
    from.iter().try_for_each(check_joins)?;
    projection.iter().try_for_each(check_item)
}

/// An inner or outer join without a condition is a syntax error in PostgreSQL, and would be a cross join here.
fn check_joins(tables: &TableWithJoins) -> Result<()> {
    let TableWithJoins { relation: _, joins } = tables;
    joins.iter().try_for_each(|Join { relation: _, global, join_operator }| {
        if *global {
            return Err(foreign("a GLOBAL join"));
        }
        match join_operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::Right(constraint)
            | JoinOperator::RightOuter(constraint)
            | JoinOperator::FullOuter(constraint)
            | JoinOperator::LeftSemi(constraint)
            | JoinOperator::RightSemi(constraint)
            | JoinOperator::LeftAnti(constraint)
            | JoinOperator::RightAnti(constraint) => match constraint {
                JoinConstraint::On(_) | JoinConstraint::Using(_) | JoinConstraint::Natural => Ok(()),
                JoinConstraint::None => Err(Error::new(ErrorKind::Syntax, "syntax error: JOIN has neither ON nor USING")),
            },
            JoinOperator::CrossJoin(JoinConstraint::None) => Ok(()),
            JoinOperator::CrossJoin(_) => Err(Error::new(ErrorKind::Syntax, "syntax error: CROSS JOIN has a condition")),
            JoinOperator::Semi(_)
            | JoinOperator::Anti(_)
            | JoinOperator::CrossApply
            | JoinOperator::OuterApply
            | JoinOperator::AsOf { .. }
            | JoinOperator::StraightJoin(_)
            | JoinOperator::ArrayJoin
            | JoinOperator::LeftArrayJoin
            | JoinOperator::InnerArrayJoin => Err(foreign("a join of another dialect")),
        }
    })
}

fn check_item(item: &SelectItem) -> Result<()> {
    match item {
        SelectItem::UnnamedExpr(_) => Ok(()),
        SelectItem::ExprWithAlias { expr: _, alias } => check_identifier(alias),
        SelectItem::ExprWithAliases { .. } => Err(foreign("an alias of several names")),
        SelectItem::QualifiedWildcard(kind, options) => {
            if let SelectItemQualifiedWildcardKind::ObjectName(name) = kind {
                check_name(name)?;
            }
            check_wildcard(options)
        }
        SelectItem::Wildcard(options) => check_wildcard(options),
    }
}

/// `EXCEPT (columns)` may stand behind a wildcard, nothing else.
fn check_wildcard(options: &WildcardAdditionalOptions) -> Result<()> {
    let WildcardAdditionalOptions { wildcard_token: _, opt_ilike, opt_exclude, opt_except: _, opt_replace, opt_rename, opt_alias } =
        options;
    if opt_ilike.is_some() || opt_exclude.is_some() || opt_replace.is_some() || opt_rename.is_some() || opt_alias.is_some() {
        return Err(foreign("an option of a wildcard other than EXCEPT"));
    }
    Ok(())
}

fn check_table(table: &TableFactor) -> Result<()> {
    let sampled = || refused("TABLESAMPLE", "Use ORDER BY random() LIMIT n.");
    match table {
        TableFactor::Table {
            name,
            alias,
            args,
            with_hints,
            version,
            with_ordinality: _,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            check_name(name)?;
            if sample.is_some() {
                return Err(sampled());
            }
            if !with_hints.is_empty() || !partitions.is_empty() || json_path.is_some() || !index_hints.is_empty() {
                return Err(foreign("a table hint"));
            }
            match version {
                None => {}
                Some(TableVersion::VersionAsOf(_) | TableVersion::TimestampAsOf(_)) if args.is_none() => {}
                Some(_) => {
                    return Err(refused(
                        "time travel of a function",
                        "VERSION AS OF and TIMESTAMP AS OF stand behind a table name.",
                    ));
                }
            }
            alias.iter().try_for_each(check_alias)
        }
        TableFactor::Derived { lateral: _, subquery: _, alias, sample } => {
            if sample.is_some() {
                return Err(sampled());
            }
            alias.iter().try_for_each(check_alias)
        }
        TableFactor::UNNEST { alias, array_exprs: _, with_offset, with_offset_alias: _, with_ordinality: _ } => {
            if *with_offset {
                return Err(refused("WITH OFFSET", "Use WITH ORDINALITY."));
            }
            alias.iter().try_for_each(check_alias)
        }
        TableFactor::Function { lateral: _, name, args: _, with_ordinality: _, alias } => {
            check_name(name)?;
            alias.iter().try_for_each(check_alias)
        }
        TableFactor::NestedJoin { table_with_joins, alias } => {
            check_joins(table_with_joins)?;
            alias.iter().try_for_each(check_alias)
        }
        TableFactor::TableFunction { .. } => Err(foreign("TABLE(..) in FROM")),
        TableFactor::JsonTable { .. }
        | TableFactor::OpenJsonTable { .. }
        | TableFactor::Pivot { .. }
        | TableFactor::Unpivot { .. }
        | TableFactor::MatchRecognize { .. }
        | TableFactor::XmlTable { .. }
        | TableFactor::SemanticView { .. } => Err(foreign("a table expression of another dialect")),
    }
}

fn check_expression(expr: &Expr) -> Result<()> {
    match expr {
        Expr::Identifier(ident) => {
            if ident.quote_style.is_none() && ident.value == "default" {
                return Err(refused("DEFAULT as a value", "Leave the column out of the column list; it becomes NULL."));
            }
            check_identifier(ident)
        }
        Expr::CompoundIdentifier(parts) => parts.iter().try_for_each(check_identifier),
        _ => Ok(()),
    }
}

fn check_alias(alias: &TableAlias) -> Result<()> {
    check_identifier(&alias.name)?;
    alias.columns.iter().try_for_each(|column| check_identifier(&column.name))
}

fn check_name(name: &ObjectName) -> Result<()> {
    name.0.iter().try_for_each(|part| match part {
        ObjectNamePart::Identifier(ident) => check_identifier(ident),
        ObjectNamePart::Function(_) => Err(foreign("a function as a name")),
    })
}

/// sqlparser takes `'a string'` for a name; PostgreSQL does not, and `FROM 'file'` must never mean a file.
fn check_identifier(ident: &Ident) -> Result<()> {
    if ident.quote_style != Some('\'') {
        return Ok(());
    }
    let error = Error::new(ErrorKind::Syntax, format!("syntax error at or near \"'{}'\"", ident.value));
    Err(match usize::try_from(ident.span.start.column) {
        Ok(column) if column > 0 => error.with_position(column),
        _ => error,
    })
}

fn foreign(what: &str) -> Error {
    Error::unsupported(what)
}
