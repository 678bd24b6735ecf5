//! Objects as rows and back.
//!
//! A row that does not read back as an object is damage, or was written by hand: it is reported, never guessed at.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::catalog::change::Write;
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{
    Catalog, ColumnEntry, ColumnMask, ExternalLocation, Function, Grant, ObjectId, PastColumn, PolicyArgument, Principal, Relation,
    RelationKind, RowFilter, Schema, Secret, StorageCredential, TableEntry, Token, TokenDigest, ViewEntry,
};
use crate::catalog::snapshot::{Orphan, SettingScope};
use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;

/// The tables of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::catalog) enum Table {
    Principal,
    Token,
    Membership,
    StorageCredential,
    ExternalLocation,
    Catalog,
    Schema,
    Relation,
    Function,
    Grant,
    Orphan,
    Setting,
    DoubtfulText,
}

impl Table {
    /// Every table.
    pub(in crate::catalog) const ALL: [Table; 13] = [
        Table::Principal,
        Table::Token,
        Table::Membership,
        Table::StorageCredential,
        Table::ExternalLocation,
        Table::Catalog,
        Table::Schema,
        Table::Relation,
        Table::Function,
        Table::Grant,
        Table::Orphan,
        Table::Setting,
        Table::DoubtfulText,
    ];

    /// Name in the store.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Table::Principal => "principal",
            Table::Token => "token",
            Table::Membership => "membership",
            Table::StorageCredential => "storage_credential",
            Table::ExternalLocation => "external_location",
            Table::Catalog => "catalog",
            Table::Schema => "schema",
            Table::Relation => "relation",
            Table::Function => "function",
            Table::Grant => "privilege_grant",
            Table::Orphan => "orphan",
            Table::Setting => "role_setting",
            Table::DoubtfulText => "doubtful_text",
        }
    }

    /// Columns in the order of a row's cells; the key comes first.
    pub(super) const fn columns(self) -> &'static [&'static str] {
        match self {
            Table::Principal => &["id", "name", "can_login", "is_admin", "verifier", "connection_limit", "comment", "valid_until"],
            Table::Token => &["id", "public_id", "owner", "digest", "created_by", "created_at", "expires_at", "comment"],
            Table::Membership => &["group_id", "member_id"],
            Table::StorageCredential => &["id", "name", "owner", "options", "comment"],
            Table::ExternalLocation => &["id", "name", "owner", "url", "credential", "comment"],
            Table::Catalog => &["id", "name", "owner", "managed_location", "comment"],
            Table::Schema => &["id", "catalog", "name", "owner", "managed_location", "comment"],
            Table::Relation => &[
                "id",
                "schema",
                "name",
                "owner",
                "columns",
                "comment",
                "kind",
                "location",
                "managed",
                "credential",
                "partition_columns",
                "row_filter",
                "column_masks",
                "query",
                "uses",
                "past_columns",
            ],
            Table::Function => &["id", "schema", "name", "owner", "parameters", "returns", "body", "uses", "comment"],
            Table::Grant => &["grantee", "securable", "privilege", "grantor", "grantable"],
            Table::Orphan => &["id", "location", "credential"],
            Table::Setting => &["principal", "catalog", "name", "value"],
            Table::DoubtfulText => &["object"],
        }
    }

    /// How many of the columns are the key.
    pub(super) const fn key_length(self) -> usize {
        match self {
            Table::Membership => 2,
            Table::Grant => 4,
            Table::Setting => 3,
            Table::Principal
            | Table::Token
            | Table::StorageCredential
            | Table::ExternalLocation
            | Table::Catalog
            | Table::Schema
            | Table::Relation
            | Table::Function
            | Table::Orphan
            | Table::DoubtfulText => 1,
        }
    }

    /// How many of the columns the first version of the schema had.
    const fn first_width(self) -> usize {
        match self {
            Table::Principal => 7,
            Table::Relation => 15,
            _ => self.columns().len(),
        }
    }
}

/// One value. `Debug` shows no text: it may be a secret.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::catalog) enum Cell {
    Null,
    Integer(i64),
    Text(String),
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Cell::Null => f.write_str("NULL"),
            Cell::Integer(value) => write!(f, "{value}"),
            Cell::Text(text) => write!(f, "[{} bytes]", text.len()),
        }
    }
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::catalog) struct Row {
    pub(super) table: Table,
    pub(super) cells: Vec<Cell>,
}

impl Row {
    pub(super) fn key(&self) -> &[Cell] {
        &self.cells[..self.table.key_length()]
    }

    /// Number over the table's name and every cell: the first eight bytes of their SHA-256. NULL in a column that a later version
    /// added counts for nothing, so that the rows of the versions before keep their number. A row of doubtful text is its own number:
    /// the schema's migration makes such rows.
    pub(super) fn checksum(&self) -> i64 {
        if let (Table::DoubtfulText, [Cell::Integer(object)]) = (self.table, self.cells.as_slice()) {
            return *object;
        }
        let mut hasher = Sha256::new();
        hasher.update(self.table.name());
        let first_width = self.table.first_width();
        for (index, cell) in self.cells.iter().enumerate() {
            if index >= first_width && *cell != Cell::Null {
                hasher.update([3, index as u8]);
            }
            match cell {
                Cell::Null if index >= first_width => {}
                Cell::Null => hasher.update([0]),
                Cell::Integer(value) => {
                    hasher.update([1]);
                    hasher.update(value.to_le_bytes());
                }
                Cell::Text(text) => {
                    hasher.update([2]);
                    hasher.update((text.len() as u64).to_le_bytes());
                    hasher.update(text);
                }
            }
        }
        let digest = hasher.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        i64::from_le_bytes(first)
    }
}

/// What a commit does to one row.
#[derive(Debug, Clone)]
pub(in crate::catalog) enum RowWrite {
    Put(Row),
    Remove { table: Table, key: Vec<Cell> },
}

/// A column inside a relation's row.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredColumn {
    number: i16,
    name: String,
    #[serde(rename = "type")]
    sql_type: String,
    nullable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    physical_name: Option<String>,
}

/// A column that the table of a relation's row had.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPastColumn {
    number: i16,
    physical_name: String,
    name: String,
    mask: Option<StoredMask>,
    wanted: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFilter {
    function: u32,
    columns: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredMask {
    function: u32,
    using: Vec<StoredArgument>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum StoredArgument {
    Column(String),
    Constant(String),
}

/// The row that makes a write durable.
pub(in crate::catalog) fn of(write: &Write) -> Result<RowWrite> {
    let put = |table, cells| Ok(RowWrite::Put(Row { table, cells }));
    let remove = |table, id: &ObjectId| Ok(RowWrite::Remove { table, key: vec![integer(*id)] });
    match write {
        Write::PutPrincipal(entry) => put(
            Table::Principal,
            vec![
                integer(entry.id),
                text(&entry.name),
                boolean(entry.can_login),
                boolean(entry.is_admin),
                optional(&entry.verifier),
                entry.connection_limit.map_or(Cell::Null, |limit| Cell::Integer(limit.into())),
                optional(&entry.comment),
                entry.valid_until.map_or(Cell::Null, Cell::Integer),
            ],
        ),
        Write::PutToken(entry) => put(
            Table::Token,
            vec![
                integer(entry.id),
                text(&entry.public_id),
                integer(entry.owner),
                text(&hex::encode(entry.digest.0)),
                integer(entry.created_by),
                Cell::Integer(entry.created_at),
                Cell::Integer(entry.expires_at),
                optional(&entry.comment),
            ],
        ),
        Write::PutMember { group, member } => put(Table::Membership, vec![integer(*group), integer(*member)]),
        Write::PutStorageCredential(entry) => put(
            Table::StorageCredential,
            vec![
                integer(entry.id),
                text(&entry.name),
                integer(entry.owner),
                json(entry.options.expose())?,
                optional(&entry.comment),
            ],
        ),
        Write::PutExternalLocation(entry) => put(
            Table::ExternalLocation,
            vec![
                integer(entry.id),
                text(&entry.name),
                integer(entry.owner),
                text(&entry.url),
                entry.credential.map_or(Cell::Null, integer),
                optional(&entry.comment),
            ],
        ),
        Write::PutCatalog(entry) => put(
            Table::Catalog,
            vec![
                integer(entry.id),
                text(&entry.name),
                integer(entry.owner),
                optional(&entry.managed_location),
                optional(&entry.comment),
            ],
        ),
        Write::PutSchema(entry) => put(
            Table::Schema,
            vec![
                integer(entry.id),
                integer(entry.catalog),
                text(&entry.name),
                integer(entry.owner),
                optional(&entry.managed_location),
                optional(&entry.comment),
            ],
        ),
        Write::PutRelation(entry) => put(Table::Relation, relation_cells(entry)?),
        Write::PutFunction(entry) => put(Table::Function, function_cells(entry)?),
        Write::PutGrant(grant) => put(
            Table::Grant,
            vec![
                integer(grant.grantee),
                integer(grant.securable),
                text(grant.privilege.name()),
                integer(grant.grantor),
                boolean(grant.grantable),
            ],
        ),
        Write::PutOrphan(orphan) => {
            put(Table::Orphan, vec![integer(orphan.id), text(&orphan.location), orphan.credential.map_or(Cell::Null, integer)])
        }
        Write::PutSetting { scope, name, value } => {
            let [principal, catalog, name] = setting_key(*scope, name);
            put(Table::Setting, vec![principal, catalog, name, text(value)])
        }
        Write::PutDoubtfulText(id) => put(Table::DoubtfulText, vec![integer(*id)]),
        Write::RemoveDoubtfulText(id) => remove(Table::DoubtfulText, id),
        Write::RemoveSetting { scope, name } => {
            Ok(RowWrite::Remove { table: Table::Setting, key: setting_key(*scope, name).to_vec() })
        }
        Write::RemovePrincipal(id) => remove(Table::Principal, id),
        Write::RemoveToken(id) => remove(Table::Token, id),
        Write::RemoveStorageCredential(id) => remove(Table::StorageCredential, id),
        Write::RemoveExternalLocation(id) => remove(Table::ExternalLocation, id),
        Write::RemoveCatalog(id) => remove(Table::Catalog, id),
        Write::RemoveSchema(id) => remove(Table::Schema, id),
        Write::RemoveRelation(id) => remove(Table::Relation, id),
        Write::RemoveFunction(id) => remove(Table::Function, id),
        Write::RemoveOrphan(id) => remove(Table::Orphan, id),
        Write::RemoveMember { group, member } => {
            Ok(RowWrite::Remove { table: Table::Membership, key: vec![integer(*group), integer(*member)] })
        }
        Write::RemoveGrant(key) => Ok(RowWrite::Remove {
            table: Table::Grant,
            key: vec![integer(key.grantee), integer(key.securable), text(key.privilege.name()), integer(key.grantor)],
        }),
    }
}

fn setting_key(scope: SettingScope, name: &str) -> [Cell; 3] {
    let number = |id: Option<ObjectId>| Cell::Integer(id.map_or(0, |id| id.0.into()));
    [number(scope.principal), number(scope.catalog), text(name)]
}

fn relation_cells(relation: &Relation) -> Result<Vec<Cell>> {
    let columns: Vec<StoredColumn> = relation
        .columns
        .iter()
        .map(|column| StoredColumn {
            number: column.number,
            name: column.name.clone(),
            sql_type: column.sql_type.tag(),
            nullable: column.nullable,
            comment: column.comment.clone(),
            physical_name: column.physical_name.clone(),
        })
        .collect();
    let mut cells = vec![
        integer(relation.id),
        integer(relation.schema),
        text(&relation.name),
        integer(relation.owner),
        json(&columns)?,
        optional(&relation.comment),
    ];
    match &relation.kind {
        RelationKind::Table(table) => {
            let filter = table.row_filter.as_ref().map(stored_filter);
            let masks: BTreeMap<&String, StoredMask> =
                table.column_masks.iter().map(|(column, mask)| (column, stored_mask(mask))).collect();
            cells.extend([
                text("table"),
                text(&table.location),
                boolean(table.managed),
                table.credential.map_or(Cell::Null, integer),
                json(&table.partition_columns)?,
                filter.map_or(Ok(Cell::Null), |filter| json(&filter))?,
                json(&masks)?,
                Cell::Null,
                Cell::Null,
                stored_past_columns(&table.past_columns)?,
            ]);
        }
        RelationKind::View(view) => {
            cells.extend([text("view"), Cell::Null, Cell::Null, Cell::Null, Cell::Null, Cell::Null, Cell::Null]);
            cells.extend([text(&view.query), json(&numbers(&view.uses))?, Cell::Null]);
        }
    }
    Ok(cells)
}

fn function_cells(function: &Function) -> Result<Vec<Cell>> {
    let parameters: Vec<(&str, String)> =
        function.parameters.iter().map(|(name, sql_type)| (name.as_str(), sql_type.tag())).collect();
    Ok(vec![
        integer(function.id),
        integer(function.schema),
        text(&function.name),
        integer(function.owner),
        json(&parameters)?,
        text(&function.returns.tag()),
        text(&function.body),
        json(&numbers(&function.uses))?,
        optional(&function.comment),
    ])
}

fn stored_filter(filter: &RowFilter) -> StoredFilter {
    StoredFilter { function: filter.function.0, columns: filter.columns.clone() }
}

fn stored_mask(mask: &ColumnMask) -> StoredMask {
    let using = mask.using.iter().map(|argument| match argument {
        PolicyArgument::Column(name) => StoredArgument::Column(name.clone()),
        PolicyArgument::Constant(value) => StoredArgument::Constant(value.clone()),
    });
    StoredMask { function: mask.function.0, using: using.collect() }
}

/// NULL if there is none, as in rows of the versions before.
fn stored_past_columns(columns: &[PastColumn]) -> Result<Cell> {
    let stored = |column: &PastColumn| StoredPastColumn {
        number: column.number,
        physical_name: column.physical_name.clone(),
        name: column.name.clone(),
        mask: column.mask.as_ref().map(stored_mask),
        wanted: column.wanted,
    };
    if columns.is_empty() { Ok(Cell::Null) } else { json(&columns.iter().map(stored).collect::<Vec<_>>()) }
}

fn integer(id: ObjectId) -> Cell {
    Cell::Integer(id.0.into())
}

fn boolean(value: bool) -> Cell {
    Cell::Integer(value.into())
}

fn text(value: &str) -> Cell {
    Cell::Text(value.to_string())
}

fn optional(value: &Option<String>) -> Cell {
    value.as_deref().map_or(Cell::Null, text)
}

fn json(value: &impl Serialize) -> Result<Cell> {
    // The error of a serializer may quote its input, which may be a secret: it is not passed on.
    serde_json::to_string(value).map(Cell::Text).map_err(|_| Error::internal("a metastore row cannot be written as JSON"))
}

fn numbers(ids: &[ObjectId]) -> Vec<u32> {
    ids.iter().map(|id| id.0).collect()
}

/// The write that a row came from.
///
/// # Errors
/// [`ErrorKind::DataCorrupted`] if no write makes such a row.
pub(in crate::catalog) fn read(row: Row) -> Result<Write> {
    let table = row.table;
    let damaged = || corrupted(table);
    if row.cells.len() != table.columns().len() {
        return Err(damaged());
    }
    let mut cells = Cells { table, cells: row.cells.into_iter() };
    Ok(match table {
        Table::Principal => Write::PutPrincipal(Arc::new(Principal {
            id: cells.id()?,
            name: cells.text()?,
            can_login: cells.boolean()?,
            is_admin: cells.boolean()?,
            verifier: cells.optional_text()?,
            connection_limit: cells.optional_integer()?.map(|limit| u32::try_from(limit).map_err(|_| damaged())).transpose()?,
            comment: cells.optional_text()?,
            valid_until: cells
                .optional_integer()?
                .map(|until| if until > i64::MIN { Ok(until) } else { Err(damaged()) })
                .transpose()?,
        })),
        Table::Token => Write::PutToken(Arc::new(Token {
            id: cells.id()?,
            public_id: cells.text()?,
            owner: cells.id()?,
            digest: hex::decode(cells.text()?).ok().and_then(|bytes| bytes.try_into().ok()).map(TokenDigest).ok_or_else(damaged)?,
            created_by: cells.id()?,
            created_at: cells.integer()?,
            expires_at: cells.integer()?,
            comment: cells.optional_text()?,
        })),
        Table::Membership => Write::PutMember { group: cells.id()?, member: cells.id()? },
        Table::StorageCredential => Write::PutStorageCredential(Arc::new(StorageCredential {
            id: cells.id()?,
            name: cells.text()?,
            owner: cells.id()?,
            options: Arc::new(Secret::new(cells.json()?)),
            comment: cells.optional_text()?,
        })),
        Table::ExternalLocation => Write::PutExternalLocation(Arc::new(ExternalLocation {
            id: cells.id()?,
            name: cells.text()?,
            owner: cells.id()?,
            url: cells.text()?,
            credential: cells.optional_id()?,
            comment: cells.optional_text()?,
        })),
        Table::Catalog => Write::PutCatalog(Arc::new(Catalog {
            id: cells.id()?,
            name: cells.text()?,
            owner: cells.id()?,
            managed_location: cells.optional_text()?,
            comment: cells.optional_text()?,
        })),
        Table::Schema => Write::PutSchema(Arc::new(Schema {
            id: cells.id()?,
            catalog: cells.id()?,
            name: cells.text()?,
            owner: cells.id()?,
            managed_location: cells.optional_text()?,
            comment: cells.optional_text()?,
        })),
        Table::Relation => Write::PutRelation(Arc::new(read_relation(&mut cells)?)),
        Table::Function => Write::PutFunction(Arc::new(read_function(&mut cells)?)),
        Table::Grant => Write::PutGrant(Grant {
            grantee: cells.id()?,
            securable: cells.id()?,
            privilege: Privilege::from_name(&cells.text()?).ok_or_else(damaged)?,
            grantor: cells.id()?,
            grantable: cells.boolean()?,
        }),
        Table::Setting => {
            let some = |id: ObjectId| (id.0 != 0).then_some(id);
            let scope = SettingScope { principal: some(cells.id()?), catalog: some(cells.id()?) };
            Write::PutSetting { scope, name: cells.text()?, value: cells.text()? }
        }
        Table::DoubtfulText => Write::PutDoubtfulText(cells.id()?),
        Table::Orphan => Write::PutOrphan(Orphan { id: cells.id()?, location: cells.text()?, credential: cells.optional_id()? }),
    })
}

fn read_relation(cells: &mut Cells) -> Result<Relation> {
    let (id, schema, name, owner) = (cells.id()?, cells.id()?, cells.text()?, cells.id()?);
    let stored: Vec<StoredColumn> = cells.json()?;
    let columns = stored
        .into_iter()
        .map(|column| {
            Ok(ColumnEntry {
                number: column.number,
                name: column.name,
                sql_type: SqlType::from_tag(&column.sql_type).ok_or_else(|| corrupted(cells.table))?,
                nullable: column.nullable,
                comment: column.comment,
                physical_name: column.physical_name,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let comment = cells.optional_text()?;
    let kind = match cells.text()?.as_str() {
        "table" => {
            let (location, managed, credential) = (cells.text()?, cells.boolean()?, cells.optional_id()?);
            let partition_columns = cells.json()?;
            let filter: Option<StoredFilter> = cells.optional_json()?;
            let masks: BTreeMap<String, StoredMask> = cells.json()?;
            cells.null()?;
            cells.null()?;
            let past: Option<Vec<StoredPastColumn>> = cells.optional_json()?;
            RelationKind::Table(TableEntry {
                location,
                managed,
                credential,
                partition_columns,
                row_filter: filter.map(|filter| RowFilter { function: ObjectId(filter.function), columns: filter.columns }),
                column_masks: masks.into_iter().map(|(column, mask)| (column, read_mask(mask))).collect(),
                past_columns: past.into_iter().flatten().map(read_past_column).collect(),
            })
        }
        "view" => {
            for _ in 0..6 {
                cells.null()?;
            }
            let view = ViewEntry { query: cells.text()?, uses: cells.ids()? };
            cells.null()?;
            RelationKind::View(view)
        }
        _ => return Err(corrupted(cells.table)),
    };
    Ok(Relation { id, schema, name, owner, columns, comment, kind })
}

fn read_function(cells: &mut Cells) -> Result<Function> {
    let (id, schema, name, owner) = (cells.id()?, cells.id()?, cells.text()?, cells.id()?);
    let stored: Vec<(String, String)> = cells.json()?;
    let tag = |tag: &str| SqlType::from_tag(tag).ok_or_else(|| corrupted(Table::Function));
    let parameters = stored.into_iter().map(|(name, sql_type)| Ok((name, tag(&sql_type)?))).collect::<Result<Vec<_>>>()?;
    Ok(Function {
        id,
        schema,
        name,
        owner,
        parameters,
        returns: tag(&cells.text()?)?,
        body: cells.text()?,
        uses: cells.ids()?,
        comment: cells.optional_text()?,
    })
}

fn read_mask(mask: StoredMask) -> ColumnMask {
    let using = mask.using.into_iter().map(|argument| match argument {
        StoredArgument::Column(name) => PolicyArgument::Column(name),
        StoredArgument::Constant(value) => PolicyArgument::Constant(value),
    });
    ColumnMask { function: ObjectId(mask.function), using: using.collect() }
}

fn read_past_column(column: StoredPastColumn) -> PastColumn {
    PastColumn {
        number: column.number,
        physical_name: column.physical_name,
        name: column.name,
        mask: column.mask.map(read_mask),
        wanted: column.wanted,
    }
}

/// A row of `table` is not what was written.
pub(super) fn corrupted(table: Table) -> Error {
    Error::new(ErrorKind::DataCorrupted, format!("the metastore is damaged: a row of table \"{}\" cannot be read", table.name()))
        .with_hint("Restore metastore.db from a backup.")
}

/// The cells of a row, taken from the left.
struct Cells {
    table: Table,
    cells: std::vec::IntoIter<Cell>,
}

impl Cells {
    fn next(&mut self) -> Cell {
        self.cells.next().unwrap_or(Cell::Null)
    }

    fn optional_integer(&mut self) -> Result<Option<i64>> {
        match self.next() {
            Cell::Null => Ok(None),
            Cell::Integer(value) => Ok(Some(value)),
            Cell::Text(_) => Err(corrupted(self.table)),
        }
    }

    fn optional_text(&mut self) -> Result<Option<String>> {
        match self.next() {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text)),
            Cell::Integer(_) => Err(corrupted(self.table)),
        }
    }

    fn text(&mut self) -> Result<String> {
        self.optional_text()?.ok_or_else(|| corrupted(self.table))
    }

    fn integer(&mut self) -> Result<i64> {
        self.optional_integer()?.ok_or_else(|| corrupted(self.table))
    }

    fn boolean(&mut self) -> Result<bool> {
        match self.optional_integer()? {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(_) | None => Err(corrupted(self.table)),
        }
    }

    fn optional_id(&mut self) -> Result<Option<ObjectId>> {
        let Some(value) = self.optional_integer()? else { return Ok(None) };
        u32::try_from(value).map(|id| Some(ObjectId(id))).map_err(|_| corrupted(self.table))
    }

    fn id(&mut self) -> Result<ObjectId> {
        self.optional_id()?.ok_or_else(|| corrupted(self.table))
    }

    fn null(&mut self) -> Result<()> {
        match self.next() {
            Cell::Null => Ok(()),
            Cell::Integer(_) | Cell::Text(_) => Err(corrupted(self.table)),
        }
    }

    fn optional_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        let Some(text) = self.optional_text()? else { return Ok(None) };
        // The error of a parser may quote its input, which may be a secret: it is not passed on.
        serde_json::from_str(&text).map(Some).map_err(|_| corrupted(self.table))
    }

    fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.optional_json()?.ok_or_else(|| corrupted(self.table))
    }

    fn ids(&mut self) -> Result<Vec<ObjectId>> {
        Ok(self.json::<Vec<u32>>()?.into_iter().map(ObjectId).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::store::tests::one_of_each;

    #[test]
    fn every_write_survives_its_row() {
        for write in one_of_each() {
            let RowWrite::Put(row) = of(&write).unwrap() else { panic!("{write:?} is no put") };
            assert_eq!(row.cells.len(), row.table.columns().len(), "{:?}", row.table);
            let again = read(row.clone()).unwrap();
            assert_eq!(format!("{again:?}"), format!("{write:?}"));
            let RowWrite::Put(second) = of(&again).unwrap() else { panic!("no put") };
            assert_eq!(second, row);
        }
    }

    #[test]
    fn a_row_of_another_shape_is_damage() {
        for write in one_of_each() {
            let RowWrite::Put(row) = of(&write).unwrap() else { panic!("{write:?} is no put") };
            for (index, cell) in row.cells.iter().enumerate() {
                let mut broken = row.clone();
                broken.cells[index] = match cell {
                    Cell::Integer(_) => Cell::Text("x".to_string()),
                    Cell::Text(_) | Cell::Null => Cell::Integer(i64::MIN),
                };
                assert_eq!(read(broken).unwrap_err().kind(), ErrorKind::DataCorrupted, "{:?} cell {index}", row.table);
            }
        }
    }

    #[test]
    fn a_column_that_was_added_later_leaves_the_checksum_of_older_rows_alone() {
        let older = Row { table: Table::Principal, cells: vec![Cell::Integer(1); 7] };
        let with = |cell| Row { cells: [older.cells.clone(), vec![cell]].concat(), ..older.clone() };
        assert_eq!(older.checksum(), with(Cell::Null).checksum());
        assert_ne!(older.checksum(), with(Cell::Integer(1)).checksum());
        assert_ne!(with(Cell::Integer(1)).checksum(), with(Cell::Integer(2)).checksum());
    }

    #[test]
    fn no_debug_output_shows_a_secret() {
        for write in one_of_each() {
            let row = of(&write).unwrap();
            assert!(!format!("{write:?}{row:?}").contains("s3cr3t"));
        }
    }
}
