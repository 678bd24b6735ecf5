//! TPC-H tables as sample data: `tpchgen`'s rows, streamed into managed Delta tables.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatchReader;
use datafusion::physical_plan::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchReceiverStream;
use tpchgen::generators::{
    CustomerGenerator, LineItemGenerator, NationGenerator, OrderGenerator, PartGenerator, PartSuppGenerator, RegionGenerator,
    SupplierGenerator,
};
use tpchgen_arrow::{CustomerArrow, LineItemArrow, NationArrow, OrderArrow, PartArrow, PartSuppArrow, RegionArrow, SupplierArrow};

use crate::error::Result;
use crate::lake::{AsOf, WriteOperation};
use crate::session::{Services, Session};
use crate::types::SqlType;

type Reader = Box<dyn RecordBatchReader + Send>;

/// Batches that the generator may be ahead of the writer.
const BATCHES_AHEAD: usize = 4;

/// The tables with their generators, small ones first.
fn tables(scale: f64) -> Vec<(&'static str, Reader)> {
    vec![
        ("region", Box::new(RegionArrow::new(RegionGenerator::new(scale, 1, 1)))),
        ("nation", Box::new(NationArrow::new(NationGenerator::new(scale, 1, 1)))),
        ("supplier", Box::new(SupplierArrow::new(SupplierGenerator::new(scale, 1, 1)))),
        ("part", Box::new(PartArrow::new(PartGenerator::new(scale, 1, 1)))),
        ("customer", Box::new(CustomerArrow::new(CustomerGenerator::new(scale, 1, 1)))),
        ("partsupp", Box::new(PartSuppArrow::new(PartSuppGenerator::new(scale, 1, 1)))),
        ("orders", Box::new(OrderArrow::new(OrderGenerator::new(scale, 1, 1)))),
        ("lineitem", Box::new(LineItemArrow::new(LineItemGenerator::new(scale, 1, 1)))),
    ]
}

/// Creates and fills the tables of `main.tpch` that are missing or empty.
///
/// # Errors
/// Whatever a statement or a write answers.
pub(super) async fn load(administrator: &mut Session, services: &Arc<Services>, scale: f64) -> Result<()> {
    administrator.run_script("CREATE SCHEMA IF NOT EXISTS main.tpch").await?;
    for (table, reader) in tables(scale) {
        load_table(administrator, services, table, reader).await?;
    }
    Ok(())
}

async fn load_table(administrator: &mut Session, services: &Arc<Services>, name: &str, reader: Reader) -> Result<()> {
    let columns: Vec<String> = reader.schema().fields().iter().map(|field| column_definition(field)).collect();
    administrator.run_script(&format!("CREATE TABLE IF NOT EXISTS main.tpch.{name} ({})", columns.join(", "))).await?;
    let table = services.table_ref("main", "tpch", name)?;
    let snapshot = services.lake.snapshot(&table, AsOf::Latest).await?;
    if snapshot.num_files() > 0 {
        return Ok(());
    }
    let started = std::time::Instant::now();
    let appended = services.lake.append(&table, &snapshot, generate(reader, snapshot.schema()), WriteOperation::default()).await?;
    println!("tpch.{name}: {} rows in {:.1} s", appended.rows, started.elapsed().as_secs_f64());
    Ok(())
}

fn column_definition(field: &Field) -> String {
    let sql_type = match field.data_type() {
        DataType::Utf8View | DataType::Utf8 => SqlType::Text,
        other => SqlType::of_arrow(other),
    };
    format!("{} {} NOT NULL", field.name(), sql_type.display_name())
}

/// Generates on a blocking thread, a few batches ahead of the reader.
fn generate(reader: Reader, schema: SchemaRef) -> SendableRecordBatchStream {
    let schema = Arc::new(Schema::new(schema.fields().clone()));
    let mut builder = RecordBatchReceiverStream::builder(Arc::clone(&schema), BATCHES_AHEAD);
    let sender = builder.tx();
    builder.spawn_blocking(move || {
        for batch in reader {
            let batch = batch.and_then(|batch| {
                datafusion::arrow::record_batch::RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())
            });
            if sender.blocking_send(batch.map_err(Into::into)).is_err() {
                break;
            }
        }
        Ok(())
    });
    builder.build()
}
