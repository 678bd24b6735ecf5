//! The engine from outside: what a session sees.

use std::time::Instant;

use datafusion::arrow::array::{AsArray, Int64Array, StringArray};
use datafusion::arrow::datatypes::{Field, Int64Type};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{
    JoinType, LogicalPlanBuilder, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col, lit, placeholder,
};

use super::*;
use crate::sql::statement::ExplainFormat;
use crate::types::SqlType;
use crate::units::{ByteSize, HumanDuration};

#[derive(Debug)]
struct NoStores;

impl ObjectStoreRegistry for NoStores {
    fn register_store(&self, _: &url::Url, _: Arc<dyn object_store::ObjectStore>) -> Option<Arc<dyn object_store::ObjectStore>> {
        None
    }

    fn get_store(&self, url: &url::Url) -> datafusion::error::Result<Arc<dyn object_store::ObjectStore>> {
        datafusion::common::exec_err!("no store for {url}")
    }
}

struct TestEngine {
    engine: Arc<Engine>,
    _directory: tempfile::TempDir,
}

fn engine(change: impl FnOnce(&mut EngineOptions)) -> TestEngine {
    let directory = tempfile::tempdir().unwrap();
    let mut options = EngineOptions {
        spill_directory: directory.path().join("spill"),
        worker_threads: 2,
        target_partitions: 2,
        ..EngineOptions::default()
    };
    change(&mut options);
    TestEngine { engine: Engine::new(&options, Arc::new(NoStores)).unwrap(), _directory: directory }
}

fn settings() -> ExecutionSettings {
    ExecutionSettings { time_zone: "UTC".into(), statement_timeout: None }
}

/// `rows` numbers, one batch a thousand, over two partitions.
fn numbers(name: &str, rows: i64) -> LogicalPlanBuilder {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let batch = |start: i64| {
        let values = Int64Array::from_iter_values(start..(start + 1000).min(rows));
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values)]).unwrap()
    };
    let batches: Vec<RecordBatch> = (0..rows).step_by(1000).map(batch).collect();
    let middle = batches.len() / 2;
    let (left, right) = batches.split_at(middle);
    let table = MemTable::try_new(Arc::clone(&schema), vec![left.to_vec(), right.to_vec()]).unwrap();
    LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(table)), None).unwrap()
}

fn query(plan: LogicalPlanBuilder) -> GovernedQuery {
    GovernedQuery::for_tests(plan.build().unwrap(), false)
}

async fn run(engine: &Engine, query: GovernedQuery) -> Result<Vec<RecordBatch>> {
    let physical = engine.plan(query, &settings(), &[]).await?;
    engine.run(physical, &CancellationToken::new()).await?.collect_all().await
}

fn first(batches: &[RecordBatch]) -> i64 {
    batches[0].column(0).as_primitive::<Int64Type>().value(0)
}

#[tokio::test]
async fn an_engine_whose_threads_are_all_taken_does_not_answer() {
    let TestEngine { engine, _directory } = engine(|options| (options.worker_threads, options.planner_threads) = (1, 1));
    let (soon, late) = (Duration::from_millis(50), Duration::from_secs(20));
    assert!(engine.answers(late).await);
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let worker = engine.workers.handle().unwrap().spawn(async move { blocked.recv() });
    assert!(!engine.answers(soon).await);
    release.send(()).unwrap();
    worker.await.unwrap().unwrap();
    let (release, blocked) = std::sync::mpsc::channel::<()>();
    let mut planner = Box::pin(engine.on_planner(move || blocked.recv()));
    assert!(futures::poll!(&mut planner).is_pending());
    assert!(!engine.answers(soon).await);
    release.send(()).unwrap();
    planner.await.unwrap().unwrap();
    assert!(engine.answers(late).await);
}

/// A function that sleeps, or panics, for each batch.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Misbehave {
    signature: Signature,
    panics: bool,
}

impl ScalarUDFImpl for Misbehave {
    fn name(&self) -> &str {
        "misbehave"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> datafusion::error::Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(
        &self,
        args: datafusion::logical_expr::ScalarFunctionArgs,
    ) -> datafusion::error::Result<datafusion::logical_expr::ColumnarValue> {
        assert!(!self.panics, "hidden value 42");
        std::thread::sleep(Duration::from_millis(50));
        Ok(args.args[0].clone())
    }
}

fn misbehave(panics: bool) -> Expr {
    let function = ScalarUDF::new_from_impl(Misbehave { signature: Signature::any(1, Volatility::Volatile), panics });
    function.call(vec![col("t.n")])
}

fn slow() -> GovernedQuery {
    query(numbers("t", 200_000).project(vec![misbehave(false)]).unwrap())
}

#[tokio::test]
async fn rows_come_out_typed_and_complete() {
    let test = engine(|_| {});
    let plan = numbers("t", 25_000).aggregate(Vec::<Expr>::new(), vec![sum(col("t.n")), count(lit(1))]).unwrap();
    let batches = run(&test.engine, query(plan)).await.unwrap();
    assert_eq!(first(&batches), 25_000 * 24_999 / 2);
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().value(0), 25_000);
}

#[tokio::test]
async fn integers_do_not_wrap() {
    let test = engine(|_| {});
    for (expr, message) in [
        (col("t.n") * lit(i64::MAX), "bigint out of range"),
        (lit(i64::MAX) + col("t.n"), "bigint out of range"),
        (lit(i64::MIN) - col("t.n"), "bigint out of range"),
        (lit(i32::MAX) + lit(1_i32), "integer out of range"),
    ] {
        let error = run(&test.engine, query(numbers("t", 10).project(vec![expr]).unwrap())).await.unwrap_err();
        assert_eq!((error.kind().sqlstate(), error.message()), ("22003", message));
    }
    let plan = numbers("t", 10).aggregate(vec![col("t.n") % lit(2_i64) + lit(1_i64)], vec![sum(col("t.n") * lit(2_i64))]).unwrap();
    let plan = plan.project(vec![col("t.n % Int64(2) + Int64(1)") + lit(0_i64)]);
    // The rule keeps column names, so that nodes above still find them.
    assert!(plan.is_err() || run(&test.engine, query(plan.unwrap())).await.is_ok());
    assert_eq!(test.engine.evaluate(lit(2_i64) + lit(3_i64), &settings()).unwrap(), ScalarValue::Int64(Some(5)));
    assert_eq!(test.engine.evaluate(lit(i64::MAX) + lit(3_i64), &settings()).unwrap_err().kind().sqlstate(), "22003");
}

#[tokio::test]
async fn names_survive_checked_arithmetic_under_aggregates_and_sorts() {
    let test = engine(|_| {});
    let group = col("t.n") * lit(0_i64) + lit(1_i64);
    let plan = numbers("t", 10).aggregate(vec![group.clone()], vec![sum(col("t.n") + lit(1_i64))]).unwrap();
    let plan = plan.sort(vec![group.sort(true, false)]).unwrap();
    let batches = run(&test.engine, query(plan)).await.unwrap();
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().value(0), 55);
}

#[tokio::test]
async fn parameters_are_typed_and_counted() {
    let test = engine(|_| {});
    let plan = numbers("t", 100).filter(col("t.n").eq(placeholder("$1"))).unwrap().build().unwrap();
    let prepared = GovernedQuery::for_tests(plan, false).with_parameters(vec![SqlType::Int8]);
    let physical = test.engine.plan(prepared.clone(), &settings(), &[ScalarValue::Int32(Some(7))]).await.unwrap();
    let batches = test.engine.run(physical, &CancellationToken::new()).await.unwrap().collect_all().await.unwrap();
    assert_eq!(first(&batches), 7);
    assert_eq!(test.engine.plan(prepared, &settings(), &[]).await.unwrap_err().kind().sqlstate(), "08P01");
}

#[tokio::test]
async fn a_row_of_constants_needs_no_slot() {
    let test = engine(|_| {});
    let row = |columns: Vec<Expr>| LogicalPlanBuilder::empty(true).project(columns).unwrap();
    let typed = Arc::new(Field::new("$1", DataType::Int64, true));
    let parameter = Expr::Placeholder(Placeholder::new_with_field("$1".into(), Some(typed)));
    let plan = row(vec![lit("a").alias("x"), parameter.alias("y")]).build().unwrap();
    let governed = GovernedQuery::for_tests(plan, false).with_parameters(vec![SqlType::Int8]);
    let batches = test.engine.constants(&governed, &[ScalarValue::Int32(Some(7))]).unwrap().unwrap().collect_all().await.unwrap();
    assert_eq!(batches[0].column(0).as_any().downcast_ref::<StringArray>().unwrap().value(0), "a");
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().value(0), 7);
    assert_eq!(test.engine.constants(&governed, &[]).unwrap_err().kind(), ErrorKind::ProtocolViolation);
    for computed in [query(row(vec![lit(1) + lit(1)])), query(numbers("t", 10)), query(LogicalPlanBuilder::empty(true))] {
        assert!(test.engine.constants(&computed, &[]).unwrap().is_none());
    }
}

#[test]
fn only_plans_that_do_nothing_hand_out() {
    let plan = |builder: LogicalPlanBuilder| hands_out(&builder.build().unwrap());
    assert!(plan(numbers("t", 10)));
    assert!(plan(numbers("t", 10).project(vec![col("t.n").alias("m")]).unwrap().limit(2, Some(3)).unwrap()));
    assert!(!plan(numbers("t", 10).filter(col("t.n").gt(lit(1_i64))).unwrap()));
    assert!(!plan(numbers("t", 10).project(vec![col("t.n") + lit(1_i64)]).unwrap()));
    assert!(!plan(numbers("t", 10).aggregate(vec![col("t.n")], vec![count(col("t.n"))]).unwrap()));
}

#[tokio::test]
async fn one_thread_hands_out_where_no_policy_is_at_work() {
    let test = engine(|_| {});
    for (governed, partitions) in [(false, 1), (true, 2)] {
        let query = GovernedQuery::for_tests(numbers("t", 10).build().unwrap(), governed);
        let physical = test.engine.plan(query, &settings(), &[]).await.unwrap();
        assert_eq!(physical.state.config().target_partitions(), partitions, "governed: {governed}");
    }
}

#[tokio::test]
async fn a_cancelled_query_answers_at_once_though_a_worker_is_busy() {
    let test = engine(|_| {});
    let cancel = CancellationToken::new();
    let physical = test.engine.plan(slow(), &settings(), &[]).await.unwrap();
    let mut stream = test.engine.run(physical, &cancel).await.unwrap();
    stream.next().await.unwrap().unwrap();
    cancel.cancel();
    let asked = Instant::now();
    let error = loop {
        if let Err(error) = stream.next().await.unwrap() {
            break error;
        }
    };
    assert!(asked.elapsed() < Duration::from_millis(200), "{:?}", asked.elapsed());
    assert_eq!((error.kind().sqlstate(), error.message()), ("57014", "canceling statement due to user request"));
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_statement_times_out_while_it_runs_and_while_it_waits() {
    let test = engine(|options| options.concurrent_queries = 1);
    let hasty = ExecutionSettings { statement_timeout: Some(Duration::from_millis(150)), ..settings() };
    let physical = test.engine.plan(slow(), &hasty, &[]).await.unwrap();
    let error = test.engine.run(physical, &CancellationToken::new()).await.unwrap().collect_all().await.unwrap_err();
    assert_eq!((error.kind().sqlstate(), error.message()), ("57014", "canceling statement due to statement timeout"));

    let holder = test.engine.plan(slow(), &settings(), &[]).await.unwrap();
    let holder = test.engine.run(holder, &CancellationToken::new()).await.unwrap();
    let waiting = test.engine.plan(slow(), &hasty, &[]).await.unwrap();
    let error = test.engine.run(waiting, &CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.message(), "canceling statement due to statement timeout");
    assert_eq!(test.engine.waiting(), 0);
    drop(holder);
}

#[tokio::test]
async fn a_full_queue_refuses_and_a_dropped_result_frees_its_slot() {
    let test = engine(|options| {
        options.concurrent_queries = 1;
        options.queue_length = 0;
    });
    let holder = test.engine.plan(slow(), &settings(), &[]).await.unwrap();
    let holder = test.engine.run(holder, &CancellationToken::new()).await.unwrap();
    assert_eq!(run(&test.engine, query(numbers("t", 10))).await.unwrap_err().kind().sqlstate(), "53400");
    drop(holder);
    // The worker stops at the next batch and gives the slot back.
    let freed = async {
        while run(&test.engine, query(numbers("t", 10))).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), freed).await.unwrap();
}

#[tokio::test]
async fn a_slow_reader_lends_its_slot() {
    let test = engine(|options| options.concurrent_queries = 1);
    let idle = test.engine.plan(query(numbers("t", 100_000)), &settings(), &[]).await.unwrap();
    let mut idle = test.engine.run(idle, &CancellationToken::new()).await.unwrap();
    idle.next().await.unwrap().unwrap();
    let batches = tokio::time::timeout(Duration::from_secs(20), run(&test.engine, query(numbers("t", 10)))).await.unwrap().unwrap();
    assert_eq!(batches[0].num_rows(), 10);
    let rest: usize = idle.collect_all().await.unwrap().iter().map(RecordBatch::num_rows).sum();
    assert!(rest > 90_000);
}

#[tokio::test]
async fn a_panic_is_an_internal_error_with_an_id_and_the_engine_lives_on() {
    let test = engine(|_| {});
    let plan = numbers("t", 10).project(vec![misbehave(true)]).unwrap();
    let error = run(&test.engine, query(plan)).await.unwrap_err();
    assert_eq!((error.kind().sqlstate(), error.message()), ("XX000", "internal error"));
    assert!(!error.detail().unwrap_or_default().contains("hidden"));
    assert_eq!(first(&run(&test.engine, query(numbers("t", 10))).await.unwrap()), 0);
}

/// `rows` numbers in falling order with a text of 400 bytes each.
fn wide(name: &str, rows: i64) -> LogicalPlanBuilder {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false), Field::new("s", DataType::Utf8, false)]));
    let text = "x".repeat(400);
    let batch = |start: i64| {
        let values = Int64Array::from_iter_values((start..start + 1000).map(|n| rows - 1 - n));
        let texts = StringArray::from_iter_values((0..1000).map(|_| text.as_str()));
        RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(values), Arc::new(texts)]).unwrap()
    };
    let batches: Vec<RecordBatch> = (0..rows).step_by(1000).map(batch).collect();
    let (left, right) = batches.split_at(batches.len() / 2);
    let table = MemTable::try_new(Arc::clone(&schema), vec![left.to_vec(), right.to_vec()]).unwrap();
    LogicalPlanBuilder::scan(name, provider_as_source(Arc::new(table)), None).unwrap()
}

#[tokio::test]
async fn a_sort_spills_and_what_cannot_spill_is_refused() {
    let test = engine(|options| options.memory_per_query = ByteSize::mib(144));
    let plan = wide("t", 300_000).sort(vec![col("t.n").sort(true, false)]).unwrap();
    let batches = run(&test.engine, query(plan)).await.unwrap();
    assert_eq!((first(&batches), batches.iter().map(RecordBatch::num_rows).sum::<usize>()), (0, 300_000));

    let hoard = datafusion::functions_aggregate::expr_fn::array_agg(col("t.s"));
    let plan = wide("t", 600_000).aggregate(Vec::<Expr>::new(), vec![hoard]).unwrap();
    let error = run(&test.engine, query(plan)).await.unwrap_err();
    assert_eq!((error.kind().sqlstate(), error.message()), ("53200", "out of memory"));
}

#[tokio::test]
async fn a_join_that_does_not_fit_is_sorted_and_merged() {
    let test = engine(|options| options.memory_per_query = ByteSize::mib(144));
    let right = wide("r", 300_000).build().unwrap();
    let plan = wide("l", 300_000).join(right, JoinType::Inner, (vec!["l.n"], vec!["r.n"]), None).unwrap();
    let longest = datafusion::functions_aggregate::expr_fn::max;
    let plan = plan.aggregate(Vec::<Expr>::new(), vec![count(lit(1)), longest(col("l.s")), longest(col("r.s"))]).unwrap();
    assert_eq!(first(&run(&test.engine, query(plan)).await.unwrap()), 300_000);
}

#[tokio::test]
async fn spilling_stops_at_its_bound() {
    let test = engine(|options| {
        options.memory_per_query = ByteSize::mib(64);
        options.spill = ByteSize::mib(1);
    });
    let plan = wide("t", 300_000).sort(vec![col("t.n").sort(true, false)]).unwrap();
    assert_eq!(run(&test.engine, query(plan)).await.unwrap_err().kind().sqlstate(), "53100");
}

#[tokio::test]
async fn deep_expressions_are_planned_and_dropped_on_the_planners_stack() {
    let test = engine(|_| {});
    let engine = Arc::clone(&test.engine);
    // Building such a tree recurses nowhere, but planning and dropping it do.
    let deep = test
        .engine
        .on_planner(|| {
            let expr = (0..400).fold(col("t.n"), |left, _| left + lit(0_i64));
            query(numbers("t", 10).project(vec![expr]).unwrap())
        })
        .await
        .unwrap();
    let physical = engine.plan(deep, &settings(), &[]).await.unwrap();
    let batches = engine.run(physical, &CancellationToken::new()).await.unwrap().collect_all().await.unwrap();
    assert_eq!(batches[0].num_rows(), 10);
}

#[tokio::test]
async fn queue_timeouts_are_configured() {
    let test = engine(|options| {
        options.concurrent_queries = 1;
        options.queue_timeout = HumanDuration::millis(50);
    });
    let holder = test.engine.plan(slow(), &settings(), &[]).await.unwrap();
    let holder = test.engine.run(holder, &CancellationToken::new()).await.unwrap();
    let waiting = test.engine.plan(slow(), &settings(), &[]).await.unwrap();
    assert_eq!(test.engine.run(waiting, &CancellationToken::new()).await.unwrap_err().kind().sqlstate(), "53400");
    drop(holder);
}

#[tokio::test]
async fn explain_prints_a_tree_and_analyze_its_rows() {
    let test = engine(|_| {});
    let plan = || query(numbers("t", 5_000).filter(col("t.n").lt(lit(10_i64))).unwrap());
    let explain = |analyze, format| {
        let request = ExplainRequest { analyze, format };
        let engine = Arc::clone(&test.engine);
        async move {
            let stream = engine.explain(plan(), &settings(), &[], request, &CancellationToken::new()).await.unwrap();
            assert_eq!(stream.columns()[0].name(), "QUERY PLAN");
            let batches = stream.collect_all().await.unwrap();
            let lines: Vec<String> = batches[0]
                .column(0)
                .as_any()
                .downcast_ref::<StringArray>()
                .unwrap()
                .iter()
                .map(|line| line.unwrap().to_string())
                .collect();
            lines
        }
    };
    let text = explain(false, ExplainFormat::Text).await.join("\n");
    assert!(text.starts_with("FilterExec") && text.contains("->  DataSourceExec") && !text.contains("partition"), "{text}");
    let analyzed = explain(true, ExplainFormat::Text).await.join("\n");
    assert!(analyzed.contains("rows=10") && analyzed.contains("Execution Time"), "{analyzed}");
    let json: serde_json::Value = serde_json::from_str(&explain(false, ExplainFormat::Json).await[0]).unwrap();
    assert_eq!(json[0]["Plan"]["Node Type"], "FilterExec");
}

#[tokio::test]
async fn governed_errors_tell_no_value() {
    let test = engine(|_| {});
    let text = || {
        let schema = Arc::new(Schema::new(vec![Field::new("s", DataType::Utf8, false)]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(StringArray::from(vec!["canary"]))]).unwrap();
        let table = MemTable::try_new(schema, vec![vec![batch]]).unwrap();
        let scan = LogicalPlanBuilder::scan("t", provider_as_source(Arc::new(table)), None).unwrap();
        scan.project(vec![datafusion::logical_expr::cast(col("t.s"), DataType::Int32)]).unwrap().build().unwrap()
    };
    let open = run(&test.engine, GovernedQuery::for_tests(text(), false)).await.unwrap_err();
    assert_eq!(open.message(), "invalid input syntax for type integer: \"canary\"");
    let redacted = run(&test.engine, GovernedQuery::for_tests(text(), true)).await.unwrap_err();
    assert_eq!(redacted.message(), "invalid input syntax for type integer");
    assert!(!format!("{redacted:?}").contains("canary"));
}
