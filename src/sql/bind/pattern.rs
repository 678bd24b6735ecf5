//! LIKE, SIMILAR TO and regular expressions.
//!
//! A constant pattern becomes one that the engine matches by itself, whole columns at a time; any other goes through PostgreSQL's function
//! behind the operator.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{Expr, Operator, lit};

use super::Binder;
use super::operator::binary_expr;
use super::typed::Typed;
use crate::error::{Error, Result};
use crate::functions::pattern::{escaped_pattern, similar_pattern, single_escape};
use crate::functions::regex::rust_syntax;
use crate::types::SqlType;

impl Binder<'_> {
    /// `value [NOT] [I]LIKE pattern [ESCAPE escape]`.
    pub(super) fn like(
        &self,
        negated: bool,
        case_insensitive: bool,
        value: Typed,
        pattern: Typed,
        escape: Option<&str>,
    ) -> Result<Typed> {
        if value.sql_type == SqlType::Bytea && !case_insensitive {
            if escape.is_some() {
                return Err(Error::unsupported("LIKE over bytea with ESCAPE"));
            }
            return self.call_builtin(if negated { "byteanlike" } else { "bytealike" }, vec![value, pattern]);
        }
        let (value, pattern) = (self.padded(value)?, self.text(pattern)?);
        let nullable = value.nullable || pattern.nullable;
        let pattern = match (escape, pattern.literal_text()) {
            (None | Some("\\"), _) => pattern,
            (Some(escape), Some(text)) => Typed::constant(ScalarValue::from(escaped_pattern(text, escape)?), SqlType::Text),
            (Some(escape), None) => {
                single_escape(escape)?;
                let escape = Typed::constant(ScalarValue::from(escape), SqlType::Text);
                self.call_builtin("like_escape", vec![pattern, escape])?
            }
        };
        if pattern.is_null_literal() || pattern.literal_text().is_some_and(|text| !ends_with_escape(text)) {
            let like = Like::new(negated, Box::new(value.expr), Box::new(pattern.expr), None, case_insensitive);
            return Ok(Typed::new(Expr::Like(like), SqlType::Bool, nullable));
        }
        let function = match (negated, case_insensitive) {
            (false, false) => "textlike",
            (true, false) => "textnlike",
            (false, true) => "texticlike",
            (true, true) => "texticnlike",
        };
        self.call_builtin(function, vec![value, pattern])
    }

    /// `value ~ pattern` and its kin.
    pub(super) fn regex(&self, operator: Operator, value: Typed, pattern: Typed) -> Result<Typed> {
        let (value, pattern) = (self.padded(value)?, self.text(pattern)?);
        let nullable = value.nullable || pattern.nullable;
        if pattern.is_null_literal() {
            return Ok(Typed::constant(ScalarValue::Boolean(None), SqlType::Bool));
        }
        let (function, flags, engine) = match operator {
            Operator::RegexNotMatch => ("textregexne", "", operator),
            Operator::RegexIMatch => ("texticregexeq", "i", Operator::RegexMatch),
            Operator::RegexNotIMatch => ("texticregexne", "i", Operator::RegexNotMatch),
            _ => ("textregexeq", "", Operator::RegexMatch),
        };
        match pattern.literal_text() {
            Some(text) => {
                let matched = binary_expr(value.expr, engine, lit(rust_syntax(text, flags)?));
                Ok(Typed::new(matched, SqlType::Bool, nullable))
            }
            None => self.call_builtin(function, vec![value, pattern]),
        }
    }

    /// `value [NOT] SIMILAR TO pattern [ESCAPE escape]`: the pattern becomes a regular expression.
    pub(super) fn similar_to(&self, negated: bool, value: Typed, pattern: Typed, escape: Option<&str>) -> Result<Typed> {
        let pattern = self.text(pattern)?;
        let escape = escape.unwrap_or("\\");
        let operator = if negated { Operator::RegexNotMatch } else { Operator::RegexMatch };
        let pattern = match pattern.literal_text() {
            Some(text) => Typed::constant(ScalarValue::from(similar_pattern(text, escape)?), SqlType::Text),
            None if pattern.is_null_literal() => pattern,
            None => {
                let escape = Typed::constant(ScalarValue::from(escape), SqlType::Text);
                self.call_builtin("similar_to_escape", vec![pattern, escape])?
            }
        };
        self.regex(operator, value, pattern)
    }
}

/// Whether the last backslash of a pattern escapes nothing.
fn ends_with_escape(pattern: &str) -> bool {
    pattern.chars().rev().take_while(|character| *character == '\\').count() % 2 == 1
}
