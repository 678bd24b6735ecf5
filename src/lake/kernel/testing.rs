//! What the tests of this room need from the kernel.

use std::collections::HashMap;

use delta_kernel::Engine;
use delta_kernel::actions::deletion_vector_writer::{KernelDeletionVector, StreamingDeletionVectorWriter};
use delta_kernel::transaction::{CommitResult, UpdateTableOperation};
use std::sync::Arc;

use super::commit::{ENGINE_INFO, ReadBackCommitter};
use super::write::scalar;
use crate::lake::snapshot::TableSnapshot;

/// Deletes the rows of every file at the positions for which `deleted` is true, by deletion vectors in one file. Blocks.
pub(in crate::lake) fn delete_rows(snapshot: &TableSnapshot, committer: ReadBackCommitter, deleted: impl Fn(u64) -> bool) {
    let engine = snapshot.loaded.engine.as_ref();
    let kernel = &snapshot.loaded.kernel;
    let mut transaction = Arc::clone(kernel)
        .update_table(UpdateTableOperation::Delete, ENGINE_INFO, true)
        .build(engine, Box::new(committer))
        .unwrap();
    let mut builder = transaction.write_state().unwrap().write_context_builder();
    if !snapshot.partition_columns().is_empty() {
        // Any partition will do: vectors lie beside all of them.
        let values = snapshot.partition_columns().iter().zip(&snapshot.files()[0].file.partition_values);
        builder = builder.with_partition_values(values.map(|(name, value)| (name.clone(), scalar(value).unwrap())).collect());
    }
    let context = builder.build().unwrap();
    let path = context.new_deletion_vector_path(String::new());
    let mut bytes = Vec::new();
    let mut vectors = HashMap::new();
    let mut writer = StreamingDeletionVectorWriter::new(&mut bytes);
    for file in snapshot.files() {
        let mut vector = KernelDeletionVector::new();
        vector.add_deleted_row_indexes((0..file.stored_rows.unwrap()).filter(|row| deleted(*row)));
        let written = writer.write_deletion_vector(vector).unwrap();
        vectors.insert(file.reference.clone(), written.to_descriptor(&path));
    }
    writer.finalize().unwrap();
    engine.storage_handler().put(&path.absolute_path().unwrap(), bytes.into(), false).unwrap();
    let scan = Arc::clone(kernel).scan_builder().build().unwrap();
    let files: Vec<_> = scan.scan_metadata(engine).unwrap().map(|metadata| metadata.map(|metadata| metadata.scan_files)).collect();
    transaction.update_deletion_vectors(vectors, files.into_iter()).unwrap();
    assert!(matches!(transaction.commit(engine).unwrap(), CommitResult::Committed(_)));
}
