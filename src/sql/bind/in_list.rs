//! `IN (list)`, and `= ANY`, `<> ALL` over constants.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Expr, Operator};

use super::Binder;
use super::coerce::{Family, family};
use super::numeric::keyed;
use super::operator::{BinaryOp, is_integer, no_operator};
use super::typed::Typed;
use crate::error::{Error, Result};
use crate::types::SqlType;

impl Binder<'_> {
    /// `value = ANY (elements)` and the like over constants: any operator, spelled out.
    pub(super) fn any_of(&self, op: &BinaryOp, value: &Typed, elements: Vec<Typed>, all: bool) -> Result<Typed> {
        if *op == BinaryOp::Compare(Operator::Eq) && !all && !elements.is_empty() {
            return self.in_list(value.clone(), elements, false);
        }
        if *op == BinaryOp::Compare(Operator::NotEq) && all && !elements.is_empty() {
            return self.in_list(value.clone(), elements, true);
        }
        let connect = if all { BinaryOp::And } else { BinaryOp::Or };
        let compare = |element| self.binary(op, self.copied(value)?, element);
        let result = self.balanced(&connect, elements.into_iter().map(compare).collect::<Result<_>>()?)?;
        Ok(result.unwrap_or_else(|| Typed::constant(ScalarValue::Boolean(Some(all)), SqlType::Bool)))
    }

    /// Many conditions as a balanced tree: a list of thousands must not become a tree as deep. None if there are none.
    pub(super) fn balanced(&self, connect: &BinaryOp, mut conditions: Vec<Typed>) -> Result<Option<Typed>> {
        while conditions.len() > 1 {
            let mut rest = conditions.into_iter();
            let mut pairs = Vec::new();
            while let Some(left) = rest.next() {
                pairs.push(match rest.next() {
                    Some(right) => self.binary(connect, left, right)?,
                    None => left,
                });
            }
            conditions = pairs;
        }
        Ok(conditions.pop())
    }

    /// `value [NOT] IN (list)`.
    pub(super) fn in_list(&self, value: Typed, list: Vec<Typed>, negated: bool) -> Result<Typed> {
        let mut all = vec![value];
        all.extend(list);
        let symbol = if negated { "<>" } else { "=" };
        let known: Vec<&Typed> = all.iter().filter(|value| !value.is_unknown()).collect();
        for other in known.iter().skip(1) {
            if family(&other.sql_type) != family(&known[0].sql_type) {
                return Err(no_operator(known[0], symbol, other));
            }
        }
        let nullable = all.iter().any(|value| value.nullable);
        let common = self.common_type(&all.iter().collect::<Vec<_>>(), "IN")?;
        if family(&common) == Family::Number && !all.iter().all(|value| is_integer(value) || value.is_null_literal()) {
            let numbers = all.into_iter().map(|value| self.number_beside(value, &common));
            let mut numbers = numbers.collect::<Result<Vec<_>>>()?.into_iter();
            let value = numbers.next().ok_or_else(|| Error::internal("IN without a value"))?;
            return self.number_in_list(value, numbers.collect(), negated);
        }
        let mut values = all.into_iter().map(|value| -> Result<Typed> {
            // A column keeps its own representation, so that files can be pruned by it.
            let given = value.is_unknown() || family(&common) == Family::DateTime;
            let value = if given { self.widened(value, &common)? } else { value };
            Ok(keyed(value))
        });
        let value = values.next().transpose()?.ok_or_else(|| Error::internal("IN without a value"))?;
        let list = values.map(|value| value.map(|value| value.expr)).collect::<Result<Vec<_>>>()?;
        Ok(Typed::new(Expr::InList(InList::new(Box::new(value.expr), list, negated)), SqlType::Bool, nullable))
    }
}
