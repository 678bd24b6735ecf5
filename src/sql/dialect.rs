//! The dialect that sqlparser parses queries and expressions in: PostgreSQL, table versions, and no recursion over flat lists.
//!
//! sqlparser asks a dialect what it may accept; [`Dialect`] answers as PostgreSQL would, and takes the parser over in some places:
//!
//! - **AND and OR** are parsed by a loop and become balanced trees. A left-deep tree of ten thousand conditions, which BI tools send,
//!   would overflow the stack of every walker behind; a balanced one is fourteen deep and means the same.
//! - **`OPERATOR(pg_catalog.~)`** becomes the plain operator, with PostgreSQL's precedence for it.
//! - **Operators before their operand** and **IS DISTINCT FROM** reach as far as PostgreSQL's do: `-2 ^ 2` is 4, `~1 + 2` is `~(1 + 2)`,
//!   `a IS DISTINCT FROM b AND c` ends before AND.
//! - **`current_schema`, `current_role`** without parentheses are function calls, and `current_user`, `session_user`, `user`, `current_catalog`
//!   may have empty ones, as in Databricks; `name 'x'` and other type names before a string are typed constants.
//!
//! sqlparser tries alternatives and backtracks, `CAST(CAST(CAST(.. x y` doubles the work with every level. So the dialect carries fuel:
//! each operand burns one unit, and when it is gone the parser unwinds with an error instead of running for hours.

use std::any::TypeId;
use std::cell::Cell;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Expr, Function, FunctionArguments, Ident, ObjectName, TypedString, UnaryOperator, Value,
};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Word};

use super::type_name::is_catalog_type_name;

/// PostgreSQL's grammar with table versions; one value a statement.
#[derive(Debug)]
pub(super) struct LakeholdDialect {
    base: PostgreSqlDialect,
    /// Operands that may still be parsed, backtracking included.
    fuel: Cell<usize>,
}

/// Operands that may be parsed for each token: alternatives that sqlparser tries for honest statements stay far below.
const FUEL_PER_TOKEN: usize = 50;

/// Most dots in the name of a function.
const MAX_DOTS: usize = 3;

/// Precedence of operators that have no rule of their own (PostgreSQL's "any other operator").
const OTHER_OPERATOR: u8 = 70;

/// Precedence of the sign of a number: above COLLATE, below subscripts and casts.
const SIGN: u8 = 125;

impl LakeholdDialect {
    pub(super) fn new(tokens: usize) -> Self {
        Self { base: PostgreSqlDialect {}, fuel: Cell::new(tokens.saturating_mul(FUEL_PER_TOKEN).saturating_add(1000)) }
    }

    fn burn(&self, fuel: usize) -> Result<(), ParserError> {
        let left = self.fuel.get().checked_sub(fuel).ok_or(ParserError::RecursionLimitExceeded)?;
        self.fuel.set(left);
        Ok(())
    }

    /// A word that is an operand of its own: a context function without parentheses, or a typed string constant.
    fn parse_word(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let [TokenWithSpan { token: Token::Word(word), span }, next] = parser.peek_tokens_with_location::<2>() else { return None };
        if word.quote_style.is_some() {
            return None;
        }
        match &next.token {
            Token::SingleQuotedString(_) if is_catalog_type_name(&word.value) => {
                parser.advance_token();
                let data_type = DataType::Custom(ObjectName::from(vec![word.into_ident(span)]), vec![]);
                Some(parser.parse_value().map(|value| Expr::TypedString(TypedString { data_type, value, uses_odbc_syntax: false })))
            }
            Token::LParen if is_principal_or_catalog(&word.value) && parser.peek_nth_token_ref(2).token == Token::RParen => {
                (0..3).for_each(|_| parser.advance_token());
                Some(Ok(function_without_parentheses(word.into_ident(span))))
            }
            Token::LParen | Token::Period => None,
            _ if matches!(word.value.as_str(), "current_schema" | "current_role") => {
                parser.advance_token();
                Some(Ok(function_without_parentheses(word.into_ident(span))))
            }
            _ => None,
        }
    }

    /// A call of a qualified function, as an operand of its own. Where sqlparser reads it part by part, `s.f(x) COLLATE "C"` is a syntax
    /// error and `s.f(x)[1]` a field of `s`.
    fn parse_qualified_call(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let is_word = |ahead: usize| matches!(parser.peek_nth_token_ref(ahead).token, Token::Word(_));
        let is = |ahead: usize, token: Token| parser.peek_nth_token_ref(ahead).token == token;
        let mut dots = 0;
        while dots < MAX_DOTS && is_word(2 * dots) && is(2 * dots + 1, Token::Period) {
            dots += 1;
        }
        if dots == 0 || !is_word(2 * dots) || !is(2 * dots + 1, Token::LParen) {
            return None;
        }
        let start = parser.index();
        let mut parts = Vec::with_capacity(dots + 1);
        while parts.len() <= dots {
            if let TokenWithSpan { token: Token::Word(word), span } = parser.next_token() {
                parts.push(word.into_ident(span));
            }
        }
        let call = parser.parse_function(ObjectName::from(parts));
        // A type with modifiers before a constant: `pg_catalog.numeric(3,1) '1.5'`.
        if matches!(parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
            while parser.index() > start {
                parser.prev_token();
            }
            return None;
        }
        Some(call)
    }

    /// `-x`, `+x`, `~x`, `@x`, `|/x`, `||/x`.
    fn parse_unary(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let (op, precedence) = match parser.peek_token_ref().token {
            Token::Minus => (UnaryOperator::Minus, SIGN),
            Token::Plus => (UnaryOperator::Plus, SIGN),
            Token::Tilde => (UnaryOperator::BitwiseNot, OTHER_OPERATOR),
            Token::AtSign => (UnaryOperator::PGAbs, OTHER_OPERATOR),
            Token::PGSquareRoot => (UnaryOperator::PGSquareRoot, OTHER_OPERATOR),
            Token::PGCubeRoot => (UnaryOperator::PGCubeRoot, OTHER_OPERATOR),
            _ => return None,
        };
        parser.advance_token();
        Some(parser.parse_subexpr(precedence).map(|operand| Expr::UnaryOp { op, expr: Box::new(operand) }))
    }

    /// `left IS [NOT] DISTINCT FROM right`.
    fn parse_distinct(&self, parser: &mut Parser, left: &Expr) -> Option<Result<Expr, ParserError>> {
        let build = if parser.parse_keywords(&[Keyword::IS, Keyword::DISTINCT, Keyword::FROM]) {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&[Keyword::IS, Keyword::NOT, Keyword::DISTINCT, Keyword::FROM]) {
            Expr::IsNotDistinctFrom
        } else {
            return None;
        };
        let right = parser.parse_subexpr(self.prec_value(Precedence::Is));
        Some(right.map(|right| build(Box::new(left.clone()), Box::new(right))))
    }

    /// `left OPERATOR(schema.op) right`.
    fn parse_operator(&self, parser: &mut Parser, left: &Expr) -> Result<Expr, ParserError> {
        parser.expect_keyword_is(Keyword::OPERATOR)?;
        parser.expect_token(&Token::LParen)?;
        let mut schema = None;
        while let Token::Word(word) = &parser.peek_token_ref().token {
            schema = Some(word.value.clone());
            parser.advance_token();
            parser.expect_token(&Token::Period)?;
        }
        let operator = parser.next_token();
        parser.expect_token(&Token::RParen)?;
        let in_catalog = schema.as_deref().is_none_or(|schema| schema == "pg_catalog");
        match binary_operator(&operator.token).filter(|_| in_catalog) {
            Some(op) => {
                let right = parser.parse_subexpr(OTHER_OPERATOR)?;
                Ok(Expr::BinaryOp { left: Box::new(left.clone()), op, right: Box::new(right) })
            }
            None => parser.expected("an operator of pg_catalog", operator),
        }
    }

    /// `BETWEEN SYMMETRIC low AND high`, with or without NOT: the bounds may stand in either order.
    fn parse_between_symmetric(&self, parser: &mut Parser, expr: &Expr) -> Result<Expr, ParserError> {
        let negated = parser.parse_keyword(Keyword::NOT);
        parser.expect_keywords(&[Keyword::BETWEEN, Keyword::SYMMETRIC])?;
        let low = Box::new(parser.parse_subexpr(self.prec_value(Precedence::Between))?);
        parser.expect_keyword_is(Keyword::AND)?;
        let high = Box::new(parser.parse_subexpr(self.prec_value(Precedence::Between))?);
        let between = |low: &Expr, high: &Expr| Expr::Between {
            expr: Box::new(expr.clone()),
            negated,
            low: Box::new(low.clone()),
            high: Box::new(high.clone()),
        };
        // All three stand there twice, and so does what is nested in them.
        self.burn([expr, &low, &high].iter().map(|part| part.to_string().len()).sum::<usize>() / 4)?;
        let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
        let either = Expr::BinaryOp { left: Box::new(between(&low, &high)), op, right: Box::new(between(&high, &low)) };
        Ok(Expr::Nested(Box::new(either)))
    }

    /// All arms of a chain of ANDs (or of ORs), as a balanced tree.
    fn parse_conditions(
        &self,
        parser: &mut Parser,
        first: &Expr,
        op: &BinaryOperator,
        keyword: Keyword,
        precedence: Precedence,
    ) -> Result<Expr, ParserError> {
        let mut arms = vec![first.clone()];
        while parser.parse_keyword(keyword) {
            arms.push(parser.parse_subexpr(self.prec_value(precedence))?);
        }
        Ok(balanced(arms, op))
    }
}

/// Reserved words that PostgreSQL writes without parentheses and Databricks with them.
fn is_principal_or_catalog(word: &str) -> bool {
    matches!(word, "current_user" | "session_user" | "user" | "current_catalog")
}

fn function_without_parentheses(name: Ident) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::None,
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// Joins neighbours until one is left: in order, and as deep as the logarithm.
fn balanced(mut arms: Vec<Expr>, op: &BinaryOperator) -> Expr {
    while arms.len() > 1 {
        let mut pairs = Vec::with_capacity(arms.len().div_ceil(2));
        let mut rest = arms.into_iter();
        while let Some(left) = rest.next() {
            pairs.push(match rest.next() {
                Some(right) => Expr::BinaryOp { left: Box::new(left), op: op.clone(), right: Box::new(right) },
                None => left,
            });
        }
        arms = pairs;
    }
    arms.pop().unwrap_or_else(|| Expr::Value(Value::Null.into()))
}

/// The operators that may stand in `OPERATOR(..)`.
fn binary_operator(token: &Token) -> Option<BinaryOperator> {
    Some(match token {
        Token::Eq => BinaryOperator::Eq,
        Token::Neq => BinaryOperator::NotEq,
        Token::Lt => BinaryOperator::Lt,
        Token::LtEq => BinaryOperator::LtEq,
        Token::Gt => BinaryOperator::Gt,
        Token::GtEq => BinaryOperator::GtEq,
        Token::Plus => BinaryOperator::Plus,
        Token::Minus => BinaryOperator::Minus,
        Token::Mul => BinaryOperator::Multiply,
        Token::Div => BinaryOperator::Divide,
        Token::Mod => BinaryOperator::Modulo,
        Token::Caret => BinaryOperator::PGExp,
        Token::StringConcat => BinaryOperator::StringConcat,
        Token::Tilde => BinaryOperator::PGRegexMatch,
        Token::TildeAsterisk => BinaryOperator::PGRegexIMatch,
        Token::ExclamationMarkTilde => BinaryOperator::PGRegexNotMatch,
        Token::ExclamationMarkTildeAsterisk => BinaryOperator::PGRegexNotIMatch,
        Token::DoubleTilde => BinaryOperator::PGLikeMatch,
        Token::DoubleTildeAsterisk => BinaryOperator::PGILikeMatch,
        Token::ExclamationMarkDoubleTilde => BinaryOperator::PGNotLikeMatch,
        Token::ExclamationMarkDoubleTildeAsterisk => BinaryOperator::PGNotILikeMatch,
        Token::Ampersand => BinaryOperator::BitwiseAnd,
        Token::Pipe => BinaryOperator::BitwiseOr,
        Token::Sharp => BinaryOperator::PGBitwiseXor,
        Token::ShiftLeft => BinaryOperator::PGBitwiseShiftLeft,
        Token::ShiftRight => BinaryOperator::PGBitwiseShiftRight,
        Token::Overlap => BinaryOperator::PGOverlap,
        Token::CaretAt => BinaryOperator::PGStartsWith,
        Token::AtArrow => BinaryOperator::AtArrow,
        Token::ArrowAt => BinaryOperator::ArrowAt,
        Token::Arrow => BinaryOperator::Arrow,
        Token::LongArrow => BinaryOperator::LongArrow,
        Token::HashArrow => BinaryOperator::HashArrow,
        Token::HashLongArrow => BinaryOperator::HashLongArrow,
        _ => return None,
    })
}

fn unquoted<'a>(token: &'a Token, value: &str) -> Option<&'a Word> {
    match token {
        Token::Word(word) if word.quote_style.is_none() && word.value == value => Some(word),
        _ => None,
    }
}

impl Dialect for LakeholdDialect {
    /// sqlparser asks in places for the dialect's type: it is PostgreSQL's.
    fn dialect(&self) -> TypeId {
        TypeId::of::<PostgreSqlDialect>()
    }

    fn identifier_quote_style(&self, identifier: &str) -> Option<char> {
        self.base.identifier_quote_style(identifier)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        self.base.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        self.base.is_identifier_part(ch)
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if let Err(error) = self.burn(1) {
            return Some(Err(error));
        }
        Self::parse_word(parser).or_else(|| Self::parse_qualified_call(parser)).or_else(|| Self::parse_unary(parser))
    }

    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, _precedence: u8) -> Option<Result<Expr, ParserError>> {
        let token = &parser.peek_token_ref().token;
        if unquoted(token, "isnull").is_some() {
            parser.advance_token();
            return Some(Ok(Expr::IsNull(Box::new(expr.clone()))));
        }
        let Token::Word(word) = token else { return None };
        match word.keyword {
            Keyword::AND => Some(self.parse_conditions(parser, expr, &BinaryOperator::And, Keyword::AND, Precedence::And)),
            Keyword::OR => Some(self.parse_conditions(parser, expr, &BinaryOperator::Or, Keyword::OR, Precedence::Or)),
            Keyword::OPERATOR => Some(self.parse_operator(parser, expr)),
            Keyword::IS => self.parse_distinct(parser, expr),
            Keyword::BETWEEN | Keyword::NOT => {
                let behind = usize::from(word.keyword == Keyword::NOT);
                let is_keyword = |ahead: usize, keyword: Keyword| matches!(&parser.peek_nth_token_ref(ahead).token, Token::Word(word) if word.keyword == keyword);
                let symmetric = is_keyword(behind, Keyword::BETWEEN) && is_keyword(behind + 1, Keyword::SYMMETRIC);
                symmetric.then(|| self.parse_between_symmetric(parser, expr))
            }
            _ => None,
        }
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        let token = &parser.peek_token_ref().token;
        match token {
            Token::Word(word) if word.keyword == Keyword::OPERATOR => Some(Ok(OTHER_OPERATOR)),
            Token::Word(_) if unquoted(token, "isnull").is_some() => Some(Ok(self.prec_value(Precedence::Is))),
            Token::Tilde
            | Token::TildeAsterisk
            | Token::ExclamationMarkTilde
            | Token::ExclamationMarkTildeAsterisk
            | Token::DoubleTilde
            | Token::DoubleTildeAsterisk
            | Token::ExclamationMarkDoubleTilde
            | Token::ExclamationMarkDoubleTildeAsterisk => Some(Ok(OTHER_OPERATOR)),
            _ => self.base.get_next_precedence(parser),
        }
    }

    fn prec_value(&self, prec: Precedence) -> u8 {
        self.base.prec_value(prec)
    }

    fn is_reserved_for_identifier(&self, kw: Keyword) -> bool {
        self.base.is_reserved_for_identifier(kw)
    }

    /// A word behind an expression without AS: any but PostgreSQL's AS_LABEL keywords.
    fn is_column_alias(&self, kw: &Keyword, _parser: &mut Parser) -> bool {
        !NEEDS_AS.contains(kw)
    }

    /// A word behind a table, with or without AS: PostgreSQL's ColId.
    fn is_table_factor_alias(&self, _explicit: bool, kw: &Keyword, _parser: &mut Parser) -> bool {
        !RESERVED.contains(kw) && !TYPE_OR_FUNCTION.contains(kw)
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_assignment_operator(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn allow_extract_custom(&self) -> bool {
        true
    }

    fn allow_extract_single_quotes(&self) -> bool {
        true
    }

    fn supports_bitwise_shift_operators(&self) -> bool {
        true
    }

    // `supports_named_fn_args_with_expr_name` stays off: it parses every argument twice, and nested calls multiply.

    fn supports_empty_projections(&self) -> bool {
        true
    }

    fn supports_array_typedef_with_brackets(&self) -> bool {
        true
    }

    fn supports_notnull_operator(&self) -> bool {
        true
    }

    fn supports_interval_options(&self) -> bool {
        true
    }

    fn supports_comma_separated_trim(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }
}

/// PostgreSQL's reserved keywords.
pub(super) const RESERVED: &[Keyword] = &[
    Keyword::ALL,
    Keyword::ANALYZE,
    Keyword::AND,
    Keyword::ANY,
    Keyword::ARRAY,
    Keyword::AS,
    Keyword::ASC,
    Keyword::ASYMMETRIC,
    Keyword::BOTH,
    Keyword::CASE,
    Keyword::CAST,
    Keyword::CHECK,
    Keyword::COLLATE,
    Keyword::COLUMN,
    Keyword::CONSTRAINT,
    Keyword::CREATE,
    Keyword::CURRENT_CATALOG,
    Keyword::CURRENT_DATE,
    Keyword::CURRENT_ROLE,
    Keyword::CURRENT_TIME,
    Keyword::CURRENT_TIMESTAMP,
    Keyword::CURRENT_USER,
    Keyword::DEFAULT,
    Keyword::DEFERRABLE,
    Keyword::DESC,
    Keyword::DISTINCT,
    Keyword::DO,
    Keyword::ELSE,
    Keyword::END,
    Keyword::EXCEPT,
    Keyword::FALSE,
    Keyword::FETCH,
    Keyword::FOR,
    Keyword::FOREIGN,
    Keyword::FROM,
    Keyword::GRANT,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::IN,
    Keyword::INITIALLY,
    Keyword::INTERSECT,
    Keyword::INTO,
    Keyword::LATERAL,
    Keyword::LEADING,
    Keyword::LIMIT,
    Keyword::LOCALTIME,
    Keyword::LOCALTIMESTAMP,
    Keyword::NOT,
    Keyword::NULL,
    Keyword::OFFSET,
    Keyword::ON,
    Keyword::ONLY,
    Keyword::OR,
    Keyword::ORDER,
    Keyword::PLACING,
    Keyword::PRIMARY,
    Keyword::REFERENCES,
    Keyword::RETURNING,
    Keyword::SELECT,
    Keyword::SESSION_USER,
    Keyword::SOME,
    Keyword::SYMMETRIC,
    Keyword::TABLE,
    Keyword::THEN,
    Keyword::TO,
    Keyword::TRAILING,
    Keyword::TRUE,
    Keyword::UNION,
    Keyword::UNIQUE,
    Keyword::USER,
    Keyword::USING,
    Keyword::VARIADIC,
    Keyword::WHEN,
    Keyword::WHERE,
    Keyword::WINDOW,
    Keyword::WITH,
    // Set operation and clause of Databricks.
    Keyword::MINUS,
    Keyword::QUALIFY,
];

/// PostgreSQL's keywords that may name types and functions, not tables and columns.
pub(super) const TYPE_OR_FUNCTION: &[Keyword] = &[
    Keyword::AUTHORIZATION,
    Keyword::BINARY,
    Keyword::COLLATION,
    Keyword::CONCURRENTLY,
    Keyword::CROSS,
    Keyword::CURRENT_SCHEMA,
    Keyword::FREEZE,
    Keyword::FULL,
    Keyword::ILIKE,
    Keyword::INNER,
    Keyword::IS,
    Keyword::JOIN,
    Keyword::LEFT,
    Keyword::LIKE,
    Keyword::NATURAL,
    Keyword::NOTNULL,
    Keyword::OUTER,
    Keyword::OVERLAPS,
    Keyword::RIGHT,
    Keyword::SIMILAR,
    Keyword::TABLESAMPLE,
    Keyword::VERBOSE,
    // Joins of Databricks, where the rewrite left them.
    Keyword::SEMI,
    Keyword::ANTI,
];

/// PostgreSQL's keywords that name an output column only behind AS.
const NEEDS_AS: &[Keyword] = &[
    Keyword::ARRAY,
    Keyword::AS,
    Keyword::CHAR,
    Keyword::CHARACTER,
    Keyword::CREATE,
    Keyword::DAY,
    Keyword::EXCEPT,
    Keyword::FETCH,
    Keyword::FILTER,
    Keyword::FOR,
    Keyword::FROM,
    Keyword::GRANT,
    Keyword::GROUP,
    Keyword::HAVING,
    Keyword::HOUR,
    Keyword::INTERSECT,
    Keyword::INTO,
    Keyword::LIMIT,
    Keyword::MINUTE,
    Keyword::MONTH,
    Keyword::NOTNULL,
    Keyword::OFFSET,
    Keyword::ON,
    Keyword::ORDER,
    Keyword::OVER,
    Keyword::OVERLAPS,
    Keyword::PRECISION,
    Keyword::RETURNING,
    Keyword::SECOND,
    Keyword::TO,
    Keyword::UNION,
    Keyword::VARYING,
    Keyword::WHERE,
    Keyword::WINDOW,
    Keyword::WITH,
    Keyword::WITHIN,
    Keyword::WITHOUT,
    Keyword::YEAR,
    // Set operation and clause of Databricks.
    Keyword::MINUS,
    Keyword::QUALIFY,
];
