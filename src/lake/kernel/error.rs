//! What the kernel's errors mean to a caller.

use delta_kernel::KernelError;

use crate::error::{Error, ErrorKind};
use crate::lake::TableRef;
use crate::storage::is_outside;

/// Translates an error that came up while the log of `table` was read or written. Paths and kernel texts go to the server log only.
pub(in crate::lake) fn translate(table: &TableRef, error: KernelError) -> Error {
    let name = &table.name;
    let error = match error {
        KernelError::GenericError { source } => match source.downcast::<Error>() {
            Ok(ours) => return *ours,
            Err(source) => KernelError::GenericError { source },
        },
        other => other,
    };
    let translated = match &error {
        KernelError::Backtraced { source, .. } => {
            return translate_text(table, kind_of(source), &source.to_string()).with_source(error);
        }
        KernelError::Unsupported(what) => {
            Error::new(ErrorKind::Unsupported, format!("table \"{name}\" uses a Delta feature that is not supported"))
                .with_detail(what.clone())
        }
        other => translate_text(table, kind_of(other), &other.to_string()),
    };
    translated.with_source(error)
}

/// An error of ours, for its way through the kernel's results; [`translate`] gives it back.
pub(in crate::lake) fn ours(error: Error) -> KernelError {
    KernelError::GenericError { source: Box::new(error) }
}

fn translate_text(table: &TableRef, kind: ErrorKind, text: &str) -> Error {
    let name = &table.name;
    // Features that the kernel's protocol check refuses come with a generic kind but a plain text.
    if text.contains("not supported") && text.contains("eature") {
        return Error::new(ErrorKind::Unsupported, format!("table \"{name}\" uses a Delta feature that is not supported"))
            .with_detail(text.to_string());
    }
    match kind {
        ErrorKind::Io => Error::new(kind, format!("storage of table \"{name}\" did not answer")),
        ErrorKind::DiskFull => Error::new(kind, format!("no space is left for table \"{name}\"")),
        ErrorKind::Cancelled => Error::new(kind, "the statement was cancelled"),
        ErrorKind::DataCorrupted => Error::new(kind, format!("the log of table \"{name}\" is damaged")),
        ErrorKind::DuplicateRelation => Error::new(kind, format!("there is a table at the location of \"{name}\" already")),
        _ => Error::new(ErrorKind::Internal, "internal error"),
    }
}

fn kind_of(error: &KernelError) -> ErrorKind {
    match error {
        KernelError::Backtraced { source, .. } => kind_of(source),
        KernelError::IOError(error) if error.kind() == std::io::ErrorKind::StorageFull => ErrorKind::DiskFull,
        KernelError::ObjectStore(error) if is_outside(error) => ErrorKind::DataCorrupted,
        KernelError::IOError(_) | KernelError::ObjectStore(_) | KernelError::Reqwest(_) => ErrorKind::Io,
        KernelError::Cancelled => ErrorKind::Cancelled,
        KernelError::Unsupported(_) => ErrorKind::Unsupported,
        KernelError::TableAlreadyExistsAtPath(_) => ErrorKind::DuplicateRelation,
        KernelError::InternalError(_) | KernelError::JoinFailure(_) | KernelError::InvalidTransactionState(_) => {
            ErrorKind::Internal
        }
        // What is left says that bytes of the log are not what the protocol demands.
        _ => ErrorKind::DataCorrupted,
    }
}

/// Translates an error of an object store.
pub(in crate::lake) fn storage_error(table: &TableRef, error: object_store::Error) -> Error {
    translate(table, KernelError::from(error))
}
