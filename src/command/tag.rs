//! PostgreSQL's command tags, and which commands change something.

use crate::catalog::securable::SecurableKind;
use crate::sql::statement::{Command, CommentTarget};

/// The words of a kind in CREATE, ALTER and DROP tags.
pub(super) const fn kind_words(kind: SecurableKind) -> &'static str {
    match kind {
        SecurableKind::Metastore => "METASTORE",
        SecurableKind::Catalog => "CATALOG",
        SecurableKind::Schema => "SCHEMA",
        SecurableKind::Table => "TABLE",
        SecurableKind::View => "VIEW",
        SecurableKind::Function => "FUNCTION",
        SecurableKind::StorageCredential => "STORAGE CREDENTIAL",
        SecurableKind::ExternalLocation => "EXTERNAL LOCATION",
    }
}

pub(super) const fn drop(kind: SecurableKind) -> &'static str {
    match kind {
        SecurableKind::Metastore => "DROP METASTORE",
        SecurableKind::Catalog => "DROP CATALOG",
        SecurableKind::Schema => "DROP SCHEMA",
        SecurableKind::Table => "DROP TABLE",
        SecurableKind::View => "DROP VIEW",
        SecurableKind::Function => "DROP FUNCTION",
        SecurableKind::StorageCredential => "DROP STORAGE CREDENTIAL",
        SecurableKind::ExternalLocation => "DROP EXTERNAL LOCATION",
    }
}

pub(super) const fn alter(kind: SecurableKind) -> &'static str {
    match kind {
        SecurableKind::Metastore => "ALTER METASTORE",
        SecurableKind::Catalog => "ALTER CATALOG",
        SecurableKind::Schema => "ALTER SCHEMA",
        SecurableKind::Table => "ALTER TABLE",
        SecurableKind::View => "ALTER VIEW",
        SecurableKind::Function => "ALTER FUNCTION",
        SecurableKind::StorageCredential => "ALTER STORAGE CREDENTIAL",
        SecurableKind::ExternalLocation => "ALTER EXTERNAL LOCATION",
    }
}

/// The name of a command that changes something, for the refusal in a read-only transaction; `None` for one that only tells.
pub const fn effect(command: &Command) -> Option<&'static str> {
    Some(match command {
        Command::CreateCatalog { .. } => "CREATE CATALOG",
        Command::CreateSchema { .. } => "CREATE SCHEMA",
        Command::Drop { kind, .. } => drop(*kind),
        Command::CreateTable(create) => {
            if create.query.is_some() {
                "CREATE TABLE AS"
            } else {
                "CREATE TABLE"
            }
        }
        Command::CreateView { .. } => "CREATE VIEW",
        Command::CreateFunction { .. } => "CREATE FUNCTION",
        Command::Insert { .. } => "INSERT",
        Command::CopyIn(_) => "COPY FROM",
        Command::CreatePrincipal { .. } => "CREATE ROLE",
        Command::AlterPrincipal { .. } | Command::RenamePrincipal { .. } => "ALTER ROLE",
        Command::AlterSettings { on, .. } => on.tag(),
        Command::DropPrincipal { .. } => "DROP ROLE",
        Command::CreateToken { .. } => "CREATE TOKEN",
        Command::DropToken { .. } => "DROP TOKEN",
        Command::AddMember { .. } => "GRANT ROLE",
        Command::RemoveMember { .. } => "REVOKE ROLE",
        Command::CreateStorageCredential { .. } => "CREATE STORAGE CREDENTIAL",
        Command::CreateExternalLocation { .. } => "CREATE EXTERNAL LOCATION",
        Command::Grant { .. } => "GRANT",
        Command::Revoke { .. } => "REVOKE",
        Command::SetOwner { kind, .. } | Command::Rename { kind, .. } => alter(*kind),
        Command::SetRowFilter { .. } | Command::DropRowFilter { .. } | Command::SetMask { .. } | Command::DropMask { .. } => {
            "ALTER TABLE"
        }
        Command::Comment { on: CommentTarget::Securable(..) | CommentTarget::Column(..) | CommentTarget::Principal(_), .. } => {
            "COMMENT"
        }
        Command::ShowGrants { .. }
        | Command::ShowTokens { .. }
        | Command::ShowCatalogs { .. }
        | Command::ShowSchemas { .. }
        | Command::ShowTables { .. }
        | Command::ShowViews { .. }
        | Command::ShowColumns { .. }
        | Command::DescribeTable { .. }
        | Command::Lock { .. }
        | Command::DescribeHistory { .. } => return None,
    })
}
