//! Privileges, in both vocabularies, and how they are stored.
//!
//! Stored fine-grained, as PostgreSQL has them; Databricks' MODIFY is INSERT, UPDATE, DELETE and TRUNCATE together
//! (<https://docs.databricks.com/en/data-governance/unity-catalog/manage-privileges/privileges.html>).

use std::fmt;

use super::securable::SecurableKind;

/// One privilege.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Privilege {
    /// Enter a catalog; PostgreSQL's CONNECT on a database.
    UseCatalog,
    /// Enter a schema; PostgreSQL's USAGE.
    UseSchema,
    /// Read a table or view.
    Select,
    /// Add rows.
    Insert,
    /// Change rows.
    Update,
    /// Remove rows.
    Delete,
    /// Remove all rows.
    Truncate,
    /// Call a function.
    Execute,
    /// Create catalogs in the metastore.
    CreateCatalog,
    /// Create schemas in a catalog.
    CreateSchema,
    /// Create tables in a schema.
    CreateTable,
    /// Create views in a schema.
    CreateView,
    /// Create functions in a schema.
    CreateFunction,
    /// Register tables under an external location.
    CreateExternalTable,
    /// See that an object exists, with its comment, without reading it.
    Browse,
    /// Grant, revoke, alter and drop, without reading.
    Manage,
    /// Everything but [`Privilege::Manage`], evaluated when it is checked.
    AllPrivileges,
}

impl Privilege {
    /// Every privilege.
    pub const ALL: [Privilege; 17] = [
        Privilege::UseCatalog,
        Privilege::UseSchema,
        Privilege::Select,
        Privilege::Insert,
        Privilege::Update,
        Privilege::Delete,
        Privilege::Truncate,
        Privilege::Execute,
        Privilege::CreateCatalog,
        Privilege::CreateSchema,
        Privilege::CreateTable,
        Privilege::CreateView,
        Privilege::CreateFunction,
        Privilege::CreateExternalTable,
        Privilege::Browse,
        Privilege::Manage,
        Privilege::AllPrivileges,
    ];

    /// What MODIFY stands for.
    pub const MODIFY: [Privilege; 4] = [Privilege::Insert, Privilege::Update, Privilege::Delete, Privilege::Truncate];

    /// The name as GRANT and SHOW GRANTS write it.
    pub const fn name(self) -> &'static str {
        match self {
            Privilege::UseCatalog => "USE CATALOG",
            Privilege::UseSchema => "USE SCHEMA",
            Privilege::Select => "SELECT",
            Privilege::Insert => "INSERT",
            Privilege::Update => "UPDATE",
            Privilege::Delete => "DELETE",
            Privilege::Truncate => "TRUNCATE",
            Privilege::Execute => "EXECUTE",
            Privilege::CreateCatalog => "CREATE CATALOG",
            Privilege::CreateSchema => "CREATE SCHEMA",
            Privilege::CreateTable => "CREATE TABLE",
            Privilege::CreateView => "CREATE VIEW",
            Privilege::CreateFunction => "CREATE FUNCTION",
            Privilege::CreateExternalTable => "CREATE EXTERNAL TABLE",
            Privilege::Browse => "BROWSE",
            Privilege::Manage => "MANAGE",
            Privilege::AllPrivileges => "ALL PRIVILEGES",
        }
    }

    /// Reads what [`Privilege::name`] wrote.
    pub fn from_name(name: &str) -> Option<Privilege> {
        Privilege::ALL.into_iter().find(|privilege| privilege.name() == name)
    }

    /// Whether the privilege means something on securables of this kind, directly or by inheritance to what they hold.
    pub const fn applies_to(self, kind: SecurableKind) -> bool {
        use SecurableKind as K;
        match self {
            Privilege::UseCatalog | Privilege::CreateSchema => matches!(kind, K::Catalog),
            Privilege::UseSchema | Privilege::CreateTable | Privilege::CreateView | Privilege::CreateFunction => {
                matches!(kind, K::Catalog | K::Schema)
            }
            Privilege::Select => matches!(kind, K::Catalog | K::Schema | K::Table | K::View),
            Privilege::Insert | Privilege::Update | Privilege::Delete | Privilege::Truncate => {
                matches!(kind, K::Catalog | K::Schema | K::Table)
            }
            Privilege::Execute => matches!(kind, K::Catalog | K::Schema | K::Function),
            Privilege::CreateCatalog => matches!(kind, K::Metastore),
            Privilege::CreateExternalTable => matches!(kind, K::ExternalLocation),
            Privilege::Browse => matches!(kind, K::Catalog | K::ExternalLocation),
            Privilege::Manage | Privilege::AllPrivileges => true,
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
