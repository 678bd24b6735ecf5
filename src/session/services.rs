//! The rooms that sessions share.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use tokio_util::task::TaskTracker;

use crate::catalog::Metastore;
use crate::command::TemporaryStorage;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::functions::Functions;
use crate::lake::{Lake, TableRef};
use crate::session::channels::Channels;
use crate::session::locks::Locks;
use crate::session::registry::Sessions;
use crate::sql::Limits;

/// One of each room, built by the composition root.
#[derive(Debug)]
pub struct Services {
    /// Names and rules.
    pub metastore: Arc<Metastore>,
    /// Delta tables.
    pub lake: Arc<Lake>,
    /// Planning and execution.
    pub engine: Arc<Engine>,
    /// SQL functions.
    pub functions: Arc<Functions>,
    /// Limits on statement text.
    pub limits: Limits,
    /// URL below which managed tables lie if their catalog and schema name no other place.
    pub managed_root: String,
    /// Where temporary tables lie, and how much of them a user may have.
    pub temporary: Arc<TemporaryStorage>,
    /// Where background work is counted.
    pub tracker: TaskTracker,
    /// The live sessions.
    pub sessions: Sessions,
    /// What sessions have locked.
    pub locks: Locks,
    /// Who listens to what.
    pub channels: Channels,
    /// Where the PostgreSQL door listens, once it does.
    pub postgres: OnceLock<SocketAddr>,
}

impl Services {
    /// Port of the PostgreSQL door; 0 before it listens.
    pub fn postgres_port(&self) -> u16 {
        self.postgres.get().map_or(0, SocketAddr::port)
    }

    /// A table by its full name, for the server's own work.
    ///
    /// # Errors
    /// `Internal` if there is no such table.
    pub fn table_ref(&self, catalog: &str, schema: &str, table: &str) -> Result<TableRef> {
        let snapshot = self.metastore.snapshot();
        let found = || {
            let catalog = snapshot.catalog(catalog)?;
            let schema = snapshot.schema(catalog.id, schema)?;
            snapshot.relation(schema.id, table)
        };
        let relation = found().ok_or_else(|| Error::internal(format!("{catalog}.{schema}.{table} is missing")))?;
        let entry = relation.table().ok_or_else(|| Error::internal(format!("{catalog}.{schema}.{table} is no table")))?;
        let credential = entry.credential.and_then(|id| snapshot.storage_credential_by_id(id));
        Ok(TableRef {
            id: relation.id,
            name: snapshot.full_name(relation.id),
            location: entry.location.clone(),
            credential: credential.map(|credential| Arc::clone(&credential.options)),
        })
    }
}
