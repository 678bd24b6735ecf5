//! Texts of the whole language of queries, with everything in their quotes that could end or begin something.

mod writer;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Visit as _, Visitor};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::*;
use crate::sql::references::{CteScopes, Renamer};
use crate::sql::statement::Command;
use writer::Writer;

/// The query of a CREATE VIEW and its text.
fn view_of(text: &str) -> Result<(ast::Query, String)> {
    let statement = parse(&format!("CREATE VIEW v AS {text}"), &Limits::default())?.remove(0).statement;
    let Statement::Command(Command::CreateView { query, query_text, .. }) = statement else { panic!("{statement:?}") };
    Ok((*query, query_text))
}

/// The body of a CREATE FUNCTION and its text.
fn body_of(text: &str) -> Result<(ast::Expr, String)> {
    let statement = parse(&format!("CREATE FUNCTION f() RETURNS text {text}"), &Limits::default())?.remove(0).statement;
    let Statement::Command(Command::CreateFunction { body, body_text, .. }) = statement else { panic!("{statement:?}") };
    Ok((*body, body_text))
}

/// Gives every relation and function a name that is hard to write. What the grammar itself has keeps its own.
fn hard_names(query: &mut ast::Query) -> Result<Vec<Renamed>> {
    let hard = |parts: &[String]| vec!["ca\"t".to_string(), "s\\".to_string(), format!("{}\\\" --", parts.join("."))];
    let is_grammar = |name: &str| matches!(name, "row" | "array") || name.starts_with("current_");
    let renamer = Renamer {
        scopes: CteScopes::default(),
        relation: |parts: &[String], _| Ok(Some(hard(parts))),
        function: |parts: &[String]| (!is_grammar(&parts[0])).then(|| hard(parts)),
        renamed: Vec::new(),
    };
    renamer.query(query)
}

#[derive(Default)]
struct Strings(BTreeSet<String>);

impl Visitor for Strings {
    type Break = ();

    fn pre_visit_value(&mut self, value: &ast::ValueWithSpan) -> ControlFlow<()> {
        if let ast::Value::SingleQuotedString(text) = &value.value {
            self.0.insert(text.clone());
        }
        ControlFlow::Continue(())
    }
}

fn strings_of(query: &ast::Query) -> BTreeSet<String> {
    let mut strings = Strings::default();
    let _ = query.visit(&mut strings);
    strings.0
}

/// Runs a property over texts; at least a third of them must be of the language.
fn over_texts(printable: bool, write: fn(&mut Writer), property: impl Fn(&str, &BTreeSet<String>) -> Result<bool, TestCaseError>) {
    let (all, parsed) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 1000, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&proptest::collection::vec(any::<u8>(), 0..300), |choices| {
        let mut writer = Writer::new(choices, printable);
        write(&mut writer);
        all.set(all.get() + 1);
        if property(&writer.out, &writer.strings)? {
            parsed.set(parsed.get() + 1);
        }
        Ok(())
    });
    outcome.unwrap();
    assert!(parsed.get() * 3 > all.get(), "{} of {} texts are queries", parsed.get(), all.get());
}

#[test]
fn a_stored_query_reads_as_it_was_written() {
    over_texts(false, Writer::query, |text, strings| {
        let Ok((query, query_text)) = view_of(text) else { return Ok(false) };
        let mut expected = query.clone();
        hard_names(&mut expected).unwrap();
        let stored =
            store_query(&query_text, &query, hard_names).map_err(|error| TestCaseError::fail(format!("{text}: {error:?}")))?;
        let read = super::parse_query(&stored.text).unwrap();
        prop_assert_eq!(&read, &expected, "{}", &stored.text);
        prop_assert_eq!(&stored.query, &expected);
        prop_assert!(strings_of(&read).is_superset(strings), "{:?} {}", strings, &stored.text);
        // What is shown makes the same again.
        let (again, again_text) = view_of(&stored.text).unwrap();
        let same = store_query(&again_text, &again, |_| Ok(vec![])).unwrap();
        prop_assert_eq!(same.text, stored.text);
        Ok(true)
    });
}

#[test]
fn a_stored_body_reads_as_it_was_written() {
    over_texts(false, Writer::expression, |text, strings| {
        let Ok((body, body_text)) = body_of(&format!("RETURN {text}")) else { return Ok(false) };
        let stored =
            store_expression(&body_text, &body, hard_names).map_err(|error| TestCaseError::fail(format!("{text}: {error:?}")))?;
        let read = parse_expression(&stored.text).unwrap();
        prop_assert_eq!(&read, &stored.expression);
        let inside = super::parse_query(&format!("SELECT ({})", stored.text)).unwrap();
        prop_assert!(strings_of(&inside).is_superset(strings), "{:?} {}", strings, &stored.text);
        // The same text in a constant, as PostgreSQL's clients write it.
        let tag = "$function_body$";
        if !text.contains(tag) && !text.contains('$') {
            let (constant, constant_text) = body_of(&format!("LANGUAGE sql AS {tag}SELECT {text}{tag}")).unwrap();
            prop_assert_eq!(&constant, &body);
            prop_assert_eq!(store_expression(&constant_text, &constant, hard_names).unwrap().text, stored.text);
        }
        Ok(true)
    });
}

#[test]
fn a_printed_query_is_certain_only_if_it_reads_as_it_was_printed_from() {
    let certain = Cell::new(0);
    over_texts(true, Writer::query, |text, _| {
        let Ok((query, _)) = view_of(text) else { return Ok(false) };
        let printed = query.to_string();
        if is_certain_query(&printed) {
            prop_assert_eq!(super::parse_query(&printed).unwrap(), query, "{} was {}", printed, text);
            certain.set(certain.get() + 1);
        }
        Ok(true)
    });
    assert!(certain.get() > 200, "{} texts are certain", certain.get());
}

#[test]
fn quotes_are_certain_unless_printing_could_have_changed_them() {
    for (text, expected) in [
        ("SELECT a FROM \"main\".\"s\".\"t\" WHERE b = 'EU' AND c LIKE '%\\d+'", true),
        ("SELECT ''", true),
        ("SELECT '\"'", true),
        ("SELECT 'it''s'", false),
        ("SELECT 'a\\'", false),
        ("SELECT a FROM t WHERE owner = '\\' OR true --'", false),
        ("SELECT \"a\"\"b\"", false),
        ("SELECT * FROM \"p\\\"", false),
        ("SELECT E'a'", false),
        ("SELECT $$a$$", false),
        ("SELECT a --b", false),
        ("SELECT /* a */ b", false),
        ("SELECT a  FROM t", false),
        ("SELECT a FROM", false),
        ("SELECT 'a", false),
    ] {
        assert_eq!(is_certain_query(text), expected, "{text}");
    }
    assert!(is_certain_expression("region = 'EU' OR is_member('all')"));
    assert!(!is_certain_expression("region = 'a''b'"));
    assert!(!is_certain_expression("1, 2"));
}

#[test]
fn names_stay_apart_from_what_stands_beside_them() {
    for (text, expected) in [
        ("SELECT u&f(a) FROM t", "SELECT u& \"f\"(a) FROM \"t\""),
        ("SELECT 1 FROM\"t\"WHERE true", "SELECT 1 FROM \"t\"WHERE true"),
        ("SELECT 1 FROM t\"b\"", "SELECT 1 FROM \"t\" \"b\""),
        ("SELECT 1 FROM t@v1", "SELECT 1 FROM \"t\"@v1"),
        ("SELECT -f(1), (f(2)) FROM s . t, ONLY (t) x", "SELECT - \"f\"(1), (\"f\"(2)) FROM \"s.t\", ONLY (\"t\") x"),
        ("SELECT 1 FROM t -- t", "SELECT 1 FROM \"t\""),
        ("TABLE t", "TABLE \"t\""),
        ("SELECT 1 FROM ONLY (s.t)", "SELECT 1 FROM ONLY (\"s.t\")"),
        ("SELECT f(a) BETWEEN SYMMETRIC f(b) AND f(c)", "SELECT \"f\"(a) BETWEEN SYMMETRIC \"f\"(b) AND \"f\"(c)"),
        (
            "WITH t AS (SELECT 1) SELECT \u{e9}, '\u{1F4A7}' FROM t, u",
            "WITH t AS (SELECT 1) SELECT \u{e9}, '\u{1F4A7}' FROM t, \"u\"",
        ),
    ] {
        let (query, query_text) = view_of(text).unwrap();
        let rename = |query: &mut ast::Query| {
            let joined = |parts: &[String]| Some(vec![parts.join(".")]);
            let renamer = Renamer {
                scopes: CteScopes::default(),
                relation: |parts: &[String], _| Ok(joined(parts)),
                function: |parts: &[String]| joined(parts),
                renamed: Vec::new(),
            };
            renamer.query(query)
        };
        assert_eq!(store_query(&query_text, &query, rename).unwrap().text, expected, "{text}");
    }
}

#[test]
fn a_text_that_says_something_else_is_refused() {
    let (query, _) = view_of("SELECT a FROM t WHERE a = 1").unwrap();
    for text in ["SELECT a FROM t WHERE a = 2", "SELECT a FROM t", "SELECT a FROM t WHERE a = 1 OR true"] {
        let error = store_query(text, &query, |_| Ok(vec![])).unwrap_err();
        assert_eq!(error.kind(), crate::error::ErrorKind::Unsupported, "{text}");
    }
    let (body, _) = body_of("RETURN a + 1").unwrap();
    assert!(store_expression("a + 2", &body, |_| Ok(vec![])).is_err());
    // A name that is not where the tree says is not written over anything else.
    let text = "SELECT a FROM t WHERE a = 1";
    let misplaced = |query: &mut ast::Query| {
        let mut renamed = hard_names(query)?;
        renamed.iter_mut().for_each(|name| name.columns = 8..9);
        Ok(renamed)
    };
    assert!(store_query(text, &query, misplaced).is_err());
}
