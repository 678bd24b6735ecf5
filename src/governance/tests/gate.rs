//! `govern` over real Delta tables: who reads what, at every depth of a plan.
#![expect(clippy::disallowed_methods, reason = "the tests run governed plans without the engine, which lies above this room")]

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::Utc;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::ColumnStatistics;
use datafusion::datasource::MemTable;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, TableSource, out_ref_col};
use datafusion::physical_plan::statistics::{StatisticsArgs, StatisticsContext};
use datafusion::prelude::*;

use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Grant, ObjectId, Relation};
use crate::catalog::{CatalogSnapshot, Change, NewPrincipal, NewRelation, NewTable};
use crate::error::{ErrorKind, Result};
use crate::functions::FunctionContext;
use crate::governance::{Purpose, govern};
use crate::lake::{AsOf, Lake, LakeOptions, TableRef, TableSnapshot, WriteOperation};
use crate::sql::source::{Access, AccessBy, BoundPolicies, BoundQuery, SecurableSource, SourceRelation};
use crate::storage::{Storage, StorageOptions};
use crate::system::{LiveState, SystemContext};
use crate::types::SqlType;

/// Tables `people` and `acl`; `alice` reads `people`, `owner` owns both, `eve` holds nothing.
struct World {
    _directory: tempfile::TempDir,
    lake: Arc<Lake>,
    catalog: Arc<CatalogSnapshot>,
    database: ObjectId,
    tables: BTreeMap<&'static str, (Arc<Relation>, Arc<TableSnapshot>)>,
}

impl World {
    async fn new() -> World {
        let directory = tempfile::tempdir().unwrap();
        let io = tokio::runtime::Handle::current();
        let lake = Lake::new(&LakeOptions::default(), Storage::new(&StorageOptions::default(), io.clone()).unwrap(), io).unwrap();
        let mut change = Change::on(&CatalogSnapshot::empty());
        let mut principal = |name: &str| {
            change.create_principal(NewPrincipal { name: name.into(), can_login: true, ..Default::default() }).unwrap()
        };
        let (owner, alice, _eve) = (principal("owner"), principal("alice"), principal("eve"));
        let database = change.create_catalog("main", owner, None, None).unwrap();
        let schema = change.create_schema(database, "public", owner, None, None).unwrap();
        let mut tables = BTreeMap::new();
        for (name, batch) in [("people", people()), ("acl", acl())] {
            let location = directory.path().join(name).to_str().unwrap().to_string();
            let kind = NewTable { location: location.clone(), managed: true, credential: None, partition_columns: vec![] }.into();
            let new = NewRelation { id: None, schema, name: name.into(), owner, columns: vec![], comment: None, kind };
            let id = change.create_relation(new).unwrap();
            let table = TableRef { id, name: name.into(), location, credential: None };
            let snapshot = fill(&lake, &table, batch).await;
            tables.insert(name, (Arc::clone(change.snapshot().relation_by_id(id).unwrap()), snapshot));
        }
        let mut grant = |privilege, securable| {
            change.grant(Grant { grantee: alice, securable, privilege, grantor: owner, grantable: false }).unwrap();
        };
        grant(Privilege::UseCatalog, database);
        grant(Privilege::UseSchema, schema);
        grant(Privilege::Select, tables["people"].0.id);
        World { _directory: directory, lake, catalog: Arc::new(change.into_snapshot()), database, tables }
    }

    fn id(&self, principal: &str) -> ObjectId {
        self.catalog.principal(principal).unwrap().id
    }

    fn system(&self, principal: &str) -> Arc<SystemContext> {
        let id = self.id(principal);
        let functions = FunctionContext {
            snapshot: Arc::clone(&self.catalog),
            principal: id,
            current_user: id,
            catalog: self.database,
            search_path: vec!["public".into()],
            settings: Arc::new(BTreeMap::new()),
            time_zone: "UTC".into(),
            form: Arc::default(),
            fixed: false,
            statement_time: Utc::now(),
            transaction_time: Utc::now(),
            pid: 1,
            application_name: String::new(),
            client_address: None,
            control: None,
            temporary: None,
        };
        Arc::new(SystemContext::new(Arc::new(functions), LiveState::default))
    }

    fn scan(&self, table: &str, by: AccessBy, policies: BoundPolicies) -> LogicalPlanBuilder {
        let (relation, snapshot) = &self.tables[table];
        let source = SecurableSource {
            relation: SourceRelation::Table {
                relation: Arc::clone(relation),
                snapshot: Some(Arc::clone(snapshot)),
                policies: Arc::new(policies),
            },
            by,
            schema: snapshot.schema(),
        };
        LogicalPlanBuilder::scan(table, Arc::new(source) as Arc<dyn TableSource>, None).unwrap()
    }

    /// A caller's scan of `people` under these policies.
    fn people(&self, policies: BoundPolicies) -> LogicalPlanBuilder {
        self.scan("people", AccessBy::Caller, policies)
    }

    async fn run(&self, principal: &str, plan: LogicalPlanBuilder) -> Result<String> {
        let plan = self.govern(principal, plan.build().unwrap())?.into_plan();
        let runtime = RuntimeEnvBuilder::new().with_object_store_registry(self.lake.object_store_registry()).build_arc().unwrap();
        let context = SessionContext::new_with_config_rt(SessionConfig::new().with_target_partitions(2), runtime);
        let batches = context.execute_logical_plan(plan).await.unwrap().collect().await.unwrap();
        let text = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap().to_string();
        let mut lines: Vec<String> = text.lines().filter(|line| line.starts_with('|')).skip(1).map(str::to_string).collect();
        lines.sort();
        Ok(lines
            .iter()
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join(" "))
            .collect::<Vec<_>>()
            .join(","))
    }

    fn govern(&self, principal: &str, plan: LogicalPlan) -> Result<crate::governance::GovernedQuery> {
        govern(bound(plan), self.id(principal), &self.system(principal), Purpose::Run)
    }
}

fn bound(plan: LogicalPlan) -> BoundQuery {
    let columns = plan.schema().fields().iter().map(Arc::clone).collect::<Vec<_>>();
    let origins = vec![None; columns.len()];
    let typmods = vec![-1; columns.len()];
    BoundQuery {
        plan,
        columns,
        origins,
        typmods,
        parameters: vec![],
        accesses: vec![],
        volatile: false,
        of_the_moment: false,
        unfit_for_policies: None,
    }
}

fn people() -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([
        ("id", Arc::new(Int64Array::from_iter_values(0..6)) as ArrayRef, true),
        ("ssn", Arc::new(StringArray::from_iter_values((0..6).map(|n| format!("s{n}")))) as ArrayRef, true),
    ])
    .unwrap()
}

fn acl() -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("allowed", Arc::new(Int64Array::from(vec![1, 3])) as ArrayRef, true)]).unwrap()
}

async fn fill(lake: &Arc<Lake>, table: &TableRef, batch: RecordBatch) -> Arc<TableSnapshot> {
    let field = |field: &Arc<Field>| SqlType::of_field(field).field(field.name(), true);
    let schema = Schema::new(batch.schema().fields().iter().map(field).collect::<Vec<_>>());
    let empty = lake.create(table, &schema, &[], &[], None).await.unwrap();
    let context = SessionContext::new();
    let provider = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
    let rows = context.read_table(Arc::new(provider)).unwrap().execute_stream().await.unwrap();
    lake.append(table, &empty, rows, WriteOperation::default()).await.unwrap();
    lake.snapshot(table, AsOf::Latest).await.unwrap()
}

fn filter(expr: Expr) -> BoundPolicies {
    BoundPolicies { row_filter: Some(expr), ..Default::default() }
}

fn mask(column: &str, expr: Expr) -> BoundPolicies {
    BoundPolicies { masks: BTreeMap::from([(column.to_string(), expr)]), ..Default::default() }
}

fn below_three() -> BoundPolicies {
    filter(ident("id").lt(lit(3_i64)))
}

fn ids(plan: LogicalPlanBuilder) -> LogicalPlanBuilder {
    plan.project(vec![col("people.id")]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_effective_policy_the_raw_provider_is_handed_out() {
    let world = World::new().await;
    assert_eq!(world.run("alice", ids(world.people(BoundPolicies::default()))).await.unwrap(), "0,1,2,3,4,5");
    let open = world.people(filter(lit(true).or(ident("id").lt(lit(3_i64))))).build().unwrap();
    assert!(!world.govern("alice", open).unwrap().is_governed());
    let closed = world.people(below_three()).build().unwrap();
    assert!(world.govern("alice", closed).unwrap().is_governed());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_masks_hold_for_the_caller_even_through_an_owners_view() {
    let world = World::new().await;
    assert_eq!(world.run("alice", ids(world.people(below_three()))).await.unwrap(), "0,1,2");
    let view = world.scan("people", AccessBy::Owner(world.id("owner")), below_three());
    assert_eq!(world.run("eve", ids(view)).await.unwrap(), "0,1,2");
    let masked = world.people(mask("ssn", lit("***")));
    assert_eq!(world.run("alice", masked.filter(col("people.id").lt(lit(2_i64))).unwrap()).await.unwrap(), "0 ***,1 ***");
    let hidden = world.people(mask("ssn", lit("***"))).filter(col("people.ssn").eq(lit("s4"))).unwrap();
    assert_eq!(world.run("alice", hidden).await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn subqueries_are_governed_wherever_they_stand() {
    let world = World::new().await;
    let inner = || Arc::new(ids(world.people(below_three())).build().unwrap());
    let outer = || world.people(BoundPolicies::default());
    let within = outer().filter(in_subquery(col("people.id"), inner())).unwrap();
    assert_eq!(world.run("alice", ids(within)).await.unwrap(), "0,1,2");
    let most = LogicalPlanBuilder::from(inner().as_ref().clone());
    let most = most.aggregate(Vec::<Expr>::new(), vec![datafusion::functions_aggregate::expr_fn::max(col("people.id"))]).unwrap();
    let scalar = outer().filter(col("people.id").eq(scalar_subquery(Arc::new(most.build().unwrap())))).unwrap();
    assert_eq!(world.run("alice", ids(scalar)).await.unwrap(), "2");
    let union = ids(outer()).union(inner().as_ref().clone()).unwrap();
    assert_eq!(world.run("alice", union).await.unwrap(), "0,0,1,1,2,2,3,4,5");
    let projected = outer().project(vec![
        col("people.id"),
        scalar_subquery(Arc::new(
            LogicalPlanBuilder::from(inner().as_ref().clone())
                .aggregate(Vec::<Expr>::new(), vec![datafusion::functions_aggregate::expr_fn::max(col("people.id"))])
                .unwrap()
                .build()
                .unwrap(),
        )),
    ]);
    assert_eq!(world.run("alice", projected.unwrap().limit(0, Some(1)).unwrap()).await.unwrap(), "0 2");
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_with_subqueries_read_with_their_owners_rights() {
    let world = World::new().await;
    let owner = AccessBy::Owner(world.id("owner"));
    let allowed =
        |by| Arc::new(world.scan("acl", by, BoundPolicies::default()).project(vec![col("acl.allowed")]).unwrap().build().unwrap());
    let listed = filter(in_subquery(ident("id"), allowed(owner)));
    assert_eq!(world.run("alice", ids(world.people(listed))).await.unwrap(), "1,3");

    let correlated = world.scan("acl", owner, BoundPolicies::default());
    let correlated = correlated.filter(col("acl.allowed").eq(out_ref_col(DataType::Int64, "id"))).unwrap().build().unwrap();
    assert_eq!(world.run("alice", ids(world.people(filter(exists(Arc::new(correlated)))))).await.unwrap(), "1,3");

    // A policy of the table that the policy reads counts as well.
    let limited = world.scan("acl", owner, filter(ident("allowed").gt(lit(1_i64)))).project(vec![col("acl.allowed")]).unwrap();
    let limited = filter(in_subquery(ident("id"), Arc::new(limited.build().unwrap())));
    assert_eq!(world.run("alice", ids(world.people(limited))).await.unwrap(), "3");

    // Without the owner's rights the policy's table is closed, and so is the governed one.
    let foreign = filter(in_subquery(ident("id"), allowed(AccessBy::Owner(world.id("alice")))));
    assert_eq!(world.run("alice", ids(world.people(foreign))).await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mask_may_ask_another_table() {
    let world = World::new().await;
    let owner = AccessBy::Owner(world.id("owner"));
    let count = world
        .scan("acl", owner, BoundPolicies::default())
        .aggregate(Vec::<Expr>::new(), vec![datafusion::functions_aggregate::expr_fn::count(lit(1_i64))])
        .unwrap();
    let count = scalar_subquery(Arc::new(count.build().unwrap()));
    let masked = mask("ssn", when(count.gt(lit(5_i64)), ident("ssn")).otherwise(lit("-")).unwrap());
    assert_eq!(world.run("alice", world.people(masked).limit(0, Some(1)).unwrap()).await.unwrap(), "0 -");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_read_is_denied_or_does_not_exist() {
    let world = World::new().await;
    let ask = |principal: &str, table: &str| {
        let plan = world.scan(table, AccessBy::Caller, BoundPolicies::default()).build().unwrap();
        world.govern(principal, plan).map(|_| ()).map_err(|error| format!("{} {}", error.kind().sqlstate(), error.message()))
    };
    assert_eq!(ask("alice", "people"), Ok(()));
    assert_eq!(ask("alice", "acl").unwrap_err(), "42P01 relation \"acl\" does not exist");
    assert_eq!(ask("eve", "people").unwrap_err(), "42P01 relation \"people\" does not exist");
    // The list of accesses is checked too, also for what leaves no scan behind.
    let nothing = LogicalPlanBuilder::empty(true).build().unwrap();
    let access = Access { securable: world.tables["acl"].0.id, privilege: Privilege::Select, by: AccessBy::Caller };
    let query = BoundQuery { accesses: vec![access], ..bound(nothing) };
    assert_eq!(
        govern(query, world.id("alice"), &world.system("alice"), Purpose::Run).unwrap_err().kind(),
        ErrorKind::UndefinedRelation
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_come_from_the_binder_is_refused() {
    let world = World::new().await;
    let readable = MemTable::try_new(acl().schema(), vec![vec![acl()]]).unwrap();
    let smuggled = LogicalPlanBuilder::scan("t", datafusion::datasource::provider_as_source(Arc::new(readable)), None).unwrap();
    assert_eq!(world.govern("alice", smuggled.build().unwrap()).unwrap_err().kind(), ErrorKind::Internal);
    let explain = world.people(BoundPolicies::default()).explain(false, false).unwrap().build().unwrap();
    assert_eq!(world.govern("alice", explain).unwrap_err().kind(), ErrorKind::Denied);
    let plan = LogicalPlanBuilder::empty(true).build().unwrap();
    assert_eq!(govern(bound(plan), world.id("eve"), &world.system("alice"), Purpose::Run).unwrap_err().kind(), ErrorKind::Internal);
}

#[tokio::test(flavor = "multi_thread")]
async fn system_relations_are_read_without_a_privilege_and_computed_once() {
    let world = World::new().await;
    let relation = crate::system::relation("pg_catalog", "pg_class").unwrap();
    let scan = |alias: &str| {
        let source =
            SecurableSource { relation: SourceRelation::System(relation), by: AccessBy::Caller, schema: relation.schema() };
        LogicalPlanBuilder::scan(alias, Arc::new(source) as Arc<dyn TableSource>, None).unwrap()
    };
    let plan = scan("a").join_on(scan("b").build().unwrap(), JoinType::Inner, vec![col("a.oid").eq(col("b.oid"))]).unwrap();
    let plan = plan.project(vec![col("a.relname")]).unwrap().filter(col("a.relname").eq(lit("no such relation"))).unwrap();
    assert_eq!(world.run("eve", plan).await.unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_do_not_come_from_the_log_where_rows_are_hidden() {
    let world = World::new().await;
    let count = |policies| {
        let plan = world.people(policies);
        let ends = [
            datafusion::functions_aggregate::expr_fn::count(lit(1_i64)),
            datafusion::functions_aggregate::expr_fn::max(col("people.id")),
        ];
        plan.aggregate(Vec::<Expr>::new(), ends).unwrap()
    };
    assert_eq!(world.run("alice", count(BoundPolicies::default())).await.unwrap(), "6 5");
    assert_eq!(world.run("alice", count(below_three())).await.unwrap(), "3 2");
    assert_eq!(world.run("alice", count(mask("id", lit(7_i64)))).await.unwrap(), "6 7");
    assert_eq!(world.run("alice", count(filter(lit(false)))).await.unwrap(), "0 ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_knows_of_visible_rows_only() {
    let world = World::new().await;
    let known = async |policies: BoundPolicies| {
        let plan = world.govern("alice", world.people(policies).build().unwrap()).unwrap().into_plan();
        let runtime = RuntimeEnvBuilder::new().with_object_store_registry(world.lake.object_store_registry()).build_arc().unwrap();
        let context = SessionContext::new_with_config_rt(SessionConfig::new(), runtime);
        let physical = context.state().create_physical_plan(&plan).await.unwrap();
        let statistics = StatisticsContext::new().compute(physical.as_ref(), &StatisticsArgs::new()).unwrap();
        let bound = |(field, column): (&FieldRef, &ColumnStatistics)| {
            let (least, most) = (column.min_value.get_value()?, column.max_value.get_value()?);
            Some(format!("{} {least} to {most}", field.name()))
        };
        let schema = physical.schema();
        let bounds: Vec<String> = schema.fields().iter().zip(&statistics.column_statistics).filter_map(bound).collect();
        format!("{} [{}]", statistics.num_rows, bounds.join(", "))
    };
    let nothing = "Absent []";
    let visible = "Inexact(3) [id 0 to 2]";
    assert!(known(BoundPolicies::default()).await.starts_with("Exact(6) [id 0 to 5"));
    assert_eq!(known(mask("ssn", lit("-"))).await, "Inexact(6) []");
    assert_eq!(known(below_three()).await, nothing);
    assert_eq!(known(below_three()).await, visible);
    assert_eq!(known(below_three()).await, visible);
    let masked = BoundPolicies { masks: mask("id", lit(7_i64)).masks, ..below_three() };
    assert_eq!(known(masked).await, "Inexact(3) []");
}
