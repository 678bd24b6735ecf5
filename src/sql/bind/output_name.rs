//! Names of output columns without an alias, as PostgreSQL's `FigureColname` gives them.

use datafusion::sql::sqlparser::ast::{self, AccessExpr, Expr, SelectItem, SetExpr, TrimWhereField};

use super::error::{folded, name_parts};
use crate::sql::sql_type_of;

/// What PostgreSQL calls an expression that says nothing about its name.
pub(super) const NAMELESS: &str = "?column?";

/// The name of an output column.
pub(super) fn output_name(expr: &Expr) -> String {
    figure(expr).map_or_else(|| NAMELESS.to_string(), |(name, _)| name)
}

/// A name, and whether it is a good one: the name of a type gives way to the name of what is cast.
fn figure(expr: &Expr) -> Option<(String, bool)> {
    let good = |name: &str| Some((name.to_string(), true));
    let weak = |name: &str| Some((name.to_string(), false));
    match expr {
        Expr::Identifier(ident) => good(&folded(ident)),
        Expr::CompoundIdentifier(idents) => idents.last().and_then(|ident| good(&folded(ident))),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => figure(inner),
        Expr::Function(function) => name_parts(&function.name).last().and_then(|name| good(name)),
        Expr::Cast { expr, data_type, .. } => match figure(expr) {
            Some((name, true)) => good(&name),
            _ => sql_type_of(data_type).ok().and_then(|sql_type| weak(element_name(&sql_type.type_name()))),
        },
        Expr::TypedString(typed) => sql_type_of(&typed.data_type).ok().and_then(|sql_type| weak(&sql_type.type_name())),
        Expr::Interval(_) => weak("interval"),
        Expr::Case { else_result, .. } => match else_result.as_deref().and_then(figure) {
            Some((name, true)) => good(&name),
            _ => weak("case"),
        },
        Expr::CompoundFieldAccess { root, access_chain } => access_chain
            .iter()
            .rev()
            .find_map(|access| match access {
                AccessExpr::Dot(Expr::Identifier(field)) => good(&folded(field)),
                _ => None,
            })
            .or_else(|| figure(root)),
        Expr::Exists { negated: false, .. } => good("exists"),
        Expr::Subquery(query) => subquery_name(query).and_then(|name| good(&name)),
        Expr::Array(_) => good("array"),
        Expr::Extract { .. } => good("extract"),
        Expr::AtTimeZone { .. } => good("timezone"),
        Expr::Position { .. } => good("position"),
        Expr::Substring { .. } => good("substring"),
        Expr::Overlay { .. } => good("overlay"),
        Expr::Trim { trim_where, .. } => good(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        Expr::Ceil { .. } => good("ceil"),
        Expr::Floor { .. } => good("floor"),
        Expr::Tuple(_) => good("row"),
        _ => None,
    }
}

/// An array type is called like its elements.
fn element_name(type_name: &str) -> &str {
    type_name.strip_prefix('_').unwrap_or(type_name)
}

/// A scalar subquery is called like its only column.
fn subquery_name(query: &ast::Query) -> Option<String> {
    let mut body = query.body.as_ref();
    loop {
        match body {
            SetExpr::Select(select) => {
                return match select.projection.first()? {
                    SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
                    SelectItem::UnnamedExpr(expr) => figure(expr).map(|(name, _)| name),
                    _ => None,
                };
            }
            SetExpr::Query(inner) => body = inner.body.as_ref(),
            SetExpr::SetOperation { left, .. } => body = left,
            SetExpr::Values(_) => return Some("column1".to_string()),
            _ => return None,
        }
    }
}
