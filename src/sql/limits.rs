//! How large and how deep a statement may be.
//!
//! Parsers, binders and optimisers recurse over what they are given: a text of a few kilobytes, such as `1+1+1+..` or ten thousand
//! opening parentheses, would overflow a stack and end the process for everybody. So the limits are checked by one loop over the
//! tokens, before anything recurses:
//!
//! ```text
//! text ─▶ size ─▶ tokens (counted while they are made) ─▶ nesting, chains, lists, joins, arms ─▶ parser
//!         54000    54000                                  54001 (nesting, chains), 54000 (counts)
//! ```
//! Long but flat lists are no danger and stay cheap: AND and OR chains are parsed into balanced trees (see
//! [`dialect`](super::dialect)), IN lists and VALUES rows are vectors. What is absent here: a limit on time; that is the engine's.

use serde::{Deserialize, Serialize};

use crate::units::ByteSize;

/// Upper bounds for the statements of one text. The `[sql]` section of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Longest text of one message; more than [`Limits::MAX_TEXT`] is not accepted by the configuration.
    pub text: ByteSize,
    /// Tokens of one text, without white space and comments.
    pub tokens: usize,
    /// Statements of one text.
    pub statements: usize,
    /// Depth of parentheses, brackets, CASE and subqueries.
    pub nesting: usize,
    /// Operators in one expression without a comma, AND or OR between them: `a + b + c`, `a || b || c`, `x::int::text`.
    pub chain: usize,
    /// AND and OR in one expression.
    pub conditions: usize,
    /// Elements of one list in parentheses, of IN and of others.
    pub list: usize,
    /// Joins of one SELECT, commas of its FROM list included.
    pub joins: usize,
    /// SELECTs of one chain of UNION, INTERSECT and EXCEPT.
    pub set_operations: usize,
    /// Common table expressions of one statement.
    pub ctes: usize,
}

impl Limits {
    /// Longest text that may be configured.
    pub const MAX_TEXT: ByteSize = ByteSize::mib(16);
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text: ByteSize::mib(1),
            tokens: 200_000,
            statements: 1000,
            nesting: 100,
            chain: 500,
            conditions: 10_000,
            list: 100_000,
            joins: 64,
            set_operations: 1000,
            ctes: 200,
        }
    }
}
