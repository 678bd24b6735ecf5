//! Names to objects: search path, catalogs, system schemas.
//!
//! ```text
//!  t          the session's temporary tables, pg_catalog (first, unless the path names it), then the schemas of the search path in the current catalog
//!  s.t        pg_catalog, information_schema, or schema s of the current catalog
//!  c.s.t      schema s of catalog c
//! ```
//! Pure lookups in the pinned snapshot. On its way along the search path a name passes over what the session's principal may not know of, as
//! PostgreSQL passes over schemas without USAGE: what is hidden does not keep what is one's own from being found. Whether the asker may know
//! of what is found under a qualified name is asked with [`SearchPath::may_see`].

use std::sync::Arc;

use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::{Catalog, Function, ObjectId, Relation, Schema, TEMPORARY_SCHEMA};
use crate::functions::FunctionContext;
use crate::system::{self, SystemRelation};

/// The system schema of PostgreSQL's catalog.
pub(crate) const PG_CATALOG: &str = "pg_catalog";
/// The system schema of the SQL standard.
pub(crate) const INFORMATION_SCHEMA: &str = "information_schema";

/// Where unqualified and two-part names are looked up.
#[derive(Debug, Clone)]
pub struct SearchPath {
    snapshot: Arc<CatalogSnapshot>,
    catalog: ObjectId,
    schemas: Vec<String>,
    /// Who looks along the schemas.
    reader: ObjectId,
    /// Temporary tables come first.
    temporary: bool,
}

/// What a relation's name stands for.
#[derive(Debug, Clone)]
pub enum FoundRelation {
    /// A table or view of the metastore.
    Relation(Arc<Relation>),
    /// A relation about the warehouse.
    System(&'static SystemRelation),
}

impl SearchPath {
    /// The session's: its current catalog and `search_path`, with `$user` replaced by the principal's name.
    pub fn of_session(context: &FunctionContext) -> Self {
        let user = context.snapshot.principal_by_id(context.current_user).map(|principal| principal.name.clone());
        let schemas = context
            .search_path
            .iter()
            .filter_map(|schema| if schema == "$user" { user.clone() } else { Some(schema.clone()) })
            .collect::<Vec<String>>();
        let temporary = context.temporary.is_some() && !schemas.iter().any(|schema| schema == TEMPORARY_SCHEMA);
        let reader = context.current_user;
        Self { snapshot: Arc::clone(&context.snapshot), catalog: context.catalog, schemas, reader, temporary }
    }

    /// The empty path, for stored text: only qualified names and system relations are found.
    pub fn empty(context: &FunctionContext) -> Self {
        Self {
            snapshot: Arc::clone(&context.snapshot),
            catalog: context.catalog,
            schemas: vec![],
            reader: context.current_user,
            temporary: false,
        }
    }

    /// The current catalog.
    pub fn catalog(&self) -> Option<&Arc<Catalog>> {
        self.snapshot.catalog_by_id(self.catalog)
    }

    /// The schema called `parts`: `schema` or `catalog.schema`.
    pub fn schema(&self, parts: &[String]) -> Option<&Arc<Schema>> {
        match parts {
            [schema] => self.snapshot.schema(self.catalog, schema),
            [catalog, schema] => self.snapshot.schema(self.snapshot.catalog(catalog)?.id, schema),
            _ => None,
        }
    }

    /// The relation called `parts`.
    pub fn relation(&self, parts: &[String]) -> Option<FoundRelation> {
        match parts {
            [name] => self.unqualified_relation(name),
            [schema, name] => self.relation_in(self.catalog, schema, name),
            [catalog, schema, name] => self.relation_in(self.snapshot.catalog(catalog)?.id, schema, name),
            _ => None,
        }
    }

    /// The function of the metastore called `parts`; built-in functions are not looked up here.
    pub fn function(&self, parts: &[String]) -> Option<Arc<Function>> {
        match parts {
            [name] => self.schemas.iter().find_map(|schema| {
                self.function_in(self.catalog, schema, name).filter(|function| self.may_see(self.reader, function.id))
            }),
            [schema, name] => self.function_in(self.catalog, schema, name),
            [catalog, schema, name] => self.function_in(self.snapshot.catalog(catalog)?.id, schema, name),
            _ => None,
        }
    }

    /// Whether `principal` may know that `securable` exists. What it may not know of looks the same as what does not exist.
    pub fn may_see(&self, principal: ObjectId, securable: ObjectId) -> bool {
        self.snapshot.visible(principal, securable)
    }

    fn unqualified_relation(&self, name: &str) -> Option<FoundRelation> {
        if self.temporary
            && let Some(found) = self.relation_in(self.catalog, TEMPORARY_SCHEMA, name)
        {
            return Some(found);
        }
        let listed = self.schemas.iter().any(|schema| schema == PG_CATALOG);
        let implicit = if listed { None } else { system::relation(PG_CATALOG, name).map(FoundRelation::System) };
        let known = |found: &FoundRelation| match found {
            FoundRelation::Relation(relation) => self.may_see(self.reader, relation.id),
            FoundRelation::System(_) => true,
        };
        implicit.or_else(|| self.schemas.iter().find_map(|schema| self.relation_in(self.catalog, schema, name).filter(known)))
    }

    fn relation_in(&self, catalog: ObjectId, schema: &str, name: &str) -> Option<FoundRelation> {
        if schema == PG_CATALOG || schema == INFORMATION_SCHEMA {
            // System relations describe the current catalog only.
            return if catalog == self.catalog { system::relation(schema, name).map(FoundRelation::System) } else { None };
        }
        let schema = self.snapshot.schema(catalog, schema)?;
        self.snapshot.relation(schema.id, name).map(|relation| FoundRelation::Relation(Arc::clone(relation)))
    }

    fn function_in(&self, catalog: ObjectId, schema: &str, name: &str) -> Option<Arc<Function>> {
        let schema = self.snapshot.schema(catalog, schema)?;
        self.snapshot.function(schema.id, name).map(Arc::clone)
    }
}
