//! Every form of every statement, with what it parses to, in `snapshots/statements.txt`. `UPDATE_EXPECT=1 cargo test` writes the answers
//! behind the statements (lines that start with `> `); read them before they are committed.

use std::fmt::Write as _;

use expect_test::expect_file;

use super::*;
use crate::sql::statement::{CopyColumns, CopyForm, CreateTable, PreparedStatement};

fn show(statement: &Statement) -> String {
    match statement {
        Statement::Query(query) => format!("query: {query}"),
        Statement::Explain(explain) => {
            let (analyze, verbose, format) = (explain.analyze, explain.verbose, explain.format);
            format!("explain analyze={analyze} verbose={verbose} {format:?} {}", show(&explain.statement))
        }
        Statement::CopyOut(copy) => {
            let (form, header) = (form(&copy.form), copy.header);
            let force_quote =
                if copy.force_quote == CopyColumns::None { String::new() } else { format!(" {:?}", copy.force_quote) };
            format!("copy {form} header={header}{force_quote} query: {}", copy.query)
        }
        Statement::Prepared(PreparedStatement::Prepare { name, types, statement }) => {
            let (parameters, text) = (statement.parameters, &statement.text);
            format!("prepare {name} {types:?} parameters={parameters} text={text:?} {}", show(&statement.statement))
        }
        Statement::Prepared(PreparedStatement::Execute { name, arguments }) => {
            format!("execute {name} {:?}", arguments.iter().map(ToString::to_string).collect::<Vec<_>>())
        }
        Statement::Cursor(crate::sql::statement::CursorStatement::Declare { name, binary, scroll, hold, query }) => {
            format!("declare {name} binary={binary} scroll={scroll:?} hold={hold} query: {query}")
        }
        Statement::Command(command) => show_command(command),
        other => format!("{other:?}"),
    }
}

fn form(form: &CopyForm) -> String {
    let CopyForm { format, delimiter, null, quote, escape } = form;
    let quoting = if (quote, escape) == (&b'"', &b'"') {
        String::new()
    } else {
        format!(" quote={:?} escape={:?}", char::from(*quote), char::from(*escape))
    };
    format!("{format:?} delimiter={:?} null={null:?}{quoting}", char::from(*delimiter))
}

fn show_command(command: &Command) -> String {
    match command {
        Command::CopyIn(copy) => {
            let options = format!(
                "default={:?} force_null={:?} force_not_null={:?} skip_errors={} verbose={}",
                copy.default, copy.force_null, copy.force_not_null, copy.skip_errors, copy.verbose
            );
            let (table, columns) = (&copy.table.name.parts, &copy.table.columns);
            let condition = copy.condition.as_ref().map_or(String::new(), |condition| format!(" where {condition}"));
            format!("copy in {table:?} {columns:?} {} header={:?} {options}{condition}", form(&copy.form), copy.header)
        }
        Command::Insert { table, columns, by_name, query } => {
            format!("insert {:?} {columns:?} by_name={by_name} query: {query}", table.parts)
        }
        Command::CreateView { name, or_replace, if_not_exists, columns, query: _, query_text, comment } => format!(
            "create view {:?} or_replace={or_replace} if_not_exists={if_not_exists} {columns:?} text={query_text:?} comment={comment:?}",
            name.parts
        ),
        Command::CreateFunction { name, or_replace, if_not_exists, parameters, returns, body, body_text, comment } => format!(
            "create function {:?} or_replace={or_replace} if_not_exists={if_not_exists} {parameters:?} returns={returns:?} body: {body} text={body_text:?} comment={comment:?}",
            name.parts
        ),
        Command::CreateTable(table) => {
            let CreateTable {
                name,
                temporary,
                if_not_exists,
                or_replace,
                columns,
                query,
                partitioned_by,
                location,
                properties,
                comment,
            } = table;
            let query = query.as_ref().map(ToString::to_string);
            format!(
                "create table {:?} temporary={temporary:?} if_not_exists={if_not_exists} or_replace={or_replace} {columns:?} partitioned_by={partitioned_by:?} location={location:?} properties={properties:?} comment={comment:?} query={query:?}",
                name.parts
            )
        }
        other => format!("{other:?}"),
    }
}

fn answer(text: &str) -> String {
    let mut out = String::new();
    match parse(text, &Limits::default()) {
        Ok(statements) => {
            if statements.is_empty() {
                out.push_str("nothing\n");
            }
            for parsed in statements {
                let parameters = if parsed.parameters > 0 { format!(" parameters={}", parsed.parameters) } else { String::new() };
                writeln!(out, "{}{parameters}", show(&parsed.statement)).unwrap();
            }
        }
        Err(error) => {
            let position = error.position().map(|position| format!(" at {position}")).unwrap_or_default();
            let detail = error.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
            writeln!(out, "{} {}{position}{detail}", error.kind().sqlstate(), error.message()).unwrap();
            if error.kind() == ErrorKind::Unsupported && error.hint().is_none() && !error.message().starts_with("type ") {
                out.push_str("  no hint!\n");
            }
        }
    }
    out
}

#[test]
fn statements() {
    let recorded = include_str!("snapshots/statements.txt");
    let mut out = String::new();
    for line in recorded.lines() {
        if line.starts_with('#') {
            writeln!(out, "\n{line}").unwrap();
        }
        let Some(text) = line.strip_prefix("> ") else { continue };
        write!(out, "> {text}\n{}", answer(text)).unwrap();
    }
    expect_file!["snapshots/statements.txt"].assert_eq(out.trim_start());
}

/// Runs on a stack of the size that tokio gives its workers.
fn on_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(2 << 20).spawn(test).unwrap().join().unwrap();
}

#[test]
fn nothing_overflows_a_small_stack() {
    on_small_stack(|| {
        for text in [
            format!("select {}1", "1+".repeat(20_000)),
            format!("select {}1{}", "(".repeat(10_000), ")".repeat(10_000)),
            format!("select {}true", "not ".repeat(10_000)),
            format!("select {}1", "- ".repeat(10_000)),
            format!("select {}'x'", "'x' || ".repeat(10_000)),
            format!("select {}", "interval ".repeat(10_000)),
            format!("select {}", "case when ".repeat(10_000)),
            format!("select * from {}t{}", "(".repeat(10_000), ")".repeat(10_000)),
            format!("select {}", "array[".repeat(10_000)),
            format!("explain {}select 1", "explain ".repeat(10_000)),
            format!("select x{}", "::int".repeat(10_000)),
            format!("select a{}", ".b".repeat(10_000)),
        ] {
            let kind = parse(&text, &Limits::default()).unwrap_err().kind();
            assert!(matches!(kind, ErrorKind::TooComplex | ErrorKind::Syntax), "{kind:?} {}", text.get(..40).unwrap());
        }
    });
}

#[test]
fn what_the_limits_allow_parses_and_drops_on_a_small_stack() {
    on_small_stack(|| {
        for text in [
            format!("select {}1", "1+".repeat(499)),
            format!("select {}true", "not ".repeat(499)),
            format!("select {}1", "- ".repeat(499)),
            format!("select a = {}true", "not b = ".repeat(249)),
            format!("select {}1{}", "(".repeat(99), ")".repeat(99)),
            format!("select {}1{}", "f(".repeat(99), ")".repeat(99)),
            format!("select {}1{}", "cast(".repeat(99), " as int)".repeat(99)),
            format!("select {}1{}", "case when a then ".repeat(99), " end".repeat(99)),
            format!("select {}1{}", "array[".repeat(99), "]".repeat(99)),
            format!("select * from {}select 1{}", "(select * from ".repeat(49), ") x".repeat(49))
                .replace("from select", "from (select")
                + ") x",
            format!("select {}1{}", "(select ".repeat(99), ")".repeat(99)),
            format!("select * from t where {}true", "a = 1 or b = 2 and ".repeat(5000)),
            format!("select * from t where a in ({}1)", "1,".repeat(50_000)),
            format!("select 1 {}", "union all select 1 ".repeat(999)),
            format!("values {}(1)", "(1),".repeat(30_000)),
            format!("select * from a {}", "join b on a.x = b.x ".repeat(64)),
            format!("select * from {}a {}", "(".repeat(60), "join b using (x)) ".repeat(60)),
        ] {
            let statements = parse(&text, &Limits::default());
            assert!(statements.is_ok(), "{:?} {}", statements.unwrap_err(), text.get(..60).unwrap());
        }
    });
}

#[test]
fn alternatives_do_not_multiply() {
    let start = std::time::Instant::now();
    for text in [
        format!("select {}1 x y{}", "cast(".repeat(60), " as int)".repeat(60)),
        format!("select {}1 x y{}", "trim(".repeat(60), ")".repeat(60)),
        format!("select {}1 x y{}", "extract(year from ".repeat(60), ")".repeat(60)),
        format!("select {}'1' x y{}", "interval (".repeat(60), ")".repeat(60)),
        format!("select {}1 x y{}", "substring(".repeat(60), ")".repeat(60)),
        format!("select {}1 x y{}", "(select ".repeat(60), ")".repeat(60)),
        format!("select {} , {}", "((select from ".repeat(30), "))".repeat(30)),
        format!("select * from {} , {}", "((select * from ".repeat(7), "))".repeat(7)),
        format!("select * from {} a {}", "((select * from ".repeat(7), " join b))".repeat(7)),
        format!("select * from {} a b c {}", "(".repeat(90), ")".repeat(90)),
        format!("select {}1 x y{}", "array(select ".repeat(60), ")".repeat(60)),
        format!("select {}1 x y{}", "exists (select ".repeat(60), ")".repeat(60)),
        format!("select {}1 x y{}", "case ".repeat(60), " end".repeat(60)),
        format!("select {}1 x y{}", "row(".repeat(60), ")".repeat(60)),
        format!("select {}1 x y{}", "a in (".repeat(60), ")".repeat(60)),
        format!("select {}1 x y{}", "a = any (".repeat(60), ")".repeat(60)),
        format!("select {}", "a.".repeat(90)),
    ] {
        let before = std::time::Instant::now();
        assert!(parse(&text, &Limits::default()).is_err(), "{}", text.get(..40).unwrap());
        assert!(before.elapsed().as_secs() < 5, "{} took {:?}", text.get(..40).unwrap(), before.elapsed());
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

proptest::proptest! {
    /// Whatever the words: an answer, in time, and a position inside the text.
    #[test]
    fn any_sequence_of_tokens_is_answered(words in proptest::collection::vec(proptest::sample::select(VOCABULARY), 0..40)) {
        let text = words.join(" ");
        let start = std::time::Instant::now();
        if let Err(error) = parse(&text, &Limits::default()) {
            let end = text.chars().count() + 1;
            assert!(error.position().is_none_or(|position| (1..=end).contains(&position)), "{text}");
            assert_ne!(error.kind(), ErrorKind::Internal, "{text}");
        }
        assert!(start.elapsed().as_secs() < 5, "{text}");
    }

    /// Whatever the bytes.
    #[test]
    fn any_text_is_answered(text in "\\PC{0,60}") {
        drop(parse(&text, &Limits::default()));
    }
}

const VOCABULARY: &[&str] = &[
    "select",
    "from",
    "where",
    "group by",
    "order by",
    "having",
    "limit",
    "offset",
    "union all",
    "except",
    "with",
    "recursive",
    "as",
    "(",
    ")",
    "[",
    "]",
    ",",
    ".",
    ";",
    "*",
    "+",
    "-",
    "=",
    "<",
    "||",
    "::",
    ":",
    "@",
    "~",
    "!",
    "?",
    "->",
    "$1",
    "1",
    "1.5",
    "'x'",
    "t",
    "a",
    "\"Q\"",
    "int",
    "text",
    "interval",
    "timestamp",
    "date",
    "case",
    "when",
    "then",
    "else",
    "end",
    "and",
    "or",
    "not",
    "is",
    "null",
    "in",
    "between",
    "like",
    "exists",
    "cast",
    "extract",
    "substring",
    "trim",
    "position",
    "array",
    "row",
    "any",
    "all",
    "distinct",
    "on",
    "join",
    "left",
    "cross",
    "lateral",
    "using",
    "natural",
    "values",
    "table",
    "version",
    "of",
    "for",
    "update",
    "over",
    "partition by",
    "filter",
    "within group",
    "rows",
    "range",
    "current row",
    "create",
    "drop",
    "alter",
    "view",
    "function",
    "returns",
    "return",
    "grant",
    "revoke",
    "to",
    "set",
    "show",
    "reset",
    "insert into",
    "default",
    "explain",
    "analyze",
    "copy",
    "stdout",
    "declare",
    "cursor",
    "fetch",
    "prepare",
    "execute",
    "comment",
    "mask",
    "row filter",
    "owner to",
    "schema",
    "catalog",
    "user",
    "password",
    "role",
    "use",
    "describe",
    "begin",
    "commit",
    "tablesample",
    "window",
    "qualify",
    "collate",
    "at time zone",
    "operator(",
    "pg_catalog.",
    "{",
    "}",
    "#",
    "%",
    "^",
    "&",
];

#[test]
fn conditions_become_balanced_trees_in_order() {
    let text = "select a and b and c and d or e or f";
    let [parsed] = <[Parsed; 1]>::try_from(parse(text, &Limits::default()).unwrap()).unwrap();
    assert_eq!(show(&parsed.statement), "query: SELECT a AND b AND c AND d OR e OR f");
}

#[test]
fn debug_output_holds_no_secret() {
    let text = "create user a password 'hunter2'; create storage credential c with (key = 'hunter2'); prepare p as select 1";
    let statements = parse(text, &Limits::default()).unwrap();
    assert!(!format!("{statements:?}").contains("hunter2"));
    assert_eq!(&*statements[0].log_text(), "create user a password '[redacted]'");
}
