//! The names behind `regclass` and its kind, from the world that a statement has pinned.

use std::sync::Arc;

use super::FunctionContext;
use super::names::{display_object, require_object};
use crate::error::Result;
use crate::types::{ObjectNames, RegKind};

/// Names as the principal of a statement may see them, qualified where its search path does not lead to them.
#[derive(Clone)]
pub struct ContextNames(pub Arc<FunctionContext>);

impl ObjectNames for ContextNames {
    fn name(&self, kind: RegKind, oid: u32) -> Option<String> {
        Some(display_object(&self.0, kind, oid))
    }

    fn oid(&self, kind: RegKind, text: &str) -> Result<u32> {
        require_object(&self.0, kind, text)
    }
}

impl std::fmt::Debug for ContextNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContextNames").field("principal", &self.0.principal).finish()
    }
}
