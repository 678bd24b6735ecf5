//! The privilege matrix: every command for every role, printed and checked in.

use datafusion::sql::sqlparser::ast;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use expect_test::expect_file;

use super::*;
use crate::catalog::securable::{Grant, PUBLIC, RelationKind, RowFilter, TokenDigest, ViewEntry};
use crate::catalog::{Change, NewFunction, NewPrincipal, NewRelation, NewTable, NewToken};
use crate::sql::statement::{ColumnDefinition, CopyFormat, SettingChange, SettingTarget};
use crate::types::SqlType;

const ROLES: [&str; 10] =
    ["admin", "owner_c", "owner_s", "owner_t", "manager", "creator", "writer", "reader", "browser", "stranger"];

/// Catalog `c`, schema `s`, tables `t` and `p` (with a row filter), view `v`, function `f`, location and credential `x`.
fn world() -> CatalogSnapshot {
    use Privilege as P;
    let mut change = Change::on(&CatalogSnapshot::empty());
    let ids: std::collections::BTreeMap<&str, ObjectId> = ROLES
        .into_iter()
        .chain(["team"])
        .map(|name| {
            let new = NewPrincipal { name: name.to_string(), can_login: true, is_admin: name == "admin", ..Default::default() };
            (name, change.create_principal(new).unwrap())
        })
        .collect();
    let token = NewToken {
        public_id: "readers-token".into(),
        owner: ids["reader"],
        digest: TokenDigest([0; 32]),
        created_by: ids["admin"],
        created_at: 0,
        expires_at: 1,
        comment: None,
    };
    change.create_token(token).unwrap();
    let catalog = change.create_catalog("c", ids["owner_c"], None, None).unwrap();
    let schema = change.create_schema(catalog, "s", ids["owner_s"], None, None).unwrap();
    let mut relation = |name: &str, kind| {
        let columns = vec![crate::catalog::securable::ColumnEntry {
            number: 1,
            name: "a".into(),
            sql_type: SqlType::Int4,
            nullable: true,
            comment: None,
            physical_name: None,
        }];
        let new = NewRelation { id: None, schema, name: name.into(), owner: ids["owner_t"], columns, comment: None, kind };
        change.create_relation(new).unwrap()
    };
    let entry = |location: &str| NewTable { location: location.into(), managed: true, credential: None, partition_columns: vec![] };
    let table = relation("t", entry("file:///t").into());
    let private = relation("p", entry("file:///p").into());
    let view = relation("v", RelationKind::View(ViewEntry { query: "SELECT 1".into(), uses: vec![] }));
    let function = NewFunction {
        schema,
        name: "f".into(),
        owner: ids["owner_t"],
        parameters: vec![("a".into(), SqlType::Int4)],
        returns: SqlType::Bool,
        body: "true".into(),
        uses: vec![],
        comment: None,
    };
    let function = change.create_function(function).unwrap();
    change.set_row_filter(private, Some(RowFilter { function, columns: vec!["a".into()] })).unwrap();
    let mut grant = |who: &str, privilege, securable| {
        let grantee = if who == "public" { PUBLIC } else { ids[who] };
        change.grant(Grant { grantee, securable, privilege, grantor: ids["admin"], grantable: false }).unwrap();
    };
    for role in ["manager", "creator", "writer", "reader", "owner_s", "owner_t"] {
        grant(role, P::UseCatalog, catalog);
    }
    for role in ["manager", "creator", "writer", "reader", "owner_t"] {
        grant(role, P::UseSchema, schema);
    }
    for object in [table, private, view, function] {
        grant("manager", P::Manage, object);
    }
    for privilege in [P::CreateSchema, P::CreateTable, P::CreateView, P::CreateFunction] {
        grant("creator", privilege, catalog);
    }
    for object in [table, private] {
        grant("writer", P::Insert, object);
        grant("writer", P::Select, object);
        grant("reader", P::Select, object);
    }
    grant("reader", P::Select, view);
    grant("reader", P::Execute, function);
    grant("browser", P::Browse, catalog);
    change.into_snapshot()
}

fn name(text: &str) -> Name {
    Name { parts: text.split('.').filter(|part| !part.is_empty()).map(str::to_string).collect(), position: Some(1) }
}

/// Finds three-part names, as the session's resolver finds names of any length.
fn resolve(snapshot: &CatalogSnapshot, written: &Name, kind: SecurableKind) -> Result<ObjectId> {
    let parts: Vec<&str> = written.parts.iter().map(String::as_str).collect();
    let found = match (kind, parts.as_slice()) {
        (SecurableKind::Catalog, []) => snapshot.catalog("c").map(|catalog| catalog.id),
        (SecurableKind::Catalog, [catalog]) => snapshot.catalog(catalog).map(|catalog| catalog.id),
        (SecurableKind::Schema, [catalog, schema]) => {
            snapshot.catalog(catalog).and_then(|catalog| snapshot.schema(catalog.id, schema)).map(|schema| schema.id)
        }
        (SecurableKind::StorageCredential | SecurableKind::ExternalLocation | SecurableKind::Metastore, _) => None,
        (kind, [catalog, schema, object]) => {
            snapshot.catalog(catalog).and_then(|catalog| snapshot.schema(catalog.id, schema)).and_then(|schema| {
                if kind == SecurableKind::Function {
                    snapshot.function(schema.id, object).map(|function| function.id)
                } else {
                    snapshot.relation(schema.id, object).map(|relation| relation.id)
                }
            })
        }
        _ => None,
    };
    found.ok_or_else(|| undefined(kind, written))
}

fn query() -> Box<ast::Query> {
    let statement = Parser::parse_sql(&PostgreSqlDialect {}, "SELECT 1").unwrap().remove(0);
    let ast::Statement::Query(query) = statement else { panic!("{statement}") };
    query
}

fn expression() -> Box<ast::Expr> {
    Box::new(Parser::new(&PostgreSqlDialect {}).try_with_sql("true").unwrap().parse_expr().unwrap())
}

fn setting(role: Option<&str>, catalog: Option<&str>) -> Command {
    let on = SettingTarget { role: role.map(str::to_string), catalog: catalog.map(str::to_string), of_role: catalog.is_none() };
    Command::AlterSettings { on, change: SettingChange::Reset(None) }
}

fn table(or_replace: bool, location: Option<&str>, masked: bool) -> Command {
    let mask = masked.then(|| (name("c.s.f"), vec![]));
    let column = ColumnDefinition { name: "a".into(), sql_type: SqlType::Int4, nullable: true, comment: None, mask };
    Command::CreateTable(CreateTable {
        name: if or_replace { name("c.s.t") } else { name("c.s.new") },
        temporary: None,
        if_not_exists: false,
        or_replace,
        columns: vec![column],
        query: None,
        partitioned_by: vec![],
        location: location.map(str::to_string),
        properties: vec![],
        comment: None,
    })
}

fn view(text: &str, or_replace: bool) -> Command {
    Command::CreateView {
        name: name(text),
        or_replace,
        if_not_exists: false,
        columns: vec![],
        query: query(),
        query_text: "SELECT 1".into(),
        comment: None,
    }
}

fn function(text: &str, or_replace: bool) -> Command {
    Command::CreateFunction {
        name: name(text),
        or_replace,
        if_not_exists: false,
        parameters: vec![],
        returns: SqlType::Bool,
        body: expression(),
        body_text: "true".into(),
        comment: None,
    }
}

fn on(kind: SecurableKind, text: &str) -> GrantTarget {
    let names = if kind == SecurableKind::Metastore { vec![] } else { vec![name(text)] };
    GrantTarget { kind, names, all_in_schema: false }
}

fn copy_into(text: &str) -> Command {
    Command::CopyIn(CopyIn::plain(name(text), CopyFormat::Text))
}

fn drop_of(kind: SecurableKind, text: &str) -> Command {
    Command::Drop { kind, names: vec![name(text)], if_exists: false, cascade: false }
}

fn grant_of(privilege: Privilege, target: GrantTarget) -> Command {
    Command::Grant { privileges: vec![privilege], on: target, principals: vec!["team".into()], grant_option: false }
}

/// One line a command; a command without a line makes the exhaustive match below fail to compile.
fn commands() -> Vec<(&'static str, Command)> {
    use SecurableKind as K;
    let options = PrincipalOptions::default;
    let owner = |kind, text: &str, owner: &str| Command::SetOwner { kind, name: name(text), owner: owner.into() };
    let rename = |kind, text: &str, to: &str| Command::Rename { kind, name: name(text), to: to.into() };
    vec![
        (
            "CREATE CATALOG",
            Command::CreateCatalog { name: "n".into(), if_not_exists: false, managed_location: None, comment: None },
        ),
        (
            "CREATE SCHEMA c.n",
            Command::CreateSchema {
                name: name("c.n"),
                if_not_exists: false,
                managed_location: None,
                authorization: None,
                comment: None,
            },
        ),
        (
            "CREATE SCHEMA c.n AUTHORIZATION team",
            Command::CreateSchema {
                name: name("c.n"),
                if_not_exists: false,
                managed_location: None,
                authorization: Some("team".into()),
                comment: None,
            },
        ),
        ("DROP CATALOG c", drop_of(K::Catalog, "c")),
        ("DROP SCHEMA c.s", drop_of(K::Schema, "c.s")),
        ("DROP TABLE t", drop_of(K::Table, "c.s.t")),
        ("DROP VIEW v", drop_of(K::View, "c.s.v")),
        ("DROP FUNCTION f", drop_of(K::Function, "c.s.f")),
        ("CREATE TABLE", table(false, None, false)),
        ("CREATE TABLE .. MASK f", table(false, None, true)),
        ("CREATE TABLE .. LOCATION", table(false, Some("s3://bucket/x"), false)),
        ("CREATE OR REPLACE TABLE t", table(true, None, false)),
        ("CREATE VIEW", view("c.s.new", false)),
        ("CREATE OR REPLACE VIEW v", view("c.s.v", true)),
        ("CREATE FUNCTION", function("c.s.new", false)),
        ("CREATE OR REPLACE FUNCTION f", function("c.s.f", true)),
        ("INSERT INTO t", Command::Insert { table: name("c.s.t"), columns: vec![], by_name: false, query: query() }),
        ("COPY t FROM", copy_into("c.s.t")),
        ("CREATE ROLE", Command::CreatePrincipal { name: "n".into(), if_not_exists: false, options: options() }),
        (
            "ALTER ROLE reader PASSWORD",
            Command::AlterPrincipal { name: "reader".into(), options: PrincipalOptions { password: Some(None), ..options() } },
        ),
        (
            "ALTER ROLE reader SUPERUSER",
            Command::AlterPrincipal { name: "reader".into(), options: PrincipalOptions { admin: Some(true), ..options() } },
        ),
        ("CREATE TOKEN", Command::CreateToken { role: None, comment: None, lifetime: None }),
        ("CREATE TOKEN FOR reader", Command::CreateToken { role: Some("reader".into()), comment: None, lifetime: None }),
        ("DROP TOKEN of reader", Command::DropToken { id: "readers-token".into(), if_exists: false }),
        ("SHOW TOKENS FOR reader", Command::ShowTokens { role: Some("reader".into()) }),
        ("ALTER ROLE RENAME", Command::RenamePrincipal { name: "reader".into(), to: "n".into() }),
        ("DROP ROLE", Command::DropPrincipal { names: vec!["reader".into()], if_exists: false }),
        ("GRANT team TO reader", Command::AddMember { groups: vec!["team".into()], members: vec!["reader".into()] }),
        ("REVOKE team FROM reader", Command::RemoveMember { groups: vec!["team".into()], members: vec!["reader".into()] }),
        (
            "CREATE STORAGE CREDENTIAL",
            Command::CreateStorageCredential {
                name: "n".into(),
                if_not_exists: false,
                options: crate::catalog::securable::Secret::new(vec![]),
                comment: None,
            },
        ),
        (
            "CREATE EXTERNAL LOCATION",
            Command::CreateExternalLocation {
                name: "n".into(),
                if_not_exists: false,
                url: "s3://b".into(),
                credential: None,
                comment: None,
            },
        ),
        ("GRANT CREATE CATALOG", grant_of(Privilege::CreateCatalog, on(K::Metastore, ""))),
        ("GRANT USE CATALOG ON c", grant_of(Privilege::UseCatalog, on(K::Catalog, "c"))),
        ("GRANT SELECT ON t", grant_of(Privilege::Select, on(K::Table, "c.s.t"))),
        (
            "GRANT SELECT ON ALL TABLES IN s",
            grant_of(Privilege::Select, GrantTarget { kind: K::Table, names: vec![name("c.s")], all_in_schema: true }),
        ),
        (
            "REVOKE SELECT ON t",
            Command::Revoke {
                privileges: vec![Privilege::Select],
                on: on(K::Table, "c.s.t"),
                principals: vec!["team".into()],
                grant_option_only: false,
                cascade: false,
            },
        ),
        ("SHOW GRANTS ON t", Command::ShowGrants { on: on(K::Table, "c.s.t"), principal: None }),
        ("SHOW GRANTS reader ON t", Command::ShowGrants { on: on(K::Table, "c.s.t"), principal: Some("reader".into()) }),
        ("ALTER TABLE t OWNER TO team", owner(K::Table, "c.s.t", "team")),
        ("ALTER VIEW v OWNER TO team", owner(K::View, "c.s.v", "team")),
        ("ALTER TABLE v OWNER TO team", owner(K::Table, "c.s.v", "team")),
        ("ALTER FUNCTION f OWNER TO team", owner(K::Function, "c.s.f", "team")),
        ("ALTER SCHEMA s OWNER TO team", owner(K::Schema, "c.s", "team")),
        (
            "ALTER TABLE t SET ROW FILTER f",
            Command::SetRowFilter { table: name("c.s.t"), function: name("c.s.f"), columns: vec!["a".into()] },
        ),
        ("ALTER TABLE p DROP ROW FILTER", Command::DropRowFilter { table: name("c.s.p") }),
        (
            "ALTER TABLE t SET MASK f",
            Command::SetMask { table: name("c.s.t"), column: "a".into(), function: name("c.s.f"), using: vec![] },
        ),
        ("ALTER TABLE t DROP MASK", Command::DropMask { table: name("c.s.t"), column: "a".into() }),
        ("ALTER TABLE t RENAME TO n", rename(K::Table, "c.s.t", "n")),
        ("ALTER CATALOG c RENAME TO n", rename(K::Catalog, "c", "n")),
        ("COMMENT ON TABLE t", Command::Comment { on: CommentTarget::Securable(K::Table, name("c.s.t")), text: None }),
        ("COMMENT ON COLUMN t.a", Command::Comment { on: CommentTarget::Column(name("c.s.t"), "a".into()), text: None }),
        ("COMMENT ON ROLE reader", Command::Comment { on: CommentTarget::Principal("reader".into()), text: None }),
        ("SHOW CATALOGS", Command::ShowCatalogs { like: None }),
        ("SHOW SCHEMAS IN c", Command::ShowSchemas { catalog: Some("c".into()), like: None }),
        ("SHOW TABLES IN s", Command::ShowTables { schema: Some(name("c.s")), like: None }),
        ("SHOW VIEWS IN s", Command::ShowViews { schema: Some(name("c.s")), like: None }),
        ("SHOW COLUMNS IN t", Command::ShowColumns { table: name("c.s.t") }),
        ("DESCRIBE TABLE t", Command::DescribeTable { table: name("c.s.t"), extended: false }),
        ("DESCRIBE HISTORY t", Command::DescribeHistory { table: name("c.s.t") }),
        (
            "LOCK TABLE t IN ACCESS SHARE MODE",
            Command::Lock { names: vec![name("c.s.t")], mode: LockMode::AccessShare, no_wait: false },
        ),
        ("LOCK TABLE t", Command::Lock { names: vec![name("c.s.t")], mode: LockMode::AccessExclusive, no_wait: false }),
        ("ALTER ROLE reader SET", setting(Some("reader"), None)),
        ("ALTER ROLE ALL SET", setting(None, None)),
        ("ALTER DATABASE c SET", setting(None, Some("c"))),
        ("DESCRIBE HISTORY p", Command::DescribeHistory { table: name("c.s.p") }),
    ]
}

/// `ok`, `denied`, or `hidden` for what looks as if it did not exist.
fn cell(outcome: Result<()>) -> String {
    match outcome {
        Ok(()) => "ok".into(),
        Err(error) if error.kind() == ErrorKind::Denied => "denied".into(),
        Err(error) => {
            let hidden = error.message().contains("does not exist");
            assert!(hidden, "{error:?}");
            "hidden".into()
        }
    }
}

#[test]
fn the_privilege_matrix_is_as_checked_in() {
    let snapshot = world();
    let mut text = format!("{:<38}{}\n", "", ROLES.map(|role| format!("{role:<9}")).concat().trim_end());
    let mut line = |label: &str, cells: Vec<String>| {
        let cells: String = cells.into_iter().map(|cell| format!("{cell:<9}")).collect();
        text += format!("{label:<38}{}", cells).trim_end();
        text.push('\n');
    };
    let ids = ROLES.map(|role| snapshot.principal(role).unwrap().id);
    for (label, id, privilege) in [
        ("SELECT FROM t", resolve(&snapshot, &name("c.s.t"), SecurableKind::Table).unwrap(), Privilege::Select),
        ("SELECT FROM v", resolve(&snapshot, &name("c.s.v"), SecurableKind::View).unwrap(), Privilege::Select),
        ("call of f", resolve(&snapshot, &name("c.s.f"), SecurableKind::Function).unwrap(), Privilege::Execute),
    ] {
        let access = Access { securable: id, privilege, by: AccessBy::Caller };
        line(label, ids.iter().map(|caller| cell(check_access(&snapshot, *caller, &access))).collect());
    }
    for (label, command) in commands() {
        let check =
            |caller: &ObjectId| cell(authorize_command(&command, *caller, &snapshot, &|name, kind| resolve(&snapshot, name, kind)));
        line(label, ids.iter().map(check).collect());
    }
    expect_file!["../snapshots/privileges.txt"].assert_eq(&text);
}

#[test]
fn what_is_hidden_reads_like_what_is_missing() {
    let snapshot = world();
    let stranger = snapshot.principal("stranger").unwrap().id;
    let ask = |text: &str| {
        let command = Command::DescribeTable { table: name(text), extended: false };
        authorize_command(&command, stranger, &snapshot, &|name, kind| resolve(&snapshot, name, kind)).unwrap_err()
    };
    let (hidden, missing) = (ask("c.s.t"), ask("c.s.x"));
    assert_eq!(hidden.kind(), missing.kind());
    assert_eq!(hidden.message().replace("c.s.t", "c.s.x"), missing.message());
    assert_eq!(hidden.position(), missing.position());
}

#[test]
fn a_view_reads_with_its_owners_rights_and_hides_what_the_caller_may_not_know() {
    let snapshot = world();
    let id = |role: &str| snapshot.principal(role).unwrap().id;
    let table = resolve(&snapshot, &name("c.s.t"), SecurableKind::Table).unwrap();
    let by = |owner: &str| Access { securable: table, privilege: Privilege::Select, by: AccessBy::Owner(id(owner)) };
    check_access(&snapshot, id("stranger"), &by("owner_t")).unwrap();
    let hidden = check_access(&snapshot, id("stranger"), &by("creator")).unwrap_err();
    assert_eq!(
        (hidden.kind(), hidden.message()),
        (ErrorKind::Denied, "permission denied for an object that a view or function reads")
    );
    let known = check_access(&snapshot, id("browser"), &by("creator")).unwrap_err();
    assert_eq!(known.message(), "permission denied for table t");
}

#[test]
fn the_error_names_the_first_container_that_cannot_be_entered() {
    let mut change = Change::on(&world());
    let snapshot = change.snapshot();
    let (admin, stranger) = (snapshot.principal("admin").unwrap().id, snapshot.principal("stranger").unwrap().id);
    let table = resolve(snapshot, &name("c.s.t"), SecurableKind::Table).unwrap();
    let (schema, catalog) = (snapshot.parent_of(table).unwrap(), snapshot.catalog("c").unwrap().id);
    let access = Access { securable: table, privilege: Privilege::Select, by: AccessBy::Caller };
    let mut say = |privilege, securable| {
        change.grant(Grant { grantee: stranger, securable, privilege, grantor: admin, grantable: false }).unwrap();
        check_access(change.snapshot(), stranger, &access).map_err(|error| error.message().to_string())
    };
    assert_eq!(say(Privilege::Select, table).unwrap_err(), "permission denied for database c");
    assert_eq!(say(Privilege::UseCatalog, catalog).unwrap_err(), "permission denied for schema s");
    say(Privilege::UseSchema, schema).unwrap();
}
