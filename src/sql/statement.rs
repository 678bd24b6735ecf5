//! The closed list of statements that the warehouse knows. Whatever the parser cannot bring into this form is refused with 0A000 or
//! 42601; there is no arm for "something else".

use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::sql::sqlparser::ast;

use crate::catalog::privilege::Privilege;
use crate::catalog::securable::SecurableKind;
use crate::error::{Error, ErrorKind, Result};
use crate::functions::session::LockMode;
use crate::types::SqlType;

/// A name as written: one to three parts, already folded (unquoted parts are lower case).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// Parts from the outermost to the innermost.
    pub parts: Vec<String>,
    /// 1-based character position in the statement text, when known.
    pub position: Option<usize>,
}

/// One parsed statement with its own text.
#[derive(Clone)]
pub struct Parsed {
    /// What it says.
    pub statement: Statement,
    /// Its text, without the semicolon. Secrets are redacted in [`Parsed::log_text`] only.
    pub text: String,
    /// Number of `$n` parameters: the highest n.
    pub parameters: usize,
    /// What it was bound to last.
    pub remembered: super::Remembered,
    log_text: OnceLock<Arc<str>>,
}

impl Parsed {
    /// A statement that was just read.
    pub fn new(statement: Statement, text: String, parameters: usize) -> Self {
        Self { statement, text, parameters, remembered: super::Remembered::default(), log_text: OnceLock::new() }
    }

    /// The text as logs, history and activity may show it: passwords and credential options are replaced.
    pub fn log_text(&self) -> Arc<str> {
        Arc::clone(self.log_text.get_or_init(|| super::redact::redact(&self.text).into()))
    }
}

impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { statement, text: _, parameters, remembered: _, log_text: _ } = self;
        f.debug_struct("Parsed")
            .field("statement", statement)
            .field("text", &self.log_text())
            .field("parameters", parameters)
            .finish()
    }
}

/// A statement.
#[derive(Debug, Clone)]
pub enum Statement {
    /// SELECT, VALUES, WITH .., TABLE t: rows come back. Time travel of its tables stands in the AST (`version`).
    Query(Box<ast::Query>),
    /// EXPLAIN [ANALYZE] [VERBOSE] of a query or a command.
    Explain(Explain),
    /// A change of the session.
    Session(SessionStatement),
    /// BEGIN, COMMIT, ..
    Transaction(TransactionStatement),
    /// PREPARE, EXECUTE, DEALLOCATE.
    Prepared(PreparedStatement),
    /// DECLARE, FETCH, CLOSE.
    Cursor(CursorStatement),
    /// COPY (query | table) TO STDOUT.
    CopyOut(CopyOut),
    /// A command that changes or describes the warehouse.
    Command(Command),
}

/// EXPLAIN.
#[derive(Debug, Clone)]
pub struct Explain {
    /// Run it and show what happened.
    pub analyze: bool,
    /// Show more.
    pub verbose: bool,
    /// Text or JSON.
    pub format: ExplainFormat,
    /// What is explained.
    pub statement: Box<Statement>,
}

/// Output form of EXPLAIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainFormat {
    /// One line a row.
    Text,
    /// One JSON document.
    Json,
}

/// A change of the session.
#[derive(Debug, Clone)]
pub enum SessionStatement {
    /// SET [SESSION | LOCAL] name = value; an empty list is DEFAULT.
    Set {
        /// For the transaction only.
        local: bool,
        /// Setting, lower case (`timezone` for SET TIME ZONE, `transaction_isolation` for SET TRANSACTION ..).
        name: String,
        /// Values, unquoted.
        values: Vec<String>,
    },
    /// SET TRANSACTION and SET SESSION CHARACTERISTICS with several modes: all of them or none.
    SetSeveral {
        /// For the transaction only.
        local: bool,
        /// Settings with their values.
        settings: Vec<(String, Vec<String>)>,
    },
    /// SHOW name; `None` for SHOW ALL.
    Show {
        /// Setting, lower case.
        name: Option<String>,
    },
    /// RESET name; `None` for RESET ALL.
    Reset {
        /// Setting, lower case.
        name: Option<String>,
    },
    /// USE [CATALOG | SCHEMA] name.
    Use {
        /// True for USE CATALOG.
        catalog: bool,
        /// The name.
        name: Name,
    },
    /// DISCARD ALL | PLANS | SEQUENCES | TEMP.
    Discard(Discarded),
    /// LISTEN channel.
    Listen(String),
    /// UNLISTEN channel; `None` for `*`.
    Unlisten(Option<String>),
    /// NOTIFY channel [, 'payload'].
    Notify {
        /// Channel.
        channel: String,
        /// Payload, maybe empty.
        payload: String,
    },
}

/// What DISCARD lets go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discarded {
    /// Everything that the session holds.
    All,
    /// Cached plans: there are none.
    Plans,
    /// Cached values of sequences: there are none.
    Sequences,
    /// Temporary tables.
    Temp,
}

/// Transaction control.
#[derive(Debug, Clone)]
pub enum TransactionStatement {
    /// BEGIN, START TRANSACTION.
    Begin {
        /// Its command tag: the words that it was opened with.
        tag: &'static str,
        /// What was said of the transaction.
        modes: TransactionModes,
    },
    /// COMMIT, END [AND CHAIN].
    Commit {
        /// Another block with the same modes begins at once.
        chain: bool,
    },
    /// ROLLBACK, ABORT [AND CHAIN].
    Rollback {
        /// Another block with the same modes begins at once.
        chain: bool,
    },
    /// SAVEPOINT name.
    Savepoint(String),
    /// RELEASE [SAVEPOINT] name.
    Release(String),
    /// ROLLBACK TO [SAVEPOINT] name.
    RollbackTo(String),
}

/// Modes of a transaction; `None` is the session's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransactionModes {
    /// READ ONLY, READ WRITE.
    pub read_only: Option<bool>,
    /// ISOLATION LEVEL, as `SHOW transaction_isolation` writes it. Whatever it is, a transaction reads from one snapshot.
    pub isolation: Option<&'static str>,
    /// DEFERRABLE, NOT DEFERRABLE. Snapshots are read without waiting, so there is nothing to defer.
    pub deferrable: Option<bool>,
}

impl TransactionStatement {
    /// Whether a failed block may run it.
    pub fn ends_failure(&self) -> bool {
        matches!(
            self,
            TransactionStatement::Commit { .. } | TransactionStatement::Rollback { .. } | TransactionStatement::RollbackTo(_)
        )
    }
}

/// SQL-level prepared statements; they share their names with the protocol's.
#[derive(Debug, Clone)]
pub enum PreparedStatement {
    /// PREPARE name [(types)] AS statement.
    Prepare {
        /// Name.
        name: String,
        /// Declared parameter types.
        types: Vec<SqlType>,
        /// Statement.
        statement: Box<Parsed>,
    },
    /// EXECUTE name [(arguments)].
    Execute {
        /// Name.
        name: String,
        /// Arguments: constant expressions.
        arguments: Vec<ast::Expr>,
    },
    /// DEALLOCATE [PREPARE] name; `None` for ALL.
    Deallocate(Option<String>),
}

/// SQL-level cursors.
#[derive(Debug, Clone)]
pub enum CursorStatement {
    /// DECLARE name [BINARY] [[NO] SCROLL] CURSOR [WITH HOLD] FOR query. It sees no change after its start, ASENSITIVE or not.
    Declare {
        /// Name.
        name: String,
        /// BINARY.
        binary: bool,
        /// SCROLL: it also goes backward; `Some(false)` for NO SCROLL, `None` where neither was said.
        scroll: Option<bool>,
        /// WITH HOLD.
        hold: bool,
        /// The query.
        query: Box<ast::Query>,
    },
    /// FETCH [direction] FROM name.
    Fetch {
        /// Name.
        name: String,
        /// Where to, and how many rows.
        direction: FetchDirection,
        /// MOVE: rows are skipped, not sent.
        skip: bool,
    },
    /// CLOSE name; `None` for ALL.
    Close(Option<String>),
}

/// Where FETCH and MOVE go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchDirection {
    /// That many rows, at least one, or all of them.
    Forward(Option<u64>),
    /// That many rows backward, at least one, or all of them.
    Backward(Option<u64>),
    /// The row with that number, counted from the end if it is negative; 0 is in front of the first.
    Absolute(i64),
    /// The row that many behind the current one; 0 is the current one.
    Relative(i64),
}

/// COPY (query | table) TO STDOUT.
#[derive(Debug, Clone)]
pub struct CopyOut {
    /// What is copied.
    pub query: Box<ast::Query>,
    /// The table that it names, if it is no query.
    pub table: Option<CopyTable>,
    /// How rows are written.
    pub form: CopyForm,
    /// HEADER (csv and text).
    pub header: bool,
    /// FORCE_QUOTE (csv).
    pub force_quote: CopyColumns,
}

/// COPY table FROM STDIN.
#[derive(Debug, Clone)]
pub struct CopyIn {
    /// Where rows go.
    pub table: CopyTable,
    /// How rows are written.
    pub form: CopyForm,
    /// HEADER (csv and text).
    pub header: CopyHeader,
    /// DEFAULT: the text that stands for a column's default.
    pub default: Option<String>,
    /// FORCE_NULL (csv).
    pub force_null: CopyColumns,
    /// FORCE_NOT_NULL (csv).
    pub force_not_null: CopyColumns,
    /// ON_ERROR ignore: a row with a value that cannot be read is left out.
    pub skip_errors: bool,
    /// LOG_VERBOSITY verbose: a notice for each row left out.
    pub verbose: bool,
    /// WHERE: rows that do not meet it are left out.
    pub condition: Option<Box<ast::Expr>>,
}

#[cfg(any(test, fuzzing))]
impl CopyIn {
    /// COPY of a table without options.
    pub(crate) fn plain(name: Name, format: CopyFormat) -> Self {
        Self {
            table: CopyTable { name, columns: vec![] },
            form: CopyForm::of(format),
            header: CopyHeader::None,
            default: None,
            force_null: CopyColumns::None,
            force_not_null: CopyColumns::None,
            skip_errors: false,
            verbose: false,
            condition: None,
        }
    }
}

/// A table in COPY, with the columns it names; none means all of them.
#[derive(Debug, Clone)]
pub struct CopyTable {
    /// Name.
    pub name: Name,
    /// Columns.
    pub columns: Vec<String>,
}

/// The form of rows in COPY, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyForm {
    /// FORMAT.
    pub format: CopyFormat,
    /// DELIMITER.
    pub delimiter: u8,
    /// NULL text.
    pub null: String,
    /// QUOTE (csv).
    pub quote: u8,
    /// ESCAPE (csv).
    pub escape: u8,
}

impl CopyForm {
    /// What PostgreSQL writes and reads when no option says otherwise.
    pub fn of(format: CopyFormat) -> Self {
        let (delimiter, null) = if format == CopyFormat::Csv { (b',', "") } else { (b'\t', "\\N") };
        CopyForm { format, delimiter, null: null.to_string(), quote: b'"', escape: b'"' }
    }
}

/// HEADER of COPY FROM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyHeader {
    /// There is none.
    None,
    /// The first line is skipped.
    Skip,
    /// MATCH: the first line must hold the names of the columns.
    Match,
}

/// The columns that an option of COPY is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum CopyColumns {
    /// None of them.
    #[default]
    None,
    /// `*`
    All,
    /// Those.
    Named(Vec<String>),
}

impl CopyColumns {
    /// For each of the columns that COPY reads or writes, whether it is meant. `table` is the table of COPY with all its columns.
    ///
    /// # Errors
    /// [`ErrorKind::UndefinedColumn`] for a name that there is not, [`ErrorKind::InvalidColumnReference`] for a column of the table that
    /// COPY leaves out, [`ErrorKind::DuplicateColumn`].
    pub fn flags(&self, option: &str, copied: &[&str], table: Option<(&str, &[&str])>) -> Result<Vec<bool>> {
        let names = match self {
            CopyColumns::None => return Ok(vec![false; copied.len()]),
            CopyColumns::All => return Ok(vec![true; copied.len()]),
            CopyColumns::Named(names) => names,
        };
        let mut flags = vec![false; copied.len()];
        for name in names {
            match (copied.iter().position(|column| column == name), table) {
                (Some(position), _) if flags[position] => {
                    let message = format!("column \"{name}\" specified more than once");
                    return Err(Error::new(ErrorKind::DuplicateColumn, message));
                }
                (Some(position), _) => flags[position] = true,
                (None, Some((_, columns))) if columns.contains(&name.as_str()) => {
                    let message = format!("{option} column \"{name}\" not referenced by COPY");
                    return Err(Error::new(ErrorKind::InvalidColumnReference, message));
                }
                (None, Some((table, _))) => {
                    let message = format!("column \"{name}\" of relation \"{table}\" does not exist");
                    return Err(Error::new(ErrorKind::UndefinedColumn, message));
                }
                (None, None) => {
                    return Err(Error::new(ErrorKind::UndefinedColumn, format!("column \"{name}\" does not exist")));
                }
            }
        }
        Ok(flags)
    }
}

/// COPY's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFormat {
    /// PostgreSQL's text format.
    Text,
    /// CSV.
    Csv,
    /// PostgreSQL's binary format.
    Binary,
}

/// A command. `if_not_exists`, `if_exists`, `or_replace` and `cascade` mean what they say.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields carry the words of the statement that the variant's doc shows")]
pub enum Command {
    /// CREATE CATALOG name [MANAGED LOCATION 'url'] [COMMENT 'text'] (also CREATE DATABASE)
    CreateCatalog { name: String, if_not_exists: bool, managed_location: Option<String>, comment: Option<String> },
    /// CREATE SCHEMA name [MANAGED LOCATION 'url'] [AUTHORIZATION role] [COMMENT 'text']
    CreateSchema {
        name: Name,
        if_not_exists: bool,
        managed_location: Option<String>,
        authorization: Option<String>,
        comment: Option<String>,
    },
    /// DROP {CATALOG | DATABASE | SCHEMA | TABLE | VIEW | FUNCTION | STORAGE CREDENTIAL | EXTERNAL LOCATION} names
    Drop { kind: SecurableKind, names: Vec<Name>, if_exists: bool, cascade: bool },
    /// CREATE TABLE name (columns) [USING DELTA] [PARTITIONED BY (..)] [LOCATION 'url'] [TBLPROPERTIES (..)] [COMMENT 'text'];
    /// `columns` empty with a location and no query registers the table that lies there.
    CreateTable(CreateTable),
    /// CREATE [OR REPLACE] VIEW name [(columns)] AS query
    CreateView {
        name: Name,
        or_replace: bool,
        if_not_exists: bool,
        columns: Vec<String>,
        query: Box<ast::Query>,
        query_text: String,
        comment: Option<String>,
    },
    /// CREATE [OR REPLACE] FUNCTION name(p type, ..) RETURNS type RETURN expr (or AS 'SELECT expr' LANGUAGE sql)
    CreateFunction {
        name: Name,
        or_replace: bool,
        if_not_exists: bool,
        parameters: Vec<(String, SqlType)>,
        returns: SqlType,
        body: Box<ast::Expr>,
        body_text: String,
        comment: Option<String>,
    },
    /// INSERT INTO name [(columns)] query; VALUES is a query
    Insert { table: Name, columns: Vec<String>, by_name: bool, query: Box<ast::Query> },
    /// COPY name [(columns)] FROM STDIN [options]
    CopyIn(CopyIn),
    /// CREATE {USER | ROLE | GROUP} name [options]
    CreatePrincipal { name: String, if_not_exists: bool, options: PrincipalOptions },
    /// ALTER {USER | ROLE} name [options]
    AlterPrincipal { name: String, options: PrincipalOptions },
    /// ALTER ROLE {name | ALL} [IN DATABASE name] and ALTER DATABASE name {SET setting TO values | RESET {setting | ALL}}
    AlterSettings { on: SettingTarget, change: SettingChange },
    /// ALTER ROLE name RENAME TO other
    RenamePrincipal { name: String, to: String },
    /// DROP {USER | ROLE | GROUP} names
    DropPrincipal { names: Vec<String>, if_exists: bool },
    /// CREATE TOKEN [FOR role] [COMMENT 'text'] [LIFETIME 'interval']; without FOR it is the caller's own
    CreateToken { role: Option<String>, comment: Option<String>, lifetime: Option<crate::types::values::IntervalValue> },
    /// DROP TOKEN [IF EXISTS] 'id', REVOKE TOKEN 'id'
    DropToken { id: String, if_exists: bool },
    /// SHOW TOKENS [FOR role]; without FOR those of everybody whom the caller manages
    ShowTokens { role: Option<String> },
    /// GRANT group TO members; ALTER GROUP g ADD USER m
    AddMember { groups: Vec<String>, members: Vec<String> },
    /// REVOKE group FROM members; ALTER GROUP g DROP USER m
    RemoveMember { groups: Vec<String>, members: Vec<String> },
    /// CREATE STORAGE CREDENTIAL name WITH (key = 'value', ..)
    CreateStorageCredential {
        name: String,
        if_not_exists: bool,
        options: crate::catalog::securable::Secret<Vec<(String, String)>>,
        comment: Option<String>,
    },
    /// CREATE EXTERNAL LOCATION name URL 'url' [WITH (STORAGE CREDENTIAL name)] [COMMENT 'text']
    CreateExternalLocation { name: String, if_not_exists: bool, url: String, credential: Option<String>, comment: Option<String> },
    /// GRANT privileges ON kind names TO principals [WITH GRANT OPTION]; `public` stands for PUBLIC
    Grant { privileges: Vec<Privilege>, on: GrantTarget, principals: Vec<String>, grant_option: bool },
    /// REVOKE [GRANT OPTION FOR] privileges ON kind names FROM principals [CASCADE]
    Revoke { privileges: Vec<Privilege>, on: GrantTarget, principals: Vec<String>, grant_option_only: bool, cascade: bool },
    /// SHOW GRANTS [principal] ON kind name
    ShowGrants { on: GrantTarget, principal: Option<String> },
    /// ALTER {CATALOG | SCHEMA | TABLE | ..} name [SET] OWNER TO principal
    SetOwner { kind: SecurableKind, name: Name, owner: String },
    /// ALTER TABLE t SET ROW FILTER f ON (columns)
    SetRowFilter { table: Name, function: Name, columns: Vec<String> },
    /// ALTER TABLE t DROP ROW FILTER
    DropRowFilter { table: Name },
    /// ALTER TABLE t ALTER COLUMN c SET MASK f [USING COLUMNS (columns and constants)]
    SetMask { table: Name, column: String, function: Name, using: Vec<crate::catalog::securable::PolicyArgument> },
    /// ALTER TABLE t ALTER COLUMN c DROP MASK
    DropMask { table: Name, column: String },
    /// ALTER {CATALOG | SCHEMA | TABLE | VIEW} name RENAME TO name
    Rename { kind: SecurableKind, name: Name, to: String },
    /// COMMENT ON kind name IS 'text' | NULL
    Comment { on: CommentTarget, text: Option<String> },
    /// SHOW CATALOGS | DATABASES [LIKE 'pattern']
    ShowCatalogs { like: Option<String> },
    /// SHOW SCHEMAS [IN catalog] [LIKE 'pattern']
    ShowSchemas { catalog: Option<String>, like: Option<String> },
    /// SHOW TABLES [IN schema] [LIKE 'pattern']
    ShowTables { schema: Option<Name>, like: Option<String> },
    /// SHOW VIEWS [IN schema] [LIKE 'pattern']
    ShowViews { schema: Option<Name>, like: Option<String> },
    /// SHOW COLUMNS IN table
    ShowColumns { table: Name },
    /// DESCRIBE [TABLE] [EXTENDED] name
    DescribeTable { table: Name, extended: bool },
    /// LOCK [TABLE] names [IN mode MODE] [NOWAIT]
    Lock { names: Vec<Name>, mode: LockMode, no_wait: bool },
    /// DESCRIBE HISTORY name
    DescribeHistory { table: Name },
}

/// CREATE TABLE.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields carry the words of the statement")]
pub struct CreateTable {
    pub name: Name,
    /// CREATE TEMPORARY TABLE .. ON COMMIT ..
    pub temporary: Option<OnCommit>,
    pub if_not_exists: bool,
    pub or_replace: bool,
    pub columns: Vec<ColumnDefinition>,
    pub query: Option<Box<ast::Query>>,
    pub partitioned_by: Vec<String>,
    pub location: Option<String>,
    pub properties: Vec<(String, String)>,
    pub comment: Option<String>,
}

/// What becomes of a temporary table when a transaction commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCommit {
    /// It stays as it is.
    PreserveRows,
    /// It is empty.
    DeleteRows,
    /// It is gone.
    Drop,
}

/// A column of CREATE TABLE.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields carry the words of the statement")]
pub struct ColumnDefinition {
    pub name: String,
    pub sql_type: SqlType,
    pub nullable: bool,
    pub comment: Option<String>,
    /// Inline `MASK f [USING COLUMNS (..)]`.
    pub mask: Option<(Name, Vec<crate::catalog::securable::PolicyArgument>)>,
}

/// Options of CREATE and ALTER ROLE; `None` leaves what is there.
#[derive(Debug, Clone, Default)]
pub struct PrincipalOptions {
    /// PASSWORD 'text' (or a SCRAM verifier); `Some(None)` for PASSWORD NULL.
    pub password: Option<Option<crate::catalog::securable::Secret<String>>>,
    /// LOGIN, NOLOGIN. CREATE USER implies true, CREATE ROLE and GROUP false.
    pub login: Option<bool>,
    /// SUPERUSER, NOSUPERUSER: administrator.
    pub admin: Option<bool>,
    /// CONNECTION LIMIT n; -1 removes it.
    pub connection_limit: Option<i32>,
    /// VALID UNTIL 'timestamp', as written.
    pub valid_until: Option<String>,
    /// IN ROLE, IN GROUP.
    pub member_of: Vec<String>,
    /// USER, ROLE: members of the new group.
    pub members: Vec<String>,
}

/// Whose sessions begin with a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingTarget {
    /// A role; `None` for ALL, and for ALTER DATABASE.
    pub role: Option<String>,
    /// A catalog; `None` for all.
    pub catalog: Option<String>,
    /// ALTER ROLE, not ALTER DATABASE.
    pub of_role: bool,
}

impl SettingTarget {
    /// The command's tag.
    pub const fn tag(&self) -> &'static str {
        if self.of_role { "ALTER ROLE" } else { "ALTER DATABASE" }
    }
}

/// What becomes of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingChange {
    /// It has these values.
    Set {
        /// Name, lower case.
        name: String,
        /// Values, unquoted.
        values: Vec<String>,
    },
    /// It is forgotten; `None` for all of them.
    Reset(Option<String>),
}

/// What a grant is on.
#[derive(Debug, Clone)]
pub struct GrantTarget {
    /// Kind; a bare name or TABLE means a table or a view.
    pub kind: SecurableKind,
    /// Names; empty for the metastore.
    pub names: Vec<Name>,
    /// ALL TABLES IN SCHEMA: `names` are schemas, and the target is each object of the kind that lies there now.
    pub all_in_schema: bool,
}

/// What a comment is on.
#[derive(Debug, Clone)]
pub enum CommentTarget {
    /// An object.
    Securable(SecurableKind, Name),
    /// A column of a table: relation and column.
    Column(Name, String),
    /// A role.
    Principal(String),
}
