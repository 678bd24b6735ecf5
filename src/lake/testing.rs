//! Real tables in temporary directories, for the tests of this room.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_writer::ArrowWriterOptions;
use datafusion::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader, ParquetMetaDataWriter};
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::prelude::{SessionConfig, SessionContext};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Handle;

use super::{Appended, AsOf, Lake, LakeOptions, Staged, TableRef, TableSnapshot, WriteOperation};
use crate::catalog::securable::ObjectId;
use crate::error::Result;
use crate::storage::{Storage, StorageOptions};
use crate::types::SqlType;

pub(super) struct TestLake {
    pub(super) lake: Arc<Lake>,
    pub(super) directory: TempDir,
}

impl TestLake {
    pub(super) fn new() -> Self {
        Self::with_options(LakeOptions::default())
    }

    pub(super) fn with_options(options: LakeOptions) -> Self {
        let storage = Storage::new(&StorageOptions::default(), Handle::current()).unwrap();
        Self { lake: Lake::new(&options, storage, Handle::current()).unwrap(), directory: TempDir::new().unwrap() }
    }

    pub(super) fn table(&self, name: &str) -> TableRef {
        let location = self.directory.path().join(name).to_str().unwrap().to_string();
        TableRef { id: ObjectId(16384), name: name.to_string(), location, credential: None }
    }

    pub(super) fn log_file(&self, table: &str, name: &str) -> PathBuf {
        self.directory.path().join(table).join("_delta_log").join(name)
    }

    pub(super) fn commit_file(&self, table: &str, version: u64) -> PathBuf {
        self.log_file(table, &format!("{version:020}.json"))
    }

    /// Makes a table; a column whose name ends in `!` is NOT NULL.
    pub(super) async fn make(&self, name: &str, columns: &[(&str, SqlType)], partition_by: &[&str]) -> TableRef {
        self.make_with(name, columns, partition_by, &[]).await.unwrap()
    }

    pub(super) async fn make_with(
        &self,
        name: &str,
        columns: &[(&str, SqlType)],
        partition_by: &[&str],
        properties: &[(&str, &str)],
    ) -> Result<TableRef> {
        let table = self.table(name);
        let fields: Vec<Field> =
            columns.iter().map(|(name, sql_type)| sql_type.field(name.trim_end_matches('!'), !name.ends_with('!'))).collect();
        let partition_by: Vec<String> = partition_by.iter().map(ToString::to_string).collect();
        let properties: Vec<_> = properties.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        self.lake.create(&table, &Schema::new(fields), &partition_by, &properties, Some("made by a test")).await?;
        Ok(table)
    }

    pub(super) async fn newest(&self, table: &TableRef) -> Arc<TableSnapshot> {
        self.lake.snapshot(table, AsOf::Latest).await.unwrap()
    }

    pub(super) fn context(&self) -> SessionContext {
        let runtime = RuntimeEnvBuilder::new().with_object_store_registry(self.lake.object_store_registry()).build_arc().unwrap();
        SessionContext::new_with_config_rt(SessionConfig::new().with_target_partitions(3), runtime)
    }

    /// Appends the rows of a query without tables.
    pub(super) async fn insert(&self, table: &TableRef, query: &str) -> Result<Appended> {
        let snapshot = self.newest(table).await;
        self.insert_on(table, &snapshot, query).await
    }

    pub(super) async fn insert_on(&self, table: &TableRef, snapshot: &Arc<TableSnapshot>, query: &str) -> Result<Appended> {
        let rows = self.rows(query).await;
        self.lake.append(table, snapshot, rows, WriteOperation::default()).await
    }

    /// Writes the rows of a query without tables, and does not commit them.
    pub(super) async fn stage(&self, table: &TableRef, snapshot: &Arc<TableSnapshot>, query: &str) -> Result<Staged> {
        self.lake.stage(table, snapshot, self.rows(query).await, WriteOperation::default()).await
    }

    #[expect(clippy::disallowed_methods, reason = "a test asks DataFusion directly")]
    async fn rows(&self, query: &str) -> SendableRecordBatchStream {
        self.context().sql(query).await.unwrap().execute_stream().await.unwrap()
    }

    /// Number of Parquet files in the directory of a table.
    pub(super) fn data_files(&self, table: &str) -> usize {
        let entries = std::fs::read_dir(self.directory.path().join(table)).unwrap();
        entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "parquet")).count()
    }

    /// Rows of a query over the newest version, whose table is called `t`.
    pub(super) async fn query(&self, table: &TableRef, query: &str) -> String {
        self.query_on(&self.newest(table).await, query).await.unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "a test asks DataFusion directly")]
    pub(super) async fn query_on(&self, snapshot: &Arc<TableSnapshot>, query: &str) -> datafusion::error::Result<String> {
        let context = self.context();
        context.register_table("t", snapshot.provider()).unwrap();
        let batches = context.sql(query).await?.collect().await?;
        let printed = pretty_format_batches(&batches).unwrap().to_string();
        let lines = printed.lines().filter(|line| line.starts_with('|')).skip(1);
        Ok(lines
            .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>().join("|"))
            .collect::<Vec<_>>()
            .join("\n"))
    }
}

/// A table as other programs write it: Parquet files and a log by hand.
pub(super) struct Foreign {
    pub(super) root: PathBuf,
    version: u64,
}

impl Foreign {
    /// An empty table named `name`; `schema` is Delta's, in JSON.
    pub(super) fn new(test: &TestLake, name: &str, schema: &Value, partition_by: &[&str]) -> Self {
        Self::with_protocol(test, name, schema, partition_by, json!({"minReaderVersion": 1, "minWriterVersion": 2}))
    }

    pub(super) fn with_protocol(test: &TestLake, name: &str, schema: &Value, partition_by: &[&str], protocol: Value) -> Self {
        let root = test.directory.path().join(name);
        std::fs::create_dir_all(root.join("_delta_log")).unwrap();
        let mut table = Self { root, version: 0 };
        table.commit(&[json!({"protocol": protocol}), metadata(schema, partition_by)]);
        table
    }

    /// The next version.
    pub(super) fn commit(&mut self, actions: &[Value]) {
        let lines: Vec<String> = actions.iter().map(ToString::to_string).collect();
        let name = format!("_delta_log/{:020}.json", self.version);
        std::fs::write(self.root.join(name), lines.join("\n") + "\n").unwrap();
        self.version += 1;
    }

    /// Writes a data file and gives the action that adds it, without statistics but the number of rows.
    pub(super) fn file(&self, name: &str, batch: &RecordBatch, properties: WriterProperties) -> Value {
        let path = self.root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(file, batch.schema(), options).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        self.add(name, &json!({"numRecords": batch.num_rows()}))
    }

    /// The action that adds a file that is there.
    pub(super) fn add(&self, name: &str, statistics: &Value) -> Value {
        let size = std::fs::metadata(self.root.join(name)).unwrap().len();
        json!({"add": {"path": name, "partitionValues": {}, "size": size, "modificationTime": 1_700_000_000_000_i64,
            "dataChange": true, "stats": statistics.to_string()}})
    }

    /// Changes what the footer of a data file says of its columns.
    pub(super) fn change_footer(&self, name: &str, change: impl Fn(ColumnChunkMetaData) -> ColumnChunkMetaData) {
        let path = self.root.join(name);
        let bytes = bytes::Bytes::from(std::fs::read(&path).unwrap());
        let mut reader = ParquetMetaDataReader::new();
        reader.try_parse(&bytes).unwrap();
        let mut footer = reader.finish().unwrap().into_builder();
        let groups = footer.take_row_groups().into_iter().map(|group| {
            let mut group = group.into_builder();
            let chunks = group.take_columns().into_iter().map(&change).collect();
            group.set_column_metadata(chunks).build().unwrap()
        });
        let footer = footer.set_row_groups(groups.collect()).build();
        let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
        let mut file = bytes[..bytes.len() - 8 - length].to_vec();
        ParquetMetaDataWriter::new(&mut file, &footer).finish().unwrap();
        std::fs::write(&path, file).unwrap();
    }
}

pub(super) fn metadata(schema: &Value, partition_by: &[&str]) -> Value {
    json!({"metaData": {"id": uuid::Uuid::new_v4().to_string(), "format": {"provider": "parquet", "options": {}},
        "schemaString": schema.to_string(), "partitionColumns": partition_by, "configuration": {}, "createdTime": 1_700_000_000_000_i64}})
}

/// Delta's schema of columns that may be NULL.
pub(super) fn schema(columns: &[(&str, &str)]) -> Value {
    let field = |(name, data_type): &(&str, &str)| json!({"name": name, "type": data_type, "nullable": true, "metadata": {}});
    json!({"type": "struct", "fields": columns.iter().map(field).collect::<Vec<_>>()})
}
