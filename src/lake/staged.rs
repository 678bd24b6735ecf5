//! Rows that are in files and in no commit yet: what a transaction block has written.
//!
//! ```text
//!  batches ─▶ Lake::stage ─▶ Staged ─┬─ Staged::overlay ─▶ a snapshot that has the rows, for the block's own reads
//!                                    ├─ Lake::commit ─────▶ one version for all that was staged for a table
//!                                    └─ drop ─────────────▶ the files are removed
//! ```

use std::sync::Arc;

use datafusion::execution::SendableRecordBatchStream;

use super::append::{WrittenFiles, write_files};
use super::kernel::checkpoint;
use super::kernel::commit::{Append, commit_append};
use super::kernel::error::translate;
use super::kernel::write::WritePlan;
use super::snapshot::TableSnapshot;
use super::{Appended, Lake, TableRef, WriteKind, WriteOperation, resident};
use crate::catalog::securable::ObjectId;
use crate::error::{Error, Result};

/// What one statement has written to a table. Dropped, it was never there.
#[derive(Debug)]
pub struct Staged {
    table: TableRef,
    /// The version that the files were written for.
    base: Arc<TableSnapshot>,
    operation: WriteOperation,
    written: WrittenFiles,
}

impl Staged {
    /// The table.
    pub fn table(&self) -> ObjectId {
        self.table.id
    }

    /// The version that the statement read.
    pub fn base(&self) -> &Arc<TableSnapshot> {
        &self.base
    }

    /// Rows written.
    pub fn rows(&self) -> u64 {
        self.written.rows
    }

    /// A snapshot of `base` that has the rows of `staged`, too. It keeps the number of `base`, so it is for whoever wrote them only.
    ///
    /// # Errors
    /// Never, for snapshots that could be read.
    pub fn overlay<'a>(base: &TableSnapshot, staged: impl IntoIterator<Item = &'a Staged>) -> Result<Arc<TableSnapshot>> {
        let files = staged.into_iter().flat_map(|staged| staged.written.files.iter().map(Arc::clone));
        base.with_files(files).map(Arc::new)
    }
}

impl Lake {
    /// Writes rows to files that no version has yet. Input columns are in the table's order.
    ///
    /// # Errors
    /// As [`Lake::append`], but for those of the commit.
    pub async fn stage(
        &self,
        table: &TableRef,
        snapshot: &Arc<TableSnapshot>,
        input: SendableRecordBatchStream,
        operation: WriteOperation,
    ) -> Result<Staged> {
        let plan = WritePlan::new(&snapshot.loaded.kernel, &snapshot.loaded.engine, self.committer(&snapshot.store, None))
            .map_err(|error| translate(table, error))?;
        let written = write_files(snapshot, plan, &self.options, &self.shared.io, input).await?;
        Ok(Staged { table: table.clone(), base: Arc::clone(snapshot), operation, written })
    }

    /// Commits all that was staged for one table, as one version. The commit runs to its end on the I/O runtime, whatever becomes of the
    /// caller. Without rows nothing is committed.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::SerializationFailure`] if others commit too fast or altered the table. What is staged is gone then.
    pub async fn commit(&self, staged: Vec<Staged>) -> Result<Appended> {
        let mut staged = staged.into_iter();
        let Some(mut first) = staged.next() else { return Err(Error::internal("nothing was staged")) };
        let mut rest: Vec<WrittenFiles> = staged.map(|staged| staged.written).collect();
        let operation = std::mem::take(&mut first.operation);
        let (append, mut appended) = append_action(&first, &mut rest, operation);
        if append.added.is_empty() {
            return Ok(appended);
        }
        let (table, base, shared) = (first.table.clone(), Arc::clone(&first.base), Arc::clone(&self.shared));
        let committer = self.committer(&base.store, None);
        let (retries, interval) = (self.options.commit_retries, self.options.checkpoint_interval);
        appended.version = resident::blocking(&self.shared.io, move || {
            let engine = &base.loaded.engine;
            let mut keep = || rest.iter_mut().chain([&mut first.written]).for_each(WrittenFiles::keep);
            match commit_append(&table, &base.loaded.kernel, engine, &committer, &append, retries) {
                Ok(committed) => {
                    keep();
                    let version = committed.version();
                    if checkpoint::is_due(base.properties(), interval, version) {
                        checkpoint::write_in_background(&shared, &table, Arc::clone(engine), committed);
                    }
                    Ok(version)
                }
                Err(failed) => {
                    if !failed.certainly_not_committed {
                        keep();
                    }
                    Err(failed.error)
                }
            }
        })
        .await?;
        Ok(appended)
    }
}

/// The commit of written files, as the history will show it.
fn append_action(first: &Staged, rest: &mut [WrittenFiles], operation: WriteOperation) -> (Append, Appended) {
    let statement = match operation.kind {
        WriteKind::Insert => "INSERT",
        WriteKind::CreateTableAs => "CREATE TABLE AS SELECT",
        WriteKind::Copy => "COPY",
    };
    let partition_by = serde_json::Value::from(first.base.partition_columns().to_vec()).to_string();
    let metric = |name: &str, value: u64| (name.to_string(), value.to_string());
    let all = || rest.iter().chain([&first.written]);
    let appended = Appended {
        version: first.base.version(),
        rows: all().map(|written| written.rows).sum(),
        bytes: all().map(|written| written.bytes).sum(),
        files: all().map(|written| written.added.len() as u64).sum(),
    };
    let append = Append {
        parameters: vec![
            ("mode".to_string(), "Append".to_string()),
            ("partitionBy".to_string(), partition_by),
            ("statement".to_string(), statement.to_string()),
        ],
        metrics: vec![
            metric("numFiles", appended.files),
            metric("numOutputRows", appended.rows),
            metric("numOutputBytes", appended.bytes),
        ],
        user_name: operation.user_name,
        added: all().flat_map(|written| written.added.iter().cloned()).collect(),
    };
    (append, appended)
}

#[cfg(test)]
mod tests {
    use crate::lake::testing::TestLake;
    use crate::types::SqlType;

    use super::*;

    const ID: (&str, SqlType) = ("id", SqlType::Int4);
    const PART: (&str, SqlType) = ("p", SqlType::Text);

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_staged_is_seen_through_its_overlay_only_until_it_is_committed() {
        let test = TestLake::new();
        let table = test.make("t", &[ID, PART], &["p"]).await;
        test.insert(&table, "VALUES (1, 'a')").await.unwrap();
        let base = test.newest(&table).await;
        let first = test.stage(&table, &base, "VALUES (2, 'a'), (3, NULL)").await.unwrap();
        let second = test.stage(&table, &base, "VALUES (4, 'b')").await.unwrap();
        let all = "SELECT count(*), sum(id), count(p), max(p) FROM t";
        let overlay = Staged::overlay(&base, [&first, &second]).unwrap();
        assert_eq!(test.query_on(&overlay, all).await.unwrap(), "4|10|3|b");
        assert_eq!(test.query_on(&overlay, "SELECT id FROM t WHERE p = 'b'").await.unwrap(), "4");
        assert_eq!(test.query(&table, all).await, "1|1|1|a");
        test.insert(&table, "VALUES (9, 'c')").await.unwrap();
        let appended = test.lake.commit(vec![first, second]).await.unwrap();
        assert_eq!((appended.version, appended.rows), (3, 3));
        assert_eq!(test.query(&table, all).await, "5|19|4|c");
        assert_eq!(test.query_on(&overlay, all).await.unwrap(), "4|10|3|b");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_dropped_leaves_no_files() {
        let test = TestLake::new();
        let table = test.make("t", &[ID], &[]).await;
        let base = test.newest(&table).await;
        let staged = test.stage(&table, &base, "VALUES (1)").await.unwrap();
        assert_eq!(test.data_files("t"), 1);
        drop(staged);
        for _ in 0..200 {
            if test.data_files("t") == 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!((test.data_files("t"), test.newest(&table).await.version()), (0, 0));
    }
}
