//! Tables about the warehouse: `pg_catalog` and `information_schema`.
//!
//! ```text
//!  FunctionContext (pinned catalog snapshot, principal) ─┐
//!  live sessions, prepared statements, settings ─────────┴▶ SystemContext ─▶ SystemRelation::rows ─▶ one RecordBatch
//! ```
//! Each relation has exactly PostgreSQL 17's columns, types and OID (the list is `functions::builtin`); its rows are made anew for
//! every scan from the statement's pinned snapshot and hold only what the statement's principal may see. Nothing here does I/O and no
//! statement is recognised by its text.

mod context;
mod information_schema;
mod pg_catalog;
mod rows;
mod visible;

use std::collections::HashMap;
use std::sync::LazyLock;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;

pub use context::{Activity, CursorRow, LiveState, LockRow, LockedObject, PreparedRow, SettingRow, SystemContext, TlsSession};

use crate::error::Result;
use crate::functions::builtin::{self, BuiltinRelation};
use rows::Rows;

/// Makes the rows of one relation.
type Source = fn(&SystemContext, &mut Rows) -> Result<()>;

/// A relation of `pg_catalog` or `information_schema`: columns and the function that makes its rows.
#[derive(Debug)]
pub struct SystemRelation {
    description: &'static BuiltinRelation,
    /// Makes the rows; without it they are the same in every database, or there are none.
    source: Option<Source>,
}

struct Index {
    all: Vec<SystemRelation>,
    by_name: HashMap<(&'static str, &'static str), usize>,
}

static INDEX: LazyLock<Index> = LazyLock::new(|| {
    let pg_catalog: HashMap<&str, Source> = pg_catalog::sources().into_iter().collect();
    let information_schema: HashMap<&str, Source> = information_schema::sources().into_iter().collect();
    let source = |description: &BuiltinRelation| match description.schema_name {
        "pg_catalog" => pg_catalog.get(description.name).copied(),
        _ => information_schema.get(description.name).copied(),
    };
    let all: Vec<SystemRelation> =
        builtin::relations().iter().map(|description| SystemRelation { description, source: source(description) }).collect();
    let by_name = all.iter().enumerate().map(|(index, relation)| ((relation.schema_name(), relation.name()), index)).collect();
    Index { all, by_name }
});

/// The relation `schema.name`, where `schema` is `pg_catalog` or `information_schema`.
pub fn relation(schema: &str, name: &str) -> Option<&'static SystemRelation> {
    INDEX.by_name.get(&(schema, name)).and_then(|index| INDEX.all.get(*index))
}

/// Every system relation.
pub fn relations() -> impl Iterator<Item = &'static SystemRelation> {
    INDEX.all.iter()
}

impl SystemRelation {
    /// `pg_catalog` or `information_schema`.
    pub fn schema_name(&self) -> &'static str {
        self.description.schema_name
    }

    /// Name.
    pub fn name(&self) -> &'static str {
        self.description.name
    }

    /// OID, PostgreSQL's own.
    pub fn oid(&self) -> u32 {
        self.description.oid
    }

    /// Columns; every field carries its SQL type.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.description.schema)
    }

    /// The rows that `context`'s principal may see, in one batch.
    ///
    /// # Errors
    /// An internal error if a row does not fit the columns.
    pub fn rows(&self, context: &SystemContext) -> Result<RecordBatch> {
        let mut rows = Rows::new(self.description);
        match self.source {
            Some(source) => source(context, &mut rows)?,
            None if self.schema_name() == "pg_catalog" => {
                for row in builtin::static_rows(self.name()) {
                    rows.push_text(row)?;
                }
            }
            None => {}
        }
        rows.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::catalog::securable::ObjectId;
    use crate::functions::Functions;
    use crate::functions::builtin::data_lines;
    use crate::functions::output::text_of;
    use crate::functions::world::{World, world};
    use crate::types::datum::{self, Datum};
    use crate::types::values::TimeZone;

    fn context(world: &World, principal: ObjectId) -> SystemContext {
        SystemContext::new(world.context(principal), LiveState::default)
    }

    /// Values of some columns of a relation, as text.
    fn select(context: &SystemContext, relation_name: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let relation = relation("pg_catalog", relation_name).or_else(|| relation("information_schema", relation_name)).unwrap();
        let batch = relation.rows(context).unwrap();
        let value = |column: &str, row| {
            let array = batch.column_by_name(column).unwrap();
            let value = datum::read(array, row).unwrap();
            if value.is_null() { "NULL".to_string() } else { text_of(&value, &TimeZone::utc()) }
        };
        (0..batch.num_rows()).map(|row| columns.iter().map(|column| value(column, row)).collect()).collect()
    }

    fn set(context: &SystemContext, relation: &str, column: &str) -> HashSet<String> {
        select(context, relation, &[column]).into_iter().flatten().collect()
    }

    #[test]
    fn every_relation_has_a_source_or_a_reason_to_have_no_rows() {
        let sources = pg_catalog::sources().into_iter().map(|(name, _)| ("pg_catalog", name));
        let sources = sources.chain(information_schema::sources().into_iter().map(|(name, _)| ("information_schema", name)));
        let empty = pg_catalog::EMPTY.iter().map(|name| ("pg_catalog", *name));
        let empty = empty.chain(information_schema::EMPTY.iter().map(|name| ("information_schema", *name)));
        let mut known: Vec<(&str, &str)> = sources.chain(empty).collect();
        known.extend(
            relations()
                .filter(|relation| !builtin::static_rows(relation.name()).is_empty())
                .map(|relation| (relation.schema_name(), relation.name())),
        );
        known.retain(|name| *name != ("pg_catalog", "pg_proc"));
        known.push(("pg_catalog", "pg_proc"));
        known.sort_unstable();
        let mut once = known.clone();
        once.dedup();
        assert_eq!(once, known, "a relation is listed twice");
        let mut all: Vec<(&str, &str)> = relations().map(|relation| (relation.schema_name(), relation.name())).collect();
        all.sort_unstable();
        assert_eq!(known, all);
    }

    #[test]
    fn every_relation_can_be_read() {
        let world = world();
        for principal in [world.admin, world.alice] {
            let context = context(&world, principal);
            for relation in relations() {
                let batch = relation.rows(&context).unwrap_or_else(|error| panic!("{}: {error:?}", relation.name()));
                assert_eq!(batch.schema(), relation.schema());
            }
        }
    }

    #[test]
    fn nothing_shows_what_the_principal_may_not_see() {
        let world = world();
        let context = context(&world, world.alice);
        for relation in relations() {
            let batch = relation.rows(&context).unwrap();
            for (field, array) in relation.schema().fields().iter().zip(batch.columns()) {
                for row in 0..batch.num_rows() {
                    let value = datum::read(array, row).unwrap();
                    let shown = text_of(&value, &TimeZone::utc());
                    let theirs =
                        shown.contains("secret") || (value == Datum::Int(world.secret.0.into()) && field.name().contains("oid"));
                    assert!(!theirs, "{}.{} shows {shown}", relation.name(), field.name());
                }
            }
        }
        assert!(set(&context, "pg_class", "relname").contains("orders"));
        let everything = self::context(&world, world.admin);
        assert!(set(&everything, "pg_class", "relname").contains("secret_table"));
    }

    #[test]
    fn oids_lead_to_their_rows() {
        let world = world();
        let context = context(&world, world.admin);
        let roles = set(&context, "pg_roles", "oid");
        let namespaces = set(&context, "pg_namespace", "oid");
        let types = set(&context, "pg_type", "oid");
        let procedures = set(&context, "pg_proc", "oid");
        let classes = set(&context, "pg_class", "oid");
        let zero = || HashSet::from(["0".to_string()]);
        for (relation, column, targets) in [
            ("pg_class", "relowner", &roles),
            ("pg_class", "relnamespace", &namespaces),
            ("pg_namespace", "nspowner", &roles),
            ("pg_attribute", "attrelid", &classes),
            ("pg_attribute", "atttypid", &types),
            ("pg_proc", "prorettype", &types),
            ("pg_proc", "pronamespace", &namespaces),
            ("pg_type", "typnamespace", &namespaces),
            ("pg_type", "typinput", &procedures),
            ("pg_type", "typoutput", &procedures),
            ("pg_type", "typreceive", &procedures),
            ("pg_type", "typelem", &types),
            ("pg_type", "typarray", &types),
            ("pg_operator", "oprcode", &procedures),
            ("pg_operator", "oprleft", &types),
            ("pg_operator", "oprresult", &types),
            ("pg_cast", "castsource", &types),
            ("pg_cast", "castfunc", &procedures),
            ("pg_aggregate", "aggfnoid", &procedures),
            ("pg_database", "datdba", &roles),
            ("pg_auth_members", "member", &roles),
            ("pg_depend", "refobjid", &classes.union(&namespaces).cloned().collect()),
        ] {
            let known: HashSet<String> = targets.union(&zero()).cloned().collect();
            let missing: Vec<String> = set(&context, relation, column).difference(&known).cloned().collect();
            assert!(missing.is_empty(), "{relation}.{column} leads nowhere: {missing:?}");
        }
    }

    #[test]
    fn a_table_is_described_with_its_modifiers() {
        let world = world();
        let context = context(&world, world.alice);
        let orders = world.orders.0.to_string();
        let columns: Vec<Vec<String>> =
            select(&context, "pg_attribute", &["attrelid", "attname", "atttypid", "atttypmod", "attnotnull", "attndims"])
                .into_iter()
                .filter(|row| row.first() == Some(&orders))
                .map(|row| row.into_iter().skip(1).collect())
                .collect();
        let expected = [
            ["id", "20", "-1", "t", "0"],
            ["amount", "1700", "786438", "f", "0"],
            ["note", "1043", "14", "f", "0"],
            ["tags", "1009", "-1", "f", "1"],
        ];
        assert_eq!(columns, expected.map(|row| row.map(str::to_string).to_vec()));
        let described: Vec<Vec<String>> =
            select(&context, "columns", &["table_name", "data_type", "udt_name", "numeric_precision", "character_maximum_length"])
                .into_iter()
                .filter(|row| row.first().is_some_and(|table| table == "orders"))
                .map(|row| row.into_iter().skip(1).collect())
                .collect();
        let expected = [
            ["bigint", "int8", "64", "NULL"],
            ["numeric", "numeric", "12", "NULL"],
            ["character varying", "varchar", "NULL", "10"],
            ["ARRAY", "_text", "NULL", "NULL"],
        ];
        assert_eq!(described, expected.map(|row| row.map(str::to_string).to_vec()));
    }

    #[test]
    fn policies_are_shown_to_who_manages_the_table() {
        let world = world();
        let mine = context(&world, world.admin);
        assert_eq!(
            select(&mine, "row_filters", &["table_name", "filter_name", "target_columns"]),
            [["orders", "secret_filter", "id"]]
        );
        assert_eq!(select(&mine, "column_masks", &["column_name", "mask_name"]), [["id", "secret_mask"]]);
        assert_eq!(select(&mine, "pg_policy", &["polqual"]), [["main.vault_secret.secret_filter(id)"]]);
        let hers = context(&world, world.alice);
        for relation in ["row_filters", "column_masks", "pg_policy", "pg_policies"] {
            assert!(select(&hers, relation, &[]).is_empty(), "{relation}");
        }
    }

    #[test]
    fn access_lists_are_in_postgresqls_notation() {
        let world = world();
        let shown = |principal| {
            let rows = select(&context(&world, principal), "pg_class", &["relname", "relacl"]);
            rows.into_iter().find(|row| row.first().is_some_and(|name| name == "orders")).and_then(|row| row.get(1).cloned())
        };
        assert_eq!(shown(world.admin).as_deref(), Some("{admin=arwdD/admin,alice=r/admin}"));
        assert_eq!(shown(world.alice).as_deref(), Some("{admin=arwdD/admin,alice=r/admin}"));
    }

    #[test]
    fn psql_finds_every_relation_column_and_function() {
        let world = world();
        let functions = Functions::new();
        let statement = world.context(world.alice);
        let mut missing = Vec::new();
        for line in data_lines(include_str!("psql_needs.tsv")) {
            let [kind, names] = line.as_slice() else { panic!("{line:?}") };
            if *kind == "function" {
                let found = functions.scalar(names, &statement).is_some()
                    || functions.table(names, &statement).is_some()
                    || functions.aggregate(names).is_some();
                if !found {
                    missing.push(format!("{names}()"));
                }
                continue;
            }
            let (schema, name) = kind.split_once('.').unwrap();
            let Some(relation) = relation(schema, name) else {
                missing.push((*kind).to_string());
                continue;
            };
            let schema = relation.schema();
            missing.extend(
                names
                    .split(' ')
                    .filter(|column| !column.is_empty() && schema.field_with_name(column).is_err())
                    .map(|column| format!("{kind}.{column}")),
            );
        }
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn other_sessions_statements_are_hidden() {
        let world = world();
        let moment = world.context(world.alice).statement_time;
        let session = |user, name: &str, query: &str| Activity {
            pid: 1,
            user,
            user_name: name.to_string(),
            catalog: world.catalog,
            catalog_name: "main".to_string(),
            application_name: String::new(),
            client_address: None,
            client_port: -1,
            backend_start: moment,
            transaction_start: None,
            query_start: None,
            state_change: None,
            state: "idle".to_string(),
            query: query.to_string(),
            tls: None,
        };
        let activity = vec![session(world.alice, "alice", "SELECT 1"), session(world.admin, "admin", "SELECT 2")];
        let context = SystemContext::new(world.context(world.alice), || LiveState { activity, ..LiveState::default() });
        assert_eq!(
            select(&context, "pg_stat_activity", &["usename", "query"]),
            [["alice", "SELECT 1"], ["admin", "<insufficient privilege>"]]
        );
    }
}
