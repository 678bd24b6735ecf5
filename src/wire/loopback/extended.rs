use super::Server;
use super::WireOptions;
use super::client::{Client, bind, close, describe, execute, flush, message, parse, query, sync};

const ABORTED: &str = "E(ERROR 25P02 current transaction is aborted, commands ignored until end of transaction block)";

async fn ask(client: &mut Client, messages: &[Vec<u8>]) -> Vec<String> {
    client.ask(&[messages, &[sync()]].concat()).await
}

#[tokio::test]
async fn row_limits_suspend_and_finished_portals_give_nothing() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let start = [parse("", "rows 5", &[]), bind("", "", &[], &[], &[])];
    let parts = [start.to_vec(), vec![execute("", 2); 4]].concat();
    assert_eq!(
        ask(&mut client, &parts).await,
        ["1", "2", "D(0)", "D(1)", "s", "D(2)", "D(3)", "s", "D(4)", "C(SELECT 1)", "C(SELECT 0)", "Z(I)"]
    );
    let exact = [parse("", "rows 2", &[]), bind("", "", &[], &[], &[]), execute("", 2), execute("", 2)];
    assert_eq!(ask(&mut client, &exact).await, ["1", "2", "D(0)", "D(1)", "s", "C(SELECT 0)", "Z(I)"]);
    for all in [0, -1, i32::MAX, i32::MIN] {
        let messages = [start.to_vec(), vec![execute("", all)]].concat();
        assert_eq!(ask(&mut client, &messages).await.len(), 2 + 5 + 2, "{all}");
    }
}

#[tokio::test]
async fn descriptions_tell_parameters_columns_and_formats() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let messages = [
        parse("s", "parameter", &[]),
        describe('S', "s"),
        bind("", "s", &[1], &[&42_i32.to_be_bytes()], &[1]),
        describe('P', ""),
        execute("", 0),
    ];
    assert_eq!(
        ask(&mut client, &messages).await,
        ["1", "t(23)", "T(n:23:0)", "2", "T(n:23:1)", "D(\\0\\0\\0*)", "C(SELECT 1)", "Z(I)"]
    );
    let nothing = [parse("", "set a b", &[]), describe('S', ""), bind("", "", &[], &[], &[]), describe('P', ""), execute("", 0)];
    assert_eq!(ask(&mut client, &nothing).await, ["1", "t()", "n", "2", "n", "C(SET)", "S(a=b)", "Z(I)"]);
    let empty = [parse("", "", &[]), describe('S', ""), bind("", "", &[], &[], &[]), describe('P', ""), execute("", 0)];
    assert_eq!(ask(&mut client, &empty).await, ["1", "t()", "n", "2", "n", "I", "Z(I)"]);
}

#[tokio::test]
async fn portals_die_with_their_transaction() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let start = [parse("s", "rows 5", &[]), bind("p", "s", &[], &[], &[]), execute("p", 2)];
    assert_eq!(ask(&mut client, &start).await, ["1", "2", "D(0)", "D(1)", "s", "Z(I)"]);
    let gone = ["E(ERROR 34000 portal \"p\" does not exist)", "Z(I)"];
    assert_eq!(ask(&mut client, &[execute("p", 2)]).await, gone);

    client.query("begin").await;
    assert_eq!(ask(&mut client, &start[1..]).await, ["2", "D(0)", "D(1)", "s", "Z(T)"]);
    assert_eq!(ask(&mut client, &[execute("p", 2)]).await, ["D(2)", "D(3)", "s", "Z(T)"]);
    assert_eq!(ask(&mut client, &[close('P', "p"), close('S', "nosuch")]).await, ["3", "3", "Z(T)"]);
    assert_eq!(client.query("commit").await, ["C(COMMIT)", "Z(I)"]);
    assert_eq!(ask(&mut client, &[execute("p", 2)]).await, gone);

    client.query("begin").await;
    ask(&mut client, &start[1..]).await;
    client.query("fail").await;
    assert_eq!(ask(&mut client, &[execute("p", 2)]).await, [ABORTED, "Z(E)"]);
    assert_eq!(client.query("rollback").await, ["C(ROLLBACK)", "Z(I)"]);
}

#[tokio::test]
async fn an_error_skips_everything_up_to_sync() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let messages = [parse("", "selec", &[]), bind("", "", &[], &[], &[]), query("select 1"), flush(), message(b'E', b"")];
    assert_eq!(ask(&mut client, &messages).await, ["E(ERROR 42601 syntax error at or near \"selec\")", "Z(I)"]);
    let run = |text: &str| [parse("", text, &[]), bind("", "", &[], &[], &[]), execute("", 0), sync()].concat();
    client.send(&[run("select 1"), run("fail"), run("select 3")].concat()).await;
    assert_eq!(client.until_ready().await, ["1", "2", "D(1)", "C(SELECT 1)", "Z(I)"]);
    assert_eq!(client.until_ready().await, ["1", "2", "E(ERROR 22012 division by zero)", "Z(I)"]);
    assert_eq!(client.until_ready().await, ["1", "2", "D(3)", "C(SELECT 1)", "Z(I)"]);
}

#[tokio::test]
async fn numbers_and_formats_of_a_bind_are_checked() {
    let server = Server::start().await;
    let mut client = server.client().await;
    ask(&mut client, &[parse("s", "parameter", &[])]).await;
    for (bad, expected) in [
        (bind("", "s", &[], &[], &[]), "08P01 bind message supplies 0 parameters, but prepared statement \"s\" requires 1"),
        (
            bind("", "s", &[], &[b"1", b"2"], &[]),
            "08P01 bind message supplies 2 parameters, but prepared statement \"s\" requires 1",
        ),
        (bind("", "s", &[0, 1], &[b"1"], &[]), "08P01 bind message has 2 parameter formats but 1 parameters"),
        (bind("", "s", &[], &[b"1"], &[0, 1]), "08P01 bind message has 2 result formats but query has 1 columns"),
        (bind("", "s", &[2], &[b"1"], &[]), "22023 unsupported format code: 2"),
        (bind("", "s", &[], &[b"abc"], &[]), "22P02 invalid input syntax for type integer: \"abc\""),
        (bind("", "nosuch", &[], &[], &[]), "26000 prepared statement \"nosuch\" does not exist"),
        (describe('S', "nosuch"), "26000 prepared statement \"nosuch\" does not exist"),
        (describe('P', "nosuch"), "34000 portal \"nosuch\" does not exist"),
        (execute("nosuch", 0), "34000 portal \"nosuch\" does not exist"),
        (parse("s", "select 1", &[]), "42P05 prepared statement \"s\" already exists"),
        (parse("", "select 1; select 2", &[]), "42601 cannot insert multiple commands into a prepared statement"),
        (parse("", "select 1", &[600]), "0A000 a parameter of the type with OID 600 is not supported"),
    ] {
        assert_eq!(ask(&mut client, &[bad]).await, [format!("E(ERROR {expected})"), "Z(I)".to_string()]);
    }
    client.query("begin").await;
    let twice = [parse("r", "select 1", &[]), bind("p", "r", &[], &[], &[]), bind("p", "r", &[], &[], &[])];
    assert_eq!(ask(&mut client, &twice).await, ["1", "2", "E(ERROR 42P03 cursor \"p\" already exists)", "Z(E)"]);
    assert_eq!(ask(&mut client, &[parse("", "select 1", &[])]).await, [ABORTED, "Z(E)"]);
    let end = [parse("", "rollback", &[]), bind("", "", &[], &[], &[]), execute("", 0)];
    assert_eq!(ask(&mut client, &end).await, ["1", "2", "C(ROLLBACK)", "Z(I)"]);
}

#[tokio::test]
async fn a_statement_gives_what_it_was_described_with_or_nothing() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let messages = [parse("", "changes", &[]), bind("", "", &[], &[], &[]), execute("", 0)];
    assert_eq!(ask(&mut client, &messages).await[2], "E(ERROR 0A000 cached plan must not change result type)");
    let done = [parse("", "set a b", &[]), bind("", "", &[], &[], &[]), execute("", 0), execute("", 0)];
    assert_eq!(ask(&mut client, &done).await[3], "E(ERROR 55000 portal \"\" cannot be run)");
    let discard = [parse("d", "discard", &[]), bind("x", "d", &[], &[], &[]), execute("x", 0)];
    assert_eq!(ask(&mut client, &discard).await, ["1", "2", "C(DISCARD ALL)", "Z(I)"]);
}

#[tokio::test]
async fn flush_answers_without_sync() {
    let server = Server::start().await;
    let mut client = server.client().await;
    client.send(&[parse("", "select 1", &[]), describe('S', ""), flush()].concat()).await;
    assert_eq!(client.replies(3).await, ["1", "t()", "T(n:23:0)"]);
    client.send(&[bind("", "", &[], &[], &[]), execute("", 0), flush()].concat()).await;
    assert_eq!(client.replies(3).await, ["2", "D(1)", "C(SELECT 1)"]);
    assert_eq!(client.ask(&[sync()]).await, ["Z(I)"]);
}

#[tokio::test]
async fn copies_run_in_the_extended_protocol_too() {
    let server = Server::start().await;
    let mut client = server.client().await;
    let messages = [parse("", "copy text", &[]), bind("", "", &[], &[], &[]), describe('P', ""), execute("", 0)];
    assert_eq!(ask(&mut client, &messages).await, ["1", "2", "n", "H(0 1)", "d(1\\n)", "d(2\\n)", "c", "C(COPY 2)", "Z(I)"]);
}

#[tokio::test]
async fn sizes_and_numbers_have_bounds_that_spare_the_session() {
    let options =
        WireOptions { query_size: crate::units::ByteSize::kib(4), prepared_statements: 2, portals: 1, ..WireOptions::default() };
    let server = Server::with(options, false).await;
    let mut client = server.client().await;
    let long = "x".repeat(5_000);
    assert_eq!(client.query(&long).await, ["E(ERROR 54000 message of 5001 bytes is too large)", "Z(I)"]);
    let statements: Vec<_> = ["a", "b", "c"].iter().map(|name| parse(name, "select 1", &[])).collect();
    assert_eq!(ask(&mut client, &statements).await, ["1", "1", "E(ERROR 53400 too many prepared statements: 2)", "Z(I)"]);
    let portals: Vec<_> = ["a", "b"].iter().map(|name| bind(name, "a", &[], &[], &[])).collect();
    assert_eq!(ask(&mut client, &portals).await, ["2", "E(ERROR 53400 too many open portals: 1)", "Z(I)"]);
}
