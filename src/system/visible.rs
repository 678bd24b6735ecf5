//! What the statement's principal may see of the current catalog: the one walk that all relations are made from.

use std::sync::Arc;

use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::{Catalog, Function, ObjectId, Relation, Schema};

use super::context::SystemContext;

/// The pinned snapshot.
pub(super) fn snapshot(context: &SystemContext) -> &CatalogSnapshot {
    &context.functions.snapshot
}

/// Whether the principal may know of the object.
pub(super) fn sees(context: &SystemContext, id: ObjectId) -> bool {
    snapshot(context).visible(context.functions.principal, id)
}

/// Catalogs that the principal may see.
pub(super) fn catalogs(context: &SystemContext) -> impl Iterator<Item = &Arc<Catalog>> {
    snapshot(context).catalogs().filter(|catalog| sees(context, catalog.id))
}

/// Name of the current catalog.
pub(super) fn catalog_name(context: &SystemContext) -> &str {
    snapshot(context).catalog_by_id(context.functions.catalog).map_or("", |catalog| catalog.name.as_str())
}

/// Schemas of the current catalog that the principal may see.
pub(super) fn schemas(context: &SystemContext) -> impl Iterator<Item = &Arc<Schema>> {
    snapshot(context).schemas(context.functions.catalog).filter(|schema| sees(context, schema.id))
}

/// Tables and views of the current catalog that the principal may see, with their schemas.
pub(super) fn relations(context: &SystemContext) -> impl Iterator<Item = (&Arc<Schema>, &Arc<Relation>)> {
    snapshot(context)
        .schemas(context.functions.catalog)
        .flat_map(|schema| snapshot(context).relations(schema.id).map(move |relation| (schema, relation)))
        .filter(|(_, relation)| sees(context, relation.id))
}

/// Functions of the current catalog that the principal may see, with their schemas.
pub(super) fn user_functions(context: &SystemContext) -> impl Iterator<Item = (&Arc<Schema>, &Arc<Function>)> {
    snapshot(context)
        .schemas(context.functions.catalog)
        .flat_map(|schema| snapshot(context).functions(schema.id).map(move |function| (schema, function)))
        .filter(|(_, function)| sees(context, function.id))
}

/// Name of a role.
pub(super) fn role(context: &SystemContext, id: ObjectId) -> String {
    crate::functions::names::role_name(&context.functions, id.0)
}
