//! Results on their way out.
//!
//! Batches are encoded chunk by chunk into the send buffer, which leaves as soon as it is full, or when the next batch lets wait for
//! itself: the first row is at the client before the last is computed. A client that reads slowly slows the query down, because
//! nothing is computed while the buffer is full.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use futures::{FutureExt, StreamExt};
use metrics::counter;
use pgwire::messages::copy::{CopyDone, CopyOutResponse};
use pgwire::messages::data::{FieldDescription, RowDescription};
use tokio::time::timeout;

use super::connection::Connection;
use super::encode::{CopyEncoder, Form, Format, RowEncoder};
use super::error::Halt;
use super::interrupt::Interrupts;
use super::transport::{Input, Output};
use crate::error::{Error, Result};
use crate::session::outcome::{Column, CopyLayout, RowStream};
use crate::sql::statement::CopyFormat;
use crate::types::SqlType;

/// How long a batch may let wait for itself before what has gathered is sent.
const PATIENCE: Duration = Duration::from_millis(5);

/// Columns as RowDescription tells them.
pub(super) fn row_description(columns: &[Column], formats: &[Format]) -> RowDescription {
    let fields = columns.iter().enumerate().map(|(index, column)| {
        let format = formats.get(index).copied().unwrap_or_default();
        FieldDescription::new(
            // A NUL would end the name early and shift everything behind it.
            column.name.replace('\0', ""),
            column.table.cast_signed(),
            column.attribute,
            column.sql_type.oid(),
            column.sql_type.type_len(),
            column.typmod,
            format.code(),
        )
    });
    RowDescription::new(fields.collect())
}

/// One result on its way.
struct Sink<'c> {
    input: &'c mut Input,
    output: &'c mut Output,
    interrupts: &'c mut Interrupts,
}

impl Sink<'_> {
    /// The next batch that has rows.
    async fn next(&mut self, stream: &mut RowStream) -> Result<Option<RecordBatch>, Halt> {
        // What is there already needs no timers.
        while let Some(batch) = stream.next().now_or_never() {
            match batch.transpose()? {
                Some(batch) if batch.num_rows() == 0 => {}
                batch => return Ok(batch),
            }
        }
        loop {
            if !self.output.is_empty()
                && let Ok(batch) = timeout(PATIENCE, self.race_for(stream)).await
            {
                match batch? {
                    Some(batch) if batch.num_rows() == 0 => continue,
                    batch => return Ok(batch),
                }
            }
            self.interrupts.race(self.input, self.output.flush()).await?;
            match self.race_for(stream).await? {
                Some(batch) if batch.num_rows() == 0 => {}
                batch => return Ok(batch),
            }
        }
    }

    async fn race_for(&mut self, stream: &mut RowStream) -> Result<Option<RecordBatch>, Halt> {
        let next = async { Ok(stream.next().await.transpose()?) };
        self.interrupts.race(self.input, next).await
    }

    /// Sends `first` and all batches behind it. `encode` appends some of the rows it is given and says how many.
    async fn send(
        &mut self,
        first: RecordBatch,
        mut stream: RowStream,
        mut encode: impl FnMut(&RecordBatch, Range<usize>, &mut BytesMut) -> Result<usize>,
    ) -> Result<u64, Halt> {
        let mut rows = 0;
        let mut next = Some(first);
        while let Some(batch) = next {
            let mut sent = 0;
            while sent < batch.num_rows() {
                let buffer = self.output.buffer();
                let before = buffer.len();
                let rows_left = sent..batch.num_rows();
                let encoded = std::panic::catch_unwind(AssertUnwindSafe(|| encode(&batch, rows_left, buffer)));
                match encoded.unwrap_or_else(|_| {
                    counter!("lakehold_wire_panics_total").increment(1);
                    Err(Error::internal("panic while encoding rows"))
                }) {
                    Ok(encoded) => sent += encoded.max(1),
                    Err(error) => {
                        // Half a row would take the client's place in the protocol.
                        self.output.buffer().truncate(before);
                        return Err(error.into());
                    }
                }
                if self.output.is_full() {
                    self.interrupts.race(self.input, self.output.flush()).await?;
                }
            }
            rows += batch.num_rows() as u64;
            drop(batch);
            next = self.next(&mut stream).await?;
        }
        Ok(rows)
    }
}

impl Connection {
    /// How values of these types are written and read.
    pub(super) fn form_for<'t>(&mut self, mut types: impl Iterator<Item = &'t SqlType>) -> Form {
        let mut settings = Form::clone(&self.session.form());
        if types.any(prints_names) {
            settings.object_names = self.session.object_names();
        }
        settings
    }

    /// Sends rows, with their description in front if `describe` says so. Returns how many.
    ///
    /// The description does not wait for rows: a statement that fails with its first row has it in front of the error.
    pub(super) async fn send_rows(
        &mut self,
        columns: &[Column],
        formats: &[Format],
        describe: bool,
        mut stream: RowStream,
        interrupts: &mut Interrupts,
    ) -> Result<u64, Halt> {
        let settings = self.form_for(columns.iter().map(|column| &column.sql_type));
        let mut sink = Sink { input: &mut self.input, output: &mut self.output, interrupts };
        if describe {
            sink.output.message(&row_description(columns, formats))?;
        }
        let Some(first) = sink.next(&mut stream).await? else { return Ok(0) };
        let types: Vec<SqlType> = columns.iter().map(|column| column.sql_type.clone()).collect();
        let mut encoder = RowEncoder::new(&types, &first.schema(), formats, &settings)?;
        sink.send(first, stream, |batch, rows, out| encoder.encode_some(batch, rows, out)).await
    }

    /// Sends rows as COPY .. TO STDOUT does. Returns how many.
    pub(super) async fn send_copy(
        &mut self,
        columns: &[Column],
        layout: &CopyLayout,
        mut stream: RowStream,
        interrupts: &mut Interrupts,
    ) -> Result<u64, Halt> {
        let settings = self.form_for(columns.iter().map(|column| &column.sql_type));
        let named: Vec<(String, SqlType)> = columns.iter().map(|column| (column.name.clone(), column.sql_type.clone())).collect();
        let mut sink = Sink { input: &mut self.input, output: &mut self.output, interrupts };
        let first = sink.next(&mut stream).await?;
        let schema = first.as_ref().map_or_else(|| schema_of(columns), RecordBatch::schema);
        let mut encoder = CopyEncoder::new(&named, &schema, layout, &settings)?;
        let format: i8 = if layout.form.format == CopyFormat::Binary { 1 } else { 0 };
        let count = i16::try_from(columns.len()).unwrap_or(i16::MAX);
        sink.output.message(&CopyOutResponse::new(format, count, vec![i16::from(format); columns.len()]))?;
        encoder.start(sink.output.buffer());
        let rows = match first {
            Some(first) => sink.send(first, stream, |batch, rows, out| encoder.encode_some(batch, rows, out)).await?,
            None => 0,
        };
        encoder.finish(sink.output.buffer());
        sink.output.message(&CopyDone::new())?;
        Ok(rows)
    }
}

/// Whether values of this type are numbers that print as names.
fn prints_names(sql_type: &SqlType) -> bool {
    match sql_type {
        SqlType::Array(element) => prints_names(element),
        SqlType::Reg(_) => true,
        _ => false,
    }
}

/// What an empty result would look like.
fn schema_of(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(columns.iter().map(|column| column.sql_type.field(column.name.clone(), true)).collect::<Vec<_>>()))
}
