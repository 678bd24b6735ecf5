//! Every name in a query or an expression that stands for a relation or a function, in every position.
//!
//! The AST's own visitor finds them (FROM, subqueries, set operations, expressions, LIMIT, window frames, ..); what is added here is the
//! scope of common table expressions: a name that one of them has is no relation.

use std::ops::{ControlFlow, Range};

use datafusion::sql::sqlparser::ast::{self, Expr, Query, TableFactor, TableVersion, Visit, VisitMut, Visitor, VisitorMut};
use datafusion::sql::sqlparser::tokenizer::Span;

use super::bind::{name_parts, name_span};

/// A relation's name as it was met.
#[derive(Debug, Clone)]
pub(super) struct RelationReference {
    pub(super) parts: Vec<String>,
    pub(super) version: Option<TableVersion>,
    pub(super) span: Span,
}

/// The names of one text.
#[derive(Debug, Clone, Default)]
pub(super) struct References {
    pub(super) relations: Vec<RelationReference>,
    pub(super) functions: Vec<Vec<String>>,
}

impl References {
    /// Of a query.
    pub(super) fn of_query(query: &Query) -> Self {
        let mut collector = Collector::default();
        let _ = query.visit(&mut collector);
        collector.found
    }

    /// Of an expression.
    pub(super) fn of_expression(expr: &Expr) -> Self {
        let mut collector = Collector::default();
        let _ = expr.visit(&mut collector);
        collector.found
    }
}

/// The common table expressions that are visible at the place a visitor has reached.
#[derive(Debug, Default)]
pub(super) struct CteScopes {
    frames: Vec<Frame>,
}

#[derive(Debug)]
struct Frame {
    names: Vec<String>,
    /// Addresses of the bodies: the visitor meets the very same nodes.
    bodies: Vec<usize>,
    recursive: bool,
    /// How many of the names are visible now.
    visible: usize,
}

impl CteScopes {
    /// Before the visitor enters `query`.
    pub(super) fn enter(&mut self, query: &Query) {
        let address = std::ptr::from_ref(query).addr();
        if let Some(frame) = self.frames.last_mut()
            && let Some(index) = frame.bodies.iter().position(|body| *body == address)
        {
            // A body sees those before it, and all if the clause is recursive.
            frame.visible = if frame.recursive { frame.names.len() } else { index };
        }
        let ctes: &[ast::Cte] = query.with.as_ref().map_or(&[], |with| &with.cte_tables);
        self.frames.push(Frame {
            names: ctes.iter().map(|cte| cte.alias.name.value.clone()).collect(),
            bodies: ctes.iter().map(|cte| std::ptr::from_ref(cte.query.as_ref()).addr()).collect(),
            recursive: query.with.as_ref().is_some_and(|with| with.recursive),
            visible: ctes.len(),
        });
    }

    /// After the visitor has left `query`.
    pub(super) fn leave(&mut self, query: &Query) {
        self.frames.pop();
        let address = std::ptr::from_ref(query).addr();
        if let Some(frame) = self.frames.last_mut()
            && frame.bodies.contains(&address)
        {
            frame.visible = frame.names.len();
        }
    }

    /// Whether `parts` is a visible common table expression.
    pub(super) fn contains(&self, parts: &[String]) -> bool {
        match parts {
            [name] => self.frames.iter().any(|frame| frame.names.iter().take(frame.visible).any(|cte| cte == name)),
            _ => false,
        }
    }
}

#[derive(Default)]
struct Collector {
    scopes: CteScopes,
    found: References,
}

impl Visitor for Collector {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        self.scopes.leave(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                self.found.functions.push(name_parts(name))
            }
            TableFactor::Table { name, version, .. } => {
                let parts = name_parts(name);
                if !self.scopes.contains(&parts) {
                    self.found.relations.push(RelationReference { parts, version: version.clone(), span: name_span(name) });
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.found.functions.push(name_parts(&function.name));
        }
        ControlFlow::Continue(())
    }
}

/// A name that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Renamed {
    /// Where the old one stands: columns of its tokens, as their spans have them.
    pub(super) columns: Range<u64>,
    /// The new one.
    pub(super) parts: Vec<String>,
}

/// Replaces names: `relation` and `function` give the new parts of a name, or `None` to leave it.
pub(super) struct Renamer<R, F> {
    pub(super) scopes: CteScopes,
    pub(super) relation: R,
    pub(super) function: F,
    pub(super) renamed: Vec<Renamed>,
}

impl<R, F> Renamer<R, F>
where
    R: FnMut(&[String], Span) -> crate::error::Result<Option<Vec<String>>>,
    F: FnMut(&[String]) -> Option<Vec<String>>,
{
    /// Renames in a query and tells what was renamed.
    pub(super) fn query(mut self, query: &mut Query) -> crate::error::Result<Vec<Renamed>> {
        match VisitMut::visit(query, &mut self) {
            ControlFlow::Continue(()) => Ok(self.renamed),
            ControlFlow::Break(error) => Err(error),
        }
    }

    fn rename_function(&mut self, name: &mut ast::ObjectName) {
        if let Some(parts) = (self.function)(&name_parts(name)) {
            self.rename(name, parts);
        }
    }

    fn rename(&mut self, name: &mut ast::ObjectName, parts: Vec<String>) {
        let part = |part: &str| ast::ObjectNamePart::Identifier(ast::Ident::with_quote('"', part));
        let renamed = ast::ObjectName(parts.iter().map(|name| part(name)).collect());
        let old = std::mem::replace(name, renamed);
        let end = old.0.last().and_then(ast::ObjectNamePart::as_ident).map_or(0, |ident| ident.span.end.column);
        self.renamed.push(Renamed { columns: name_span(&old).start.column..end, parts });
    }
}

impl<R, F> VisitorMut for Renamer<R, F>
where
    R: FnMut(&[String], Span) -> crate::error::Result<Option<Vec<String>>>,
    F: FnMut(&[String]) -> Option<Vec<String>>,
{
    type Break = crate::error::Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.scopes.enter(query);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<Self::Break> {
        self.scopes.leave(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Self::Break> {
        match factor {
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => self.rename_function(name),
            TableFactor::Table { name, .. } => {
                let parts = name_parts(name);
                if !self.scopes.contains(&parts) {
                    match (self.relation)(&parts, name_span(name)) {
                        Ok(Some(parts)) => self.rename(name, parts),
                        Ok(None) => {}
                        Err(error) => return ControlFlow::Break(error),
                    }
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(function) = expr {
            self.rename_function(&mut function.name);
        }
        ControlFlow::Continue(())
    }
}
