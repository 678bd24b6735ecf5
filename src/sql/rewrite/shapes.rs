//! Shapes of queries that sqlparser has no syntax for.
//!
//! | written | becomes |
//! |---|---|
//! | `SELECT`, `SELECT WHERE ..` | an item that stands for none |
//! | `ROWS FROM (f(..), g(..))` | a call of a function that no identifier can name, over calls |
//! | `GROUPING SETS (.., GROUPING SETS (..), ())` | the inner one likewise, `()` as `row()` |
//! | `GROUP BY DISTINCT ..`, `GROUP BY ALL a` | a first key that says so, nothing |
//! | `USING (a, b) AS x` | a last column that says so |
//! | `ORDER BY a USING >` | `ORDER BY a DESC` |
//! | `FETCH FIRST (1 + 1) ROWS ONLY` | `LIMIT (1 + 1)` |
//! | `'1 day'::interval PRECEDING` | `INTERVAL '1 day' PRECEDING` |
//! | `EXCLUDE NO OTHERS` | nothing |
//!
//! The binder knows what stands for what ([`internal_name`](crate::sql::internal_name)).

use datafusion::sql::sqlparser::tokenizer::Token;

use super::{with_token, word_like};
use crate::sql::internal_name::{DISTINCT_SETS, GROUPING_SETS, NO_ITEM, ROWS_FROM, using_column};
use crate::sql::token::Lexeme;

/// Applies the rewrites above.
pub(super) fn rewrite(lexemes: Vec<Lexeme>) -> Vec<Lexeme> {
    let mut out: Vec<Lexeme> = Vec::with_capacity(lexemes.len() + 4);
    // For each open parenthesis, whether it holds grouping sets.
    let mut open: Vec<bool> = vec![];
    let mut at = 0;
    while let Some(lexeme) = lexemes.get(at) {
        let ahead = |n: usize| lexemes.get(at + n);
        let word = |n: usize| ahead(n).and_then(Lexeme::word).unwrap_or_default();
        let is = |n: usize, token: &Token| ahead(n).is_some_and(|lexeme| lexeme.token.token == *token);
        let quoted = |name: &str| with_token(lexeme, Token::make_word(name, Some('"')));
        let behind_dot = out.last().is_some_and(|last| last.token.token == Token::Period);
        let in_sets = open.last() == Some(&true);
        let this = if behind_dot { "" } else { word(0) };
        match this {
            // Behind AS it may be a name.
            "select" if ends_empty_list(ahead(1)) && out.last().and_then(Lexeme::word) != Some("as") => {
                out.extend([lexeme.clone(), quoted(NO_ITEM)]);
                at += 1;
                continue;
            }
            "rows" if word(1) == "from" && is(2, &Token::LParen) => {
                out.push(quoted(ROWS_FROM));
                at += 2;
                continue;
            }
            "grouping" if word(1) == "sets" && is(2, &Token::LParen) => {
                if in_sets {
                    out.push(quoted(GROUPING_SETS));
                } else {
                    out.extend(lexemes.get(at..at + 2).unwrap_or_default().iter().cloned());
                }
                out.extend(ahead(2).cloned());
                open.push(true);
                at += 3;
                continue;
            }
            "group" if word(1) == "by" && matches!(word(2), "all" | "distinct") && !ends_clause(ahead(3)) => {
                out.extend(lexemes.get(at..at + 2).unwrap_or_default().iter().cloned());
                if word(2) == "distinct" {
                    out.extend([quoted(DISTINCT_SETS), with_token(lexeme, Token::Comma)]);
                }
                at += 3;
                continue;
            }
            "using" if is(1, &Token::LParen) => {
                if let Some(end) = closing(&lexemes, at + 1)
                    && lexemes.get(end + 1).and_then(Lexeme::word) == Some("as")
                    && let Some(Token::Word(alias)) = lexemes.get(end + 2).map(|alias| &alias.token.token)
                    && lexemes.get(at + 2..end).is_some_and(|columns| !columns.is_empty())
                {
                    out.extend(lexemes.get(at..end).unwrap_or_default().iter().cloned());
                    out.extend([with_token(lexeme, Token::Comma), quoted(&using_column(&alias.value))]);
                    out.extend(lexemes.get(end).cloned());
                    reach(&mut out, lexemes.get(end + 2));
                    at = end + 3;
                    continue;
                }
            }
            "using" if is(1, &Token::Lt) || is(1, &Token::Gt) => {
                out.push(word_like(lexeme, if is(1, &Token::Lt) { "asc" } else { "desc" }));
                reach(&mut out, ahead(1));
                at += 2;
                continue;
            }
            "fetch" if matches!(word(1), "first" | "next") && is(2, &Token::LParen) => {
                if let Some(end) = closing(&lexemes, at + 2)
                    && matches!(lexemes.get(end + 1).and_then(Lexeme::word), Some("row" | "rows"))
                    && lexemes.get(end + 2).and_then(Lexeme::word) == Some("only")
                {
                    out.push(word_like(lexeme, "limit"));
                    out.extend(lexemes.get(at + 2..=end).unwrap_or_default().iter().cloned());
                    reach(&mut out, lexemes.get(end + 2));
                    at = end + 3;
                    continue;
                }
            }
            "exclude" if word(1) == "no" && word(2) == "others" => {
                at += 3;
                continue;
            }
            _ => {}
        }
        if matches!(lexeme.token.token, Token::SingleQuotedString(_))
            && is(1, &Token::DoubleColon)
            && word(2) == "interval"
            && matches!(word(3), "preceding" | "following")
        {
            out.extend([word_like(lexeme, "interval"), lexeme.clone()]);
            at += 3;
            continue;
        }
        if in_sets && is(0, &Token::LParen) && is(1, &Token::RParen) && follows_separator(&out) {
            out.push(word_like(lexeme, "row"));
        }
        if is(0, &Token::LParen) {
            open.push(false);
        } else if is(0, &Token::RParen) {
            open.pop();
        }
        out.push(lexeme.clone());
        at += 1;
    }
    out
}

/// The text of what ends with the last of `out` ends with `end`, which it stands for.
fn reach(out: &mut [Lexeme], end: Option<&Lexeme>) {
    if let (Some(last), Some(end)) = (out.last_mut(), end) {
        last.bytes.end = end.bytes.end;
    }
}

fn follows_separator(out: &[Lexeme]) -> bool {
    out.last().is_some_and(|last| matches!(last.token.token, Token::LParen | Token::Comma))
}

/// Whether a select list is empty if this is what follows SELECT. FROM is left to sqlparser, which knows that case.
fn ends_empty_list(next: Option<&Lexeme>) -> bool {
    let Some(next) = next else { return true };
    let ends = ["where", "group", "having", "order", "limit", "offset", "fetch", "union", "intersect", "except", "window"];
    match next.word() {
        Some(word) => ends.contains(&word),
        None => matches!(next.token.token, Token::RParen | Token::SemiColon | Token::EOF),
    }
}

/// Whether GROUP BY ALL ends here.
fn ends_clause(next: Option<&Lexeme>) -> bool {
    next.is_some_and(|next| next.token.token == Token::Comma) || ends_empty_list(next)
}

/// Where the parenthesis at `from` is closed.
fn closing(lexemes: &[Lexeme], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, lexeme) in lexemes.iter().enumerate().skip(from) {
        match lexeme.token.token {
            Token::LParen => depth += 1,
            Token::RParen => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(index);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::sql::token::tokenize;

    fn rewritten(text: &str) -> String {
        let lexemes = super::rewrite(tokenize(text, 100).unwrap());
        let tokens = lexemes.iter().map(|lexeme| lexeme.token.token.to_string().replace('\0', "."));
        tokens.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn shapes_become_what_the_grammar_knows() {
        for (text, expected) in [
            ("select", "select \".nothing\""),
            ("select where true", "select \".nothing\" where true"),
            ("select from t", "select from t"),
            ("exists (select)", "exists ( select \".nothing\" )"),
            ("from rows from (f(1), g(2)) x", "from \".rows from\" ( f ( 1 ) , g ( 2 ) ) x"),
            (
                "grouping sets ((a), (), grouping sets (b, ()))",
                "grouping sets ( ( a ) , row ( ) , \".grouping sets\" ( b , row ( ) ) )",
            ),
            ("group by distinct rollup(a)", "group by \".distinct\" , rollup ( a )"),
            ("group by all a", "group by a"),
            ("group by all order by 1", "group by all order by 1"),
            ("join u using (a, b) as x on", "join u using ( a , b , \".as x\" ) on"),
            ("join u using (a)", "join u using ( a )"),
            ("order by a using > nulls last", "order by a desc nulls last"),
            ("fetch first (1 + 1) rows only", "limit ( 1 + 1 )"),
            ("fetch first (1) rows with ties", "fetch first ( 1 ) rows with ties"),
            ("between '1 day'::interval preceding", "between interval '1 day' preceding"),
            ("current row exclude no others)", "current row )"),
            ("t.select", "t . select"),
            ("select 1 as select", "select 1 as select"),
        ] {
            assert_eq!(rewritten(text), expected, "{text}");
        }
    }
}
