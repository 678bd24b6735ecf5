//! What a caller reads when something is missing, hidden or forbidden.
//!
//! Hidden is told exactly as missing. Both texts are made here, from the name as the caller wrote it, so that they cannot drift apart.

use crate::catalog::CatalogSnapshot;
use crate::catalog::securable::{ObjectId, SecurableKind};
use crate::error::{Error, ErrorKind};
use crate::sql::statement::Name;

/// The error for a name that nothing visible has.
pub fn undefined(kind: SecurableKind, name: &Name) -> Error {
    let error = undefined_text(kind, &name.parts.join("."));
    match name.position {
        Some(position) => error.with_position(position),
        None => error,
    }
}

fn undefined_text(kind: SecurableKind, name: &str) -> Error {
    let (error_kind, text) = match kind {
        SecurableKind::Catalog => (ErrorKind::UndefinedCatalog, format!("database \"{name}\" does not exist")),
        SecurableKind::Schema => (ErrorKind::UndefinedSchema, format!("schema \"{name}\" does not exist")),
        SecurableKind::Table | SecurableKind::View => (ErrorKind::UndefinedRelation, format!("relation \"{name}\" does not exist")),
        SecurableKind::Function => (ErrorKind::UndefinedFunction, format!("function {name} does not exist")),
        SecurableKind::Metastore | SecurableKind::StorageCredential | SecurableKind::ExternalLocation => {
            (ErrorKind::UndefinedObject, format!("{} \"{name}\" does not exist", noun(kind)))
        }
    };
    Error::new(error_kind, text)
}

/// The error for something that `principal` may not do to `id`, told as missing when the principal may not know of it.
pub(super) fn refused(snapshot: &CatalogSnapshot, principal: ObjectId, id: ObjectId) -> Error {
    let kind = snapshot.kind_of(id).unwrap_or(SecurableKind::Table);
    let name = snapshot.name_of(id).unwrap_or("?");
    if snapshot.visible(principal, id) { denied(kind, name) } else { undefined_text(kind, name) }
}

/// The same, where the caller's own spelling of the name is known.
pub(super) fn refused_as_written(
    snapshot: &CatalogSnapshot,
    principal: ObjectId,
    id: ObjectId,
    kind: SecurableKind,
    name: &Name,
) -> Error {
    if snapshot.visible(principal, id) { refused(snapshot, principal, id) } else { undefined(kind, name) }
}

/// `permission denied for table x`.
pub(super) fn denied(kind: SecurableKind, name: &str) -> Error {
    Error::new(ErrorKind::Denied, format!("permission denied for {} {name}", noun(kind)))
}

/// PostgreSQL's words for kinds of objects.
fn noun(kind: SecurableKind) -> &'static str {
    match kind {
        SecurableKind::Metastore => "metastore",
        SecurableKind::Catalog => "database",
        SecurableKind::Schema => "schema",
        SecurableKind::Table => "table",
        SecurableKind::View => "view",
        SecurableKind::Function => "function",
        SecurableKind::StorageCredential => "storage credential",
        SecurableKind::ExternalLocation => "external location",
    }
}
