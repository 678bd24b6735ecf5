//! Expressions.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::{Case, Expr, Operator, lit};
use datafusion::sql::sqlparser::ast::{
    self, CaseWhen, CastKind, CeilFloorKind, DateTimeField, Ident, NamedWindowDefinition, ObjectName, Spanned, UnaryOperator, Value,
};

use super::coerce::{cast_expr, element_type, parameter};
use super::error::{at, folded, name_parts, undefined_column};
use super::interval_type::interval_modifier;
use super::mistyped::with_guess;
use super::numeric::{converted, numeric_constant};
use super::operator::{BinaryOp, binary_operator};
use super::range::{Aggregates, Environment, Presence, Range, RangeTable};
use super::typed::Typed;
use super::{Binder, kernels};
use crate::error::{Error, ErrorKind, Result};
use crate::functions::numeric::Operation;
use crate::sql::sql_type_of;
use crate::sql::type_name::{wide_numeric, without_fraction};
use crate::types::SqlType;
use crate::types::values::numeric::Numeric;

/// The clause that an expression stands in: what may be called there, and how the error names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clause {
    Where,
    JoinOn,
    Select,
    GroupBy,
    Having,
    OrderBy,
    DistinctOn,
    Limit,
    Values,
    From,
    /// An expression by itself: a function's body, a policy.
    Expression,
}

impl Clause {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Clause::Where => "WHERE",
            Clause::JoinOn => "JOIN conditions",
            Clause::Select => "SELECT",
            Clause::GroupBy => "GROUP BY",
            Clause::Having => "HAVING",
            Clause::OrderBy => "ORDER BY",
            Clause::DistinctOn => "DISTINCT ON",
            Clause::Limit => "LIMIT",
            Clause::Values => "VALUES",
            Clause::From => "functions in FROM",
            Clause::Expression => "this expression",
        }
    }

    pub(super) const fn allows_aggregates(self) -> bool {
        matches!(self, Clause::Select | Clause::Having | Clause::OrderBy | Clause::DistinctOn)
    }

    pub(super) const fn allows_windows(self) -> bool {
        matches!(self, Clause::Select | Clause::OrderBy | Clause::DistinctOn)
    }
}

/// A set-returning function in a select list: `column` stands for one element of `list`.
#[derive(Debug, Clone)]
pub(super) struct SetCall {
    pub(super) column: String,
    pub(super) list: Expr,
}

/// Where an expression stands.
#[derive(Clone, Copy)]
pub(super) struct Place<'c> {
    pub(super) range: &'c Range,
    pub(super) environment: &'c Environment<'c>,
    pub(super) clause: Clause,
    pub(super) windows: &'c [NamedWindowDefinition],
    /// Set-returning functions met so far, where they are allowed.
    pub(super) sets: Option<&'c RefCell<Vec<SetCall>>>,
    /// Inside the arguments of an aggregate or window function.
    pub(super) inside: Option<&'static str>,
    /// Takes the aggregates that belong to this query and stand in its subqueries.
    pub(super) aggregates: Option<&'c Aggregates>,
    /// The construct that forbids set-returning functions.
    pub(super) construct: Option<&'static str>,
}

impl<'c> Place<'c> {
    pub(super) fn new(range: &'c Range, environment: &'c Environment<'c>, clause: Clause) -> Self {
        Self { range, environment, clause, windows: &[], sets: None, inside: None, aggregates: None, construct: None }
    }

    /// Inside of a construct whose parts are not always evaluated.
    pub(super) fn without_sets(self, construct: &'static str) -> Self {
        if self.sets.is_none() { self } else { Self { sets: None, construct: Some(construct), ..self } }
    }
}

impl Binder<'_> {
    /// Binds one expression.
    pub(super) fn expression(&self, expr: &ast::Expr, place: Place<'_>) -> Result<Typed> {
        use ast::Expr as E;
        match expr {
            E::Identifier(ident) => self.column(std::slice::from_ref(ident), place),
            E::CompoundIdentifier(idents) => self.column(idents, place),
            E::Nested(inner) => self.expression(inner, place),
            E::Value(value) => self.value(&value.value).map_err(|error| at(error, value.span)),
            E::TypedString(typed) => {
                let text = typed.value.value.clone().into_string().unwrap_or_default();
                if let Some(modifier) = interval_modifier(&typed.data_type)? {
                    return self.interval_constant(&text, modifier).map_err(|error| at(error, typed.value.span));
                }
                let (data_type, fraction) = without_fraction(&typed.data_type);
                let target = sql_type_of(&data_type)?;
                let constant = self.cast(Typed::unknown(text), &target).map_err(|error| at(error, typed.value.span))?;
                Ok(Typed { declared: target != SqlType::UnconstrainedNumeric, ..with_fraction(constant, fraction) })
            }
            E::Interval(interval) => self.interval(interval, place),
            E::BinaryOp { left, op, right } => self.binary_op(left, op, right, place),
            E::UnaryOp { op, expr } => self.unary_op(*op, expr, place),
            E::IsNull(inner) => self.null_test(inner, false, place),
            E::IsNotNull(inner) => self.null_test(inner, true, place),
            E::IsTrue(inner) => self.truth_test(inner, "IS TRUE", Expr::IsTrue, place),
            E::IsNotTrue(inner) => self.truth_test(inner, "IS NOT TRUE", Expr::IsNotTrue, place),
            E::IsFalse(inner) => self.truth_test(inner, "IS FALSE", Expr::IsFalse, place),
            E::IsNotFalse(inner) => self.truth_test(inner, "IS NOT FALSE", Expr::IsNotFalse, place),
            E::IsUnknown(inner) => self.truth_test(inner, "IS UNKNOWN", Expr::IsUnknown, place),
            E::IsNotUnknown(inner) => self.truth_test(inner, "IS NOT UNKNOWN", Expr::IsNotUnknown, place),
            E::IsDistinctFrom(left, right) => self.distinct_test(left, right, Operator::IsDistinctFrom, place),
            E::IsNotDistinctFrom(left, right) => self.distinct_test(left, right, Operator::IsNotDistinctFrom, place),
            E::Between { expr, negated, low, high } => self.between(expr, *negated, low, high, place),
            E::InList { expr, list, negated } => self.in_expressions(expr, list, *negated, place),
            E::InSubquery { expr, subquery, negated } => self.in_subquery(expr, subquery, *negated, place),
            E::Exists { subquery, negated } => self.exists(subquery, *negated, place),
            E::Subquery(subquery) => self.scalar_subquery(subquery, place),
            E::AnyOp { left, compare_op, right, is_some: _ } => {
                self.quantified(left, &binary_operator(compare_op)?, right, false, place)
            }
            E::AllOp { left, compare_op, right } => self.quantified(left, &binary_operator(compare_op)?, right, true, place),
            E::Like { negated, any: false, expr, pattern, escape_char: None } if all_of(pattern).is_some() => {
                let operator = BinaryOp::Like { negated: *negated, case_insensitive: false };
                self.quantified(expr, &operator, all_of(pattern).unwrap_or(pattern), true, place)
            }
            E::ILike { negated, any: false, expr, pattern, escape_char: None } if all_of(pattern).is_some() => {
                let operator = BinaryOp::Like { negated: *negated, case_insensitive: true };
                self.quantified(expr, &operator, all_of(pattern).unwrap_or(pattern), true, place)
            }
            E::Like { negated, any: false, expr, pattern, escape_char } => {
                let (value, pattern) = (self.expression(expr, place)?, self.expression(pattern, place)?);
                let escape = escape_char.as_ref().map(|escape| escape.value.clone().into_string().unwrap_or_default());
                self.like(*negated, false, value, pattern, escape.as_deref())
            }
            E::ILike { negated, any: false, expr, pattern, escape_char } => {
                let (value, pattern) = (self.expression(expr, place)?, self.expression(pattern, place)?);
                let escape = escape_char.as_ref().map(|escape| escape.value.clone().into_string().unwrap_or_default());
                self.like(*negated, true, value, pattern, escape.as_deref())
            }
            E::Like { negated, any: true, expr, pattern, escape_char: None } => {
                let operator = BinaryOp::Like { negated: *negated, case_insensitive: false };
                self.quantified(expr, &operator, pattern, false, place)
            }
            E::ILike { negated, any: true, expr, pattern, escape_char: None } => {
                let operator = BinaryOp::Like { negated: *negated, case_insensitive: true };
                self.quantified(expr, &operator, pattern, false, place)
            }
            E::SimilarTo { negated, expr, pattern, escape_char } => {
                let (value, pattern) = (self.expression(expr, place)?, self.expression(pattern, place)?);
                let escape = escape_char.as_ref().map(|escape| escape.value.clone().into_string().unwrap_or_default());
                self.similar_to(*negated, value, pattern, escape.as_deref())
            }
            E::RLike { negated, expr, pattern, regexp: _ } => {
                let (value, pattern) = (self.expression(expr, place)?, self.expression(pattern, place)?);
                let operator = if *negated { Operator::RegexNotMatch } else { Operator::RegexMatch };
                self.binary(&BinaryOp::Regex(operator), value, pattern)
            }
            E::Cast { kind, expr, data_type, array: false, format: None } => self.explicit_cast(kind, expr, data_type, place),
            E::Collate { expr, collation } => self.collate(expr, collation, place),
            E::Case { operand, conditions, else_result, case_token: _, end_token: _ } => {
                let place = place.without_sets("CASE");
                self.case(operand.as_deref(), conditions, else_result.as_deref(), place)
            }
            E::Function(function) => self.function(function, place),
            E::Array(array) => self.array(&array.elem, place),
            E::CompoundFieldAccess { root, access_chain } => self.field_access(root, access_chain, place),
            E::Extract { field, expr, syntax: _ } => self.extract(field, expr, place),
            E::AtTimeZone { timestamp, time_zone } => self.at_time_zone(timestamp, time_zone, place),
            E::Position { expr, r#in } => {
                let (needle, hay) = (self.expression(expr, place)?, self.expression(r#in, place)?);
                if hay.sql_type == SqlType::Bytea {
                    return self.call_builtin("position", vec![hay, needle]);
                }
                let arguments = vec![self.text(hay)?, self.text(needle)?];
                self.call_builtin("strpos", arguments)
            }
            E::Substring { expr, substring_from, substring_for, special: _, shorthand: _ } => {
                self.substring(expr, substring_from.as_deref(), substring_for.as_deref(), place)
            }
            E::Trim { expr, trim_where, trim_what, trim_characters } => {
                self.trim(expr, *trim_where, trim_what.as_deref(), trim_characters.as_deref(), place)
            }
            E::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments = vec![self.expression(expr, place)?, self.expression(overlay_what, place)?];
                let integer = counter_of(&arguments[0]);
                for part in [Some(overlay_from), overlay_for.as_ref()].into_iter().flatten() {
                    let position = self.expression(part, place)?;
                    arguments.push(self.cast(position, &integer)?);
                }
                self.call_builtin("overlay", arguments)
            }
            E::Ceil { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let value = self.expression(expr, place)?;
                self.call_builtin("ceil", vec![value])
            }
            E::Floor { expr, field: CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) } => {
                let value = self.expression(expr, place)?;
                self.call_builtin("floor", vec![value])
            }
            E::Tuple(elements) => self.row(self.row_elements(elements, place)?),
            E::QualifiedWildcard(name, _) => {
                let idents: Vec<Ident> = name.0.iter().filter_map(|part| part.as_ident().cloned()).collect();
                match place.range.table(&idents) {
                    Some(table) => whole_row(table),
                    None => {
                        let message = format!("missing FROM-clause entry for table \"{}\"", name_parts(name).join("."));
                        Err(at(Error::new(ErrorKind::UndefinedRelation, message), super::error::name_span(name)))
                    }
                }
            }
            E::GroupingSets(_) | E::Cube(_) | E::Rollup(_) => {
                Err(Error::new(ErrorKind::Syntax, "grouping sets are allowed in GROUP BY only"))
            }
            other => Err(at(Error::unsupported(format!("the expression {}", shortened(other))), expr.span())),
        }
    }

    /// Binds an expression that must be a condition.
    pub(super) fn condition_of(&self, expr: &ast::Expr, place: Place<'_>) -> Result<Typed> {
        let value = self.expression(expr, place)?;
        self.condition(value, place.clause.name()).map_err(|error| at(error, expr.span()))
    }

    pub(super) fn column(&self, idents: &[Ident], place: Place<'_>) -> Result<Typed> {
        let span = idents.first().map_or_else(datafusion::sql::sqlparser::tokenizer::Span::empty, |ident| ident.span);
        // A relation of any query around comes before a column whose fields could be meant.
        let unreachable = idents.len() > 1 && place.environment.ranges(place.range).iter().any(|range| range.forbids(&idents[0]));
        let bare = |range: &Range| -> Result<Option<(Typed, &[Ident])>> {
            let found = range.find_bare(idents)?;
            Ok(found.filter(|(value, fields)| fields.is_empty() || matches!(value.data_type, DataType::Struct(_))))
        };
        for qualified in [true, false] {
            if !qualified && unreachable {
                break;
            }
            let find = |range: &Range| if qualified { range.find_qualified(idents) } else { bare(range) };
            if let Some((found, fields)) = find(place.range)? {
                return self.struct_fields(found, fields);
            }
            let mut outer = place.environment.outer;
            while let Some(level) = outer {
                if let Some((found, fields)) = find(level.range)? {
                    let reference = self.outer_reference(found)?;
                    return self.struct_fields(reference, fields);
                }
                outer = level.next;
            }
        }
        if let [name] = idents {
            // `select t from t`
            if let Some(table) = place.range.table(idents) {
                return whole_row(table).map_err(|error| at(error, span));
            }
            if name.value == "ctid" && !place.range.tables.is_empty() {
                return Err(at(
                    Error::unsupported("the system column ctid").with_hint("Rows have no address; use a key of your own."),
                    span,
                ));
            }
            if name.quote_style.is_none()
                && let Some(value) = self.bare_function(&name.value, place)?
            {
                return Ok(value);
            }
        }
        let parts: Vec<String> = idents.iter().map(folded).collect();
        let ranges = place.environment.ranges(place.range);
        if let [name] = parts.as_slice()
            && let Some(error) = ranges.iter().find_map(|range| range.unreachable_column(name))
        {
            return Err(at(error, span));
        }
        if let [table, _] = parts.as_slice()
            && place.range.table(&idents[..1]).is_none()
        {
            if let Some(error) = ranges.iter().find_map(|range| range.invalid_reference(table)) {
                return Err(at(error, span));
            }
            let message = format!("missing FROM-clause entry for table \"{table}\"");
            return Err(at(Error::new(ErrorKind::UndefinedRelation, message), span));
        }
        let around = std::iter::successors(place.environment.outer, |level| level.next).map(|level| level.range);
        Err(with_guess(undefined_column(&parts, span), std::iter::once(place.range).chain(around), &parts))
    }

    /// The same value seen from inside a subquery.
    pub(super) fn outer_reference(&self, value: Typed) -> Result<Typed> {
        Ok(Typed { expr: self.outer_expression(value.expr)?, ..value })
    }

    /// The same for an expression without its type.
    pub(super) fn outer_expression(&self, expr: Expr) -> Result<Expr> {
        let shared = self.world.shared.borrow();
        let expr = expr.transform_up(|expr| {
            Ok(match expr {
                Expr::Column(column) => match shared.columns.get(&column) {
                    Some(field) => Transformed::yes(Expr::OuterReferenceColumn(std::sync::Arc::clone(field), column)),
                    None => Transformed::no(Expr::Column(column)),
                },
                other => Transformed::no(other),
            })
        });
        expr.map(|expr| expr.data).map_err(|error| Error::internal(error.to_string()))
    }

    pub(super) fn struct_fields(&self, value: Typed, fields: &[Ident]) -> Result<Typed> {
        let mut value = value;
        for field in fields {
            value = self.struct_field(value, &folded(field)).map_err(|error| at(error, field.span))?;
        }
        Ok(value)
    }

    pub(super) fn struct_field(&self, value: Typed, name: &str) -> Result<Typed> {
        let datafusion::arrow::datatypes::DataType::Struct(fields) = &value.data_type else {
            return Err(Error::new(
                ErrorKind::WrongObjectType,
                format!("column notation .{name} applied to type {}, which is not a composite type", value.sql_type),
            ));
        };
        let field = fields
            .iter()
            .find(|field| field.name() == name)
            .or_else(|| fields.iter().find(|field| field.name().eq_ignore_ascii_case(name)))
            .ok_or_else(|| Error::new(ErrorKind::UndefinedColumn, format!("column \"{name}\" not found in data type record")))?;
        let access = datafusion::functions::core::expr_fn::get_field(value.expr, field.name().as_str());
        let mut typed = Typed::of_field(access, field);
        typed.nullable = true;
        Ok(typed)
    }

    fn value(&self, value: &Value) -> Result<Typed> {
        match value {
            Value::Number(text, _) => number(text),
            Value::Boolean(truth) => Ok(Typed::constant(ScalarValue::Boolean(Some(*truth)), SqlType::Bool)),
            Value::Null => Ok(Typed::null()),
            Value::Placeholder(name) => self.placeholder(name),
            Value::HexStringLiteral(digits) => {
                let bytes = hex::decode(digits).map_err(|_| Error::new(ErrorKind::InvalidText, "invalid hexadecimal data"))?;
                Ok(Typed::constant(ScalarValue::Binary(Some(bytes)), SqlType::Bytea))
            }
            other => match other.clone().into_string() {
                Some(text) => Ok(Typed::unknown(text)),
                None => Err(Error::unsupported(format!("the literal {other}"))),
            },
        }
    }

    fn placeholder(&self, name: &str) -> Result<Typed> {
        let missing = || Error::new(ErrorKind::UndefinedParameter, format!("there is no parameter {name}"));
        let number: usize = name.strip_prefix('$').and_then(|digits| digits.parse().ok()).ok_or_else(missing)?;
        let mut shared = self.world.shared.borrow_mut();
        if number == 0 || number > 65_535 || !shared.accepts_parameters {
            return Err(missing());
        }
        if shared.parameters.len() < number {
            shared.parameters.resize(number, None);
        }
        match shared.parameters.get(number - 1).cloned().flatten() {
            Some(sql_type) => Ok(parameter(number, &sql_type)),
            None => {
                let expr = Expr::Placeholder(datafusion::logical_expr::expr::Placeholder::new_with_field(name.to_string(), None));
                Ok(Typed::new(expr, SqlType::Unknown, true))
            }
        }
    }

    fn unary_op(&self, op: UnaryOperator, expr: &ast::Expr, place: Place<'_>) -> Result<Typed> {
        // The smallest integer has no positive counterpart, so the sign is read with its number.
        if let (UnaryOperator::Minus, ast::Expr::Value(value)) = (op, expr)
            && let Value::Number(text, _) = &value.value
        {
            return number(&format!("-{text}"));
        }
        let value = self.expression(expr, place)?;
        self.unary(op, value).map_err(|error| at(error, expr.span()))
    }

    fn explicit_cast(&self, kind: &CastKind, expr: &ast::Expr, data_type: &ast::DataType, place: Place<'_>) -> Result<Typed> {
        if let Some(modifier) = interval_modifier(data_type)? {
            let value = self.expression(expr, place)?;
            return self.cast_to_interval(value, modifier).map_err(|error| at(error, expr.span()));
        }
        let (data_type, fraction) = without_fraction(data_type);
        let target = sql_type_of(&data_type).map_err(|error| at(error, expr.span()))?;
        // ARRAY[]::int[]
        if let (ast::Expr::Array(array), SqlType::Array(element)) = (unnested(expr), &target) {
            let elements = array
                .elem
                .iter()
                .map(|item| {
                    let item = self.expression(item, place)?;
                    let of = if matches!(item.sql_type, SqlType::Array(_)) { &target } else { element };
                    self.cast(item, of)
                })
                .collect::<Result<Vec<_>>>()?;
            // `numeric` without modifiers keeps the digits of each element, but they have one type.
            let known: Vec<&Typed> = elements.iter().filter(|item| !item.is_null_literal()).collect();
            let common = if known.is_empty() { (**element).clone() } else { self.common_type(&known, "ARRAY")? };
            return self.array_of(elements, common);
        }
        let value = self.expression(expr, place)?;
        if let (Some(limits), CastKind::Cast | CastKind::DoubleColon) = (wide_numeric(&data_type), kind) {
            let value = self.unconstrained(value).map_err(|error| at(error, expr.span()))?;
            return Ok(converted(value, Operation::Numeric(Some(limits)), &target));
        }
        match kind {
            CastKind::TryCast | CastKind::SafeCast if !value.is_unknown() || value.literal_text().is_some() => {
                let value = self.tried(value, &target).map_err(|error| at(error, expr.span()))?;
                Ok(with_fraction(value, fraction))
            }
            _ => {
                let cast = self.cast(value, &target).map_err(|error| at(error, expr.span()))?;
                let cast = with_fraction(cast, fraction);
                Ok(Typed { declared: cast.declared || target != SqlType::UnconstrainedNumeric, ..cast })
            }
        }
    }

    fn collate(&self, expr: &ast::Expr, collation: &ObjectName, place: Place<'_>) -> Result<Typed> {
        let parts = name_parts(collation);
        let name = parts.last().map(String::as_str).unwrap_or_default();
        let qualified = parts.len() == 1 || parts.first().is_some_and(|schema| schema == "pg_catalog");
        if !qualified || !matches!(name, "default" | "C" | "POSIX" | "ucs_basic" | "c" | "posix") {
            return Err(at(
                Error::unsupported(format!("collation \"{name}\""))
                    .with_hint("Text is compared by code points: use \"C\" or \"default\"."),
                super::error::name_span(collation),
            ));
        }
        self.expression(expr, place)
    }

    fn case(
        &self,
        operand: Option<&ast::Expr>,
        conditions: &[CaseWhen],
        default: Option<&ast::Expr>,
        place: Place<'_>,
    ) -> Result<Typed> {
        let operand = operand.map(|operand| self.expression(operand, place)).transpose()?;
        let mut tests = vec![];
        let mut results = vec![];
        for CaseWhen { condition, result } in conditions {
            let test = match &operand {
                Some(operand) => {
                    let value = self.expression(condition, place)?;
                    self.compare(Operator::Eq, self.copied(operand)?, value).map_err(|error| at(error, condition.span()))?
                }
                None => {
                    let value = self.expression(condition, place)?;
                    self.condition(value, "CASE/WHEN").map_err(|error| at(error, condition.span()))?
                }
            };
            tests.push(test.expr);
            results.push(self.expression(result, place)?);
        }
        let has_default = default.is_some();
        results.push(default.map_or_else(|| Ok(Typed::null()), |default| self.expression(default, place))?);
        let nullable = results.iter().any(|result| result.nullable);
        let (mut results, common) = self.unify(results, "CASE")?;
        let default = results.pop().filter(|_| has_default);
        let data_type = results.first().map_or_else(|| common.arrow_type(), |result| result.data_type.clone());
        let branches = tests.into_iter().zip(results).map(|(test, result)| (Box::new(test), Box::new(result.expr))).collect();
        let expr = Expr::Case(Case::new(None, branches, default.map(|default| Box::new(default.expr))));
        Ok(Typed { data_type, ..Typed::new(expr, common, nullable) })
    }

    /// A new internal column for an element of a set-returning function.
    pub(super) fn set_call(&self, list: Typed, place: Place<'_>) -> Result<Typed> {
        let Some(sets) = place.sets else {
            let elsewhere = "You might be able to move the set-returning function into a LATERAL FROM item.";
            let refused = |message: String| Err(Error::new(ErrorKind::Unsupported, message));
            return match place.construct.or(place.inside) {
                Some("aggregate") => refused("aggregate function calls cannot contain set-returning function calls".into()),
                Some("window") => refused("window function calls cannot contain set-returning function calls".into()),
                Some(construct) => refused(format!("set-returning functions are not allowed in {construct}")),
                None => return refused(format!("set-returning functions are not allowed in {}", place.clause.name())),
            }
            .map_err(|error| error.with_hint(elsewhere));
        };
        let datafusion::arrow::datatypes::DataType::List(element) = &list.data_type else {
            return Err(Error::new(ErrorKind::DatatypeMismatch, format!("unnest of {} is not possible", list.sql_type)));
        };
        let mut typed = Typed::of_field(Expr::Literal(ScalarValue::Null, None), element);
        if let Some(sql_type) = element_type(&list.sql_type) {
            typed.sql_type = sql_type;
        }
        typed.nullable = true;
        // Those of one list go in step, so they are one.
        let known = sets.borrow().iter().find(|set| set.list == list.expr && !set.list.is_volatile()).map(|set| set.column.clone());
        if let Some(column) = known {
            typed.expr = Expr::Column(Column::new_unqualified(column));
            return Ok(typed);
        }
        let column = self.unique("set");
        typed.expr = Expr::Column(Column::new_unqualified(column.clone()));
        self.register(&Column::new_unqualified(column.clone()), &typed);
        sets.borrow_mut().push(SetCall { column, list: list.expr });
        Ok(typed)
    }
}

/// What counts the characters of a text, or the bytes of a `bytea`.
pub(super) fn counter_of(value: &Typed) -> SqlType {
    if value.sql_type == SqlType::Bytea { SqlType::Int4 } else { SqlType::Int8 }
}

/// A value of a type with or without a precision of its seconds: what a cast to it gives.
fn with_fraction(value: Typed, digits: Option<u32>) -> Typed {
    let Some(digits) = digits else { return Typed { fraction: None, ..value } };
    let data_type = value.sql_type.arrow_type();
    let expr = if value.data_type == data_type { value.expr } else { cast_expr(value.expr, &data_type) };
    Typed { fraction: Some(digits), ..Typed::new(kernels::round_fraction(expr, digits), value.sql_type, value.nullable) }
}

/// All columns of a table as one value, a record whose fields have the columns' names; NULL where an outer join has no row of it.
fn whole_row(table: &RangeTable) -> Result<Typed> {
    let arguments = table.columns.iter().flat_map(|column| [lit(column.name.as_str()), column.value.expr.clone()]).collect();
    let fields: Vec<_> =
        table.columns.iter().map(|column| Arc::new(Field::new(&column.name, column.value.data_type.clone(), true))).collect();
    let data_type = DataType::Struct(fields.into());
    let row = datafusion::functions::core::expr_fn::named_struct(arguments);
    let expr = match &table.presence {
        Presence::Always => row,
        Presence::Unless(column) => {
            let missing = Expr::IsNull(Box::new(column.clone()));
            let null = lit(ScalarValue::try_from(&data_type).unwrap_or(ScalarValue::Null));
            Expr::Case(Case::new(None, vec![(Box::new(missing), Box::new(null))], Some(Box::new(row))))
        }
        Presence::Unknown => {
            return Err(Error::unsupported(format!("a whole-row reference to \"{}\" behind an outer join", table.alias))
                .with_hint("Name the columns."));
        }
    };
    let nullable = !matches!(table.presence, Presence::Always);
    let sql_type = SqlType::Record(table.columns.iter().map(|column| column.value.sql_type.clone()).collect());
    Ok(Typed { expr, sql_type, data_type, nullable, origin: None, declared: false, fraction: None })
}

/// The elements of a row constructor.
pub(super) fn row(expr: &ast::Expr) -> Option<Vec<&ast::Expr>> {
    match expr {
        ast::Expr::Tuple(elements) => Some(elements.iter().collect()),
        ast::Expr::Nested(inner) => row(inner),
        ast::Expr::Function(call) if call.name.to_string().eq_ignore_ascii_case("row") => match &call.args {
            ast::FunctionArguments::List(list) => {
                let elements = list.args.iter().map(|argument| match argument {
                    ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(element)) => Some(element),
                    _ => None,
                });
                elements.collect()
            }
            _ => None,
        },
        _ => None,
    }
}

/// Without parentheses.
pub(super) fn unnested(expr: &ast::Expr) -> &ast::Expr {
    match expr {
        ast::Expr::Nested(inner) => unnested(inner),
        other => other,
    }
}

/// A number: `integer` if it fits, then `bigint`, then `numeric`.
fn number(text: &str) -> Result<Typed> {
    let digits = text.replace('_', "");
    if let Some(value) = radix(&digits) {
        return Ok(integer(value));
    }
    if let Ok(value) = digits.parse::<i64>() {
        return Ok(integer(value));
    }
    let syntax = |error: Error| match error.kind() {
        ErrorKind::InvalidText => Error::new(ErrorKind::Syntax, format!("invalid number \"{text}\"")),
        _ => error,
    };
    Ok(numeric_constant(&Numeric::parse(&digits).map_err(syntax)?))
}

fn integer(value: i64) -> Typed {
    match i32::try_from(value) {
        Ok(small) => Typed::constant(ScalarValue::Int32(Some(small)), SqlType::Int4),
        Err(_) => Typed::constant(ScalarValue::Int64(Some(value)), SqlType::Int8),
    }
}

/// `0x1F`, `0o17`, `0b11`.
fn radix(text: &str) -> Option<i64> {
    let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let lower = unsigned.to_ascii_lowercase();
    let value = [("0x", 16), ("0o", 8), ("0b", 2)]
        .into_iter()
        .find_map(|(prefix, radix)| i64::from_str_radix(lower.strip_prefix(prefix)?, radix).ok())?;
    Some(if negative { -value } else { value })
}

/// The beginning of an expression's text, for messages.
pub(super) fn shortened(expr: &ast::Expr) -> String {
    let text = expr.to_string();
    if text.chars().count() > 40 { format!("{}..", text.chars().take(40).collect::<String>()) } else { text }
}

/// The array of `LIKE ALL (array)`, which the parser takes for a function.
fn all_of(pattern: &ast::Expr) -> Option<&ast::Expr> {
    let ast::Expr::Function(function) = pattern else { return None };
    let ast::FunctionArguments::List(list) = &function.args else { return None };
    match (name_parts(&function.name).as_slice(), list.args.as_slice()) {
        ([name], [ast::FunctionArg::Unnamed(ast::FunctionArgExpr::Expr(array))]) if name == "all" => Some(array),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let typed = number(text).unwrap();
        format!("{} {}", typed.sql_type, typed.expr)
    }

    #[test]
    fn numbers_take_the_narrowest_type() {
        assert_eq!(number("2147483647").unwrap().sql_type, SqlType::Int4);
        assert_eq!(number("2147483648").unwrap().sql_type, SqlType::Int8);
        assert_eq!(number("-2147483648").unwrap().sql_type, SqlType::Int4);
        assert_eq!(number("9223372036854775808").unwrap().sql_type, SqlType::Numeric { precision: 19, scale: 0 });
        assert_eq!(number("1.50").unwrap().sql_type, SqlType::Numeric { precision: 3, scale: 2 });
        assert_eq!(number("0x1f").unwrap().expr, lit(31_i32));
        assert!(shown("1e2").starts_with("numeric(3,0)"));
    }
}
