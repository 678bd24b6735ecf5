//! What DataFusion, Arrow, Parquet and object stores report, in the words of PostgreSQL.
//!
//! ```text
//!   DataFusionError ── classify ──▶ kind + template ──▶ Error
//!                                        │
//!                     redacted: no value, no source text; else PostgreSQL's wording, with the value
//! ```
//! Execution errors of the libraries quote the value they stumbled over. Where a row filter or a mask is at work, that value may be one
//! that the caller must not see, so a redacted error carries the template only, and its log line names the variant only. SQL types stand in the
//! templates: they come from the statement, never from the data.
//!
//! Absent: retries, logging. Whoever handles the error does those.

use std::error::Error as StdError;

use ::datafusion::arrow::error::ArrowError;
use ::datafusion::common::SchemaError;
use ::datafusion::error::DataFusionError;
use ::datafusion::parquet::errors::ParquetError;

use super::{Error, ErrorKind, regex_fault};

/// Maps an error of planning or execution. `redacted` is true as soon as a governed table is in the plan.
pub fn from_datafusion(error: DataFusionError, redacted: bool) -> Error {
    let error = match error {
        DataFusionError::External(source) if !redacted => match source.downcast::<Error>() {
            Ok(ours) => return *ours,
            Err(source) => DataFusionError::External(source),
        },
        // A rule of the optimiser has failed, with an error of ours.
        DataFusionError::Context(_, inner) if !redacted && is_ours(&inner) => return from_datafusion(*inner, redacted),
        other => other,
    };
    let told = classify(&error);
    finish(told, redacted, variant(&error), Box::new(error))
}

fn is_ours(error: &DataFusionError) -> bool {
    match error {
        DataFusionError::External(source) => source.is::<Error>(),
        DataFusionError::Context(_, inner) => is_ours(inner),
        _ => false,
    }
}

/// Maps an error of an Arrow kernel.
pub fn from_arrow(error: ArrowError, redacted: bool) -> Error {
    let told = classify_arrow(&error);
    finish(told, redacted, variant_arrow(&error), Box::new(error))
}

/// An error in the client's words, in both degrees of openness.
struct Told {
    kind: ErrorKind,
    /// Without any value.
    template: String,
    /// What follows the template when values may be shown.
    value: Option<String>,
    /// True when the template is fit for the client although it is not ours: names and types of the statement.
    hint: Option<&'static str>,
    /// About types of the statement, never about data.
    detail: Option<String>,
}

impl Told {
    fn new(kind: ErrorKind, template: impl Into<String>) -> Self {
        Self { kind, template: template.into(), value: None, hint: None, detail: None }
    }

    fn quoting(mut self, value: &str) -> Self {
        self.value = Some(format!(": \"{value}\""));
        self
    }

    fn with_hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }
}

fn finish(told: Told, redacted: bool, variant: String, source: Box<dyn StdError + Send + Sync>) -> Error {
    if told.kind == ErrorKind::Internal {
        return if redacted { Error::internal(variant) } else { Error::internal(source.to_string()) };
    }
    let mut message = told.template;
    if !redacted && let Some(value) = told.value {
        message.push_str(&value);
    }
    let error = Error::new(told.kind, message);
    let error = if redacted { error.with_source(variant) } else { error.with_source(source) };
    let error = match told.detail {
        Some(detail) => error.with_detail(detail),
        None => error,
    };
    match told.hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn classify(error: &DataFusionError) -> Told {
    match error {
        DataFusionError::ArrowError(inner, _) => classify_arrow(inner),
        DataFusionError::ParquetError(inner) => classify_parquet(inner),
        DataFusionError::ObjectStore(inner) => classify_object_store(inner),
        DataFusionError::IoError(inner) => classify_io(inner),
        DataFusionError::SQL(inner, _) => Told::new(ErrorKind::Syntax, "syntax error").with_text(&inner.to_string()),
        DataFusionError::NotImplemented(text) => {
            Told::new(ErrorKind::Unsupported, "a feature that the statement uses is not supported").with_text(text)
        }
        DataFusionError::Plan(text) => classify_plan(text),
        DataFusionError::SchemaError(inner, _) => classify_schema(inner),
        DataFusionError::Execution(text) => classify_execution(text),
        DataFusionError::ExecutionJoin(_) => Told::new(ErrorKind::Internal, "internal error"),
        DataFusionError::ResourcesExhausted(text) => classify_resources(text),
        DataFusionError::External(inner) => classify_external(inner.as_ref()),
        // A constant pattern of `~` that does not compile.
        DataFusionError::Context(what, inner) if what == "Invalid regex" => invalid_regex(&inner.to_string()),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => classify(inner),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => classify(first),
            None => Told::new(ErrorKind::Internal, "internal error"),
        },
        DataFusionError::Shared(inner) => classify(inner),
        // The same, where the optimiser did not look at it: a bug of the library to the library.
        DataFusionError::Internal(text) if text.starts_with("failed to call 'regex_match_dyn_scalar'") => invalid_regex(text),
        DataFusionError::Internal(_)
        | DataFusionError::Configuration(_)
        | DataFusionError::Substrait(_)
        | DataFusionError::Ffi(_) => Told::new(ErrorKind::Internal, "internal error"),
    }
}

impl Told {
    /// Adds the library's text when values may be shown, unless it speaks of the library's own things. The log has it in any case.
    fn with_text(mut self, text: &str) -> Self {
        let line = text.lines().next().unwrap_or_default();
        if !speaks_of_internals(line) {
            self.value = Some(format!(": {line}"));
        }
        self
    }
}

/// Whether a text names types of Arrow, parts of plans, or relations as they are called inside of a plan.
fn speaks_of_internals(text: &str) -> bool {
    const INTERNALS: [&str; 24] = [
        "Int8",
        "Int16",
        "Int32",
        "Int64",
        "Float16",
        "Float32",
        "Float64",
        "Utf8",
        "Decimal",
        "Timestamp(",
        "Date32",
        "Date64",
        "Time64",
        "Interval(",
        "Duration(",
        "Binary",
        "List(",
        "Struct(",
        "Map(",
        "Dictionary(",
        "Arrow",
        "DataFusion",
        "Expr",
        "Exec",
    ];
    text.contains('\0') || text.contains('#') || INTERNALS.iter().any(|word| text.contains(word))
}

/// What is wrong with a pattern is told only where the pattern may be shown.
fn invalid_regex(report: &str) -> Told {
    let told = Told::new(ErrorKind::InvalidRegex, "invalid regular expression");
    Told { value: Some(format!(": {}", regex_fault(report))), ..told }
}

fn classify_arrow(error: &ArrowError) -> Told {
    match error {
        ArrowError::DivideByZero => Told::new(ErrorKind::DivisionByZero, "division by zero"),
        ArrowError::ArithmeticOverflow(text) => Told::new(
            ErrorKind::NumericOutOfRange,
            overflowed_integer(text)
                .map_or_else(|| "numeric value out of range".to_string(), |name| format!("{name} out of range")),
        ),
        ArrowError::CastError(text)
        | ArrowError::ParseError(text)
        | ArrowError::InvalidArgumentError(text)
        | ArrowError::ComputeError(text) => classify_value(text),
        ArrowError::ExternalError(inner) => classify_external(inner.as_ref()),
        ArrowError::IoError(_, inner) => classify_io(inner),
        ArrowError::ParquetError(_) => Told::new(ErrorKind::DataCorrupted, "a data file of a table is damaged"),
        ArrowError::MemoryError(_)
        | ArrowError::OffsetOverflowError(_)
        | ArrowError::DictionaryKeyOverflowError
        | ArrowError::RunEndIndexOverflowError => Told::new(ErrorKind::ProgramLimit, "a value or batch of values is too large"),
        ArrowError::JsonError(_) => Told::new(ErrorKind::InvalidText, "invalid input syntax for type json"),
        ArrowError::CsvError(_) | ArrowError::AvroError(_) | ArrowError::IpcError(_) => {
            Told::new(ErrorKind::DataException, "invalid input data")
        }
        ArrowError::NotYetImplemented(text) => {
            Told::new(ErrorKind::Unsupported, "a feature that the statement uses is not supported").with_text(text)
        }
        ArrowError::SchemaError(_) | ArrowError::CDataInterface(_) => Told::new(ErrorKind::Internal, "internal error"),
    }
}

/// The integer type in which `Overflow happened on: 32767 + 1` happened: no narrower type holds both numbers, and no wider one
/// overflows, as it holds the result.
fn overflowed_integer(text: &str) -> Option<&'static str> {
    let (left, operation) = text.strip_prefix("Overflow happened on: ")?.split_once(' ')?;
    let (operator, right) = operation.split_once(' ')?;
    let (left, right): (i128, i128) = (left.parse().ok()?, right.parse().ok()?);
    let result = match operator {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        _ => None,
    }?;
    let overflows = |least: i128, most: i128| !(least..=most).contains(&result);
    if overflows(i64::MIN.into(), i64::MAX.into()) {
        return Some("bigint");
    }
    if overflows(i32::MIN.into(), i32::MAX.into()) { Some("integer") } else { Some("smallint") }
}

/// Texts of Arrow's cast and parse kernels, which quote the value.
fn classify_value(text: &str) -> Told {
    if let Some((value, data_type)) = between(text, "Cannot cast string '", "' to value of ", " type") {
        return Told::new(invalid_input_kind(data_type), format!("invalid input syntax for type {}", type_name(data_type)))
            .quoting(value);
    }
    if let Some((value, data_type)) = between(text, "Cannot cast value '", "' to value of ", " type") {
        return Told::new(ErrorKind::InvalidText, format!("invalid input syntax for type {}", type_name(data_type))).quoting(value);
    }
    if let Some((_, data_type)) = text.strip_prefix("Can't cast value ").and_then(|rest| rest.rsplit_once(" to type ")) {
        return Told::new(ErrorKind::NumericOutOfRange, format!("{} out of range", type_name(data_type)));
    }
    if let Some(rest) = text.strip_prefix("Error parsing timestamp from '") {
        let told = Told::new(ErrorKind::InvalidDatetime, "invalid input syntax for type timestamp");
        return match rest.rsplit_once("': ") {
            Some((value, _)) => told.quoting(value),
            None => told,
        };
    }
    if let Some(value) = text.strip_prefix("Failed to parse '").and_then(|rest| rest.strip_suffix("' as time")) {
        return Told::new(ErrorKind::InvalidDatetime, "invalid input syntax for type time").quoting(value);
    }
    if text.starts_with("Invalid input syntax for type interval") || text.contains("as interval amount") {
        return Told::new(ErrorKind::InvalidDatetime, "invalid input syntax for type interval");
    }
    if text.contains("timezone") {
        return Told::new(ErrorKind::InvalidTimeZone, "invalid time zone");
    }
    if text.starts_with("can't parse the string value") {
        return Told::new(ErrorKind::InvalidText, "invalid input syntax for type numeric");
    }
    if let Some(rest) = text.strip_prefix("Casting from ")
        && let Some((from, to)) = rest.strip_suffix(" not supported").and_then(|rest| rest.split_once(" to "))
    {
        return Told::new(ErrorKind::CannotCoerce, format!("cannot cast type {} to {}", type_name(from), type_name(to)));
    }
    if text.contains("cannot take square root of a negative number") {
        return Told::new(ErrorKind::InvalidPower, "cannot take square root of a negative number");
    }
    if text.contains("Regular expression did not compile") || text.contains("regex parse error") {
        return invalid_regex(text);
    }
    if text.starts_with("Cannot cast to Decimal")
        || text.contains("parse decimal overflow")
        || text.contains("is too large to store in a Decimal")
    {
        let overflow = Told::new(ErrorKind::NumericOutOfRange, "numeric field overflow");
        return Told { detail: decimal_bounds(text), ..overflow };
    }
    if text.contains("to datetime") || text.starts_with("Overflow converting") || text.contains("Date64 value") {
        return Told::new(ErrorKind::DatetimeOutOfRange, "timestamp out of range");
    }
    if text.contains("out of range") || text.contains("verflow") {
        return Told::new(ErrorKind::NumericOutOfRange, "numeric value out of range");
    }
    if text.contains("non-nullable but contains null values") || text.contains("non-nullable column") {
        return Told::new(ErrorKind::NotNullViolation, "null value in a column that does not allow it");
    }
    Told::new(ErrorKind::DataException, "a value cannot be processed").with_text(text)
}

/// PostgreSQL's detail for `12345.00 is too large to store in a Decimal128 of precision 3. Max is 9.99`.
fn decimal_bounds(text: &str) -> Option<String> {
    let (precision, most) = text.rsplit_once(" of precision ")?.1.split_once(". Max is ")?;
    let precision: usize = precision.parse().ok()?;
    let scale = most.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let whole = precision.checked_sub(scale)?;
    Some(format!("A field with precision {precision}, scale {scale} must round to an absolute value less than 10^{whole}."))
}

/// The two variable parts of `{open}value{middle}type{close}`. The value may hold anything, so the borders are searched from the right.
fn between<'t>(text: &'t str, open: &str, middle: &str, close: &str) -> Option<(&'t str, &'t str)> {
    text.strip_prefix(open)?.strip_suffix(close)?.rsplit_once(middle)
}

fn classify_parquet(error: &ParquetError) -> Told {
    match error {
        ParquetError::External(inner) => classify_external(inner.as_ref()),
        ParquetError::ArrowError(text) => classify_value(text).or_corrupted(),
        _ => Told::new(ErrorKind::DataCorrupted, "a data file of a table is damaged"),
    }
}

impl Told {
    /// A data file that gives values no reader accepts is damaged, whatever the kernel called it.
    fn or_corrupted(self) -> Self {
        if self.kind == ErrorKind::DataException {
            Told::new(ErrorKind::DataCorrupted, "a data file of a table is damaged")
        } else {
            self
        }
    }
}

fn classify_object_store(error: &object_store::Error) -> Told {
    match error {
        object_store::Error::NotFound { .. } => Told::new(ErrorKind::DataCorrupted, "a data file of a table is missing"),
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            Told::new(ErrorKind::Io, "storage refused access").with_hint("Check the storage credential of the table's location.")
        }
        _ => Told::new(ErrorKind::Io, "storage did not answer as expected"),
    }
}

fn classify_io(error: &std::io::Error) -> Told {
    if let Some(inner) = error.get_ref() {
        let told = classify_external(inner);
        if told.kind != ErrorKind::Internal {
            return told;
        }
    }
    match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => disk_full(),
        std::io::ErrorKind::OutOfMemory => out_of_memory(),
        // DataFusion's bound for temporary files.
        std::io::ErrorKind::Other if error.get_ref().is_some_and(|inner| inner.to_string().contains("disk space")) => disk_full(),
        _ => Told::new(ErrorKind::Io, "input/output error"),
    }
}

fn classify_external(error: &(dyn StdError + 'static)) -> Told {
    if let Some(ours) = error.downcast_ref::<Error>() {
        return classify_ours(ours);
    }
    if let Some(inner) = error.downcast_ref::<DataFusionError>() {
        return classify(inner);
    }
    if let Some(inner) = error.downcast_ref::<ArrowError>() {
        return classify_arrow(inner);
    }
    if let Some(inner) = error.downcast_ref::<ParquetError>() {
        return classify_parquet(inner);
    }
    if let Some(error) = error.downcast_ref::<regex::Error>() {
        return invalid_regex(&error.to_string());
    }
    if let Some(inner) = error.downcast_ref::<object_store::Error>() {
        return classify_object_store(inner);
    }
    if let Some(inner) = error.downcast_ref::<std::io::Error>() {
        return classify_io(inner);
    }
    match error.source() {
        Some(source) => classify_external(source),
        None => Told::new(ErrorKind::Internal, "internal error"),
    }
}

/// Our own functions raise our own errors; their texts quote values in PostgreSQL's way, after the last colon.
fn classify_ours(error: &Error) -> Told {
    let message = error.message();
    match message.split_once(": \"") {
        Some((template, value)) => Told { value: Some(format!(": \"{value}")), ..Told::new(error.kind(), template) },
        // `integer out of range`: a type, no value.
        None if error.kind() == ErrorKind::NumericOutOfRange && message.ends_with(" out of range") && is_type_text(message) => {
            Told::new(error.kind(), message)
        }
        None if error.kind().sqlstate().starts_with("22") => {
            let tail = Told::new(error.kind(), data_exception(error.kind()));
            Told { value: Some(String::new()), ..tail }.replacing(message)
        }
        None => Told::new(error.kind(), message),
    }
}

/// Whether `message` is one of the texts about the ranges of integer types.
fn is_type_text(message: &str) -> bool {
    ["smallint", "integer", "bigint"].iter().any(|name| message.strip_suffix(" out of range") == Some(*name))
}

impl Told {
    /// Shows `message` as a whole where values may be shown, the template alone elsewhere.
    fn replacing(mut self, message: &str) -> Self {
        if let Some(rest) = message.strip_prefix(self.template.as_str()) {
            self.value = Some(rest.to_string());
        } else {
            self.value = Some(format!(": {message}"));
        }
        self
    }
}

/// Condition names of PostgreSQL's class 22, for messages that may quote a value anywhere.
fn data_exception(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::DivisionByZero => "division by zero",
        ErrorKind::NumericOutOfRange => "numeric value out of range",
        ErrorKind::InvalidText => "invalid text representation",
        ErrorKind::InvalidBinary => "invalid binary representation",
        ErrorKind::InvalidDatetime => "invalid datetime format",
        ErrorKind::DatetimeOutOfRange => "date/time field value out of range",
        ErrorKind::InvalidTimeZone => "invalid time zone displacement value",
        ErrorKind::StringTooLong => "value too long",
        ErrorKind::InvalidRegex => "invalid regular expression",
        ErrorKind::InvalidParameter => "invalid parameter value",
        ErrorKind::InvalidLimit => "invalid row count in limit clause",
        ErrorKind::InvalidEncoding => "invalid byte sequence for encoding \"UTF8\"",
        _ => "data exception",
    }
}

fn classify_schema(error: &SchemaError) -> Told {
    match error {
        // The binder has resolved every name that a statement has: these are names that plans gave themselves.
        SchemaError::FieldNotFound { .. }
        | SchemaError::AmbiguousReference { .. }
        | SchemaError::DuplicateQualifiedField { .. }
        | SchemaError::DuplicateUnqualifiedField { .. } => Told::new(ErrorKind::Unsupported, "the statement cannot be planned")
            .with_hint("Name the expressions that stand in it several times in a subquery."),
    }
}

/// Texts of the logical planner: they hold names and types of the statement.
fn classify_plan(text: &str) -> Told {
    let first = text.lines().next().unwrap_or_default();
    let lower = first.to_ascii_lowercase();
    // What the last check of a physical plan says holds the plan itself.
    if lower.starts_with("plan:") || lower.contains("does not satisfy") {
        return Told::new(ErrorKind::Unsupported, "the statement cannot be planned");
    }
    if lower.starts_with("invalid function")
        || lower.contains("no function matches")
        || lower.contains("failed to coerce arguments")
    {
        let name = first.split('\'').nth(1).unwrap_or("?");
        return Told::new(ErrorKind::UndefinedFunction, format!("function {name} does not exist for these argument types"))
            .with_hint("You might need to add explicit type casts.");
    }
    if lower.contains("cannot coerce arithmetic expression")
        || lower.contains("cannot infer common")
        || lower.contains("cannot get result type")
    {
        return Told::new(ErrorKind::UndefinedFunction, "operator does not exist for these operand types")
            .with_hint("You might need to add explicit type casts.");
    }
    if lower.contains("must appear in the group by")
        || lower.contains("not in group by")
        || lower.contains("resolved from available")
    {
        return Told::new(ErrorKind::Grouping, "column must appear in the GROUP BY clause or be used in an aggregate function");
    }
    if lower.contains("does not support")
        || lower.contains("expects")
        || lower.contains("arguments")
        || lower.contains("argument(s)")
    {
        return Told::new(ErrorKind::UndefinedFunction, "function does not exist for these argument types").with_text(first);
    }
    if lower.contains("same number of columns") || lower.contains("incompatible") || lower.contains("type") {
        return Told::new(ErrorKind::DatatypeMismatch, "types do not match").with_text(first);
    }
    Told::new(ErrorKind::Unsupported, "the statement cannot be planned").with_text(first)
}

fn classify_execution(text: &str) -> Told {
    let lower = text.to_ascii_lowercase();
    if lower.contains("more than one row") {
        return Told::new(ErrorKind::Cardinality, "more than one row returned by a subquery used as an expression");
    }
    if lower.contains("divide by zero") || lower.contains("division by zero") {
        return Told::new(ErrorKind::DivisionByZero, "division by zero");
    }
    if lower.contains("cannot take square root of a negative number") {
        return Told::new(ErrorKind::InvalidPower, "cannot take square root of a negative number");
    }
    if lower.contains("regular expression did not compile") || lower.contains("regex parse error") {
        return invalid_regex(text);
    }
    if lower.contains("overflow") || lower.contains("out of range") {
        return Told::new(ErrorKind::NumericOutOfRange, "numeric value out of range");
    }
    if lower.contains("timestamp") || lower.contains("date") {
        return Told::new(ErrorKind::InvalidDatetime, "invalid date or time").with_text(text);
    }
    Told::new(ErrorKind::DataException, "a value cannot be processed").with_text(text)
}

fn classify_resources(text: &str) -> Told {
    if text.contains("disk space") || text.contains("max_temp_directory_size") { disk_full() } else { out_of_memory() }
}

fn out_of_memory() -> Told {
    Told::new(ErrorKind::OutOfMemory, "out of memory")
        .with_hint("The statement needs more memory than it may use; read fewer rows or columns.")
}

fn disk_full() -> Told {
    Told::new(ErrorKind::DiskFull, "no disk space is left for temporary files")
        .with_hint("The statement writes more temporary data than it may; read fewer rows or columns.")
}

/// Invalid text for dates and times has a class of its own.
fn invalid_input_kind(data_type: &str) -> ErrorKind {
    if data_type.starts_with("Date") || data_type.starts_with("Time") || data_type.starts_with("Interval") {
        ErrorKind::InvalidDatetime
    } else {
        ErrorKind::InvalidText
    }
}

/// PostgreSQL's name of an Arrow type as its `Display` or `Debug` writes it.
fn type_name(data_type: &str) -> &'static str {
    let name = data_type.split(['(', '<']).next().unwrap_or_default().trim();
    match name {
        "Boolean" => "boolean",
        "Int8" | "Int16" | "UInt8" => "smallint",
        "Int32" | "UInt16" => "integer",
        "Int64" | "UInt32" => "bigint",
        "UInt64" => "numeric",
        "Float16" | "Float32" => "real",
        "Float64" => "double precision",
        "Decimal32" | "Decimal64" | "Decimal128" | "Decimal256" => "numeric",
        "Utf8" | "LargeUtf8" | "Utf8View" => "text",
        "Binary" | "LargeBinary" | "BinaryView" | "FixedSizeBinary" => "bytea",
        "Date32" | "Date64" => "date",
        "Time32" | "Time64" => "time",
        "Timestamp" => "timestamp",
        "Interval" | "Duration" => "interval",
        "List" | "LargeList" | "FixedSizeList" | "ListView" => "array",
        "Struct" | "Map" | "Union" => "json",
        _ => "unknown",
    }
}

/// Names of the variants from the outside in: all that a redacted log line may hold.
fn variant(error: &DataFusionError) -> String {
    match error {
        DataFusionError::ArrowError(inner, _) => variant_arrow(inner),
        DataFusionError::ParquetError(_) => "ParquetError".into(),
        DataFusionError::ObjectStore(_) => "ObjectStore".into(),
        DataFusionError::IoError(inner) => format!("IoError({:?})", inner.kind()),
        DataFusionError::SQL(..) => "SQL".into(),
        DataFusionError::NotImplemented(_) => "NotImplemented".into(),
        DataFusionError::Internal(_) => "Internal".into(),
        DataFusionError::Plan(_) => "Plan".into(),
        DataFusionError::Configuration(_) => "Configuration".into(),
        DataFusionError::SchemaError(..) => "SchemaError".into(),
        DataFusionError::Execution(_) => "Execution".into(),
        DataFusionError::ExecutionJoin(_) => "ExecutionJoin".into(),
        DataFusionError::ResourcesExhausted(_) => "ResourcesExhausted".into(),
        DataFusionError::External(inner) => match inner.downcast_ref::<DataFusionError>() {
            Some(inner) => variant(inner),
            None => "External".into(),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => variant(inner),
        DataFusionError::Substrait(_) => "Substrait".into(),
        DataFusionError::Collection(errors) => errors.first().map_or_else(|| "Collection".into(), variant),
        DataFusionError::Shared(inner) => variant(inner),
        DataFusionError::Ffi(_) => "Ffi".into(),
    }
}

fn variant_arrow(error: &ArrowError) -> String {
    let debug = match error {
        ArrowError::NotYetImplemented(_) => "NotYetImplemented",
        ArrowError::ExternalError(_) => "ExternalError",
        ArrowError::CastError(_) => "CastError",
        ArrowError::MemoryError(_) => "MemoryError",
        ArrowError::ParseError(_) => "ParseError",
        ArrowError::SchemaError(_) => "SchemaError",
        ArrowError::ComputeError(_) => "ComputeError",
        ArrowError::DivideByZero => "DivideByZero",
        ArrowError::ArithmeticOverflow(_) => "ArithmeticOverflow",
        ArrowError::CsvError(_) => "CsvError",
        ArrowError::JsonError(_) => "JsonError",
        ArrowError::AvroError(_) => "AvroError",
        ArrowError::IoError(..) => "IoError",
        ArrowError::IpcError(_) => "IpcError",
        ArrowError::InvalidArgumentError(_) => "InvalidArgumentError",
        ArrowError::ParquetError(_) => "ParquetError",
        ArrowError::CDataInterface(_) => "CDataInterface",
        ArrowError::DictionaryKeyOverflowError => "DictionaryKeyOverflowError",
        ArrowError::RunEndIndexOverflowError => "RunEndIndexOverflowError",
        ArrowError::OffsetOverflowError(_) => "OffsetOverflowError",
    };
    format!("ArrowError::{debug}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary0123456789";

    fn arrow(error: ArrowError) -> DataFusionError {
        DataFusionError::ArrowError(Box::new(error), None)
    }

    #[test]
    fn values_are_quoted_as_postgresql_does_where_they_may_be() {
        for (error, sqlstate, message) in [
            (arrow(ArrowError::DivideByZero), "22012", "division by zero"),
            (
                arrow(ArrowError::CastError("Cannot cast string 'abc' to value of Int32 type".into())),
                "22P02",
                "invalid input syntax for type integer: \"abc\"",
            ),
            (
                arrow(ArrowError::CastError("Cannot cast string 'abc' to value of Date32 type".into())),
                "22007",
                "invalid input syntax for type date: \"abc\"",
            ),
            (arrow(ArrowError::CastError("Can't cast value 70000 to type Int16".into())), "22003", "smallint out of range"),
            (arrow(ArrowError::ArithmeticOverflow("Overflow happened on: 32767 + 1".into())), "22003", "smallint out of range"),
            (arrow(ArrowError::ArithmeticOverflow("Overflow happened on: 65536 * 65536".into())), "22003", "integer out of range"),
            (arrow(ArrowError::ArithmeticOverflow("Overflow happened on: x".into())), "22003", "numeric value out of range"),
            (
                DataFusionError::Execution("Scalar subquery returned more than one row".into()),
                "21000",
                "more than one row returned by a subquery used as an expression",
            ),
            (DataFusionError::ResourcesExhausted("Failed to allocate".into()), "53200", "out of memory"),
            (
                DataFusionError::ResourcesExhausted("The used disk space during the spilling process has exceeded".into()),
                "53100",
                "no disk space is left for temporary files",
            ),
            (
                DataFusionError::IoError(std::io::Error::from(std::io::ErrorKind::StorageFull)),
                "53100",
                "no disk space is left for temporary files",
            ),
            (DataFusionError::Internal("x".into()), "XX000", "internal error"),
            (
                arrow(ArrowError::ComputeError("Regular expression did not compile: CompiledTooBig(1)".into())),
                "2201B",
                "invalid regular expression: regular expression is too complex",
            ),
        ] {
            let mapped = from_datafusion(error, false);
            assert_eq!((mapped.kind().sqlstate(), mapped.message()), (sqlstate, message));
        }
    }

    #[test]
    fn a_redacted_error_holds_no_value_anywhere() {
        let ours = Error::new(ErrorKind::InvalidText, format!("invalid input syntax for type json: \"{CANARY}\""));
        let loose = Error::new(ErrorKind::DataException, format!("value {CANARY} is odd"));
        for error in [
            arrow(ArrowError::CastError(format!("Cannot cast string '{CANARY}' to value of Int32 type"))),
            arrow(ArrowError::CastError(format!("Cannot cast value '{CANARY}' to value of Boolean type"))),
            arrow(ArrowError::CastError(format!("Can't cast value {CANARY} to type Int16"))),
            arrow(ArrowError::ParseError(format!("Error parsing timestamp from '{CANARY}': error parsing date"))),
            arrow(ArrowError::ArithmeticOverflow(format!("Overflow happened on: {CANARY} * 2"))),
            arrow(ArrowError::ComputeError(format!("Regular expression did not compile: Syntax({CANARY})"))),
            arrow(ArrowError::InvalidArgumentError(CANARY.into())),
            DataFusionError::Execution(CANARY.into()),
            DataFusionError::Execution(format!("{CANARY} timestamp")),
            DataFusionError::Plan(CANARY.into()),
            DataFusionError::Internal(CANARY.into()),
            DataFusionError::Internal(format!("failed to call 'regex_match_dyn_scalar' Compute error: {CANARY}")),
            DataFusionError::NotImplemented(CANARY.into()),
            DataFusionError::External(Box::new(ours)),
            DataFusionError::External(Box::new(loose)),
            DataFusionError::Context("Invalid regex".into(), Box::new(DataFusionError::External(CANARY.into()))),
            DataFusionError::Context(CANARY.into(), Box::new(DataFusionError::External(CANARY.into()))),
            DataFusionError::External(Box::new(DataFusionError::Shared(std::sync::Arc::new(DataFusionError::Execution(
                CANARY.into(),
            ))))),
        ] {
            let mapped = from_datafusion(error, true);
            assert!(!format!("{mapped:?}").contains(CANARY), "{mapped:?}");
        }
    }

    #[test]
    fn our_own_errors_pass_unchanged_where_nothing_is_governed() {
        let ours = Error::new(ErrorKind::InvalidParameter, "count must not be negative").with_hint("Use zero.");
        let mapped = from_datafusion(DataFusionError::External(Box::new(ours)), false);
        assert_eq!((mapped.message(), mapped.hint()), ("count must not be negative", Some("Use zero.")));
    }
}
