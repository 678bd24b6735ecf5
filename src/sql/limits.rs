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

use datafusion::sql::sqlparser::tokenizer::Token;
use serde::{Deserialize, Serialize};

use super::token::Lexeme;
use crate::error::{Error, ErrorKind, Result};
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
    /// Operators in one expression without a comma, AND or OR between them: `a + b + c`, `a || b || c`, `x::int::text`. Those in
    /// parentheses count with those around them: each is one more level of the tree.
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

/// Most times that one part of a statement may be parsed: sqlparser tries what stands in parentheses behind FROM as a subquery first
/// and as a join then, so nested joins of nested subqueries multiply.
const MAX_ATTEMPTS: usize = 256;

impl Limits {
    /// Checks the size of a text.
    pub(super) fn check_text(&self, text: &str) -> Result<()> {
        if text.len() > self.text.as_usize() {
            let message = format!("statement text of {} bytes is larger than {}", text.len(), self.text);
            return Err(Error::new(ErrorKind::ProgramLimit, message));
        }
        Ok(())
    }

    /// Checks the tokens of one statement: one pass, no recursion.
    pub(super) fn check(&self, lexemes: &[Lexeme]) -> Result<()> {
        let mut scan = Scan { limits: self, frames: vec![Frame::default()], ctes: 0, dots: 0 };
        let mut previous: Option<&Lexeme> = None;
        for (at, lexeme) in lexemes.iter().enumerate() {
            scan.token(lexeme, previous, lexemes.get(at + 1))?;
            previous = Some(lexeme);
        }
        Ok(())
    }
}

/// What opened a level.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
enum Opening {
    #[default]
    Statement,
    Parenthesis,
    Bracket,
    Case,
    /// `array<`
    Angle,
}

/// Counts of one level of nesting.
#[derive(Debug, Default)]
struct Frame {
    opening: Opening,
    chain: usize,
    /// Operators, one in the other, in the deepest parentheses of this chain.
    inside: usize,
    /// The same of this level's chains that have ended, their own operators included.
    deepest: usize,
    conditions: usize,
    /// BETWEENs that wait for their AND.
    betweens: usize,
    elements: usize,
    joins: usize,
    arms: usize,
    in_select: bool,
    in_from: bool,
    /// Number of parentheses in a row behind FROM that this one is; 0 elsewhere.
    table_parentheses: usize,
    /// Times that the parser may come by here.
    attempts: usize,
}

struct Scan<'a> {
    limits: &'a Limits,
    frames: Vec<Frame>,
    ctes: usize,
    dots: usize,
}

fn too_complex(what: &str, limit: usize) -> Error {
    Error::new(ErrorKind::TooComplex, "statement is too complex").with_detail(format!("{what}; the limit is {limit}."))
}

fn too_large(what: &str, limit: usize) -> Error {
    Error::new(ErrorKind::ProgramLimit, "statement is too large").with_detail(format!("{what}; the limit is {limit}."))
}

impl Scan<'_> {
    fn token(&mut self, lexeme: &Lexeme, previous: Option<&Lexeme>, next: Option<&Lexeme>) -> Result<()> {
        let previous_token = previous.map(|previous| &previous.token.token);
        self.count_dots(&lexeme.token.token, previous_token)?;
        match &lexeme.token.token {
            Token::LParen => self.open_parenthesis(previous),
            Token::LBracket => {
                self.link()?;
                self.open(Opening::Bracket)
            }
            Token::RParen => self.close(Opening::Parenthesis),
            Token::RBracket => self.close(Opening::Bracket),
            Token::Comma => self.comma(),
            Token::Gt | Token::ShiftRight if self.top().opening == Opening::Angle => {
                self.close(Opening::Angle)?;
                if lexeme.token.token == Token::ShiftRight { self.close(Opening::Angle) } else { Ok(()) }
            }
            Token::Word(_) => match lexeme.word() {
                // Behind a dot or AS any word is a name.
                Some(word) if !matches!(previous_token, Some(Token::Period)) && previous.and_then(Lexeme::word) != Some("as") => {
                    self.word(word, previous.and_then(Lexeme::word).unwrap_or_default(), next)
                }
                _ => Ok(()),
            },
            Token::Number(_, _)
            | Token::SingleQuotedString(_)
            | Token::HexStringLiteral(_)
            | Token::Placeholder(_)
            | Token::Period
            | Token::SemiColon => Ok(()),
            // Whatever is left is an operator.
            _ => self.link(),
        }
    }

    fn word(&mut self, word: &str, previous: &str, next: Option<&Lexeme>) -> Result<()> {
        match word {
            "case" => self.open(Opening::Case),
            "end" if self.top().opening == Opening::Case => self.close(Opening::Case),
            "array" if next.is_some_and(|next| next.token.token == Token::Lt) => self.open(Opening::Angle),
            "and" if self.top().betweens > 0 => {
                self.top().betweens -= 1;
                Ok(())
            }
            "and" | "or" => self.condition(),
            "between" => {
                self.top().betweens += 1;
                self.link()
            }
            "not" | "is" | "isnull" | "notnull" | "like" | "ilike" | "similar" | "in" | "collate" | "at" | "operator"
            | "overlaps" => self.link(),
            "interval" if previous == "interval" => Err(too_complex("INTERVAL stands behind INTERVAL", 1)),
            "join" => self.join(),
            "select" => {
                self.clause();
                let top = self.top();
                (top.in_select, top.in_from, top.joins) = (true, false, 0);
                Ok(())
            }
            "from" if previous != "distinct" => {
                self.clause();
                let top = self.top();
                top.in_from = top.in_select;
                Ok(())
            }
            "union" | "intersect" | "except" | "minus" => {
                self.clause();
                let top = self.top();
                (top.in_from, top.arms) = (false, top.arms + 1);
                let (arms, limit) = (top.arms, self.limits.set_operations);
                if arms > limit { Err(too_large("Set operations are chained", limit)) } else { Ok(()) }
            }
            "group" if previous == "within" => Ok(()),
            "where" | "group" | "having" | "order" | "limit" | "offset" | "fetch" | "window" | "returning" => {
                self.clause();
                self.top().in_from = false;
                Ok(())
            }
            "on" | "when" | "then" | "else" => {
                self.clause();
                Ok(())
            }
            "as" => self.common_table_expression(next),
            _ => Ok(()),
        }
    }

    fn top(&mut self) -> &mut Frame {
        if self.frames.is_empty() {
            self.frames.push(Frame::default());
        }
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn open(&mut self, opening: Opening) -> Result<()> {
        let attempts = self.top().attempts.max(1);
        self.frames.push(Frame { opening, attempts, ..Frame::default() });
        if self.frames.len() > self.limits.nesting + 1 {
            return Err(too_complex("Parentheses, brackets, CASE and subqueries are nested", self.limits.nesting));
        }
        Ok(())
    }

    fn open_parenthesis(&mut self, previous: Option<&Lexeme>) -> Result<()> {
        let top = self.top();
        let behind_parenthesis =
            top.table_parentheses > 0 && previous.is_some_and(|previous| previous.token.token == Token::LParen);
        let behind_from = top.in_from
            && previous.is_some_and(|previous| {
                matches!(previous.word(), Some("from" | "join" | "lateral")) || previous.token.token == Token::Comma
            });
        let row = match (behind_parenthesis, behind_from) {
            (true, _) => top.table_parentheses + 1,
            (false, true) => 1,
            (false, false) => 0,
        };
        let before = top.attempts.max(1) / top.table_parentheses.max(1);
        self.open(Opening::Parenthesis)?;
        if row > 0 {
            let base = if behind_parenthesis { before } else { self.top().attempts };
            let top = self.top();
            (top.table_parentheses, top.attempts, top.in_from, top.in_select) = (row, base.saturating_mul(row), true, true);
            if top.attempts > MAX_ATTEMPTS {
                return Err(too_complex("Joins in parentheses are nested in subqueries", MAX_ATTEMPTS));
            }
        }
        Ok(())
    }

    /// Closes the innermost level of that kind, and what was left open inside. Text that closes more than it opened is the parser's.
    fn close(&mut self, opening: Opening) -> Result<()> {
        let Some(at) = self.frames.iter().rposition(|frame| frame.opening == opening) else { return Ok(()) };
        let closed =
            self.frames.drain(at..).rev().fold(0, |inside, frame| frame.deepest.max(frame.chain + frame.inside.max(inside)));
        let top = self.top();
        top.inside = top.inside.max(closed);
        self.check_chain()
    }

    fn comma(&mut self) -> Result<()> {
        let (list, joins) = (self.limits.list, self.limits.joins);
        self.clause();
        let top = self.top();
        top.elements += 1;
        if top.elements >= list {
            return Err(too_large("A list has too many elements", list));
        }
        if top.in_from {
            top.joins += 1;
            if top.joins > joins {
                return Err(too_complex("One SELECT joins too many tables", joins));
            }
        }
        Ok(())
    }

    fn join(&mut self) -> Result<()> {
        self.clause();
        let limit = self.limits.joins;
        let top = self.top();
        top.joins += 1;
        if top.joins > limit { Err(too_complex("One SELECT joins too many tables", limit)) } else { Ok(()) }
    }

    /// A new expression starts.
    fn clause(&mut self) {
        self.end_chain();
        let top = self.top();
        (top.conditions, top.betweens) = (0, 0);
    }

    fn end_chain(&mut self) {
        let top = self.top();
        top.deepest = top.deepest.max(top.chain + top.inside);
        (top.chain, top.inside) = (0, 0);
    }

    fn link(&mut self) -> Result<()> {
        self.top().chain += 1;
        self.check_chain()
    }

    fn check_chain(&mut self) -> Result<()> {
        let limit = self.limits.chain;
        let top = self.top();
        if top.chain + top.inside > limit { Err(too_complex("An expression chains too many operators", limit)) } else { Ok(()) }
    }

    fn condition(&mut self) -> Result<()> {
        let limit = self.limits.conditions;
        self.end_chain();
        let top = self.top();
        top.betweens = 0;
        top.conditions += 1;
        if top.conditions > limit { Err(too_complex("An expression chains too many conditions", limit)) } else { Ok(()) }
    }

    fn common_table_expression(&mut self, next: Option<&Lexeme>) -> Result<()> {
        let starts =
            next.is_some_and(|next| next.token.token == Token::LParen || matches!(next.word(), Some("materialized" | "not")));
        self.ctes += usize::from(starts);
        let limit = self.limits.ctes;
        if self.ctes > limit { Err(too_large("There are too many common table expressions", limit)) } else { Ok(()) }
    }

    /// Names of many parts recurse in the parser.
    fn count_dots(&mut self, token: &Token, previous: Option<&Token>) -> Result<()> {
        match token {
            Token::Period => self.dots += 1,
            _ if previous == Some(&Token::Period) => {}
            _ => self.dots = 0,
        }
        let limit = self.limits.nesting;
        if self.dots > limit { Err(too_complex("A name has too many parts", limit)) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::token::tokenize;

    fn check(text: &str) -> &'static str {
        match tokenize(text, usize::MAX).and_then(|lexemes| Limits::default().check(&lexemes)) {
            Ok(()) => "ok",
            Err(error) => error.kind().sqlstate(),
        }
    }

    #[test]
    fn deep_input_is_refused_and_flat_input_is_not() {
        for (name, text, expected) in [
            ("sum", format!("select {}", "1+".repeat(20_000)), "54001"),
            ("sum in columns", format!("select {}1", "a+b,".repeat(20_000)), "ok"),
            ("parentheses", format!("select {}", "(".repeat(10_000)), "54001"),
            ("brackets", format!("select {}", "[".repeat(10_000)), "54001"),
            ("case", format!("select {}", "case when ".repeat(10_000)), "54001"),
            ("not", format!("select {} true", "not ".repeat(20_000)), "54001"),
            ("minus", format!("select {} 1", "- ".repeat(20_000)), "54001"),
            ("sums in sums", format!("select {}1{}", "(".repeat(50), "+1+1+1+1+1+1+1+1+1+1+1)".repeat(50)), "54001"),
            ("sums behind sums", format!("select {}1{}", "1+1+1+1+1+1+1+1+1+1+1+(".repeat(50), ")".repeat(50)), "54001"),
            (
                "sums in functions",
                format!("select {}1{}", "f(2, a = 1 or 1+1+1+1+1+1+1+1+1+1+1+".repeat(50), ")".repeat(50)),
                "54001",
            ),
            ("sums beside sums", format!("select {}1", "(a+(b+c)),(a+b),".repeat(20_000)), "ok"),
            ("conditions", format!("select {} true", "a = 1 and b = 2 or ".repeat(4000)), "ok"),
            ("too many conditions", format!("select {} true", "a and ".repeat(20_000)), "54001"),
            ("concatenation", format!("select {}'x'", "'x' || ".repeat(20_000)), "54001"),
            ("betweens", format!("select a {}", "between 1 and 2 ".repeat(20_000)), "54001"),
            ("is distinct from", format!("select a {}", "is distinct from b ".repeat(20_000)), "54001"),
            ("casts", format!("select a {}", "::int".repeat(20_000)), "54001"),
            ("names behind dots do not end an expression", format!("select {}1", "t.order + t.where + ".repeat(2000)), "54001"),
            ("within group", format!("select {}1", "f(a) within group (order by b) + ".repeat(2000)), "54001"),
            ("subscripts", format!("select a{}", "[1]".repeat(20_000)), "54001"),
            ("dots", format!("select a{}", ".b".repeat(20_000)), "54001"),
            ("intervals", format!("select {}", "interval ".repeat(20_000)), "54001"),
            ("array types", format!("select null::{}", "array<".repeat(20_000)), "54001"),
            ("list", format!("select a in ({}1)", "1,".repeat(50_000)), "ok"),
            ("long list", format!("select a in ({}1)", "1,".repeat(150_000)), "54000"),
            ("joins", format!("select * from a {}", "join b using (x) ".repeat(64)), "ok"),
            ("many joins", format!("select * from a {}", "join b using (x) ".repeat(65)), "54001"),
            ("many tables", format!("select * from a {}", ", b".repeat(65)), "54001"),
            ("unions", format!("select 1 {}", "union all select 1 ".repeat(1000)), "ok"),
            ("many unions", format!("select 1 {}", "union all select 1 ".repeat(1001)), "54000"),
            ("ctes", format!("with {} z as (select 1) select 1", "a as (select 1), ".repeat(200)), "54000"),
            ("joins in joins", format!("select * from {} a", "((select * from ".repeat(12)), "54001"),
            ("a join in parentheses", format!("select * from {} a join b", "(".repeat(50)), "ok"),
        ] {
            assert_eq!(check(&text), expected, "{name}");
        }
    }
}
