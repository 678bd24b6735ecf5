//! EXPLAIN: the plan as its reader may see it.
//!
//! A governed scan is a leaf here as everywhere: it prints the table's name, no policy, no file, no number. Of raw scans, file paths and statistics
//! are left out for everybody. ANALYZE runs the query and adds rows and time of the outer plan's nodes.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::physical_plan::{DisplayFormatType, ExecutionPlan};
use futures::StreamExt;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::optimizer::Turns;
use super::{Engine, ExecutionSettings, PhysicalQuery, ResultStream, TEXT};
use crate::error::{Error, Result};
use crate::governance::GovernedQuery;
use crate::sql::internal_name::shown;
use crate::sql::statement::ExplainFormat;
use crate::types::SqlType;

/// What EXPLAIN asks for.
#[derive(Debug, Clone, Copy)]
pub struct ExplainRequest {
    /// Run it and show what happened.
    pub analyze: bool,
    /// Text or JSON.
    pub format: ExplainFormat,
}

impl Engine {
    /// Plans `query`, runs it for ANALYZE, and gives the plan as rows of one column `QUERY PLAN`.
    ///
    /// # Errors
    /// As [`Engine::plan`] and, with ANALYZE, whatever the query fails with.
    pub async fn explain(
        &self,
        query: GovernedQuery,
        settings: &ExecutionSettings,
        parameters: &[ScalarValue],
        request: ExplainRequest,
        cancel: &CancellationToken,
    ) -> Result<ResultStream> {
        let started = Instant::now();
        let query = Engine::cancellable(cancel, self.plan(query, settings, parameters)).await?;
        let planned = started.elapsed();
        let plan = Arc::clone(&query.plan);
        let executed = if request.analyze { Some(self.run_to_end(query, cancel).await?) } else { None };
        let node = Node::of(&plan, request.analyze);
        let times = Times { planned, executed };
        match request.format {
            ExplainFormat::Text => rows(SqlType::Text, node.text(&times)),
            ExplainFormat::Json => rows(SqlType::Json, vec![node.document(&times)]),
        }
    }

    async fn run_to_end(&self, query: PhysicalQuery, cancel: &CancellationToken) -> Result<Duration> {
        let started = Instant::now();
        let mut stream = self.run(query, cancel).await?;
        while let Some(batch) = stream.next().await {
            batch?;
        }
        Ok(started.elapsed())
    }
}

fn rows(sql_type: SqlType, lines: Vec<String>) -> Result<ResultStream> {
    let field = sql_type.field("QUERY PLAN", false).with_data_type(TEXT);
    let schema = Arc::new(Schema::new(vec![field]));
    let column: ArrayRef = Arc::new(StringArray::from(lines));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column])
        .map_err(|error| Error::internal(format!("explain's own batch: {error}")))?;
    Ok(ResultStream::ready(Arc::clone(&schema), schema.fields().to_vec(), vec![batch]))
}

struct Times {
    planned: Duration,
    executed: Option<Duration>,
}

/// A node of the plan as it is shown.
#[derive(Debug)]
struct Node {
    name: String,
    details: Option<String>,
    actual: Option<Actual>,
    inputs: Vec<Node>,
}

/// What ANALYZE saw.
#[derive(Debug)]
struct Actual {
    rows: Option<usize>,
    milliseconds: Option<f64>,
}

impl Node {
    fn of(plan: &Arc<dyn ExecutionPlan>, analyze: bool) -> Node {
        if let Some(turns) = plan.downcast_ref::<Turns>() {
            return Node::of(turns.input(), analyze);
        }
        let printed = Printed(plan.as_ref()).to_string();
        let printed = shown(&printed);
        let (name, details) = match printed.split_once(':') {
            Some((name, details)) => (name.trim().to_string(), visible_details(details.trim())),
            None => (printed.trim().to_string(), None),
        };
        let actual = analyze.then(|| {
            let metrics = plan.metrics();
            Actual {
                rows: metrics.as_ref().and_then(datafusion::physical_plan::metrics::MetricsSet::output_rows),
                milliseconds: metrics.and_then(|metrics| metrics.elapsed_compute()).map(|nanos| nanos as f64 / 1e6),
            }
        });
        Node { name, details, actual, inputs: plan.children().into_iter().map(|child| Node::of(child, analyze)).collect() }
    }

    fn text(&self, times: &Times) -> Vec<String> {
        let mut lines = Vec::new();
        self.write_lines(0, &mut lines);
        if let Some(executed) = times.executed {
            lines.push(format!("Planning Time: {:.3} ms", times.planned.as_secs_f64() * 1e3));
            lines.push(format!("Execution Time: {:.3} ms", executed.as_secs_f64() * 1e3));
        }
        lines
    }

    fn write_lines(&self, depth: usize, lines: &mut Vec<String>) {
        let indent = if depth == 0 { String::new() } else { format!("{}->  ", " ".repeat(6 * depth - 4)) };
        let actual = match &self.actual {
            Some(Actual { rows: Some(rows), milliseconds: Some(time) }) => format!("  (actual time={time:.3} rows={rows})"),
            Some(Actual { rows: Some(rows), milliseconds: None }) => format!("  (actual rows={rows})"),
            Some(Actual { rows: None, .. }) | None => String::new(),
        };
        lines.push(format!("{indent}{}{actual}", self.name));
        if let Some(details) = &self.details {
            lines.push(format!("{}{details}", " ".repeat(6 * depth + 2)));
        }
        for input in &self.inputs {
            input.write_lines(depth + 1, lines);
        }
    }

    fn document(&self, times: &Times) -> String {
        let mut document = Map::new();
        document.insert("Plan".into(), self.value());
        if let Some(executed) = times.executed {
            document.insert("Planning Time".into(), json!(times.planned.as_secs_f64() * 1e3));
            document.insert("Execution Time".into(), json!(executed.as_secs_f64() * 1e3));
        }
        format!("{:#}", Value::Array(vec![Value::Object(document)]))
    }

    fn value(&self) -> Value {
        let mut node = Map::new();
        node.insert("Node Type".into(), json!(self.name));
        if let Some(details) = &self.details {
            node.insert("Details".into(), json!(details));
        }
        if let Some(actual) = &self.actual {
            if let Some(rows) = actual.rows {
                node.insert("Actual Rows".into(), json!(rows));
            }
            if let Some(time) = actual.milliseconds {
                node.insert("Actual Total Time".into(), json!(time));
            }
        }
        if !self.inputs.is_empty() {
            node.insert("Plans".into(), Value::Array(self.inputs.iter().map(Node::value).collect()));
        }
        Value::Object(node)
    }
}

struct Printed<'a>(&'a dyn ExecutionPlan);

impl fmt::Display for Printed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_as(DisplayFormatType::Default, f)
    }
}

/// Leaves out where data lies and how much of it there is.
fn visible_details(details: &str) -> Option<String> {
    let mut rest = details.to_string();
    for hidden in ["file_groups={", "input_partitions=", "partitions=", "partition_sizes=[", "required_guarantees=["] {
        while let Some(start) = rest.find(hidden) {
            let end = end_of_part(&rest, start + hidden.len(), hidden.ends_with(['{', '[']));
            rest.replace_range(start..end, "");
        }
    }
    let rest = rest.trim().trim_end_matches(',').trim();
    (!rest.is_empty()).then(|| rest.to_string())
}

/// End of one `name=value, ` part that starts before `from`; brackets nest. Everything is hidden when they do not close.
fn end_of_part(text: &str, from: usize, bracketed: bool) -> usize {
    let mut depth = usize::from(bracketed);
    for (offset, symbol) in text[from..].char_indices() {
        match symbol {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' if depth > 0 => depth -= 1,
            ',' if depth == 0 => {
                let after = from + offset + 1;
                return if text[after..].starts_with(' ') { after + 1 } else { after };
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_sizes_are_left_out() {
        let details = "file_groups={2 groups: [[a/b.parquet:0..10], [a/c.parquet]]}, projection=[id, x], predicate=x@1 > 3";
        assert_eq!(visible_details(details).as_deref(), Some("projection=[id, x], predicate=x@1 > 3"));
        assert_eq!(visible_details("partitions=1, partition_sizes=[3]"), None);
        assert_eq!(visible_details("file_groups={broken"), None);
        let exchange = "partitioning=RoundRobinBatch(2), input_partitions=1, maintains_sort_order=true";
        assert_eq!(visible_details(exchange).as_deref(), Some("partitioning=RoundRobinBatch(2), maintains_sort_order=true"));
    }
}
