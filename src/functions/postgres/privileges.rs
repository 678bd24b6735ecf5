//! `has_*_privilege`, `pg_has_role` and access control lists in PostgreSQL's notation.
//!
//! The answers are the warehouse's own rules (`CatalogSnapshot::holds` and `reaches`), so that a client which asks before it reads gets
//! the answer that reading would give: a table is readable only with USE on its schema and catalog.

use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{Grant, ObjectId, PUBLIC, SecurableKind};
use crate::error::{Error, ErrorKind, Result};
use crate::functions::builtin;
use crate::functions::context::FunctionContext;
use crate::functions::define::{Declaration, of_principal, stable};
use crate::functions::names;
use crate::types::RegKind;
use crate::types::datum::Datum;

/// The functions of this file.
pub(crate) fn declarations() -> Vec<Declaration> {
    let mut all = Vec::new();
    macro_rules! family {
        ($name:literal, $check:path) => {
            all.push(stable(concat!($name, "(object, text) -> bool"), |call| {
                let context = call.context()?;
                $check(context, context.current_user, call.get(0), call.text(1)?)
            }));
            all.push(stable(concat!($name, "(object, object, text) -> bool"), |call| {
                let context = call.context()?;
                let Some(principal) = principal(context, call.get(0))? else { return Ok(Datum::Null) };
                $check(context, principal, call.get(1), call.text(2)?)
            }));
        };
    }
    family!("has_table_privilege", has_table_privilege);
    family!("has_any_column_privilege", has_table_privilege);
    family!("has_schema_privilege", has_schema_privilege);
    family!("has_database_privilege", has_database_privilege);
    family!("has_function_privilege", has_function_privilege);
    family!("has_sequence_privilege", has_nothing);
    family!("has_tablespace_privilege", has_nothing);
    family!("has_language_privilege", has_nothing);
    family!("has_type_privilege", has_usage);
    family!("has_foreign_data_wrapper_privilege", has_nothing);
    family!("has_server_privilege", has_nothing);
    all.extend(column_privileges());
    all.extend(roles());
    all.extend(access_lists());
    all
}

fn column_privileges() -> Vec<Declaration> {
    vec![
        stable("has_column_privilege(object, object, text) -> bool", |call| {
            let context = call.context()?;
            has_column_privilege(context, context.current_user, call.get(0), call.get(1), call.text(2)?)
        }),
        stable("has_column_privilege(object, object, object, text) -> bool", |call| {
            let context = call.context()?;
            let Some(principal) = principal(context, call.get(0))? else { return Ok(Datum::Null) };
            has_column_privilege(context, principal, call.get(1), call.get(2), call.text(3)?)
        }),
    ]
}

/// The principal of a name or an OID; `public` is the group of everybody. A missing OID is `None`.
fn principal(context: &FunctionContext, who: &Datum) -> Result<Option<ObjectId>> {
    match who {
        Datum::Text(name) if name == "public" => Ok(Some(PUBLIC)),
        Datum::Text(name) => match context.snapshot.principal(name) {
            Some(principal) => Ok(Some(principal.id)),
            None => Err(Error::new(ErrorKind::UndefinedObject, format!("role \"{name}\" does not exist"))),
        },
        Datum::Int(oid) => Ok(u32::try_from(*oid).ok().map(ObjectId).filter(|id| context.snapshot.principal_by_id(*id).is_some())),
        _ => Ok(None),
    }
}

/// The object of a name or an OID, as its `reg*` type reads it.
fn object(context: &FunctionContext, kind: RegKind, what: &Datum) -> Result<u32> {
    match what {
        Datum::Text(name) => names::require_object(context, kind, name),
        Datum::Int(oid) => Ok(u32::try_from(*oid).unwrap_or(0)),
        _ => Ok(0),
    }
}

/// Reads `SELECT, INSERT WITH GRANT OPTION` as words; each must be one of `known`.
fn privilege_words(text: &str, known: &[&str]) -> Result<Vec<(String, bool)>> {
    text.split(',')
        .map(|part| {
            let word = part.trim().to_uppercase();
            let (word, grantable) = word.strip_suffix(" WITH GRANT OPTION").map_or((word.as_str(), false), |word| (word, true));
            if known.contains(&word) {
                return Ok((word.to_string(), grantable));
            }
            Err(Error::new(ErrorKind::InvalidParameter, format!("unrecognized privilege type: \"{}\"", part.trim())))
        })
        .collect()
}

/// Whether `principal` holds any of the words on a securable it can reach.
fn holds_any(
    context: &FunctionContext,
    principal: ObjectId,
    securable: ObjectId,
    words: &[(String, bool)],
    privileges: fn(&str) -> &'static [Privilege],
) -> bool {
    let snapshot = &context.snapshot;
    snapshot.reaches(principal, securable)
        && words.iter().any(|(word, grantable)| {
            privileges(word).iter().any(|privilege| {
                snapshot.holds(principal, *privilege, securable)
                    && (!grantable || snapshot.may_grant(principal, *privilege, securable))
            })
        })
}

const TABLE_WORDS: [&str; 8] = ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"];

fn table_privileges(word: &str) -> &'static [Privilege] {
    match word {
        "SELECT" => &[Privilege::Select],
        "INSERT" => &[Privilege::Insert],
        "UPDATE" => &[Privilege::Update],
        "DELETE" => &[Privilege::Delete],
        "TRUNCATE" => &[Privilege::Truncate],
        _ => &[],
    }
}

fn has_table_privilege(context: &FunctionContext, principal: ObjectId, table: &Datum, privilege: &str) -> Result<Datum> {
    let words = privilege_words(privilege, &TABLE_WORDS)?;
    let oid = object(context, RegKind::Class, table)?;
    if builtin::relation_by_oid(oid).is_some() {
        return Ok(Datum::Bool(words.iter().any(|(word, grantable)| word == "SELECT" && !grantable)));
    }
    let Some(relation) = super::catalog::visible_relation(context, oid) else { return Ok(Datum::Null) };
    Ok(Datum::Bool(holds_any(context, principal, relation.id, &words, table_privileges)))
}

fn has_column_privilege(
    context: &FunctionContext,
    principal: ObjectId,
    table: &Datum,
    column: &Datum,
    privilege: &str,
) -> Result<Datum> {
    let oid = object(context, RegKind::Class, table)?;
    if let (Datum::Text(name), Some(relation)) = (column, super::catalog::visible_relation(context, oid))
        && !relation.columns.iter().any(|column| column.name == *name)
    {
        return Err(Error::new(
            ErrorKind::UndefinedColumn,
            format!("column \"{name}\" of relation \"{}\" does not exist", relation.name),
        ));
    }
    has_table_privilege(context, principal, table, privilege)
}

fn has_schema_privilege(context: &FunctionContext, principal: ObjectId, schema: &Datum, privilege: &str) -> Result<Datum> {
    let words = privilege_words(privilege, &["CREATE", "USAGE"])?;
    let quoted = match schema {
        // A bare name, not an identifier: has_schema_privilege('My Schema', ..) is what clients send.
        Datum::Text(name) => names::find_schema(context, name)
            .ok_or_else(|| Error::new(ErrorKind::UndefinedSchema, format!("schema \"{name}\" does not exist")))?,
        other => object(context, RegKind::Namespace, other)?,
    };
    if quoted == builtin::PG_CATALOG || quoted == builtin::INFORMATION_SCHEMA {
        return Ok(Datum::Bool(words.iter().any(|(word, grantable)| word == "USAGE" && !grantable)));
    }
    let Some(schema) = context.snapshot.schema_by_id(ObjectId(quoted)) else { return Ok(Datum::Null) };
    if !context.snapshot.visible(context.principal, schema.id) {
        return Ok(Datum::Null);
    }
    Ok(Datum::Bool(holds_any(context, principal, schema.id, &words, |word| match word {
        "CREATE" => &[Privilege::CreateTable, Privilege::CreateView, Privilege::CreateFunction],
        "USAGE" => &[Privilege::UseSchema],
        _ => &[],
    })))
}

fn has_database_privilege(context: &FunctionContext, principal: ObjectId, database: &Datum, privilege: &str) -> Result<Datum> {
    let words = privilege_words(privilege, &["CREATE", "CONNECT", "TEMPORARY", "TEMP"])?;
    let catalog = match database {
        Datum::Text(name) => {
            match context.snapshot.catalog(name).filter(|catalog| context.snapshot.visible(context.principal, catalog.id)) {
                Some(catalog) => catalog,
                None => return Err(Error::new(ErrorKind::UndefinedCatalog, format!("database \"{name}\" does not exist"))),
            }
        }
        other => {
            let oid = ObjectId(object(context, RegKind::Class, other)?);
            let catalog = context.snapshot.catalog_by_id(oid);
            let Some(catalog) = catalog.filter(|catalog| context.snapshot.visible(context.principal, catalog.id)) else {
                return Ok(Datum::Null);
            };
            catalog
        }
    };
    Ok(Datum::Bool(holds_any(context, principal, catalog.id, &words, |word| match word {
        "CREATE" => &[Privilege::CreateSchema],
        "CONNECT" => &[Privilege::UseCatalog],
        _ => &[],
    })))
}

fn has_function_privilege(context: &FunctionContext, principal: ObjectId, function: &Datum, privilege: &str) -> Result<Datum> {
    let words = privilege_words(privilege, &["EXECUTE"])?;
    let oid = object(context, RegKind::Procedure, function)?;
    if builtin::function_by_oid(oid).is_some() {
        return Ok(Datum::Bool(words.iter().any(|(_, grantable)| !grantable)));
    }
    let Some(function) =
        context.snapshot.function_by_id(ObjectId(oid)).filter(|function| context.snapshot.visible(context.principal, function.id))
    else {
        return Ok(Datum::Null);
    };
    Ok(Datum::Bool(holds_any(context, principal, function.id, &words, |_| &[Privilege::Execute])))
}

/// Privileges on kinds of objects that the warehouse does not have.
fn has_nothing(_context: &FunctionContext, _principal: ObjectId, _object: &Datum, _privilege: &str) -> Result<Datum> {
    Ok(Datum::Bool(false))
}

/// Types may be used by everybody.
fn has_usage(_context: &FunctionContext, _principal: ObjectId, _object: &Datum, privilege: &str) -> Result<Datum> {
    Ok(Datum::Bool(privilege_words(privilege, &["USAGE"])?.iter().any(|(_, grantable)| !grantable)))
}

fn roles() -> Vec<Declaration> {
    fn check(context: &FunctionContext, member: ObjectId, role: &Datum, privilege: &str) -> Result<Datum> {
        let words = privilege_words(privilege, &["MEMBER", "USAGE", "SET"])?;
        let Some(role) = role_or_system(context, role)? else { return Ok(Datum::Null) };
        let within = !words.is_empty() && context.snapshot.is_member(member, role);
        Ok(Datum::Bool(within))
    }
    fn role_or_system(context: &FunctionContext, role: &Datum) -> Result<Option<ObjectId>> {
        match role {
            Datum::Int(oid) if *oid == i64::from(builtin::SYSTEM_ROLE) => Ok(Some(ObjectId(builtin::SYSTEM_ROLE))),
            // PostgreSQL's predefined roles: nobody is in them here.
            Datum::Text(name) if name == builtin::SYSTEM_ROLE_NAME || name.starts_with("pg_") => {
                Ok(Some(ObjectId(builtin::SYSTEM_ROLE)))
            }
            other => principal(context, other),
        }
    }
    vec![
        of_principal("pg_has_role(object, text) -> bool", |call| {
            let context = call.context()?;
            check(context, context.current_user, call.get(0), call.text(1)?)
        }),
        of_principal("pg_has_role(object, object, text) -> bool", |call| {
            let context = call.context()?;
            let Some(member) = principal(context, call.get(0))? else { return Ok(Datum::Null) };
            check(context, member, call.get(1), call.text(2)?)
        }),
    ]
}

/// PostgreSQL's letters for privileges, in the order in which it prints them.
const LETTERS: [(char, &str); 14] = [
    ('a', "INSERT"),
    ('r', "SELECT"),
    ('w', "UPDATE"),
    ('d', "DELETE"),
    ('D', "TRUNCATE"),
    ('x', "REFERENCES"),
    ('t', "TRIGGER"),
    ('X', "EXECUTE"),
    ('U', "USAGE"),
    ('C', "CREATE"),
    ('T', "TEMPORARY"),
    ('c', "CONNECT"),
    ('s', "SET"),
    ('A', "ALTER SYSTEM"),
];

/// The letters that a privilege stands for on a kind of object; several of ours may share one.
fn letters(privilege: Privilege, kind: SecurableKind) -> &'static str {
    match (privilege, kind) {
        (Privilege::AllPrivileges, SecurableKind::Catalog) => "Cc",
        (Privilege::AllPrivileges, SecurableKind::Schema) => "UC",
        (Privilege::AllPrivileges, SecurableKind::Table) => "arwdD",
        (Privilege::AllPrivileges, SecurableKind::View) => "r",
        (Privilege::AllPrivileges | Privilege::Execute, SecurableKind::Function) => "X",
        (Privilege::UseCatalog, SecurableKind::Catalog) => "c",
        (Privilege::CreateSchema, SecurableKind::Catalog) => "C",
        (Privilege::UseSchema, SecurableKind::Schema) => "U",
        (Privilege::CreateTable | Privilege::CreateView | Privilege::CreateFunction, SecurableKind::Schema) => "C",
        (Privilege::Select, SecurableKind::Table | SecurableKind::View) => "r",
        (Privilege::Insert, SecurableKind::Table) => "a",
        (Privilege::Update, SecurableKind::Table) => "w",
        (Privilege::Delete, SecurableKind::Table) => "d",
        (Privilege::Truncate, SecurableKind::Table) => "D",
        _ => "",
    }
}

/// The access control list of an object in PostgreSQL's notation (`alice=r/bob`), or NULL when nothing was granted on it.
///
/// Shown to who manages the object; for others only their own entries.
pub fn access_list(context: &FunctionContext, id: ObjectId) -> Datum {
    let snapshot = &context.snapshot;
    let Some(kind) = snapshot.kind_of(id) else { return Datum::Null };
    let all = snapshot.manages(context.principal, id);
    let mut grants: Vec<&Grant> =
        snapshot.grants_on(id).filter(|grant| all || snapshot.is_member(context.principal, grant.grantee)).collect();
    if grants.is_empty() {
        return Datum::Null;
    }
    grants.sort_by_key(|grant| (grant.grantee, grant.grantor));
    let mut items = Vec::new();
    if let Some(owner) = snapshot.owner_of(id) {
        items.push(item(context, owner, letters(Privilege::AllPrivileges, kind), "", owner));
    }
    for group in grants.chunk_by(|one, two| (one.grantee, one.grantor) == (two.grantee, two.grantor)) {
        let Some(first) = group.first() else { continue };
        let held: String = group.iter().map(|grant| letters(grant.privilege, kind)).collect();
        let grantable: String = group.iter().filter(|grant| grant.grantable).map(|grant| letters(grant.privilege, kind)).collect();
        if !held.is_empty() {
            items.push(item(context, first.grantee, &held, &grantable, first.grantor));
        }
    }
    if items.is_empty() { Datum::Null } else { Datum::List(items) }
}

fn item(context: &FunctionContext, grantee: ObjectId, held: &str, grantable: &str, grantor: ObjectId) -> Datum {
    let grantee = if grantee == PUBLIC { String::new() } else { acl_name(&names::role_name(context, grantee.0)) };
    let mut text = format!("{grantee}=");
    for (letter, _) in LETTERS.iter().filter(|(letter, _)| held.contains(*letter)) {
        text.push(*letter);
        if grantable.contains(*letter) {
            text.push('*');
        }
    }
    text.push('/');
    text.push_str(&acl_name(&names::role_name(context, grantor.0)));
    Datum::Text(text)
}

fn acl_name(name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_string() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

fn access_lists() -> Vec<Declaration> {
    vec![
        stable("aclexplode(aclitem[]) -> setof (grantor oid, grantee oid, privilege_type text, is_grantable bool)", |call| {
            let context = call.context()?;
            let items = call.list(0)?.iter().filter_map(Datum::as_text);
            Ok(Datum::List(items.flat_map(|item| explode(context, item)).collect()))
        }),
        stable("acldefault(char, oid) -> aclitem[]", |call| {
            let context = call.context()?;
            let owner = ObjectId(call.oid(1)?);
            let (own, public) = match call.text(0)? {
                "r" => ("arwdD", ""),
                "d" => ("Cc", ""),
                "n" => ("UC", ""),
                "f" => ("X", ""),
                "T" => ("U", "U"),
                "l" => ("U", "U"),
                _ => return Ok(Datum::List(vec![])),
            };
            let public = (!public.is_empty()).then(|| item(context, PUBLIC, public, "", owner));
            Ok(Datum::List(public.into_iter().chain([item(context, owner, own, "", owner)]).collect()))
        }),
        stable("makeaclitem(oid, oid, text, bool) -> aclitem", |call| {
            let context = call.context()?;
            let words: Vec<String> = call.text(2)?.split(',').map(|word| word.trim().to_uppercase()).collect();
            let held: String =
                LETTERS.iter().filter(|(_, word)| words.iter().any(|wanted| wanted == word)).map(|(letter, _)| *letter).collect();
            let grantable = if call.bool(3)? { held.clone() } else { String::new() };
            Ok(item(context, ObjectId(call.oid(0)?), &held, &grantable, ObjectId(call.oid(1)?)))
        }),
    ]
}

fn explode(context: &FunctionContext, item: &str) -> Vec<Datum> {
    let Some((grantee, rest)) = item.split_once('=') else { return Vec::new() };
    let Some((held, grantor)) = rest.split_once('/') else { return Vec::new() };
    let role = |name: &str| match name.trim_matches('"') {
        "" => Datum::Int(0),
        name => Datum::from(names::find_role(context, &name.replace("\"\"", "\""))),
    };
    let mut rows = Vec::new();
    let mut characters = held.chars().peekable();
    while let Some(letter) = characters.next() {
        let grantable = characters.next_if_eq(&'*').is_some();
        if let Some((_, word)) = LETTERS.iter().find(|(known, _)| *known == letter) {
            rows.push(Datum::Row(vec![
                ("grantor".to_string(), role(grantor)),
                ("grantee".to_string(), role(grantee)),
                ("privilege_type".to_string(), Datum::from(*word)),
                ("is_grantable".to_string(), Datum::Bool(grantable)),
            ]));
        }
    }
    rows
}
