//! Attacks on the governed scan: whatever a caller tries, the outcome over a governed table equals the outcome over a copy from which hidden
//! rows and raw values were physically removed.
#![expect(clippy::disallowed_methods, reason = "the tests play the caller in a session of their own")]

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::Expr;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::*;

use crate::error::datafusion::from_datafusion;
use crate::governance::scan::{GovernedScan, GovernedTable, raw_qualifier};

/// Rows 0 to 9; the policy shows those with `id < 5`, and `ssn` to its owner alice only.
fn rows(visible_only: bool, masked: bool) -> RecordBatch {
    let ids: Vec<i64> = (0..if visible_only { 5 } else { 10 }).collect();
    let owner = |id: &i64| if *id < 2 { "alice" } else { "bob" };
    let ssn = |id: &i64| if masked && owner(id) != "alice" { "XXX".to_string() } else { format!("{id}11-22-333{id}") };
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from(ids.clone())) as ArrayRef, false),
        ("owner", Arc::new(StringArray::from_iter_values(ids.iter().map(owner))) as ArrayRef, true),
        ("ssn", Arc::new(StringArray::from_iter_values(ids.iter().map(ssn))) as ArrayRef, true),
        ("salary", Arc::new(Int64Array::from_iter_values(ids.iter().map(|id| 1000 * (id + 1)))) as ArrayRef, true),
    ])
    .unwrap()
}

fn raw(name: &str) -> Expr {
    Expr::Column(datafusion::common::Column::new(Some(raw_qualifier()), name))
}

fn memory(batch: RecordBatch) -> Arc<dyn TableProvider> {
    Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap())
}

fn governed(provider: Arc<dyn TableProvider>, schema: &SchemaRef, filter: Option<Expr>) -> Arc<dyn TableProvider> {
    let mask = when(raw("owner").eq(lit("alice")), raw("ssn")).otherwise(lit("XXX")).unwrap();
    let masks = BTreeMap::from([("ssn".to_string(), mask)]);
    Arc::new(GovernedTable::new("public.people".into(), provider, None, schema, filter, masks).unwrap())
}

fn session(push: bool, partitions: usize) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(partitions);
    config.options_mut().execution.parquet.pushdown_filters = push;
    config.options_mut().explain.show_statistics = true;
    SessionContext::new_with_config(config)
}

/// A caller's session: `t` governed or copied, `acl` theirs.
fn caller(table: Arc<dyn TableProvider>, push: bool, partitions: usize) -> SessionContext {
    let context = session(push, partitions);
    context.register_table("t", table).unwrap();
    let acl = RecordBatch::try_from_iter([
        ("who", Arc::new(StringArray::from(vec!["alice", "carol"])) as ArrayRef),
        ("grp", Arc::new(StringArray::from(vec!["alice", "bob"])) as ArrayRef),
        ("n", Arc::new(Int64Array::from(vec![1, 9])) as ArrayRef),
    ]);
    context.register_table("acl", memory(acl.unwrap())).unwrap();
    context
}

/// Rows in a fixed order, or SQLSTATE and message as a client reads them.
async fn outcome(context: &SessionContext, query: &str) -> String {
    let run = async { context.sql(query).await?.collect().await };
    match run.await {
        Ok(batches) => {
            let text = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
            let mut lines: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
            lines.sort_unstable();
            format!("ok {}", lines.join("\n"))
        }
        Err(error) => {
            let error = from_datafusion(error, true);
            format!("error {} {}", error.kind().sqlstate(), error.message())
        }
    }
}

/// Predicates and expressions that fail on hidden rows only, in every position that optimisers move.
const ATTACKS: &[&str] = &[
    "SELECT id FROM t WHERE 1/(salary-9000) >= 0",
    "SELECT id, 1/(salary-9000-length(owner)*0) FROM t",
    "SELECT id FROM t WHERE CAST(CASE WHEN id<5 THEN '1' ELSE ssn END AS INT) > 0",
    "SELECT a.id FROM t a JOIN t b ON a.id=b.id AND 1/(b.salary-9000)>=0",
    "SELECT id, salary FROM t ORDER BY 1/(salary-9000) LIMIT 2",
    "SELECT id FROM t ORDER BY salary DESC LIMIT 1",
    "SELECT count(*), min(salary), max(salary), min(id), max(id) FROM t",
    "SELECT count(*) FROM (SELECT id FROM t WHERE salary > 3000 LIMIT 1)",
    "SELECT ssn FROM t WHERE ssn LIKE '3%'",
    "SELECT ssn FROM t WHERE ssn='XXX' ORDER BY ssn",
    "SELECT ssn, count(*) c FROM t GROUP BY ssn ORDER BY c DESC, ssn LIMIT 1",
    "SELECT id FROM t WHERE CAST(ssn AS INT) > 0",
    "SELECT id FROM t WHERE CAST(CASE WHEN salary>=9000 THEN ssn ELSE '1' END AS INT) > 0",
    "SELECT * FROM (SELECT id, 1/(salary-9000) x FROM t) q WHERE x>=0",
    "SELECT id, x FROM (SELECT id, 1/(salary-9000) x FROM t) q ORDER BY x, id LIMIT 3",
    "SELECT 1/(salary-9000) g, count(*) FROM t GROUP BY 1/(salary-9000)",
    "SELECT id FROM t WHERE (1/(salary-9000))+1>0 AND (1/(salary-9000))>=0",
    "SELECT id, row_number() over (partition by 1/(salary-9000) order by id) r FROM t",
    "SELECT count(*) FILTER (WHERE 1/(salary-9000)>=0) FROM t",
    "SELECT a.id FROM t a LEFT JOIN t b ON a.id=b.id AND 1/(b.salary-9000)>=0",
    "WITH c AS (SELECT * FROM t) SELECT id FROM c WHERE 1/(salary-9000)>=0",
    "SELECT id FROM t WHERE id IN (SELECT id FROM t WHERE 1/(salary-9000)>=0)",
    "SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM acl WHERE acl.n = 1/(t.salary-9000))",
    "SELECT id FROM (SELECT * FROM t UNION ALL SELECT * FROM t) WHERE 1/(salary-9000)>=0",
    "SELECT id FROM (SELECT * FROM t OFFSET 0) WHERE 1/(salary-9000)>=0",
    "SELECT id FROM (SELECT * FROM t LIMIT 1000000) WHERE 1/(salary-9000)>=0",
    "SELECT id FROM (SELECT DISTINCT * FROM t) WHERE 1/(salary-9000)>=0",
    "SELECT id FROM t WHERE abs(CASE WHEN salary > 5000 THEN -9223372036854775808 ELSE 1 END) > 0",
    "SELECT id FROM t WHERE arrow_cast(CASE WHEN id<5 THEN '2020-01-01' ELSE ssn END,'Date32') > '2019-01-01'",
    "SELECT id FROM t WHERE to_timestamp(CASE WHEN id<5 THEN '2020-01-01' ELSE ssn END) > '2019-01-01'",
    "SELECT id FROM t WHERE regexp_like('a', CASE WHEN id<5 THEN 'a' ELSE concat('(',ssn) END)",
    "SELECT get_field(named_struct('a', 1/(salary-9000-id*0)),'a') q FROM t",
    "SELECT (CASE WHEN salary>0 THEN 1/(salary-9000) END) q FROM t WHERE owner<>'x'",
    "SELECT a.id FROM t a JOIN acl b ON a.owner=b.who ORDER BY 1/(a.salary-9000), a.id LIMIT 1",
    "SELECT count(*) FROM t WHERE salary IS NOT NULL",
    "SELECT id FROM t WHERE random()<2 AND 1/(salary-9000)>=0",
    "SELECT sum(salary) FROM t WHERE salary BETWEEN 2000 AND 9500 AND owner IN ('bob','eve')",
    "SELECT a.id FROM acl JOIN t a ON acl.n = a.id",
    "SELECT a.id FROM acl JOIN t a ON acl.n = 9/(a.id-8)",
    "SELECT a.ssn FROM acl JOIN t a ON acl.grp = a.ssn",
    "SELECT acl.who, a.id FROM acl LEFT JOIN t a ON acl.grp = a.owner AND a.salary > 1000",
    "SELECT max(salary) FROM t WHERE id > 2",
    "SELECT id FROM t ORDER BY id DESC LIMIT 2",
    "SELECT t.id, (SELECT max(n) FROM acl WHERE acl.grp = t.owner) FROM t WHERE 1/(t.id-7) < 5",
    "SELECT id FROM t WHERE ssn IS NULL OR 1/(salary-9000) > 1",
    "SELECT count(DISTINCT ssn) FROM t",
    "SELECT id FROM t GROUP BY id HAVING sum(1/(salary-9000)) >= 0",
    "SELECT DISTINCT ON (owner) owner, id FROM t ORDER BY owner, 1/(salary-9000), id",
    "SELECT id FROM t WHERE id = 8",
    "SELECT count(*) FROM t",
];

/// Attacks that fail in the copy too: the message must not tell a value.
const FAILING: &[&str] = &[
    "SELECT id FROM t WHERE 1/(salary-3000) >= 0",
    "SELECT CAST(ssn AS INT) FROM t WHERE id = 1",
    "SELECT abs(-9223372036854775807 - 1 + salary * 0) FROM t",
    "SELECT (SELECT id FROM t)",
];

async fn compare(governed: &SessionContext, copy: &SessionContext, mode: &str) {
    for query in ATTACKS.iter().chain(FAILING) {
        let (seen, expected) = (outcome(governed, query).await, outcome(copy, query).await);
        assert_eq!(seen, expected, "{mode}: {query}");
        assert!(!seen.contains("511-22") && !seen.contains("811-22"), "{mode}: {query}: {seen}");
    }
    for query in FAILING {
        assert!(outcome(governed, query).await.starts_with("error"), "{query}");
    }
}

#[tokio::test]
async fn attacks_over_memory_tell_nothing() {
    let all = rows(false, false);
    for partitions in [1, 4] {
        let table = governed(memory(all.clone()), &all.schema(), Some(raw("id").lt(lit(5_i64))));
        compare(&caller(table, false, partitions), &caller(memory(rows(true, true)), false, partitions), "memory").await;
    }
}

#[tokio::test]
async fn attacks_over_parquet_tell_nothing_with_and_without_late_materialisation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.parquet");
    let all = rows(false, false);
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), all.schema(), None).unwrap();
    writer.write(&all).unwrap();
    writer.close().unwrap();
    for push in [false, true] {
        let reader = session(push, 2);
        let options = ParquetReadOptions::default();
        let provider = reader.read_parquet(path.to_str().unwrap(), options).await.unwrap().into_view();
        let schema = provider.schema();
        let table = governed(provider, &schema, Some(raw("id").lt(lit(5_i64))));
        let copied: Vec<RecordBatch> = {
            let context = session(push, 2);
            context.register_table("c", memory(rows(true, true))).unwrap();
            let columns =
                schema.fields().iter().map(|field| cast(ident(field.name()), field.data_type().clone()).alias(field.name()));
            context.table("c").await.unwrap().select(columns.collect::<Vec<_>>()).unwrap().collect().await.unwrap()
        };
        let copy = Arc::new(MemTable::try_new(copied[0].schema(), vec![copied]).unwrap());
        compare(&caller(table, push, 2), &caller(copy, push, 2), &format!("parquet push={push}")).await;
    }
}

/// A policy that reads another table: its subquery is planned inside.
#[tokio::test]
async fn a_policy_with_a_subquery_hides_as_well() {
    let all = rows(false, false);
    let mapping = RecordBatch::try_from_iter([("allowed", Arc::new(Int64Array::from(vec![0, 1, 2, 3, 4])) as ArrayRef)]).unwrap();
    let mapping = memory(mapping);
    let subquery =
        datafusion::logical_expr::LogicalPlanBuilder::scan("m", datafusion::datasource::provider_as_source(mapping), None);
    let subquery = Arc::new(subquery.unwrap().project(vec![col("m.allowed")]).unwrap().build().unwrap());
    let table = governed(memory(all.clone()), &all.schema(), Some(in_subquery(raw("id"), subquery)));
    compare(&caller(table, false, 2), &caller(memory(rows(true, true)), false, 2), "semi join policy").await;
}

fn find_scan(plan: &Arc<dyn ExecutionPlan>) -> Option<&GovernedScan> {
    plan.downcast_ref::<GovernedScan>().or_else(|| plan.children().into_iter().find_map(find_scan))
}

async fn plans(query: &str) -> (String, String) {
    plans_under(raw("id").lt(lit(5_i64)), query).await
}

async fn plans_under(filter: Expr, query: &str) -> (String, String) {
    let all = rows(false, false);
    let table = governed(memory(all.clone()), &all.schema(), Some(filter));
    let plan = caller(table, false, 2).sql(query).await.unwrap().create_physical_plan().await.unwrap();
    let inner = displayable(find_scan(&plan).unwrap().inner().as_ref()).indent(true).to_string();
    (displayable(plan.as_ref()).indent(true).to_string(), inner)
}

#[tokio::test]
async fn only_leakproof_predicates_are_inside_and_nothing_of_the_policy_is_outside() {
    let (outer, inner) =
        plans("SELECT id, length(owner) FROM t WHERE salary > 3000 AND 1/(salary-9000) >= 0 AND ssn = 'q' AND owner LIKE 'b%'")
            .await;
    assert!(
        inner.contains("3000")
            && !inner.contains("9000")
            && !inner.contains("'q'")
            && !inner.contains(" q")
            && !inner.contains("LIKE"),
        "{inner}"
    );
    assert!(!inner.contains("length"), "{inner}");
    assert!(outer.contains("GovernedScan: public.people") && outer.contains("9000") && !outer.contains("3000"), "{outer}");
    assert!(!outer.contains("XXX") && !outer.contains("id@0 < 5") && !outer.contains("DataSource"), "{outer}");
}

/// A predicate that contradicts the policy's own constant leaves nothing to read inside: the outer plan must not tell.
#[tokio::test]
async fn the_outer_plan_has_one_shape_whatever_is_inside() {
    for query in ["SELECT salary FROM t WHERE owner = $", "SELECT id, count(*) FROM t WHERE owner = $ GROUP BY id ORDER BY id"] {
        let plans = async |owner| plans_under(raw("owner").eq(lit("alice")), &query.replace('$', owner)).await;
        let ((outer, inner), (contradicted, empty)) = (plans("'alice'").await, plans("'bob'").await);
        assert!(empty.contains("EmptyExec") && !inner.contains("EmptyExec"), "no contradiction inside: {empty}");
        assert_eq!(contradicted, outer, "{query}");
    }
}

#[tokio::test]
async fn the_leaf_has_as_many_partitions_as_asked_for_whatever_is_inside() {
    let all = rows(false, false);
    for inside in [1, 3, 7] {
        let batches = (0..inside).map(|_| vec![all.clone()]).collect();
        let raw_table = Arc::new(MemTable::try_new(all.schema(), batches).unwrap());
        let context = caller(governed(raw_table, &all.schema(), Some(raw("id").lt(lit(5_i64)))), false, 3);
        let plan = context.sql("SELECT id FROM t").await.unwrap().create_physical_plan().await.unwrap();
        assert_eq!(find_scan(&plan).unwrap().properties().output_partitioning().partition_count(), 3);
        let counted = outcome(&context, "SELECT count(*) FROM t").await;
        assert!(counted.contains(&(5 * inside).to_string()), "{inside}: {counted}");
    }
}

#[tokio::test]
async fn the_inner_plan_reads_the_columns_it_needs_and_no_others() {
    let (_, inner) = plans("SELECT salary FROM t WHERE salary > 3000").await;
    assert!(!inner.contains("ssn") && !inner.contains("owner"), "{inner}");
}

#[tokio::test]
async fn a_join_above_prunes_the_raw_scan_by_plain_columns_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("t.parquet");
    let all = rows(false, false);
    let mut writer = ArrowWriter::try_new(std::fs::File::create(&path).unwrap(), all.schema(), None).unwrap();
    writer.write(&all).unwrap();
    writer.close().unwrap();
    let reader = session(false, 2);
    let provider = reader.read_parquet(path.to_str().unwrap(), ParquetReadOptions::default()).await.unwrap().into_view();
    let schema = provider.schema();
    let context = caller(governed(provider, &schema, Some(raw("id").lt(lit(5_i64)))), false, 2);
    for (query, expected) in [
        ("SELECT a.id FROM acl JOIN t a ON acl.n = a.id", true),
        ("SELECT a.id FROM acl JOIN t a ON acl.grp = a.ssn", false),
        ("SELECT a.id FROM acl JOIN t a ON acl.n = 1/(a.salary-9000)", false),
        ("SELECT id, owner FROM t ORDER BY id LIMIT 1", true),
        ("SELECT id, ssn FROM t ORDER BY ssn LIMIT 1", false),
    ] {
        let plan = context.sql(query).await.unwrap().create_physical_plan().await.unwrap();
        let inner = displayable(find_scan(&plan).unwrap().inner().as_ref()).indent(true).to_string();
        assert_eq!(inner.contains("DynamicFilter"), expected, "{query}\n{inner}");
    }
}

#[tokio::test]
async fn a_masked_column_may_be_null_though_the_column_itself_never_is() {
    let all = rows(false, false);
    let masks = BTreeMap::from([("id".to_string(), lit(datafusion::common::ScalarValue::Int64(None)))]);
    let table = GovernedTable::new("public.people".into(), memory(all.clone()), None, &all.schema(), None, masks).unwrap();
    let context = caller(Arc::new(table), false, 2);
    assert_eq!(
        outcome(&context, "SELECT count(*), count(id) FROM t WHERE id IS NULL").await,
        "ok | 10       | 0           |\n| count(*) | count(t.id) |"
    );
}
