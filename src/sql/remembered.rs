//! The last binding of a statement, for its next execution.
//!
//! ```text
//!  Parse ─ resolve ─ bind ─▶ BoundQuery ─┬─▶ description
//!                                        └─▶ Remembered ─ same world? ─▶ Execute: resolve ─▶ govern ─▶ plan ─▶ run
//! ```
//! What is remembered is no permission and no plan: every execution resolves names and versions again and passes the gate with what it
//! is bound to. A binding serves again only in the world that it was made for: the same object for the catalog snapshot and for every
//! table version, the same settings and the same types of parameters. One that holds an answer about its own moment, such as `now()`,
//! serves once.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::resolve::Resolved;
use super::scope::Scope;
use super::source::BoundQuery;
use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::ObjectId;
use crate::lake::{AsOf, TableSnapshot};
use crate::types::SqlType;

/// A place for the last binding of a statement. A copy of the statement begins without one.
#[derive(Default)]
pub struct Remembered(Mutex<Option<Arc<Binding>>>);

struct Binding {
    world: World,
    bound: BoundQuery,
}

/// What a binding depends on, besides the statement itself and its principal, who stays the same for a session.
struct World {
    snapshot: Arc<CatalogSnapshot>,
    catalog: ObjectId,
    search_path: Vec<String>,
    settings: Arc<BTreeMap<String, String>>,
    tables: HashMap<(ObjectId, AsOf), Option<Arc<TableSnapshot>>>,
}

impl World {
    fn of(scope: &Scope, resolved: &Resolved) -> Self {
        let context = &scope.functions;
        Self {
            snapshot: Arc::clone(&context.snapshot),
            catalog: context.catalog,
            search_path: context.search_path.clone(),
            settings: Arc::clone(&context.settings),
            tables: resolved.tables.iter().map(|(key, table)| (key.clone(), table.snapshot.clone())).collect(),
        }
    }

    fn is(&self, scope: &Scope, resolved: &Resolved) -> bool {
        let context = &scope.functions;
        Arc::ptr_eq(&self.snapshot, &context.snapshot)
            && self.catalog == context.catalog
            && self.search_path == context.search_path
            && (Arc::ptr_eq(&self.settings, &context.settings) || self.settings == context.settings)
            && self.tables.len() == resolved.tables.len()
            && resolved.tables.iter().all(|(key, table)| match (self.tables.get(key), &table.snapshot) {
                (Some(Some(then)), Some(now)) => Arc::ptr_eq(then, now),
                _ => false,
            })
    }
}

impl Remembered {
    /// The binding, if it would come out the same again. `parameters` are the declared types of `$1`, `$2`, ..
    pub fn get(&self, scope: &Scope, resolved: &Resolved, parameters: &[Option<SqlType>]) -> Option<BoundQuery> {
        let binding = self.0.lock().as_ref().map(Arc::clone)?;
        let same_types = parameters.len() == binding.bound.parameters.len()
            && parameters.iter().zip(&binding.bound.parameters).all(|(declared, then)| declared.as_ref() == Some(then));
        (same_types && binding.world.is(scope, resolved)).then(|| binding.bound.clone())
    }

    /// Remembers a binding in the place of the one before.
    pub fn put(&self, scope: &Scope, resolved: &Resolved, bound: &BoundQuery) {
        let lasts = !bound.of_the_moment;
        let binding = lasts.then(|| Arc::new(Binding { world: World::of(scope, resolved), bound: bound.clone() }));
        *self.0.lock() = binding;
    }
}

impl Clone for Remembered {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Remembered").field(&self.0.lock().is_some()).finish()
    }
}
