//! Comparisons: of values and of rows, with NULL, with lists and with arrays.

use std::sync::Arc;

use datafusion::arrow::array::Array;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ScalarValue;
use datafusion::functions_nested::expr_fn as nested;
use datafusion::logical_expr::{Expr, Operator, lit};
use datafusion::sql::sqlparser::ast::{self, Ident, Spanned};

use super::Binder;
use super::coerce::{Family, cast_expr, element_type, family};
use super::error::at;
use super::expression::{Place, row, unnested};
use super::numeric::keyed;
use super::operator::{BinaryOp, binary_operator};
use super::typed::Typed;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::numeric::key::has_key;
use crate::types::SqlType;

impl Binder<'_> {
    pub(super) fn binary_op(
        &self,
        left: &ast::Expr,
        op: &ast::BinaryOperator,
        right: &ast::Expr,
        place: Place<'_>,
    ) -> Result<Typed> {
        if *op == ast::BinaryOperator::Overlaps {
            return self.overlaps(left, right, place).map_err(|error| at(error, operator_span(left, right)));
        }
        let operator = binary_operator(op)?;
        if let (Some(left), Some(right)) = (row(left), row(right)) {
            return self.row_comparison(&operator, &left, &right, place);
        }
        if let (Some(row), ast::Expr::Subquery(query)) = (row(left), unnested(right)) {
            return self.row_against_subquery(&row, &operator, query, place).map_err(|error| at(error, operator_span(left, right)));
        }
        let left_value = self.expression(left, place)?;
        let right_value = self.expression(right, place)?;
        self.binary(&operator, left_value, right_value).map_err(|error| at(error, operator_span(left, right)))
    }

    /// `(a, b) = (c, d)` and the orderings of rows.
    pub(super) fn row_comparison(
        &self,
        operator: &BinaryOp,
        left: &[&ast::Expr],
        right: &[&ast::Expr],
        place: Place<'_>,
    ) -> Result<Typed> {
        let BinaryOp::Compare(operator) = operator else { return Err(Error::unsupported("this operator between rows")) };
        if left.len() != right.len() || left.is_empty() {
            return Err(Error::new(ErrorKind::Syntax, "unequal number of entries in row expressions"));
        }
        let pairs = left
            .iter()
            .zip(right)
            .map(|(left, right)| Ok((self.expression(left, place)?, self.expression(right, place)?)))
            .collect::<Result<Vec<_>>>()?;
        self.compare_rows(*operator, pairs)
    }

    /// Compares rows element by element.
    pub(super) fn compare_rows(&self, operator: Operator, pairs: Vec<(Typed, Typed)>) -> Result<Typed> {
        let fold = |pairs: Vec<(Typed, Typed)>, operator: Operator, connect: BinaryOp| -> Result<Typed> {
            let mut all: Option<Typed> = None;
            for (left, right) in pairs {
                let one = self.compare(operator, left, right)?;
                all = Some(match all {
                    None => one,
                    Some(before) => self.binary(&connect, before, one)?,
                });
            }
            all.ok_or_else(|| Error::internal("empty row"))
        };
        match operator {
            Operator::Eq | Operator::IsNotDistinctFrom => fold(pairs, operator, BinaryOp::And),
            Operator::NotEq | Operator::IsDistinctFrom => fold(pairs, operator, BinaryOp::Or),
            Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => {
                // (a, b) < (c, d)  is  a < c OR (a = c AND b < d)
                let strict = if matches!(operator, Operator::Lt | Operator::LtEq) { Operator::Lt } else { Operator::Gt };
                let mut pairs = pairs.into_iter().rev();
                let Some((left, right)) = pairs.next() else { return Err(Error::internal("empty row")) };
                let mut result = self.compare(operator, left, right)?;
                for (left, right) in pairs {
                    let equal = self.compare(Operator::Eq, self.copied(&left)?, self.copied(&right)?)?;
                    let before = self.compare(strict, left, right)?;
                    let rest = self.binary(&BinaryOp::And, equal, result)?;
                    result = self.binary(&BinaryOp::Or, before, rest)?;
                }
                Ok(result)
            }
            _ => Err(Error::unsupported("this operator between rows")),
        }
    }

    pub(super) fn null_test(&self, expr: &ast::Expr, negated: bool, place: Place<'_>) -> Result<Typed> {
        if let Some(elements) = self.fields_of_row(expr, place)? {
            // Every element is (not) null; one that is a row itself is none.
            let test = |element: Typed| {
                if matches!(element.data_type, DataType::Struct(_)) && !matches!(element.expr, Expr::Column(_)) {
                    return lit(negated);
                }
                let inner = Box::new(element.expr);
                if negated { Expr::IsNotNull(inner) } else { Expr::IsNull(inner) }
            };
            let all = elements.into_iter().map(test).reduce(Expr::and).unwrap_or_else(|| lit(true));
            return Ok(Typed::new(all, SqlType::Bool, false));
        }
        let value = self.expression(expr, place)?;
        if let Expr::Placeholder(placeholder) = &value.expr
            && value.is_unknown()
        {
            return Err(Error::new(
                ErrorKind::IndeterminateDatatype,
                format!("could not determine data type of parameter {}", placeholder.id),
            ));
        }
        let inner = Box::new(value.expr);
        Ok(Typed::new(if negated { Expr::IsNotNull(inner) } else { Expr::IsNull(inner) }, SqlType::Bool, false))
    }

    /// The elements of a row that is spelled out, or of a relation's whole row.
    pub(super) fn fields_of_row(&self, expr: &ast::Expr, place: Place<'_>) -> Result<Option<Vec<Typed>>> {
        if let Some(row) = row(expr) {
            let elements: Vec<ast::Expr> = row.into_iter().cloned().collect();
            return self.row_elements(&elements, place).map(Some);
        }
        let ast::Expr::Identifier(ident) = unnested(expr) else { return Ok(None) };
        let idents = std::slice::from_ref(ident);
        match place.range.table(idents) {
            Some(table) if place.range.find_bare(idents)?.is_none() => {
                Ok(Some(table.columns.iter().map(|column| column.value.clone()).collect()))
            }
            _ => Ok(None),
        }
    }

    /// The elements of a row; `t.*` stands for the columns of `t`.
    pub(super) fn row_elements(&self, elements: &[ast::Expr], place: Place<'_>) -> Result<Vec<Typed>> {
        let mut values = vec![];
        for element in elements {
            if let ast::Expr::QualifiedWildcard(name, _) = element {
                let idents: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
                if let Some(table) = place.range.table(&idents) {
                    values.extend(table.columns.iter().map(|column| column.value.clone()));
                    continue;
                }
            }
            values.push(self.expression(element, place)?);
        }
        Ok(values)
    }

    pub(super) fn truth_test(&self, expr: &ast::Expr, name: &str, build: fn(Box<Expr>) -> Expr, place: Place<'_>) -> Result<Typed> {
        let value = self.expression(expr, place)?;
        let value = self.condition(value, name)?;
        Ok(Typed::new(build(Box::new(value.expr)), SqlType::Bool, false))
    }

    pub(super) fn distinct_test(&self, left: &ast::Expr, right: &ast::Expr, operator: Operator, place: Place<'_>) -> Result<Typed> {
        if let (Some(left), Some(right)) = (row(left), row(right)) {
            return self.row_comparison(&BinaryOp::Compare(operator), &left, &right, place);
        }
        let (left, right) = (self.expression(left, place)?, self.expression(right, place)?);
        self.compare(operator, left, right)
    }

    pub(super) fn between(
        &self,
        expr: &ast::Expr,
        negated: bool,
        low: &ast::Expr,
        high: &ast::Expr,
        place: Place<'_>,
    ) -> Result<Typed> {
        let value = self.expression(expr, place)?;
        let low = self.expression(low, place)?;
        let high = self.expression(high, place)?;
        let (from, to, connect) =
            if negated { (Operator::Lt, Operator::Gt, BinaryOp::Or) } else { (Operator::GtEq, Operator::LtEq, BinaryOp::And) };
        let above = self.compare(from, self.copied(&value)?, low).map_err(|error| at(error, expr.span()))?;
        let below = self.compare(to, value, high).map_err(|error| at(error, expr.span()))?;
        self.binary(&connect, above, below)
    }

    pub(super) fn in_expressions(&self, expr: &ast::Expr, list: &[ast::Expr], negated: bool, place: Place<'_>) -> Result<Typed> {
        if let Some(left) = row(expr) {
            let (operator, connect) = if negated { (Operator::NotEq, BinaryOp::And) } else { (Operator::Eq, BinaryOp::Or) };
            let compare = |element| {
                let right = row(element).ok_or_else(|| Error::new(ErrorKind::Syntax, "a row can be compared with rows only"))?;
                self.row_comparison(&BinaryOp::Compare(operator), &left, &right, place)
            };
            let result = self.balanced(&connect, list.iter().map(compare).collect::<Result<_>>()?)?;
            return result.ok_or_else(|| Error::new(ErrorKind::Syntax, "IN list is empty"));
        }
        let value = self.expression(expr, place)?;
        let list = list.iter().map(|element| self.expression(element, place)).collect::<Result<Vec<_>>>()?;
        self.in_list(value, list, negated).map_err(|error| at(error, expr.span()))
    }

    /// `left op ANY (array or subquery)`, `left op ALL (..)`.
    pub(super) fn quantified(
        &self,
        left: &ast::Expr,
        operator: &BinaryOp,
        right: &ast::Expr,
        all: bool,
        place: Place<'_>,
    ) -> Result<Typed> {
        let right = unnested(right);
        if let ast::Expr::Subquery(subquery) = right {
            return self.quantified_subquery(left, operator, subquery, all, place);
        }
        let value = self.expression(left, place)?;
        if let ast::Expr::Array(array) = right {
            let elements = array.elem.iter().map(|element| self.expression(element, place)).collect::<Result<Vec<_>>>()?;
            return self.any_of(operator, &value, elements, all);
        }
        let array = self.expression(right, place)?;
        let array = if array.is_unknown() {
            let element = if value.is_unknown() || family(&value.sql_type) == Family::String {
                SqlType::Text
            } else {
                value.sql_type.clone()
            };
            self.cast(array, &SqlType::Array(Box::new(element)))?
        } else {
            array
        };
        let Some(element) = element_type(&array.sql_type) else {
            return Err(Error::new(ErrorKind::WrongObjectType, "op ANY/ALL (array) requires array on right side"));
        };
        if let Expr::Literal(ScalarValue::List(list), _) = &array.expr
            && list.len() == 1
            && !array.is_null_literal()
        {
            let items = list.value(0);
            let elements = (0..items.len())
                .map(|index| {
                    let value = ScalarValue::try_from_array(&items, index).map_err(|error| Error::internal(error.to_string()))?;
                    Ok(Typed::constant(value, element.clone()))
                })
                .collect::<Result<Vec<_>>>()?;
            return self.any_of(operator, &value, elements, all);
        }
        let probe = Typed { expr: array.expr.clone(), ..Typed::new(array.expr.clone(), element.clone(), true) };
        let value = if value.is_unknown() { self.cast(value, &element)? } else { value };
        self.comparable(value.clone(), probe.clone(), "=")?;
        let (value, array) = self.numbers_alike(value, array, &probe)?;
        let element = if has_key(&probe.data_type) { element_type(&array.sql_type).unwrap_or(SqlType::Bytea) } else { element };
        let contains = Typed::new(nested::array_has(array.expr.clone(), value.expr.clone()), SqlType::Bool, true);
        match (operator, all) {
            (BinaryOp::Compare(Operator::Eq), false) => Ok(contains),
            (BinaryOp::Compare(Operator::NotEq), true) => Ok(Typed::boolean(Expr::Not(Box::new(contains.expr)))),
            (BinaryOp::Compare(compare @ (Operator::Lt | Operator::LtEq)), false)
            | (BinaryOp::Compare(compare @ (Operator::Gt | Operator::GtEq)), true) => {
                let extreme = Typed::new(nested::array_max(array.expr), element, true);
                self.compare(*compare, value, extreme)
            }
            (BinaryOp::Compare(compare @ (Operator::Gt | Operator::GtEq)), false)
            | (BinaryOp::Compare(compare @ (Operator::Lt | Operator::LtEq)), true) => {
                let extreme = Typed::new(nested::array_min(array.expr), element, true);
                self.compare(*compare, value, extreme)
            }
            _ => self.quantified_elements(value, operator, Typed { sql_type: SqlType::Array(Box::new(element)), ..array }, all),
        }
    }

    /// A number and an array of numbers in one type, in which both keep their digits: what looks for an element knows no other way.
    pub(super) fn numbers_alike(&self, value: Typed, array: Typed, element: &Typed) -> Result<(Typed, Typed)> {
        if family(&value.sql_type) != Family::Number {
            return Ok((keyed(value), keyed(array)));
        }
        let common = self.common_type(&[&value, element], "ANY/ALL")?;
        if common == SqlType::UnconstrainedNumeric {
            return Ok((keyed(self.unconstrained(value)?), keyed(self.unconstrained_array(array))));
        }
        if value.data_type == element.data_type {
            return Ok((value, array));
        }
        let wider = common.arrow_type();
        let list = DataType::List(Arc::new(Field::new_list_field(wider.clone(), true)));
        let array = Typed { expr: cast_expr(array.expr, &list), data_type: list, ..array };
        Ok((Typed { expr: cast_expr(value.expr, &wider), data_type: wider, ..value }, array))
    }

    /// `value` in a type that compares with `other`.
    pub(super) fn typed_beside(&self, value: Typed, other: &Typed) -> Result<(Typed, Typed)> {
        let value = if value.is_unknown() { self.cast(value, &other.sql_type)? } else { value };
        self.comparable(value, other.clone(), "=")
    }
}

fn operator_span(left: &ast::Expr, right: &ast::Expr) -> datafusion::sql::sqlparser::tokenizer::Span {
    // The operator itself has no span; PostgreSQL points at it, we at its left side.
    let span = left.span();
    if span.start.column > 0 { span } else { right.span() }
}
