//! Makes a table: version 0 of its log.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use delta_kernel::KernelError;
use delta_kernel::schema::StructType;
use delta_kernel::transaction::CommitResult;
use delta_kernel::transaction::create_table::create_table;
use delta_kernel::transaction::data_layout::DataLayout;

use super::commit::{ENGINE_INFO, ReadBackCommitter};
use super::engine::TableEngine;
use super::error::translate;
use super::schema::delta_column;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::TableRef;

/// Characters that a column's name may have with column mapping only: Parquet and Hive give them a meaning.
const MAPPED_CHARACTERS: &[char] = &[' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];

/// Property that turns column mapping on.
const COLUMN_MAPPING: &str = "delta.columnMapping.mode";

/// Commits version 0. Blocks.
///
/// # Errors
/// [`ErrorKind::DuplicateRelation`] if somebody else made a table there, [`ErrorKind::InvalidTableDefinition`] if the definition cannot hold.
pub(in crate::lake) fn create(
    table: &TableRef,
    engine: &TableEngine,
    committer: ReadBackCommitter,
    schema: &Schema,
    partition_by: &[String],
    properties: &[(String, String)],
) -> Result<()> {
    if schema.fields().is_empty() {
        return Err(Error::unsupported("a table without columns"));
    }
    if !partition_by.is_empty() && partition_by.len() == schema.fields().len() {
        return Err(Error::new(ErrorKind::InvalidTableDefinition, "a table cannot be partitioned by all of its columns"));
    }
    let columns = schema.fields().iter().map(|field| delta_column(field)).collect::<Result<Vec<_>>>()?;
    let columns = StructType::try_new(columns).map_err(|error| refused(table, error))?;
    let mut properties = properties.to_vec();
    let needs_mapping = schema.fields().iter().any(|field| field.name().contains(MAPPED_CHARACTERS));
    if needs_mapping && !properties.iter().any(|(key, _)| key == COLUMN_MAPPING) {
        properties.push((COLUMN_MAPPING.to_string(), "name".to_string()));
    }
    let mut builder =
        create_table(committer.store.root_url().as_str(), Arc::new(columns), ENGINE_INFO, true).with_table_properties(properties);
    if !partition_by.is_empty() {
        let columns = partition_by.iter().map(|column| delta_kernel::expressions::ColumnName::new([column.clone()])).collect();
        builder = builder.with_data_layout(DataLayout::Partitioned { columns });
    }
    let exists =
        || Error::new(ErrorKind::DuplicateRelation, format!("there is a table at the location of \"{}\" already", table.name));
    let transaction = builder.build(engine, Box::new(committer)).map_err(|error| refused(table, error))?;
    match transaction.commit(engine).map_err(|error| refused(table, error))? {
        CommitResult::Committed(_) => Ok(()),
        CommitResult::Conflicted(_) => Err(exists()),
        CommitResult::Retryable(retryable) => Err(translate(table, retryable.error)),
    }
}

/// The kernel says in generic errors what it does not like about a definition.
fn refused(table: &TableRef, error: KernelError) -> Error {
    let text = match &error {
        KernelError::Generic(text) | KernelError::Schema(text) => text.clone(),
        KernelError::Backtraced { source, .. } => match source.as_ref() {
            KernelError::Generic(text) | KernelError::Schema(text) => text.clone(),
            _ => return translate(table, error),
        },
        _ => return translate(table, error),
    };
    let kind = if text.contains("not supported") { ErrorKind::Unsupported } else { ErrorKind::InvalidTableDefinition };
    Error::new(kind, format!("table \"{}\" cannot be made as defined", table.name)).with_detail(text).with_source(error)
}
