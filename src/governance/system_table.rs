//! System relations as readable tables. Their rows hold only what the caller may see, so there is nothing to govern in them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::system::{SystemContext, SystemRelation};

/// The rows of one system relation in one statement: made when the first scan is planned, so that a statement that is only described
/// makes none.
pub(super) struct SystemRows {
    relation: &'static SystemRelation,
    context: Arc<SystemContext>,
    rows: OnceLock<RecordBatch>,
}

impl SystemRows {
    pub(super) fn new(relation: &'static SystemRelation, context: Arc<SystemContext>) -> Arc<Self> {
        Arc::new(Self { relation, context, rows: OnceLock::new() })
    }

    fn batch(&self) -> Result<RecordBatch> {
        if let Some(batch) = self.rows.get() {
            return Ok(batch.clone());
        }
        let batch = self.relation.rows(&self.context).map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(self.rows.get_or_init(|| batch).clone())
    }
}

/// A scan of [`SystemRows`].
pub(super) struct SystemTable {
    rows: Arc<SystemRows>,
}

impl SystemTable {
    pub(super) fn new(rows: Arc<SystemRows>) -> Self {
        Self { rows }
    }
}

impl fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemTable({})", self.rows.relation.name())
    }
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        self.rows.relation.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batch = self.rows.batch()?;
        Ok(MemorySourceConfig::try_new_exec(&[vec![batch]], self.schema(), projection.cloned())?)
    }
}
