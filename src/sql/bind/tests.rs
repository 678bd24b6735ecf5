//! Statements bound over an in-memory catalog and, with DataFusion's own tables put in the sources' places, run.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{TimeZone, Utc};
use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int32Array, Int64Array, ListArray, StringArray,
};
use datafusion::arrow::datatypes::{Int32Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::prelude::SessionConfig;

use super::*;
use crate::catalog::CatalogSnapshot;
use crate::catalog::change::{Change, NewFunction, NewPrincipal, NewRelation, NewTable};
use crate::catalog::securable::{ColumnEntry, ColumnMask, Grant, PolicyArgument, RelationKind, RowFilter, ViewEntry};
use crate::functions::{FunctionContext, Functions};
use crate::lake::AsOf;
use crate::sql::call::OwnerCall;
use crate::sql::references::References;
use crate::sql::resolve::{Reached, ResolvedTable, parsed_query};
use crate::sql::source::{SecurableSource, SourceRelation};
use crate::system::{LiveState, SystemContext};

struct Warehouse {
    change: Change,
    admin: ObjectId,
    alice: ObjectId,
    catalog: ObjectId,
    schema: ObjectId,
}

fn types(text: &str) -> Vec<(String, SqlType)> {
    text.split(", ")
        .map(|column| {
            let (name, tag) = column.split_once(' ').unwrap();
            (name.to_string(), SqlType::from_tag(tag).unwrap())
        })
        .collect()
}

impl Warehouse {
    /// A catalog `main` whose tables alice may read; `secret` she does not know of.
    fn new() -> Self {
        let mut change = Change::on(&CatalogSnapshot::empty());
        let user = |name: &str, is_admin| NewPrincipal { name: name.into(), can_login: true, is_admin, ..NewPrincipal::default() };
        let admin = change.create_principal(user("admin", true)).unwrap();
        let alice = change.create_principal(user("alice", false)).unwrap();
        let catalog = change.create_catalog("main", admin, None, None).unwrap();
        let schema = change.create_schema(catalog, "public", admin, None, None).unwrap();
        let mut warehouse = Self { change, admin, alice, catalog, schema };
        warehouse.table("orders", "id int4, customer_id int8, amount numeric(12,2), status text, placed date, paid bool", true);
        warehouse.table("customers", "CustomerId int8, name text, ssn text, region text", true);
        warehouse.table("tags", "id int4, labels int4[]", true);
        warehouse.table("secret", "id int4", false);
        warehouse
    }

    fn entries(columns: &[(String, SqlType)]) -> Vec<ColumnEntry> {
        columns
            .iter()
            .enumerate()
            .map(|(index, (name, sql_type))| ColumnEntry {
                number: i16::try_from(index + 1).unwrap(),
                name: name.clone(),
                sql_type: sql_type.clone(),
                nullable: true,
                comment: None,
                physical_name: None,
            })
            .collect()
    }

    fn allow(&mut self, id: ObjectId, privilege: Privilege) {
        let grant = Grant { grantee: self.alice, securable: id, privilege, grantor: self.admin, grantable: false };
        self.change.grant(grant).unwrap();
    }

    fn table(&mut self, name: &str, columns: &str, granted: bool) -> ObjectId {
        let new = NewTable { location: format!("file:///{name}"), managed: true, credential: None, partition_columns: vec![] };
        let id = self.relation(name, &types(columns), new.into());
        if granted {
            self.allow(id, Privilege::Select);
        }
        id
    }

    fn view(&mut self, name: &str, columns: &str, query: &str) -> ObjectId {
        let entry = ViewEntry { query: query.into(), uses: vec![] };
        let id = self.relation(name, &types(columns), RelationKind::View(entry));
        self.allow(id, Privilege::Select);
        id
    }

    fn relation(&mut self, name: &str, columns: &[(String, SqlType)], kind: RelationKind) -> ObjectId {
        let columns = Self::entries(columns);
        let (schema, owner) = (self.schema, self.admin);
        self.change
            .create_relation(NewRelation { id: None, schema, name: name.into(), owner, columns, comment: None, kind })
            .unwrap()
    }

    fn function(&mut self, name: &str, parameters: &str, returns: SqlType, body: &str) -> ObjectId {
        let parameters = if parameters.is_empty() { vec![] } else { types(parameters) };
        let new = NewFunction {
            schema: self.schema,
            name: name.into(),
            owner: self.admin,
            parameters,
            returns,
            body: body.into(),
            uses: vec![],
            comment: None,
        };
        let id = self.change.create_function(new).unwrap();
        self.allow(id, Privilege::Execute);
        id
    }

    fn id(&self, name: &str) -> ObjectId {
        self.change.snapshot().relation(self.schema, name).unwrap().id
    }

    fn scope(&self) -> Scope {
        let functions = Arc::new(FunctionContext {
            snapshot: Arc::new(self.change.snapshot().clone()),
            principal: self.alice,
            current_user: self.alice,
            catalog: self.catalog,
            search_path: vec!["$user".into(), "public".into()],
            settings: Arc::new(BTreeMap::new()),
            time_zone: "Europe/Berlin".into(),
            form: Arc::new(crate::types::Form {
                time_zone: crate::types::values::TimeZone::parse("Europe/Berlin").unwrap(),
                ..Default::default()
            }),
            fixed: false,
            statement_time: Utc.timestamp_opt(1_700_000_000, 0).unwrap(),
            transaction_time: Utc.timestamp_opt(1_700_000_000, 0).unwrap(),
            pid: 1,
            application_name: String::new(),
            client_address: None,
            control: None,
            temporary: None,
        });
        let system = Arc::new(SystemContext::new(Arc::clone(&functions), LiveState::default));
        Scope { functions, registry: Functions::new(), system, pins: None }
    }

    fn resolved(&self, query: &ast::Query, scope: &Scope) -> Result<Resolved> {
        let reached = Reached::from(References::of_query(query), scope)?;
        let tables = reached
            .tables
            .into_iter()
            .map(|(relation, as_of)| {
                let fields: Vec<_> = relation.columns.iter().map(|column| column.sql_type.field(&column.name, true)).collect();
                let table = ResolvedTable { schema: Arc::new(Schema::new(fields)), relation, snapshot: None };
                ((table.relation.id, as_of), table)
            })
            .collect();
        Ok(Resolved { tables, views: reached.views, functions: reached.functions })
    }

    fn bind_with(&self, text: &str, parameters: &[Option<SqlType>]) -> Result<BoundQuery> {
        let scope = self.scope();
        let query = parsed(text)?;
        let resolved = self.resolved(&query, &scope)?;
        bind(&query, &resolved, &scope, parameters)
    }

    fn bind(&self, text: &str) -> Result<BoundQuery> {
        self.bind_with(text, &[])
    }

    /// The error of a statement: SQLSTATE, message, position.
    fn error(&self, text: &str) -> String {
        match self.bind(text) {
            Ok(bound) => format!("bound: {}", bound.plan.display_indent()),
            Err(error) => {
                let position = error.position().map_or_else(String::new, |position| format!(" at {position}"));
                format!("{} {}{position}", error.kind().sqlstate(), error.message())
            }
        }
    }

    /// Names and types of the output.
    fn columns(&self, text: &str) -> String {
        let bound = self
            .bind(text)
            .unwrap_or_else(|error| panic!("{text}: {error} {:?}", std::error::Error::source(&error).map(ToString::to_string)));
        bound.columns.iter().map(|field| format!("{} {}", field.name(), SqlType::of_field(field))).collect::<Vec<_>>().join(", ")
    }

    /// The rows, one a line.
    fn rows(&self, text: &str) -> String {
        let bound = match self.bind(text) {
            Ok(bound) => bound,
            Err(error) => {
                return format!(
                    "{} {} {:?}",
                    error.kind().sqlstate(),
                    error.message(),
                    std::error::Error::source(&error).map(ToString::to_string)
                );
            }
        };
        match run(bound.plan, &self.scope()) {
            Ok(lines) => lines.join("\n"),
            Err(error) => format!("failed: {error}"),
        }
    }
}

fn parsed(text: &str) -> Result<ast::Query> {
    parsed_query(text).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        Error::new(ErrorKind::Syntax, cause)
    })
}

fn data(relation: &str, schema: &datafusion::arrow::datatypes::SchemaRef) -> RecordBatch {
    let columns: Vec<ArrayRef> = match relation {
        "orders" => vec![
            Arc::new(Int32Array::from(vec![1, 2, 3])),
            Arc::new(Int64Array::from(vec![Some(10), Some(20), None])),
            Arc::new(Decimal128Array::from(vec![1000, 250, 99]).with_precision_and_scale(12, 2).unwrap()),
            Arc::new(StringArray::from(vec!["open", "paid", "open"])),
            Arc::new(Date32Array::from(vec![19_723, 19_724, 19_754])),
            Arc::new(BooleanArray::from(vec![Some(false), Some(true), None])),
        ],
        "customers" => vec![
            Arc::new(Int64Array::from(vec![10, 20])),
            Arc::new(StringArray::from(vec!["Ada", "Bob"])),
            Arc::new(StringArray::from(vec!["111", "222"])),
            Arc::new(StringArray::from(vec!["eu", "us"])),
        ],
        "tags" => vec![
            Arc::new(Int32Array::from(vec![1, 2, 3])),
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(7), Some(8)]), Some(vec![]), None])),
        ],
        _ => return RecordBatch::new_empty(Arc::clone(schema)),
    };
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
}

/// The plan over tables in memory, with views and functions inside.
fn readable(plan: LogicalPlan, scope: &Scope) -> std::result::Result<LogicalPlan, String> {
    let readable = plan
        .transform_up_with_subqueries(|node| {
            if let Some(call) = OwnerCall::of(&node) {
                let columns = || call.input.schema().columns().into_iter().map(Expr::Column);
                let arguments = call.arguments.iter().zip(&call.callee.body().parameters);
                let arguments = arguments.map(|(argument, parameter)| argument.clone().alias(parameter.name()));
                let below = LogicalPlanBuilder::from(call.input.clone()).project(columns().chain(arguments))?;
                let above = below.project(columns().chain([call.callee.body().value.clone().alias(&call.output)]))?.build()?;
                let names = Series::of_gate();
                let above = unnested(above, &|base| names.next(base)).unwrap();
                return Ok(Transformed::yes(readable(above, scope).unwrap()));
            }
            let LogicalPlan::TableScan(mut scan) = node else { return Ok(Transformed::no(node)) };
            if scan.source.downcast_ref::<SecurableSource>().is_none() {
                return Ok(Transformed::no(LogicalPlan::TableScan(scan)));
            }
            let source: &SecurableSource = scan.source.downcast_ref().unwrap();
            let schema = Arc::clone(&source.schema);
            let provider: Arc<dyn datafusion::catalog::TableProvider> = match &source.relation {
                SourceRelation::View { body, .. } => {
                    let body = readable(body.as_ref().clone(), scope).unwrap();
                    let plan = LogicalPlanBuilder::from(body).alias(scan.table_name.clone())?.build()?;
                    return Ok(Transformed::yes(plan));
                }
                SourceRelation::Table { relation, .. } => {
                    let batch = data(&relation.name, &schema);
                    Arc::new(MemTable::try_new(schema, vec![vec![batch]])?)
                }
                SourceRelation::System(relation) => {
                    let batch = relation.rows(&scope.system).unwrap();
                    Arc::new(MemTable::try_new(schema, vec![vec![batch]])?)
                }
                SourceRelation::Function { provider, .. } => Arc::clone(provider),
                SourceRelation::WorkTable { name } => {
                    Arc::new(datafusion::datasource::cte_worktable::CteWorkTable::new(name, schema))
                }
            };
            scan.source = provider_as_source(provider);
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        })
        .map_err(|error| error.to_string())?;
    Ok(readable.data)
}

#[expect(clippy::disallowed_methods, reason = "tests of the binder run its plans over tables in memory")]
fn run(plan: LogicalPlan, scope: &Scope) -> std::result::Result<Vec<String>, String> {
    let readable = readable(plan, scope)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        let frame = context.execute_logical_plan(readable).await.map_err(|error| error.to_string())?;
        let batches = frame.collect().await.map_err(|error| error.to_string())?;
        let mut lines = vec![];
        for batch in batches {
            let options = FormatOptions::default().with_null("NULL");
            let columns: Vec<_> = batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                lines.push(columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|"));
            }
        }
        Ok(lines)
    })
}

/// Runs on a stack as large as the planner's threads have.
fn check(test: impl FnOnce(&mut Warehouse) + Send + 'static) {
    std::thread::Builder::new().stack_size(64 << 20).spawn(move || test(&mut Warehouse::new())).unwrap().join().unwrap();
}

#[test]
fn output_columns_are_named_as_postgresql_names_them() {
    check(|w| {
        assert_eq!(w.columns("select 1, 1"), "?column? integer, ?column? integer");
        assert_eq!(w.columns("select o.id, o.* from orders o").matches("id integer").count(), 2);
        assert_eq!(
            w.columns("select id::text, count(*), 'x'::text, true, 1.5, 'a' from orders group by 1"),
            "id text, count bigint, text text, ?column? boolean, ?column? numeric(2,1), ?column? text"
        );
        assert_eq!(
            w.columns(
                "select case when true then id else amount end, coalesce(id, 0), (select name from customers limit 1) from orders"
            ),
            "amount numeric, coalesce integer, name text"
        );
        assert_eq!(w.columns("select \"CustomerId\", customerid from customers"), "CustomerId bigint, customerid bigint");
        assert_eq!(w.columns("select * from (select 1, 1) s"), "?column? integer, ?column? integer");
    });
}

#[test]
fn origins_survive_projections() {
    check(|w| {
        let bound = w.bind("select s.amount, s.amount + 1, s.x from (select o.amount, o.id as x from orders o) s").unwrap();
        let orders = w.id("orders");
        assert_eq!(bound.origins, vec![Some((orders, 3)), None, Some((orders, 1))]);
    });
}

#[test]
fn untyped_literals_take_their_context() {
    check(|w| {
        assert_eq!(w.rows("select id from orders where paid = 't'"), "2");
        assert_eq!(w.rows("select id from orders where placed = '2024-01-02'"), "2");
        assert_eq!(w.rows("select id from orders where placed between '2024-01-01' and '2024-01-31' order by id desc"), "2\n1");
        assert_eq!(w.rows("select id from orders where id = '3'"), "3");
        assert_eq!(w.rows("select id from orders where id in ('1', 2)"), "1\n2");
        assert_eq!(w.rows("select amount + '0.01' from orders where id = 1"), "10.01");
        assert_eq!(w.error("select id from orders where id = 'x'"), "22P02 invalid input syntax for type integer: \"x\" at 29");
        assert_eq!(w.error("select id from orders where status = 1"), "42883 operator does not exist: text = integer at 29");
        assert_eq!(
            w.error("select id from orders where amount"),
            "42804 argument of WHERE must be type boolean, not type numeric(12,2) at 29"
        );
    });
}

#[test]
fn arithmetic_is_postgresqls() {
    check(|w| {
        assert_eq!(w.rows("select 7 / 2, -7 / 2, 7 % 3, 1 + 2 * 3"), "3|-3|1|7");
        assert!(w.rows("select 2147483647 + 1").contains("verflow"), "{}", w.rows("select 2147483647 + 1"));
        assert_eq!(w.columns("select 1 + 1, 1 + 2147483648, 1 / 2.0"), "?column? integer, ?column? bigint, ?column? numeric");
        assert_eq!(w.rows("select (1 / 3.0)::text"), "0.33333333333333333333");
        assert_eq!(w.rows("select date '2024-01-31' + 1, date '2024-03-01' - date '2024-02-01'"), "2024-02-01|29");
        assert_eq!(w.rows("select date '2024-01-31' + interval '1 month'"), "2024-02-29T00:00:00");
        assert_eq!(w.rows("select interval '1 day' * 3 = interval '3 days'"), "true");
        assert_eq!(
            w.rows("select timestamp '2024-01-03 00:00' - timestamp '2024-01-01 12:00' = interval '1 day 12 hours'"),
            "true"
        );
        assert_eq!(w.rows("select 'a' || 'b', 'a' || 1"), "ab|a1");
    });
}

#[test]
fn nulls_sort_last_and_positions_and_aliases_sort() {
    check(|w| {
        assert_eq!(w.rows("select customer_id from orders order by customer_id"), "10\n20\nNULL");
        assert_eq!(w.rows("select customer_id from orders order by 1 desc"), "NULL\n20\n10");
        assert_eq!(w.rows("select id as x from orders order by x desc limit 1 offset 1"), "2");
        assert_eq!(w.rows("select status from orders order by amount fetch first 2 rows only"), "open\npaid");
        assert_eq!(w.error("select id from orders order by 2"), "42P10 ORDER BY position 2 is not in select list at 32");
        assert_eq!(
            w.error("select distinct status from orders order by amount"),
            "42P10 for SELECT DISTINCT, ORDER BY expressions must appear in select list"
        );
        assert_eq!(w.error("select id from orders limit -1"), "2201W LIMIT must not be negative at 30");
    });
}

#[test]
fn groups_are_checked_and_computed() {
    check(|w| {
        assert_eq!(
            w.rows("select status, count(*), sum(amount) from orders group by status order by status"),
            "open|2|10.99\npaid|1|2.50"
        );
        assert_eq!(w.rows("select upper(status) u, count(*) from orders group by u having count(*) > 1"), "OPEN|2");
        assert_eq!(w.rows("select status from orders group by 1 order by count(*) desc"), "open\npaid");
        assert_eq!(w.rows("select count(*) from orders having count(*) > 5"), "");
        assert_eq!(w.rows("select count(distinct status), count(*) filter (where paid) from orders"), "2|1");
        assert_eq!(w.rows("select status, count(*) from orders group by rollup (status) order by 1"), "open|2\npaid|1\nNULL|3");
        assert_eq!(
            w.error("select id, count(*) from orders group by status"),
            "42803 column \"orders.id\" must appear in the GROUP BY clause or be used in an aggregate function"
        );
        assert_eq!(w.error("select id from orders where count(*) > 1"), "42803 aggregate functions are not allowed in WHERE at 29");
    });
}

#[test]
fn windows_follow_their_definitions() {
    check(|w| {
        assert_eq!(w.rows("select id, row_number() over (order by amount desc) from orders order by 1"), "1|1\n2|2\n3|3");
        assert_eq!(
            w.rows("select id, sum(amount) over w from orders window w as (partition by status order by id) order by id"),
            "1|10.00\n2|2.50\n3|10.99"
        );
        assert_eq!(w.rows("select id, lag(id, 1, 0) over (order by id) from orders"), "1|0\n2|1\n3|2");
        assert_eq!(
            w.columns("select row_number() over (), rank() over (order by id) from orders"),
            "row_number bigint, rank bigint"
        );
        assert_eq!(w.rows("select status, sum(count(*)) over () from orders group by status order by 1"), "open|3\npaid|3");
        assert_eq!(
            w.error("select id from orders where row_number() over () = 1"),
            "42P20 window functions are not allowed in WHERE at 29"
        );
    });
}

#[test]
fn joins_resolve_their_names() {
    check(|w| {
        assert_eq!(
            w.rows("select o.id, c.name from orders o join customers c on c.customerid = o.customer_id order by 1"),
            "1|Ada\n2|Bob"
        );
        assert_eq!(
            w.rows("select o.id, name from orders o left join customers c on o.customer_id = c.\"CustomerId\" order by 1"),
            "1|Ada\n2|Bob\n3|NULL"
        );
        assert_eq!(
            w.rows("select id, a.status, b.amount from orders a join orders b using (id) order by id limit 1"),
            "1|open|10.00"
        );
        assert_eq!(w.columns("select * from tags a natural join tags b"), "id integer, labels integer[]");
        assert_eq!(w.rows("select count(*) from orders a, orders b where a.id < b.id"), "3");
        assert_eq!(w.error("select id from orders a, orders b"), "42702 column reference \"id\" is ambiguous at 8");
        assert_eq!(w.error("select 1 from orders, orders"), "42712 table name \"orders\" specified more than once");
        assert_eq!(w.error("select x.id from orders o"), "42P01 missing FROM-clause entry for table \"x\" at 8");
        assert_eq!(w.error("select o.nope from orders o"), "42703 column o.nope does not exist at 8");
        assert_eq!(w.error("select nope from orders o"), "42703 column \"nope\" does not exist at 8");
    });
}

#[test]
fn unknown_and_invisible_tables_look_alike() {
    check(|w| {
        assert_eq!(w.error("select * from nope"), "42P01 relation \"nope\" does not exist at 15");
        assert_eq!(w.error("select nope from secret"), "42P01 relation \"secret\" does not exist at 18");
        assert_eq!(w.error("select 1 from main.public.secret"), "42P01 relation \"main.public.secret\" does not exist at 15");
        assert!(w.bind("select main.public.orders.id from main.public.orders").is_ok());
        assert!(w.bind("select * from pg_class, information_schema.tables, main.information_schema.columns").is_ok());
    });
}

#[test]
fn common_table_expressions_hide_tables() {
    check(|w| {
        assert_eq!(w.rows("with orders as (select id from orders where id > 1) select count(*) from orders"), "2");
        assert_eq!(w.rows("with a(x) as (select 1), b as (select x + 1 as y from a) select a.x, b.y from a, b"), "1|2");
        assert_eq!(
            w.rows("with recursive t(n) as (select 1 union all select n + 1 from t where n < 4) select sum(n) from t"),
            "10"
        );
        assert_eq!(w.error("with a as (select 1) select * from b"), "42P01 relation \"b\" does not exist at 36");
    });
}

#[test]
fn set_operations_match_types() {
    check(|w| {
        assert_eq!(w.rows("select 1 as a union all select 2.5::float8 union all select null order by a"), "1.0\n2.5\nNULL");
        assert_eq!(w.columns("select 1 as a union select 2147483648"), "a bigint");
        assert_eq!(w.rows("select status from orders union select 'open' order by 1"), "open\npaid");
        assert_eq!(
            w.rows("select status from orders intersect all select status from orders where id <> 2 order by 1"),
            "open\nopen"
        );
        assert_eq!(w.rows("select id from orders except select 2 order by 1"), "1\n3");
        assert_eq!(w.rows("values (1, 'a'), (2, null) order by 1 desc"), "2|NULL\n1|a");
        assert_eq!(w.error("select 1 union select 'x'::text"), "42804 UNION types integer and text cannot be matched");
        assert_eq!(w.error("select 1 union select 1, 2"), "42601 each UNION query must have the same number of columns at 23");
    });
}

#[test]
fn subqueries_are_planned_in_every_place() {
    check(|w| {
        assert_eq!(
            w.rows("select id, (select name from customers c where c.customerid = o.customer_id) from orders o order by 1"),
            "1|Ada\n2|Bob\n3|NULL"
        );
        assert_eq!(
            w.rows(
                "select id from orders o where exists (select 1 from customers c where c.customerid = o.customer_id) order by 1"
            ),
            "1\n2"
        );
        assert_eq!(
            w.rows("select id, exists (select 1 from customers c where c.customerid = o.customer_id) from orders o order by 1"),
            "1|true\n2|true\n3|false"
        );
        assert_eq!(
            w.rows("select id from orders where customer_id in (select customerid from customers where region = 'eu')"),
            "1"
        );
        assert_eq!(w.rows("select id, id in (select 1 union all select 2) from orders order by 1"), "1|true\n2|true\n3|false");
        assert_eq!(w.rows("select (select count(*) from orders b where b.status = a.status) from orders a order by id"), "2\n1\n2");
        assert!(w.rows("select (select id from orders)").contains("more than one row"));
        assert!(
            w.rows("select (select o.id from orders o where o.status = c.x) from (select 'open' as x) c")
                .contains("more than one row")
        );
        assert_eq!(w.rows("select c.name, (select o.id from orders o where o.customer_id = c.customerid order by o.amount desc limit 1) from customers c order by 1"), "Ada|1\nBob|2");
        assert_eq!(w.rows("select array(select id from orders order by id desc)"), "[3, 2, 1]");
        assert_eq!(w.rows("select id from orders where id = any(array[1, 3]) order by 1"), "1\n3");
        assert_eq!(w.rows("select id from orders where id = any('{2,3}') order by 1"), "2\n3");
        assert_eq!(w.rows("select id from tags where 7 = any(labels)"), "1");
        assert_eq!(w.rows("select id from orders where amount >= all (select amount from orders)"), "1");
        assert_eq!(w.rows("select id from orders where (id, status) = (2, 'paid')"), "2");
        assert_eq!(w.rows("select sum((select count(*) from customers c where c.customerid = o.customer_id)) from orders o"), "2");
        assert_eq!(w.error("select (select 1, 2)"), "42601 subquery must return only one column at 9");
    });
}

#[test]
fn lateral_sees_its_left_side() {
    check(|w| {
        assert_eq!(w.rows("select o.id, x.n from orders o, lateral (select count(*) as n from orders b where b.status = o.status) x order by 1"), "1|2\n2|1\n3|2");
        assert_eq!(
            w.error("select 1 from orders o, (select o.id) x"),
            "42P01 invalid reference to FROM-clause entry for table \"o\" at 33"
        );
    });
}

#[test]
fn distinct_on_takes_the_first_row() {
    check(|w| {
        assert_eq!(w.rows("select distinct on (status) status, id from orders order by status, id desc"), "open|3\npaid|2");
        assert_eq!(
            w.error("select distinct on (status) id from orders order by id"),
            "42P10 SELECT DISTINCT ON expressions must match initial ORDER BY expressions"
        );
        assert_eq!(w.rows("select distinct status from orders order by 1"), "open\npaid");
    });
}

#[test]
fn patterns_and_cases() {
    check(|w| {
        assert_eq!(
            w.rows("select 'a%b' like 'a!%_' escape '!', 'Abc' ilike 'a%', 'abc' similar to '(a|x)%', 'abc' ~ '^a', 'abc' !~* 'B'"),
            "true|true|true|true|false"
        );
        assert_eq!(w.rows("select 'orders' operator(pg_catalog.~) '^(orders)$' collate pg_catalog.default"), "true");
        assert_eq!(w.rows("select (case status when 'open' then 1 else 2.5 end)::float8 from orders order by id"), "1.0\n2.5\n1.0");
        assert_eq!(
            w.rows("select nullif(status, 'open'), coalesce(customer_id, 0) from orders order by id"),
            "NULL|10\npaid|20\nNULL|0"
        );
        assert_eq!(
            w.error("select case when true then 1 else 'x'::text end"),
            "42804 CASE types integer and text cannot be matched"
        );
        assert_eq!(w.error("select 'a' collate \"de_DE\""), "0A000 collation \"de_DE\" is not supported at 20");
    });
}

#[test]
fn parameters_take_the_types_of_their_places() {
    check(|w| {
        let types = |text: &str| {
            w.bind(text).map(|bound| bound.parameters).map_err(|error| format!("{} {}", error.kind().sqlstate(), error.message()))
        };
        assert_eq!(
            types("select * from orders where id = $1 and placed > $2 limit $3"),
            Ok(vec![SqlType::Int4, SqlType::Date, SqlType::Int8])
        );
        assert_eq!(types("select $1"), Ok(vec![SqlType::Text]));
        assert_eq!(types("select $2::int4 + 1"), Err("42P18 could not determine data type of parameter $1".into()));
        assert_eq!(types("select 1 where $1 is null"), Err("42P18 could not determine data type of parameter $1".into()));
        assert_eq!(types("select id from orders where id = any($1)"), Ok(vec![SqlType::Array(Box::new(SqlType::Int4))]));
        let declared = w.bind_with("select $1", &[Some(SqlType::Int8)]).unwrap();
        assert_eq!(SqlType::of_field(&declared.columns[0]), SqlType::Int8);
    });
}

#[test]
fn views_are_read_by_their_owner() {
    check(|w| {
        let secret = w.id("secret");
        let admin = w.admin;
        let view = w.view("v", "n int8", "SELECT count(*) FROM \"main\".\"public\".\"secret\"");
        let outer = w.view("vv", "n int8, m int8", "SELECT n, n FROM \"main\".\"public\".\"v\"");
        let bound = w.bind("select x.n from vv x").unwrap();
        let access = |securable, by| Access { securable, privilege: Privilege::Select, by };
        let owner = AccessBy::Owner(admin);
        let mut expected = vec![access(outer, AccessBy::Caller), access(view, owner), access(secret, owner)];
        expected.sort();
        assert_eq!(bound.accesses, expected);
        assert_eq!(bound.origins, vec![Some((outer, 1))]);
        assert_eq!(w.rows("select n + m from vv"), "0");
    });
}

#[test]
fn views_over_themselves_end() {
    check(|w| {
        w.view("loop", "n int8", "SELECT n FROM \"main\".\"public\".\"loop\"");
        assert_eq!(w.error("select * from loop"), "42P17 infinite recursion detected in a view or function");
        let mut below = "orders".to_string();
        for depth in 0..40 {
            let name = format!("v{depth}");
            w.view(&name, "id int4", &format!("SELECT id FROM \"main\".\"public\".\"{below}\""));
            below = name;
        }
        assert_eq!(w.error("select * from v39"), "54001 views and functions are nested more than 32 deep");
        assert_eq!(w.rows("select count(*) from v20"), "3");
    });
}

#[test]
fn functions_are_inlined_and_executed_by_the_caller() {
    check(|w| {
        let double = w.function("double", "x int8", SqlType::Int8, "x * 2");
        let lookup = w.function(
            "region_of",
            "c int8",
            SqlType::Text,
            "(SELECT region FROM \"main\".\"public\".\"customers\" k WHERE k.\"CustomerId\" = c)",
        );
        let bound = w.bind("select double(id), region_of(customer_id) from orders").unwrap();
        let execute = |securable| Access { securable, privilege: Privilege::Execute, by: AccessBy::Caller };
        assert!(bound.accesses.contains(&execute(double)) && bound.accesses.contains(&execute(lookup)));
        let customers = Access { securable: w.id("customers"), privilege: Privilege::Select, by: AccessBy::Owner(w.admin) };
        assert!(bound.accesses.contains(&customers));
        assert_eq!(w.rows("select double(id), public.region_of(customer_id) from orders order by 1"), "2|eu\n4|us\n6|NULL");
        assert_eq!(w.error("select double('x'::text)"), "42883 function double(text) does not exist at 8");
        assert_eq!(w.error("select nope(1)"), "42883 function nope(integer) does not exist at 8");
    });
}

fn policies_of(bound: &BoundQuery) -> Vec<Arc<crate::sql::source::BoundPolicies>> {
    let mut found = vec![];
    bound
        .plan
        .apply_with_subqueries(|node| {
            if let LogicalPlan::TableScan(scan) = node
                && let Some(SecurableSource { relation: SourceRelation::Table { policies, .. }, .. }) = scan.source.downcast_ref()
            {
                found.push(Arc::clone(policies));
            }
            Ok(datafusion::common::tree_node::TreeNodeRecursion::Continue)
        })
        .unwrap();
    found
}

#[test]
fn policies_are_bound_over_the_tables_columns() {
    check(|w| {
        let filter = w.function(
            "own_region",
            "r text",
            SqlType::Bool,
            "r = 'eu' OR EXISTS (SELECT 1 FROM \"main\".\"public\".\"tags\" t WHERE t.id = length(r))",
        );
        let mask = w.function("hide", "v text, shown text", SqlType::Text, "CASE WHEN 1 = 1 THEN '***' ELSE v END");
        let customers = w.id("customers");
        w.change.set_row_filter(customers, Some(RowFilter { function: filter, columns: vec!["region".into()] })).unwrap();
        let using = vec![PolicyArgument::Constant("x".into())];
        w.change.set_mask(customers, "ssn", Some(ColumnMask { function: mask, using })).unwrap();
        let bound = w.bind("select c.ssn from customers c join customers d on c.name = d.name").unwrap();
        let policies = policies_of(&bound);
        assert_eq!(policies.len(), 2);
        let masks = &policies[0].masks;
        assert_eq!(masks.len(), 1);
        assert_eq!(masks["ssn"].to_string(), "Utf8(\"***\")");
        let filter = policies[0].row_filter.as_ref().unwrap();
        assert!(filter.to_string().starts_with("region = Utf8(\"eu\") OR EXISTS"), "{filter}");
        let qualified = policies[0].qualified(&datafusion::common::TableReference::bare("t7")).unwrap();
        assert!(qualified.row_filter.unwrap().to_string().starts_with("t7.region = "));
        // What a policy reads is read with its function owner's rights.
        let tags = Access { securable: w.id("tags"), privilege: Privilege::Select, by: AccessBy::Owner(w.admin) };
        assert!(bound.accesses.contains(&tags));
    });
}

#[test]
fn constant_policies_vanish_and_broken_ones_close_the_table() {
    check(|w| {
        let always = w.function("always", "r text", SqlType::Bool, "TRUE OR r = 'x'");
        let same = w.function("same", "v text", SqlType::Text, "CASE WHEN FALSE THEN '***' ELSE v END");
        let customers = w.id("customers");
        w.change.set_row_filter(customers, Some(RowFilter { function: always, columns: vec!["region".into()] })).unwrap();
        w.change.set_mask(customers, "ssn", Some(ColumnMask { function: same, using: vec![] })).unwrap();
        let bound = w.bind("select ssn from customers").unwrap();
        assert!(policies_of(&bound).iter().all(|policies| policies.is_empty()));

        let broken = w.function("broken", "r text", SqlType::Bool, "secret_column = r");
        w.change.set_row_filter(customers, Some(RowFilter { function: broken, columns: vec!["region".into()] })).unwrap();
        assert_eq!(w.error("select 1 from customers"), "42P17 a policy of table \"customers\" cannot be applied at 15");
    });
}

/// Text that was stored before anybody asked what it depends on.
#[test]
fn policies_that_their_subject_steers_close_the_table() {
    check(|w| {
        let customers = w.id("customers");
        for (index, body) in [
            "current_setting('application_name') = r",
            "current_schema() = r",
            "r::regclass IS NOT NULL",
            "random() < 0.5",
            "pg_notify('loot', r) IS NULL",
            "EXISTS (SELECT 1 FROM pg_catalog.pg_class c WHERE c.relname = r)",
            "EXISTS (SELECT 1 FROM pg_show_all_settings() s WHERE s.setting = r)",
            "EXISTS (SELECT 1 FROM pg_listening_channels() c)",
        ]
        .iter()
        .enumerate()
        {
            let filter = w.function(&format!("steered{index}"), "r text", SqlType::Bool, body);
            w.change.set_row_filter(customers, Some(RowFilter { function: filter, columns: vec!["region".into()] })).unwrap();
            assert_eq!(
                w.error("select 1 from customers"),
                "42P17 a policy of table \"customers\" cannot be applied at 15",
                "{body}"
            );
        }
        let dated = w.function("dated", "r text", SqlType::Bool, "r = current_date::text AND current_user() = 'alice'");
        w.change.set_row_filter(customers, Some(RowFilter { function: dated, columns: vec!["region".into()] })).unwrap();
        let bound = w.bind("select 1 from customers").unwrap();
        assert!(bound.of_the_moment && bound.unfit_for_policies.is_none());
    });
}

#[test]
fn text_of_another_owner_has_no_effect() {
    check(|w| {
        w.view("teller", "effect text", "SELECT pg_notify('loot', t.id::text) AS effect FROM \"main\".\"public\".\"tags\" t");
        w.function("tell", "x text", SqlType::Bool, "pg_notify('loot', x) IS NULL");
        let refused = "42501 function pg_notify has an effect and may not be called by a view or function of another owner";
        assert_eq!(w.error("select 1 from teller"), refused);
        assert_eq!(w.error("select   tell('x')"), format!("{refused} at 10"));
        assert!(w.bind("select pg_notify('loot', 'x')").unwrap().volatile);
        assert_eq!(w.bind("select tags.id, random() from tags").unwrap().unfit_for_policies.as_deref(), Some("function random"));
        assert_eq!(w.bind("select 1 from pg_class").unwrap().unfit_for_policies.as_deref(), Some("relation pg_class"));
    });
}

#[test]
fn policy_signatures_must_agree() {
    check(|w| {
        let number = w.function("number", "x int4", SqlType::Bool, "x > 0");
        let snapshot = w.change.snapshot();
        let relation = snapshot.relation_by_id(w.id("customers")).unwrap();
        let function = snapshot.function_by_id(number).unwrap();
        let filter = RowFilter { function: number, columns: vec!["region".into()] };
        let error = check_row_filter(&filter, function, relation).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DatatypeMismatch);
        let orders = snapshot.relation_by_id(w.id("orders")).unwrap();
        assert!(check_row_filter(&RowFilter { function: number, columns: vec!["id".into()] }, function, orders).is_ok());
        let mask = ColumnMask { function: number, using: vec![] };
        assert!(check_mask("id", &mask, function, orders).is_err());
    });
}

#[test]
fn stored_text_names_everything_in_full() {
    check(|w| {
        w.function("double", "x int8", SqlType::Int8, "x * 2");
        let scope = w.scope();
        let qualified = |text: &str| qualify_query(text, &parsed(text).unwrap(), &scope).map(|stored| stored.text);
        let written = "with c as (select * from orders) select double(id), lower(status) from c, orders o where exists (select 1 from pg_class)";
        assert_eq!(
            qualified(written).unwrap(),
            "with c as (select * from \"main\".\"public\".\"orders\") select \"main\".\"public\".\"double\"(id), lower(status) from c, \"main\".\"public\".\"orders\" o where exists (select 1 from \"pg_catalog\".\"pg_class\")"
        );
        assert_eq!(qualified("select 1 from secret").unwrap_err().kind(), ErrorKind::UndefinedRelation);
    });
}

#[test]
fn time_travel_names_a_version() {
    check(|w| {
        let scope = w.scope();
        let query = parsed("select * from orders version as of 3, tags timestamp as of '2024-01-01 00:00'").unwrap();
        let resolved = w.resolved(&query, &scope).unwrap();
        let mut versions: Vec<_> = resolved.tables.keys().map(|(_, as_of)| as_of.clone()).collect();
        versions.sort_by_key(|as_of| matches!(as_of, AsOf::Timestamp(_)));
        assert_eq!(versions, vec![AsOf::Version(3), AsOf::Timestamp(1_704_063_600_000_000)]);
        w.view("v", "n int8", "SELECT 1::int8");
        assert_eq!(w.error("select * from v version as of 1"), "0A000 time travel on a view is not supported at 15");
        assert_eq!(
            w.error("select * from pg_class version as of 1"),
            "0A000 time travel on a system relation is not supported at 15"
        );
    });
}

#[test]
fn inserts_assign() {
    check(|w| {
        let scope = w.scope();
        let bind_insert = |text: &str, targets: &str| {
            let query = parsed(text).unwrap();
            let resolved = w.resolved(&query, &scope).unwrap();
            bind_to(&query, &resolved, &scope, &[], &types(targets))
        };
        let bound = bind_insert("values (1, '2024-01-01', $1)", "a int8, b date, c numeric(12,2)").unwrap();
        assert_eq!(bound.parameters, vec![SqlType::Numeric { precision: 12, scale: 2 }]);
        let shown: Vec<_> = bound.columns.iter().map(|field| SqlType::of_field(field).to_string()).collect();
        assert_eq!(shown, ["bigint", "date", "numeric(12,2)"]);
        let error = bind_insert("select status from orders", "a int4").unwrap_err();
        assert_eq!(error.message(), "column \"a\" is of type integer but expression is of type text");
        assert_eq!(bind_insert("select 1, 2", "a int4").unwrap_err().message(), "INSERT has more expressions than target columns");
    });
}

#[test]
fn volatile_functions_are_noticed() {
    check(|w| {
        assert!(w.bind("select random()").unwrap().volatile);
        assert!(!w.bind("select abs(-1)").unwrap().volatile);
    });
}
