//! The objects of the metastore, as immutable values.
//!
//! ```text
//! metastore ─┬─ catalog ─── schema ─┬─ relation (table | view)
//!            ├─ credential          └─ function
//!            ├─ external location
//!            └─ principal (user | group), memberships
//! ```
//! Every object has one [`ObjectId`], which is also its PostgreSQL OID: at least 16384, persisted, never reused.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::privilege::Privilege;
use crate::types::SqlType;

/// Identity of an object; also its OID in `pg_catalog`. User objects start at [`FIRST_OBJECT_ID`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub u32);

/// First id that the metastore gives out, PostgreSQL's `FirstNormalObjectId`.
pub const FIRST_OBJECT_ID: ObjectId = ObjectId(16384);

/// The metastore itself as a securable: holder of CREATE CATALOG and the like. Its grants do not inherit downward.
pub const METASTORE: ObjectId = ObjectId(1);

/// The group of everybody: PostgreSQL's `PUBLIC`, Databricks' `account users`.
pub const PUBLIC: ObjectId = ObjectId(0);

/// The kinds of objects that privileges are granted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecurableKind {
    /// The whole metastore.
    Metastore,
    /// A catalog: PostgreSQL's database.
    Catalog,
    /// A schema.
    Schema,
    /// A table.
    Table,
    /// A view.
    View,
    /// A function.
    Function,
    /// A storage credential.
    StorageCredential,
    /// An external location.
    ExternalLocation,
}

impl SecurableKind {
    /// How messages name it.
    pub const fn noun(self) -> &'static str {
        match self {
            SecurableKind::Metastore => "metastore",
            SecurableKind::Catalog => "catalog",
            SecurableKind::Schema => "schema",
            SecurableKind::Table => "table",
            SecurableKind::View => "view",
            SecurableKind::Function => "function",
            SecurableKind::StorageCredential => "storage credential",
            SecurableKind::ExternalLocation => "external location",
        }
    }
}

/// Who: a user, or a group of users and groups. PostgreSQL knows both as roles.
#[derive(Debug, Clone)]
pub struct Principal {
    /// Identity.
    pub id: ObjectId,
    /// Name, as written at login and in GRANT.
    pub name: String,
    /// A user may log in; a group may not.
    pub can_login: bool,
    /// Administrators manage every object; they read no data without a grant, except what they own.
    pub is_admin: bool,
    /// SCRAM-SHA-256 verifier in PostgreSQL's text form (`SCRAM-SHA-256$4096:salt$stored:server`). Never a password.
    pub verifier: Option<String>,
    /// At most this many sessions at a time; `None` for the server's default.
    pub connection_limit: Option<u32>,
    /// COMMENT ON.
    pub comment: Option<String>,
    /// VALID UNTIL: when the password and the tokens stop being accepted, in microseconds since 1970-01-01 UTC; `None` for
    /// never.
    pub valid_until: Option<i64>,
}

impl Principal {
    /// Whether the password and the tokens are still accepted at a point in time, in microseconds since 1970-01-01 UTC.
    pub fn is_valid_at(&self, now: i64) -> bool {
        self.valid_until.is_none_or(|until| now < until)
    }
}

/// A personal access token: a secret that stands for its owner. The secret itself is shown once and kept nowhere.
#[derive(Debug, Clone)]
pub struct Token {
    /// Identity.
    pub id: ObjectId,
    /// The part of the secret that finds the token; no secret itself.
    pub public_id: String,
    /// Whom it stands for.
    pub owner: ObjectId,
    /// What is kept of the secret.
    pub digest: TokenDigest,
    /// Who made it: the owner, or an administrator.
    pub created_by: ObjectId,
    /// When, in microseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// When it stops being accepted, in microseconds since 1970-01-01 UTC.
    pub expires_at: i64,
    /// COMMENT.
    pub comment: Option<String>,
}

/// SHA-256 of a token's secret. The secret has 256 random bits, so nothing slower is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest(pub [u8; 32]);

impl std::fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}

/// A catalog.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// Identity.
    pub id: ObjectId,
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: ObjectId,
    /// Root URL of managed tables; the server's default below its data directory when `None`.
    pub managed_location: Option<String>,
    /// COMMENT ON.
    pub comment: Option<String>,
}

/// A schema.
#[derive(Debug, Clone)]
pub struct Schema {
    /// Identity.
    pub id: ObjectId,
    /// Catalog it lies in.
    pub catalog: ObjectId,
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: ObjectId,
    /// Root URL of managed tables; the catalog's when `None`.
    pub managed_location: Option<String>,
    /// COMMENT ON.
    pub comment: Option<String>,
}

/// Schema in which a session finds its temporary tables. No schema of the metastore has such a name.
pub const TEMPORARY_SCHEMA: &str = "pg_temp";

/// A table or a view.
#[derive(Debug, Clone)]
pub struct Relation {
    /// Identity. Policies, grants and comments are bound to it, not to the name.
    pub id: ObjectId,
    /// Schema it lies in.
    pub schema: ObjectId,
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: ObjectId,
    /// Columns in order. For a table: those of the newest version that this server has seen; the log has the last word.
    pub columns: Vec<ColumnEntry>,
    /// COMMENT ON.
    pub comment: Option<String>,
    /// What it is.
    pub kind: RelationKind,
}

/// What a relation is.
#[derive(Debug, Clone)]
pub enum RelationKind {
    /// A Delta table.
    Table(TableEntry),
    /// A view.
    View(ViewEntry),
}

impl Relation {
    /// The table behind it, if it is one.
    pub fn table(&self) -> Option<&TableEntry> {
        match &self.kind {
            RelationKind::Table(table) => Some(table),
            RelationKind::View(_) => None,
        }
    }

    /// The view behind it, if it is one.
    pub fn view(&self) -> Option<&ViewEntry> {
        match &self.kind {
            RelationKind::Table(_) => None,
            RelationKind::View(view) => Some(view),
        }
    }

    /// Kind for privileges.
    pub fn securable_kind(&self) -> SecurableKind {
        match self.kind {
            RelationKind::Table(_) => SecurableKind::Table,
            RelationKind::View(_) => SecurableKind::View,
        }
    }
}

/// A column as the metastore knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnEntry {
    /// `pg_attribute.attnum`, from 1.
    pub number: i16,
    /// Name.
    pub name: String,
    /// Type.
    pub sql_type: SqlType,
    /// False for NOT NULL.
    pub nullable: bool,
    /// COMMENT ON.
    pub comment: Option<String>,
    /// Its name in the table's files: Delta's physical name, which stays when the column is renamed and is never given to another one.
    /// `None` in views, and while no version of the table was seen.
    pub physical_name: Option<String>,
}

/// A Delta table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableEntry {
    /// URL of the table's root, without a trailing slash.
    pub location: String,
    /// Managed: its files belong to the warehouse. External: only registered here.
    pub managed: bool,
    /// Credential that opens the location; `None` for local files.
    pub credential: Option<ObjectId>,
    /// Partition columns in order.
    pub partition_columns: Vec<String>,
    /// SET ROW FILTER.
    pub row_filter: Option<RowFilter>,
    /// SET MASK, by column name.
    pub column_masks: BTreeMap<String, ColumnMask>,
    /// Columns that the newest version of the table has no more, and older ones have.
    pub past_columns: Vec<PastColumn>,
}

/// A column that a table had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastColumn {
    /// Its number, which no other column takes.
    pub number: i16,
    /// Its name in the table's files.
    pub physical_name: String,
    /// The name that it had last.
    pub name: String,
    /// The mask that was in force when it went. Its further arguments are physical names.
    pub mask: Option<ColumnMask>,
    /// A policy of the table means this column by its name, and no other column of that name: the policy was made for it.
    pub wanted: bool,
}

/// A row filter: the rows for which `function(columns..)` is true are there, no others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter {
    /// The function, by identity.
    pub function: ObjectId,
    /// Arguments: columns of the table.
    pub columns: Vec<String>,
}

/// A column mask: `function(column, using..)` stands in the column's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMask {
    /// The function, by identity.
    pub function: ObjectId,
    /// Further arguments after the column itself.
    pub using: Vec<PolicyArgument>,
}

/// A further argument of a policy function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyArgument {
    /// Another column of the table.
    Column(String),
    /// A string constant.
    Constant(String),
}

/// A view: text with every name resolved, bound anew in every session.
#[derive(Debug, Clone)]
pub struct ViewEntry {
    /// The query, with three-part names.
    pub query: String,
    /// The tables, views and functions that the text names.
    pub uses: Vec<ObjectId>,
}

/// A SQL function: one expression over its parameters.
#[derive(Debug, Clone)]
pub struct Function {
    /// Identity.
    pub id: ObjectId,
    /// Schema it lies in.
    pub schema: ObjectId,
    /// Name.
    pub name: String,
    /// Owner; the tables that the body reads are read with the owner's privileges.
    pub owner: ObjectId,
    /// Parameters: name and type.
    pub parameters: Vec<(String, SqlType)>,
    /// Result type.
    pub returns: SqlType,
    /// The expression, with three-part names.
    pub body: String,
    /// The tables, views and functions that the body names.
    pub uses: Vec<ObjectId>,
    /// COMMENT ON.
    pub comment: Option<String>,
}

/// A storage credential: how a location is opened.
#[derive(Debug, Clone)]
pub struct StorageCredential {
    /// Identity.
    pub id: ObjectId,
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: ObjectId,
    /// `object_store` options by key; values are secret and are never shown.
    pub options: Arc<Secret<BTreeMap<String, String>>>,
    /// COMMENT ON.
    pub comment: Option<String>,
}

/// An external location: a URL prefix under which tables may be registered.
#[derive(Debug, Clone)]
pub struct ExternalLocation {
    /// Identity.
    pub id: ObjectId,
    /// Name.
    pub name: String,
    /// Owner.
    pub owner: ObjectId,
    /// URL prefix, without a trailing slash.
    pub url: String,
    /// Credential that opens it; `None` for local files and public buckets.
    pub credential: Option<ObjectId>,
    /// COMMENT ON.
    pub comment: Option<String>,
}

/// A privilege that a principal holds on a securable.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Grant {
    /// Who holds it.
    pub grantee: ObjectId,
    /// On what.
    pub securable: ObjectId,
    /// What.
    pub privilege: Privilege,
    /// Who granted it, as [`GrantKey::grantor`].
    pub grantor: ObjectId,
    /// WITH GRANT OPTION.
    pub grantable: bool,
}

impl Grant {
    /// What identifies it: the same privilege may be held from several grantors.
    pub fn key(&self) -> GrantKey {
        GrantKey { grantee: self.grantee, securable: self.securable, privilege: self.privilege, grantor: self.grantor }
    }
}

/// What identifies a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GrantKey {
    /// Who holds it.
    pub grantee: ObjectId,
    /// On what.
    pub securable: ObjectId,
    /// What.
    pub privilege: Privilege,
    /// Who granted it: the owner, or who holds the privilege WITH GRANT OPTION. On the metastore, which nobody owns, [`METASTORE`].
    pub grantor: ObjectId,
}

/// A value that no log, error or `Debug` output shows.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[secret]")
    }
}
