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

pub use context::{Activity, SettingRow, SystemContext, TlsSession};

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
