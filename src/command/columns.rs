//! Columns that another writer has renamed, dropped, added or retyped, and how the metastore comes to know of it.
//!
//! ```text
//!  a statement reads a table        ─▶ learn_read:  renamed, dropped and retyped columns; new ones where none is masked
//!  its manager speaks of its columns ─▶ Newest::of ─▶ Newest::learn: new ones as well
//! ```
//! On a table with masks a new column is hidden from everybody (`sql::known_columns`) until somebody who manages the table has looked: by a
//! statement about its policies, by COMMENT ON one of its columns, or by writing into it.

use super::{CommandContext, table};
use crate::catalog::securable::{ObjectId, Relation};
use crate::catalog::{Change, Metastore, NewColumns, SeenColumn, SeenColumns, learned};
use crate::engine::Engine;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{AsOf, Lake, TableSnapshot};
use crate::sql::{self, Resolved};
use crate::types::SqlType;

/// The columns of a version, for the metastore.
pub(super) fn seen(snapshot: &TableSnapshot) -> SeenColumns {
    let schema = snapshot.schema();
    let columns = schema.fields().iter().zip(snapshot.physical_names()).map(|(field, physical_name)| SeenColumn {
        physical_name: physical_name.clone(),
        name: field.name().clone(),
        sql_type: SqlType::of_field(field),
        nullable: field.is_nullable(),
    });
    SeenColumns { columns: columns.collect(), partition_columns: snapshot.partition_columns().to_vec() }
}

/// Takes over what the newest versions among `resolved` say of columns. The statement that read them does not depend on it: it is bound to the
/// versions themselves, and a failure is for the log.
pub async fn learn_read(resolved: &Resolved, metastore: &Metastore, lake: &Lake) {
    for (relation, as_of, snapshot) in resolved.pinned() {
        if *as_of != AsOf::Latest || agrees(relation, snapshot) {
            continue;
        }
        let catalog = metastore.snapshot();
        let Some(table) = catalog.relation_by_id(relation.id).and_then(|known| sql::table_ref(known, &catalog)) else { continue };
        // A transaction may still read an older version.
        let is_newest = |newest: &TableSnapshot| newest.version() == snapshot.version() && newest.table_id() == snapshot.table_id();
        if lake.snapshot(&table, AsOf::Latest).await.is_ok_and(|newest| is_newest(&newest)) {
            learn(relation, seen(snapshot), NewColumns::TakeUnlessMasked, metastore).await;
        }
    }
}

/// Takes over the columns of a table's newest version.
pub(super) async fn learn(relation: &Relation, seen: SeenColumns, new: NewColumns, metastore: &Metastore) {
    let id = relation.id;
    let is_news = metastore.snapshot().relation_by_id(id).is_some_and(|known| learned(known, &seen, new).is_some());
    if !is_news {
        return;
    }
    // The table may have been dropped in the meantime.
    let learn = move |change: &mut Change| match change.snapshot().relation_by_id(id) {
        Some(_) => change.learn_columns(id, &seen, new),
        None => Ok(()),
    };
    if let Err(error) = metastore.write(learn).await {
        tracing::warn!(table = %relation.name, %error, "the metastore keeps an older list of columns");
    }
}

/// Whether there is nothing to learn, without a copy of anything.
fn agrees(relation: &Relation, snapshot: &TableSnapshot) -> bool {
    let schema = snapshot.schema();
    schema.fields().len() == relation.columns.len()
        && schema.fields().iter().zip(snapshot.physical_names()).zip(&relation.columns).all(|((field, physical_name), column)| {
            column.name == *field.name()
                && column.physical_name.as_ref() == Some(physical_name)
                && column.nullable == field.is_nullable()
                && column.sql_type == SqlType::of_field(field)
        })
}

/// The columns of the newest version of a table that a statement of its manager is about.
pub(super) struct Newest {
    columns: Result<SeenColumns>,
}

impl Newest {
    /// Looks at the newest version of `relation`, outside of the metastore's transaction. The caller was authorised before.
    ///
    /// What became of known columns is so, whether a transaction block commits or not: it is learned at once, and only new columns are the
    /// statement's own business.
    pub(super) async fn of(relation: &Relation, context: &CommandContext) -> Self {
        let columns = async {
            let table = table::table_ref(relation, context.snapshot())?;
            let snapshot = Engine::cancellable(&context.cancel, context.lake.snapshot(&table, AsOf::Latest)).await?;
            Ok(seen(&snapshot))
        };
        let columns = columns.await;
        if let Ok(seen) = &columns {
            learn(relation, seen.clone(), NewColumns::TakeUnlessMasked, context.metastore.metastore()).await;
        }
        Self { columns }
    }

    /// Takes the columns over. Where they cannot be read, what is known of them has to do: a storage that is away must not keep anybody from
    /// protecting a table.
    pub(super) fn learn(&self, id: ObjectId, change: &mut Change) -> Result<()> {
        match &self.columns {
            Ok(columns) => change.learn_columns(id, columns, NewColumns::Take),
            Err(_) => Ok(()),
        }
    }

    /// As [`Newest::learn`], but the columns must be readable: a mask of a column that is gone is not to be taken from older versions.
    pub(super) fn learn_for_certain(&self, id: ObjectId, change: &mut Change) -> Result<()> {
        match &self.columns {
            Ok(columns) => change.learn_columns(id, columns, NewColumns::Take),
            Err(error) => {
                Err(Error::new(ErrorKind::ObjectNotInPrerequisiteState, "the columns of the table cannot be looked at now")
                    .with_detail(error.message().to_string())
                    .with_hint("A mask is dropped only while it is certain which column it is on."))
            }
        }
    }
}
