//! The Delta kernel, behind one wall.
//!
//! Only this module and its children name `delta_kernel`: its interface is young and moves with every minor version. What the rest of the
//! room gets is ours: [`load::LoadedTable`] (schema, properties, files), [`commit`] (put-if-absent with read-back), [`error`] texts.
//! Kernel calls block; callers run them on a blocking thread of the I/O runtime.

pub(super) mod checkpoint;
pub(super) mod commit;
pub(super) mod create;
pub(super) mod engine;
pub(super) mod error;
pub(super) mod files;
pub(super) mod load;
pub(super) mod schema;
#[cfg(test)]
pub(super) mod testing;
pub(super) mod travel;
pub(super) mod write;
