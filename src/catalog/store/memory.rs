//! Rows in memory, gone with the process: for tests of what stands above.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::row::{Cell, Row, RowWrite, Table};
use super::{Loaded, Store};
use crate::catalog::securable::FIRST_OBJECT_ID;
use crate::error::Result;

#[derive(Debug)]
struct Contents {
    number: u64,
    next_id: u32,
    rows: BTreeMap<(Table, Vec<Cell>), Row>,
}

/// Rows in memory; clones share them.
#[derive(Debug, Clone)]
pub(in crate::catalog) struct MemoryStore {
    contents: Arc<Mutex<Contents>>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        let contents = Contents { number: 0, next_id: FIRST_OBJECT_ID.0, rows: BTreeMap::new() };
        Self { contents: Arc::new(Mutex::new(contents)) }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load(&mut self) -> Result<Loaded> {
        let contents = self.contents.lock();
        Ok(Loaded { number: contents.number, next_id: contents.next_id, rows: contents.rows.values().cloned().collect() })
    }

    async fn commit(&mut self, number: u64, next_id: u32, writes: &[RowWrite]) -> Result<()> {
        let mut contents = self.contents.lock();
        contents.number = number;
        contents.next_id = next_id;
        for write in writes {
            match write {
                RowWrite::Put(row) => contents.rows.insert((row.table, row.key().to_vec()), row.clone()),
                RowWrite::Remove { table, key } => contents.rows.remove(&(*table, key.clone())),
            };
        }
        Ok(())
    }

    async fn close(self: Box<Self>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passes_the_suite() {
        let store = MemoryStore::default();
        super::super::tests::suite(async || Box::new(store.clone()) as Box<dyn Store>).await;
    }
}
