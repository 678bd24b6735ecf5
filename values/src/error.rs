//! One error type from the lake to the wire.
//!
//! Every [`ErrorKind`] carries its protocol codes in one exhaustive table, so that a new kind cannot be added without deciding
//! what PostgreSQL clients and HTTP clients see. The text follows PostgreSQL's style: a lower-case primary message without a full
//! stop, a detail that states facts, a hint that says what to do.
//!
//! Nothing a caller may not see stands in `message`, `detail` or `hint`: those three are sent. `source` goes to the server log only.

use std::fmt;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error on its way to a client.
#[derive(Debug)]
pub struct Error {
    fields: Box<Fields>,
}

#[derive(Debug)]
struct Fields {
    kind: ErrorKind,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    position: Option<usize>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind` whose primary message is `message`: lower case, no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { fields: Box::new(Fields { kind, message: message.into(), detail: None, hint: None, position: None, source: None }) }
    }

    /// A feature that is refused by name (SQLSTATE 0A000).
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::Unsupported, format!("{what} is not supported"))
    }

    /// A bug of ours: the client reads "internal error", the log has `context`.
    pub fn internal(context: impl Into<String>) -> Self {
        let context: String = context.into();
        Self::new(ErrorKind::Internal, "internal error").with_source(Context(context))
    }

    /// Adds the facts behind the message.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.fields.detail = Some(detail.into());
        self
    }

    /// Adds what the caller can do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.fields.hint = Some(hint.into());
        self
    }

    /// Adds where in the statement text the error stands: 1-based, in characters, as PostgreSQL's `P` field.
    #[must_use]
    pub fn with_position(mut self, position: usize) -> Self {
        self.fields.position = Some(position);
        self
    }

    /// Takes the position away: what it points into is not the statement's text.
    #[must_use]
    pub fn without_position(mut self) -> Self {
        self.fields.position = None;
        self
    }

    /// Adds the cause, for the server log only.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.fields.source = Some(source.into());
        self
    }

    /// What went wrong, as a class.
    pub fn kind(&self) -> ErrorKind {
        self.fields.kind
    }

    /// Primary message.
    pub fn message(&self) -> &str {
        &self.fields.message
    }

    /// Facts behind the message.
    pub fn detail(&self) -> Option<&str> {
        self.fields.detail.as_deref()
    }

    /// What the caller can do.
    pub fn hint(&self) -> Option<&str> {
        self.fields.hint.as_deref()
    }

    /// 1-based character position in the statement text.
    pub fn position(&self) -> Option<usize> {
        self.fields.position
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fields.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.fields.source.as_deref().map(|source| source as _)
    }
}

/// Text of an internal error's cause.
#[derive(Debug)]
struct Context(String);

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Context {}

/// Declares the kinds together with their codes: one row a kind.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $sqlstate:literal, $http:literal;)*) => {
        /// Classes of errors, named as PostgreSQL's Appendix A names its conditions.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorKind { $($(#[$doc])* $kind,)* }

        impl ErrorKind {
            /// Every kind, for tests and documentation.
            pub const ALL: &[ErrorKind] = &[$(ErrorKind::$kind),*];

            /// SQLSTATE sent to PostgreSQL clients.
            pub const fn sqlstate(self) -> &'static str {
                match self { $(ErrorKind::$kind => $sqlstate,)* }
            }

            /// Status sent to HTTP clients.
            pub const fn http_status(self) -> u16 {
                match self { $(ErrorKind::$kind => $http,)* }
            }
        }
    };
}

kinds! {
    /// Text that the grammar does not accept.
    Syntax = "42601", 400;
    /// A feature that we refuse by name.
    Unsupported = "0A000", 501;
    /// A relation that does not exist, or that the caller may not know of.
    UndefinedRelation = "42P01", 404;
    /// A column that no relation in scope has.
    UndefinedColumn = "42703", 400;
    /// A column name that several relations in scope have.
    AmbiguousColumn = "42702", 400;
    /// Several operators fit, and none fits best.
    AmbiguousFunction = "42725", 400;
    /// A function, operator or argument list that does not exist.
    UndefinedFunction = "42883", 400;
    /// Another object (type, role, group, setting, location) that does not exist.
    UndefinedObject = "42704", 404;
    /// A `$n` that the statement does not declare, or an alias that is not there.
    UndefinedParameter = "42P02", 400;
    /// A parameter whose type nothing determines.
    IndeterminateDatatype = "42P18", 400;
    /// A catalog (PostgreSQL: database) that does not exist.
    UndefinedCatalog = "3D000", 404;
    /// A schema that does not exist.
    UndefinedSchema = "3F000", 404;
    /// A relation with that name exists.
    DuplicateRelation = "42P07", 409;
    /// A schema with that name exists.
    DuplicateSchema = "42P06", 409;
    /// A catalog with that name exists.
    DuplicateCatalog = "42P04", 409;
    /// A function with that name exists.
    DuplicateFunction = "42723", 409;
    /// Another object with that name exists.
    DuplicateObject = "42710", 409;
    /// A column named twice.
    DuplicateColumn = "42701", 400;
    /// An alias used twice.
    DuplicateAlias = "42712", 400;
    /// Expressions whose types do not fit.
    DatatypeMismatch = "42804", 400;
    /// A cast that does not exist.
    CannotCoerce = "42846", 400;
    /// A column that is neither grouped nor aggregated.
    Grouping = "42803", 400;
    /// A window function where none may stand.
    Windowing = "42P20", 400;
    /// An object of the wrong kind: a view where a table is needed.
    WrongObjectType = "42809", 400;
    /// A column reference where none may stand.
    InvalidColumnReference = "42P10", 400;
    /// Options of a cursor that exclude each other.
    InvalidCursorDefinition = "42P11", 400;
    /// A definition that cannot hold.
    InvalidObjectDefinition = "42P17", 400;
    /// A recursive query names itself where it may not.
    InvalidRecursion = "42P19", 400;
    /// A table definition that cannot hold.
    InvalidTableDefinition = "42P16", 400;
    /// A name that is too long or malformed.
    InvalidName = "42602", 400;
    /// A name that is reserved.
    ReservedName = "42939", 400;
    /// A privilege is missing.
    Denied = "42501", 403;
    /// A privilege that means nothing on that kind of object.
    InvalidGrant = "0LP01", 400;
    /// Other objects depend on this one.
    DependentObjects = "2BP01", 409;
    /// A value that a setting or function does not accept.
    InvalidParameter = "22023", 400;
    /// Text that is not a value of the type.
    InvalidText = "22P02", 400;
    /// Bytes that are not a value of the type.
    InvalidBinary = "22P03", 400;
    /// Data of COPY FROM that is not in its format.
    BadCopyFormat = "22P04", 400;
    /// A part of a string that ends before it begins.
    InvalidSubstring = "22011", 400;
    /// An escape sequence that is none.
    InvalidEscape = "22025", 400;
    /// An index outside of an array or of bytes.
    ArraySubscript = "2202E", 400;
    /// A number outside its type's range.
    NumericOutOfRange = "22003", 400;
    /// Division by zero.
    DivisionByZero = "22012", 400;
    /// Text that is not a date or time.
    InvalidDatetime = "22007", 400;
    /// A date or time outside the range.
    DatetimeOutOfRange = "22008", 400;
    /// An interval with a field outside its range.
    IntervalFieldOverflow = "22015", 400;
    /// A time zone displacement that does not exist.
    InvalidTimeZone = "22009", 400;
    /// A string longer than its column.
    StringTooLong = "22001", 400;
    /// A regular expression that does not compile.
    InvalidRegex = "2201B", 400;
    /// A power or root that does not exist.
    InvalidPower = "2201F", 400;
    /// The argument of a logarithm that is zero or negative.
    InvalidLogarithm = "2201E", 400;
    /// The arguments of `width_bucket` that make no buckets.
    InvalidWidthBucket = "2201G", 400;
    /// A value that a function cannot take, or another data fault.
    DataException = "22000", 400;
    /// A negative LIMIT.
    InvalidLimit = "2201W", 400;
    /// An offset of a window frame that cannot be.
    InvalidFrameOffset = "22013", 400;
    /// OFFSET below zero.
    InvalidOffset = "2201X", 400;
    /// Bytes that are not UTF-8, or a NUL byte.
    InvalidEncoding = "22021", 400;
    /// A subquery that gave more than one row.
    Cardinality = "21000", 400;
    /// NULL where a value is needed.
    NullNotAllowed = "22004", 400;
    /// NOT NULL violated.
    NotNullViolation = "23502", 400;
    /// CHECK violated.
    CheckViolation = "23514", 400;
    /// Wrong or missing credentials.
    InvalidPassword = "28P01", 401;
    /// The role may not log in, or the connection kind is refused.
    InvalidAuthorization = "28000", 401;
    /// The statement, once prepared, is not there.
    UndefinedStatement = "26000", 400;
    /// The portal is not there.
    UndefinedCursor = "34000", 400;
    /// A prepared statement with that name exists.
    DuplicateStatement = "42P05", 400;
    /// A portal with that name exists.
    DuplicateCursor = "42P03", 400;
    /// Not possible in this state: a portal that cannot run again.
    ObjectNotInPrerequisiteState = "55000", 409;
    /// The object is used by somebody else.
    ObjectInUse = "55006", 409;
    /// A setting that cannot be changed now.
    CannotChangeNow = "55P02", 400;
    /// A lock that was not to be had in time.
    LockNotAvailable = "55P03", 409;
    /// The transaction has failed; only ROLLBACK helps.
    InFailedTransaction = "25P02", 400;
    /// There is a transaction already.
    ActiveTransaction = "25001", 400;
    /// There is no transaction.
    NoActiveTransaction = "25P01", 400;
    /// The transaction is read-only.
    ReadOnlyTransaction = "25006", 400;
    /// The savepoint is not there.
    UndefinedSavepoint = "3B001", 400;
    /// A commit lost against others, after the tries we have.
    SerializationFailure = "40001", 409;
    /// Sessions that wait for each other.
    Deadlock = "40P01", 409;
    /// The statement was cancelled or timed out.
    Cancelled = "57014", 499;
    /// The server is stopping.
    AdminShutdown = "57P01", 503;
    /// The server is starting.
    CannotConnectNow = "57P03", 503;
    /// The session was idle for too long.
    IdleTimeout = "57P05", 408;
    /// The session was idle in a transaction for too long.
    IdleInTransaction = "25P03", 408;
    /// The session's transaction lasted for too long.
    TransactionTimeout = "25P04", 408;
    /// No memory is left for the query.
    OutOfMemory = "53200", 503;
    /// No disk is left for the query.
    DiskFull = "53100", 507;
    /// No connection is free.
    TooManyConnections = "53300", 503;
    /// A configured limit is reached, such as the queue's.
    LimitExceeded = "53400", 429;
    /// The statement is larger than the limits allow.
    ProgramLimit = "54000", 400;
    /// The statement is nested deeper than the limits allow.
    TooComplex = "54001", 400;
    /// The client broke the protocol.
    ProtocolViolation = "08P01", 400;
    /// Storage did not answer, or answered with a fault.
    Io = "58030", 502;
    /// A table's data or log is damaged.
    DataCorrupted = "XX001", 500;
    /// The configuration is wrong.
    Config = "F0000", 500;
    /// A bug of ours.
    Internal = "XX000", 500;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sqlstate_is_five_characters_and_used_once() {
        let mut seen = std::collections::HashSet::new();
        for kind in ErrorKind::ALL {
            let code = kind.sqlstate();
            assert!(code.len() == 5 && code.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()), "{code}");
            assert!(seen.insert(code), "{code} twice");
        }
    }

    #[test]
    fn an_internal_error_shows_its_cause_to_the_log_only() {
        let error = Error::internal("lost the plan");
        assert_eq!(error.message(), "internal error");
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string), Some("lost the plan".to_string()));
    }
}
