//! Where the metastore's rows lie: a file, or memory. Both do the same thing (one suite runs over them).
//!
//! ```text
//!  Write ──row::of──▶ RowWrite ──▶ Store::commit      one transaction
//!  Write ◀─row::read── Row     ◀── Store::load        every row, once, at the start
//! ```

pub(super) mod memory;
pub(super) mod row;
pub(super) mod sqlite;

use std::fmt;

use async_trait::async_trait;

use super::snapshot::CatalogSnapshot;
use crate::error::Result;
use row::{Row, RowWrite};

/// Everything that a store holds.
#[derive(Debug, Default)]
pub(super) struct Loaded {
    /// Number of the newest snapshot.
    pub(super) number: u64,
    /// First id that was never given out.
    pub(super) next_id: u32,
    /// Every row.
    pub(super) rows: Vec<Row>,
}

impl Loaded {
    /// The snapshot that the rows make.
    pub(super) fn into_snapshot(self) -> Result<CatalogSnapshot> {
        let writes = self.rows.into_iter().map(row::read).collect::<Result<Vec<_>>>()?;
        Ok(CatalogSnapshot::replay(self.number, self.next_id, &writes))
    }
}

/// A durable set of rows.
#[async_trait]
pub(super) trait Store: Send + fmt::Debug {
    /// Reads everything.
    async fn load(&mut self) -> Result<Loaded>;

    /// Makes the writes durable, in order, together with the snapshot's number and the next free id: all of it or nothing.
    async fn commit(&mut self, number: u64, next_id: u32, writes: &[RowWrite]) -> Result<()>;

    /// Lets go of what the store holds.
    async fn close(self: Box<Self>);
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use super::row::{Row, RowWrite};
    use super::*;
    use crate::catalog::change::Write;
    use crate::catalog::privilege::Privilege;
    use crate::catalog::securable::*;
    use crate::catalog::snapshot::{Orphan, SettingScope};
    use crate::types::SqlType;

    const USER: ObjectId = ObjectId(16384);
    const GROUP: ObjectId = ObjectId(16385);
    const SCOPE: SettingScope = SettingScope { principal: Some(USER), catalog: None };
    const CREDENTIAL: ObjectId = ObjectId(16386);
    const LOCATION: ObjectId = ObjectId(16387);
    const CATALOG: ObjectId = ObjectId(16388);
    const SCHEMA: ObjectId = ObjectId(16389);
    const FUNCTION: ObjectId = ObjectId(16390);
    const TABLE: ObjectId = ObjectId(16391);
    const VIEW: ObjectId = ObjectId(16392);
    const TOKEN: ObjectId = ObjectId(16394);

    fn text(text: &str) -> Option<String> {
        Some(text.to_string())
    }

    fn column(number: i16, name: &str, sql_type: SqlType) -> ColumnEntry {
        ColumnEntry {
            number,
            name: name.to_string(),
            sql_type,
            nullable: number > 1,
            comment: text("a 'column'"),
            physical_name: text("col-7"),
        }
    }

    /// One write of every kind, with every field filled.
    pub(in crate::catalog) fn one_of_each() -> Vec<Write> {
        let principal = |id, name: &str, can_login| {
            Write::PutPrincipal(Arc::new(Principal {
                id,
                name: name.to_string(),
                can_login,
                is_admin: can_login,
                verifier: can_login.then(|| "SCRAM-SHA-256$4096:c2FsdA==$a:b".to_string()),
                connection_limit: can_login.then_some(3),
                comment: text("who"),
                valid_until: can_login.then_some(1_893_456_000_000_000),
            }))
        };
        let table = TableEntry {
            location: "s3://bucket/t".to_string(),
            managed: true,
            credential: Some(CREDENTIAL),
            partition_columns: vec!["region".to_string()],
            row_filter: Some(RowFilter { function: FUNCTION, columns: vec!["region".to_string()] }),
            column_masks: BTreeMap::from([(
                "id".to_string(),
                ColumnMask {
                    function: FUNCTION,
                    using: vec![PolicyArgument::Column("region".to_string()), PolicyArgument::Constant("it's".to_string())],
                },
            )]),
            past_columns: vec![PastColumn {
                number: 3,
                physical_name: "col-9".to_string(),
                name: "ssn".to_string(),
                mask: Some(ColumnMask { function: FUNCTION, using: vec![PolicyArgument::Column("col-7".to_string())] }),
                wanted: true,
            }],
        };
        let relation = |id, name: &str, kind| {
            Write::PutRelation(Arc::new(Relation {
                id,
                schema: SCHEMA,
                name: name.to_string(),
                owner: USER,
                columns: vec![
                    column(1, "id", SqlType::Numeric { precision: 12, scale: 2 }),
                    column(2, "region", SqlType::Array(Box::new(SqlType::Varchar(Some(3))))),
                ],
                comment: text("relation \u{1F4A7}"),
                kind,
            }))
        };
        vec![
            principal(USER, "ann", true),
            principal(GROUP, "team \"x\"", false),
            Write::PutMember { group: GROUP, member: USER },
            Write::PutToken(Arc::new(Token {
                id: TOKEN,
                public_id: "0123456789abcdef".to_string(),
                owner: USER,
                digest: TokenDigest([7; 32]),
                created_by: USER,
                created_at: 1_000_000,
                expires_at: 2_000_000,
                comment: text("nightly"),
            })),
            Write::PutStorageCredential(Arc::new(StorageCredential {
                id: CREDENTIAL,
                name: "keys".to_string(),
                owner: USER,
                options: Arc::new(Secret::new(BTreeMap::from([("aws_secret_access_key".to_string(), "s3cr3t".to_string())]))),
                comment: None,
            })),
            Write::PutExternalLocation(Arc::new(ExternalLocation {
                id: LOCATION,
                name: "lake".to_string(),
                owner: USER,
                url: "s3://bucket/ext".to_string(),
                credential: Some(CREDENTIAL),
                comment: text("where"),
            })),
            Write::PutCatalog(Arc::new(Catalog {
                id: CATALOG,
                name: "main".to_string(),
                owner: USER,
                managed_location: text("s3://bucket/managed"),
                comment: None,
            })),
            Write::PutSchema(Arc::new(Schema {
                id: SCHEMA,
                catalog: CATALOG,
                name: "public".to_string(),
                owner: USER,
                managed_location: None,
                comment: text("c"),
            })),
            Write::PutFunction(Arc::new(Function {
                id: FUNCTION,
                schema: SCHEMA,
                name: "only".to_string(),
                owner: USER,
                parameters: vec![("r".to_string(), SqlType::Text)],
                returns: SqlType::Bool,
                body: "r = 'EU'".to_string(),
                uses: vec![VIEW],
                comment: None,
            })),
            relation(TABLE, "t", RelationKind::Table(table)),
            relation(VIEW, "v", RelationKind::View(ViewEntry { query: "SELECT 1".to_string(), uses: vec![TABLE] })),
            Write::PutGrant(Grant {
                grantee: PUBLIC,
                securable: TABLE,
                privilege: Privilege::Select,
                grantor: USER,
                grantable: true,
            }),
            Write::PutOrphan(Orphan {
                id: ObjectId(16393),
                location: "s3://bucket/gone".to_string(),
                credential: Some(CREDENTIAL),
            }),
            Write::PutSetting { scope: SCOPE, name: "datestyle".to_string(), value: "SQL, DMY".to_string() },
            Write::PutDoubtfulText(VIEW),
        ]
    }

    fn rows(writes: &[Write]) -> Vec<RowWrite> {
        writes.iter().map(|write| row::of(write).unwrap()).collect()
    }

    async fn sorted_rows(store: &mut dyn Store) -> Vec<Row> {
        let mut rows = store.load().await.unwrap().rows;
        rows.sort();
        rows
    }

    /// What every store does. `reopen` gives the same data again, as a new process would see it.
    pub(super) async fn suite<F: AsyncFn() -> Box<dyn Store>>(reopen: F) {
        let mut store = reopen().await;
        let empty = store.load().await.unwrap();
        assert_eq!((empty.number, empty.next_id, empty.rows.len()), (0, FIRST_OBJECT_ID.0, 0));

        // Everything that is written is read back, by this store and by the next.
        let all = one_of_each();
        store.commit(1, 16395, &rows(&all)).await.unwrap();
        let written = sorted_rows(store.as_mut()).await;
        assert_eq!(written.len(), all.len());
        store.close().await;
        let mut store = reopen().await;
        assert_eq!(sorted_rows(store.as_mut()).await, written);
        let loaded = store.load().await.unwrap();
        assert_eq!((loaded.number, loaded.next_id), (1, 16395));
        let expected = CatalogSnapshot::replay(1, 16395, &all);
        assert_eq!(format!("{:?}", loaded.into_snapshot().unwrap()), format!("{expected:?}"));

        // A row is replaced by one with the same key, and goes with its removal.
        let renamed = Write::PutCatalog(Arc::new(Catalog {
            id: CATALOG,
            name: "renamed".to_string(),
            owner: GROUP,
            managed_location: None,
            comment: text("new"),
        }));
        let removals = vec![
            renamed,
            Write::RemoveGrant(GrantKey { grantee: PUBLIC, securable: TABLE, privilege: Privilege::Select, grantor: USER }),
            Write::RemoveMember { group: GROUP, member: USER },
            Write::RemoveToken(TOKEN),
            Write::RemoveOrphan(ObjectId(16393)),
            Write::RemoveSetting { scope: SCOPE, name: "datestyle".to_string() },
            Write::RemoveDoubtfulText(VIEW),
            Write::RemoveRelation(VIEW),
            Write::RemoveRelation(TABLE),
            Write::RemoveFunction(FUNCTION),
            Write::RemoveExternalLocation(LOCATION),
            Write::RemoveStorageCredential(CREDENTIAL),
        ];
        store.commit(2, 16400, &rows(&removals)).await.unwrap();
        store.close().await;
        let mut store = reopen().await;
        let loaded = store.load().await.unwrap();
        assert_eq!((loaded.number, loaded.next_id, loaded.rows.len()), (2, 16400, 4));
        let snapshot = loaded.into_snapshot().unwrap();
        assert_eq!(snapshot.catalog("renamed").unwrap().owner, GROUP);
        assert!(snapshot.catalog("main").is_none());

        // Removing what is not there is nothing.
        store.commit(3, 16400, &rows(&[Write::RemoveRelation(TABLE)])).await.unwrap();
        let last = vec![
            Write::RemoveSchema(SCHEMA),
            Write::RemoveCatalog(CATALOG),
            Write::RemovePrincipal(USER),
            Write::RemovePrincipal(GROUP),
        ];
        store.commit(4, 16400, &rows(&last)).await.unwrap();
        assert!(store.load().await.unwrap().rows.is_empty());
        store.close().await;
    }
}
