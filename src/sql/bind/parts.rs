//! Values made of parts, and the parts of values: arrays and their elements, fields, pieces of texts and of moments.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions_nested::expr_fn as nested;
use datafusion::logical_expr::{Case, Expr, lit};
use datafusion::sql::sqlparser::ast::{self, AccessExpr, DateTimeField, Ident, Spanned, Subscript, TrimWhereField};

use super::Binder;
use super::coerce::{Family, cast_expr, element_type, family};
use super::error::{at, folded};
use super::expression::{Place, counter_of, shortened};
use super::typed::Typed;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::rewrite::is_local_zone;
use crate::types::SqlType;
use crate::types::input;

impl Binder<'_> {
    pub(super) fn array(&self, elements: &[ast::Expr], place: Place<'_>) -> Result<Typed> {
        let elements = elements.iter().map(|element| self.expression(element, place)).collect::<Result<Vec<_>>>()?;
        if elements.is_empty() {
            return Err(Error::new(ErrorKind::IndeterminateDatatype, "cannot determine type of empty array")
                .with_hint("Explicitly cast to the desired type, for example ARRAY[]::integer[]."));
        }
        let (elements, common) = self.unify(elements, "ARRAY")?;
        self.array_of(elements, common)
    }

    /// An array of values that have the element type already.
    pub(super) fn array_of(&self, elements: Vec<Typed>, element: SqlType) -> Result<Typed> {
        let array_type = match &element {
            SqlType::Array(_) => element.clone(),
            scalar => SqlType::Array(Box::new(scalar.clone())),
        };
        let elements = match &element {
            SqlType::UnconstrainedNumeric => elements.into_iter().map(|item| self.unconstrained(item)).collect::<Result<_>>()?,
            // A NULL that was cast to a numeric is one of whatever the others are.
            _ => elements
                .into_iter()
                .map(|item| match item.is_null_literal() && item.data_type == DataType::LargeBinary {
                    true => self.cast(Typed::null(), &element),
                    false => Ok(item),
                })
                .collect::<Result<Vec<_>>>()?,
        };
        let constants: Option<Vec<ScalarValue>> = elements
            .iter()
            .map(|element| if let Expr::Literal(value, _) = &element.expr { Some(value.clone()) } else { None })
            .collect();
        let wanted = element.arrow_type();
        let alike = elements.iter().all(|item| item.data_type == wanted);
        match constants {
            Some(constants) if alike && !matches!(element, SqlType::Array(_)) => {
                Ok(Typed::constant(input::list(&constants, &array_type)?, array_type))
            }
            _ => {
                let items = elements
                    .into_iter()
                    .map(|item| if item.data_type == wanted { item.expr } else { cast_expr(item.expr, &wanted) })
                    .collect();
                Ok(Typed::new(nested::make_array(items), array_type, false))
            }
        }
    }

    pub(super) fn field_access(&self, root: &ast::Expr, chain: &[AccessExpr], place: Place<'_>) -> Result<Typed> {
        // `t.c[1]` is parsed with the dot in the chain, too.
        let mut idents: Vec<Ident> = match root {
            ast::Expr::Identifier(ident) => vec![ident.clone()],
            ast::Expr::CompoundIdentifier(idents) => idents.clone(),
            _ => vec![],
        };
        let mut chain = chain;
        while let (false, Some((AccessExpr::Dot(ast::Expr::Identifier(ident)), rest))) = (idents.is_empty(), chain.split_first()) {
            idents.push(ident.clone());
            chain = rest;
        }
        let mut value = if idents.is_empty() { self.expression(root, place)? } else { self.column(&idents, place)? };
        for access in chain {
            value = match access {
                AccessExpr::Dot(ast::Expr::Identifier(field)) => {
                    self.struct_field(value, &folded(field)).map_err(|error| at(error, field.span))?
                }
                AccessExpr::Dot(other) => return Err(Error::unsupported(format!("the field access .{}", shortened(other)))),
                AccessExpr::Subscript(subscript) => self.subscript(value, subscript, place)?,
            };
        }
        Ok(value)
    }

    pub(super) fn subscript(&self, value: Typed, subscript: &Subscript, place: Place<'_>) -> Result<Typed> {
        let vector = matches!(value.sql_type, SqlType::Int2Vector | SqlType::OidVector);
        let Some(element) = element_type(&value.sql_type) else {
            return Err(Error::new(
                ErrorKind::DatatypeMismatch,
                format!("cannot subscript type {} because it does not support subscripting", value.sql_type),
            ));
        };
        match subscript {
            Subscript::Index { index } => {
                let index = self.expression(index, place)?;
                let index = self.cast(index, &SqlType::Int8)?;
                // The vectors of the catalog count from zero.
                let index = if vector { super::kernels::add(index.expr, lit(1_i64)) } else { index.expr };
                let item = match &value.data_type {
                    DataType::List(field) => field.data_type().clone(),
                    _ => element.arrow_type(),
                };
                // The engine counts negative subscripts from the end; PostgreSQL has nothing there.
                let index = match index {
                    Expr::Literal(ScalarValue::Int64(Some(number)), _) => lit(ScalarValue::Int64((number > 0).then_some(number))),
                    index => {
                        let in_range = (Box::new(index.clone().gt(lit(0_i64))), Box::new(index));
                        Expr::Case(Case::new(None, vec![in_range], None))
                    }
                };
                Ok(Typed { data_type: item, ..Typed::new(nested::array_element(value.expr, index), element, true) })
            }
            Subscript::Slice { lower_bound, upper_bound, stride: None } => {
                let bound = |bound: Option<&ast::Expr>, default: i64| match bound {
                    None => Ok(lit(default)),
                    Some(bound) => {
                        let bound = self.expression(bound, place)?;
                        self.cast(bound, &SqlType::Int8).map(|bound| bound.expr)
                    }
                };
                let (low, high) = (bound(lower_bound.as_ref(), 1)?, bound(upper_bound.as_ref(), i64::from(i32::MAX))?);
                let bounds = [low, high].map(|bound| Typed::new(bound, SqlType::Int8, true));
                let sql_type = value.sql_type.clone();
                Ok(self.call_builtin("array_part", [vec![value], bounds.into()].concat())?.retyped(sql_type))
            }
            Subscript::Slice { .. } => Err(Error::unsupported("an array slice with a stride")),
        }
    }

    pub(super) fn extract(&self, field: &DateTimeField, expr: &ast::Expr, place: Place<'_>) -> Result<Typed> {
        let value = self.expression(expr, place)?;
        let value = if value.is_unknown() { self.cast(value, &SqlType::Timestamp)? } else { value };
        let field = Typed::constant(ScalarValue::Utf8(Some(field.to_string().trim_matches('\'').to_lowercase())), SqlType::Text);
        self.call_builtin("extract", vec![field, value]).map_err(|error| at(error, expr.span()))
    }

    pub(super) fn at_time_zone(&self, timestamp: &ast::Expr, zone: &ast::Expr, place: Place<'_>) -> Result<Typed> {
        let value = self.expression(timestamp, place)?;
        let value = match value.sql_type {
            SqlType::Unknown => self.cast(value, &SqlType::Timestamptz)?,
            SqlType::Date => self.cast(value, &SqlType::Timestamptz)?,
            _ => value,
        };
        if is_local_zone(zone) {
            return self.call_builtin("timezone", vec![value]).map_err(|error| at(error, timestamp.span()));
        }
        let zone_value = self.expression(zone, place)?;
        let zone_value = self.settled(zone_value)?;
        let zone_value = if zone_value.sql_type == SqlType::Interval { zone_value } else { self.text(zone_value)? };
        self.call_builtin("timezone", vec![zone_value, value]).map_err(|error| at(error, timestamp.span()))
    }

    pub(super) fn substring(
        &self,
        expr: &ast::Expr,
        from: Option<&ast::Expr>,
        length: Option<&ast::Expr>,
        place: Place<'_>,
    ) -> Result<Typed> {
        let value = self.expression(expr, place)?;
        let from = from.map(|from| self.expression(from, place)).transpose()?;
        let length = length.map(|length| self.expression(length, place)).transpose()?;
        self.part_of(value, from, length)
    }

    /// `substring(value from .. for ..)`, or of a text the part that a pattern finds.
    pub(super) fn part_of(&self, value: Typed, from: Option<Typed>, length: Option<Typed>) -> Result<Typed> {
        let value = if value.sql_type == SqlType::Bytea { value } else { self.text(value)? };
        // substring(text from pattern)
        if let (Some(pattern), None) = (&from, &length)
            && (pattern.literal_text().is_some() || family(&pattern.sql_type) == Family::String && !pattern.is_unknown())
        {
            let pattern = self.text(pattern.clone())?;
            return self.call_builtin("substring_pattern", vec![value, pattern]);
        }
        let integer = counter_of(&value);
        let mut arguments = vec![value];
        let first = Typed::constant(ScalarValue::Int32(Some(1)), SqlType::Int4);
        arguments.push(self.cast(from.unwrap_or(first), &integer)?);
        if let Some(length) = length {
            arguments.push(self.cast(length, &integer)?);
        }
        self.call_builtin("substr", arguments)
    }

    pub(super) fn trim(
        &self,
        expr: &ast::Expr,
        side: Option<TrimWhereField>,
        what: Option<&ast::Expr>,
        characters: Option<&[ast::Expr]>,
        place: Place<'_>,
    ) -> Result<Typed> {
        let value = self.expression(expr, place)?;
        let is_bytes = value.sql_type == SqlType::Bytea;
        let mut arguments = vec![if is_bytes { value } else { self.text(value)? }];
        for part in what.into_iter().chain(characters.unwrap_or_default()) {
            let part = self.expression(part, place)?;
            arguments.push(if is_bytes { part } else { self.text(part)? });
        }
        let name = match side {
            None | Some(TrimWhereField::Both) => "btrim",
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
        };
        self.call_builtin(name, arguments)
    }
}
