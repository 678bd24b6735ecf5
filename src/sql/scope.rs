//! What one statement may know while it is resolved and bound, and the versions that a transaction has pinned.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::ObjectId;
use crate::functions::{FunctionContext, Functions};
use crate::lake::{AsOf, TableSnapshot};
use crate::system::SystemContext;

/// The surroundings of one statement.
#[derive(Clone)]
pub struct Scope {
    /// Who asks, in which catalog, with which search path; holds the catalog snapshot.
    pub functions: Arc<FunctionContext>,
    /// The functions that exist.
    pub registry: Arc<Functions>,
    /// What system relations are computed from.
    pub system: Arc<SystemContext>,
    /// Versions pinned by the transaction, if there is one.
    pub pins: Option<Arc<Pins>>,
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").field("principal", &self.functions.principal).finish_non_exhaustive()
    }
}

impl Scope {
    /// The same surroundings in another state of the catalog.
    #[must_use]
    pub fn on(&self, snapshot: Arc<CatalogSnapshot>) -> Scope {
        let snapshot = match &self.functions.temporary {
            Some(temporary) => Arc::new(snapshot.with_temporary(temporary)),
            None => snapshot,
        };
        let functions = Arc::new(FunctionContext { snapshot, ..FunctionContext::clone(&self.functions) });
        let system = Arc::new(self.system.on(Arc::clone(&functions)));
        Scope { functions, system, ..self.clone() }
    }

    /// The same statement in a session in which nobody has set anything; a transaction still reads as of its begin.
    #[must_use]
    pub fn fixed(&self) -> Scope {
        let functions = FunctionContext { transaction_time: self.functions.transaction_time, ..self.functions.fixed() };
        Scope { functions: Arc::new(functions), ..self.clone() }
    }

    /// The same surroundings where `in_force` says what may be read, while system relations still tell of the statement's own state.
    #[must_use]
    pub fn governed_by(&self, in_force: Arc<CatalogSnapshot>) -> Scope {
        let governed = self.on(in_force);
        let system = Arc::new(self.system.governed_by(Arc::clone(&governed.functions)));
        Scope { system, ..governed }
    }

    /// The catalog as the statement sees it.
    pub fn snapshot(&self) -> &Arc<CatalogSnapshot> {
        &self.functions.snapshot
    }
}

/// The table versions that a transaction reads: a table is pinned when the transaction first touches it and stays so until its end.
/// Grants and policies are not pinned; they never lag.
#[derive(Default)]
pub struct Pins {
    tables: Mutex<HashMap<(ObjectId, AsOf), Arc<TableSnapshot>>>,
}

impl std::fmt::Debug for Pins {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pins").field("tables", &self.tables.lock().len()).finish()
    }
}

impl Pins {
    /// The pinned version of a table, if the transaction has touched it.
    pub fn get(&self, table: ObjectId, as_of: AsOf) -> Option<Arc<TableSnapshot>> {
        self.tables.lock().get(&(table, as_of)).map(Arc::clone)
    }

    /// Pins `snapshot` unless another version is pinned already; gives what is pinned.
    pub fn pin(&self, table: ObjectId, as_of: AsOf, snapshot: Arc<TableSnapshot>) -> Arc<TableSnapshot> {
        Arc::clone(self.tables.lock().entry((table, as_of)).or_insert(snapshot))
    }

    /// Replaces the pinned newest version after a write of the transaction itself, so that it reads what it wrote.
    pub fn advance(&self, table: ObjectId, snapshot: Arc<TableSnapshot>) {
        self.tables.lock().insert((table, AsOf::Latest), snapshot);
    }
}
