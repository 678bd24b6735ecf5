//! Names in commands, against the current catalog and the search path, with PostgreSQL's errors.
//!
//! What the caller may not know of does not exist here: the answer is the same. A command about an object of another kind says so
//! (`"v" is not a table`); system relations are named, but never changed.

use std::sync::Arc;

use crate::catalog::CatalogSnapshot;
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{
    Catalog, Function, METASTORE, ObjectId, Principal, Relation, Schema, SecurableKind, TEMPORARY_SCHEMA,
};
use crate::error::{Error, ErrorKind, Result};
use crate::functions::FunctionContext;
use crate::sql::statement::Name;
use crate::system::{self, SystemRelation};

const SYSTEM_SCHEMAS: [&str; 2] = ["pg_catalog", "information_schema"];

/// One state of the catalog as one session names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    snapshot: &'a CatalogSnapshot,
    session: &'a FunctionContext,
}

/// A relation that a command names.
#[derive(Debug, Clone)]
pub(super) enum FoundRelation<'a> {
    Relation(&'a Arc<Relation>),
    System(&'static SystemRelation),
}

impl<'a> Names<'a> {
    pub(super) fn new(snapshot: &'a CatalogSnapshot, session: &'a FunctionContext) -> Self {
        Self { snapshot, session }
    }

    /// The object of this kind and name. A table may be a view where privileges, owners and comments are meant: kind [`SecurableKind::Table`]
    /// finds both. A name without parts is the current catalog, or the schema where unqualified names are created.
    pub(super) fn securable(&self, name: &Name, kind: SecurableKind) -> Result<ObjectId> {
        match kind {
            SecurableKind::Metastore => Ok(METASTORE),
            SecurableKind::Catalog if name.parts.is_empty() => self.current_catalog().map(|catalog| catalog.id),
            SecurableKind::Catalog => self.catalog(name).map(|catalog| catalog.id),
            SecurableKind::Schema if name.parts.is_empty() => self.creation_schema().map(|schema| schema.id),
            SecurableKind::Schema => self.schema(name).map(|schema| schema.id),
            SecurableKind::Table => self.relation(name).map(|relation| relation.id),
            SecurableKind::View => {
                let relation = self.relation(name)?;
                if relation.view().is_none() {
                    return Err(wrong_kind(name, SecurableKind::View));
                }
                Ok(relation.id)
            }
            SecurableKind::Function => self.function(name).map(|function| function.id),
            SecurableKind::StorageCredential => {
                let found = self.snapshot.storage_credential(single(name)?).filter(|found| self.sees(found.id));
                found.map(|found| found.id).ok_or_else(|| undefined(name, kind))
            }
            SecurableKind::ExternalLocation => {
                let found = self.snapshot.external_location(single(name)?).filter(|found| self.sees(found.id));
                found.map(|found| found.id).ok_or_else(|| undefined(name, kind))
            }
        }
    }

    /// As [`Names::securable`], but a table is a table: DROP and RENAME name exactly what they mean.
    pub(super) fn exactly(&self, name: &Name, kind: SecurableKind) -> Result<ObjectId> {
        match kind {
            SecurableKind::Table => {
                let relation = match self.relation(name) {
                    Err(error) if error.kind() == ErrorKind::UndefinedRelation => return Err(undefined(name, kind)),
                    other => other?,
                };
                if relation.table().is_none() {
                    return Err(wrong_kind(name, kind).with_hint("Use DROP VIEW or ALTER VIEW for a view."));
                }
                Ok(relation.id)
            }
            SecurableKind::View => match self.securable(name, kind) {
                Err(error) if error.kind() == ErrorKind::UndefinedRelation => Err(undefined(name, kind)),
                other => other,
            },
            _ => self.securable(name, kind),
        }
    }

    /// The session's current catalog.
    pub(super) fn current_catalog(&self) -> Result<&'a Arc<Catalog>> {
        self.snapshot.catalog_by_id(self.session.catalog).ok_or_else(|| {
            Error::new(ErrorKind::UndefinedCatalog, "the current catalog has been dropped").with_hint("USE CATALOG another.")
        })
    }

    pub(super) fn catalog(&self, name: &Name) -> Result<&'a Arc<Catalog>> {
        let text = single(name)?;
        let found = self.snapshot.catalog(text).filter(|catalog| self.sees(catalog.id));
        found.ok_or_else(|| at(name, undefined_catalog(text)))
    }

    pub(super) fn schema(&self, name: &Name) -> Result<&'a Arc<Schema>> {
        match name.parts.as_slice() {
            [schema] => self.schema_in(self.current_catalog()?, schema, name),
            [catalog, schema] => self.schema_in(self.catalog_part(catalog, name)?, schema, name),
            _ => Err(too_many_parts(name)),
        }
    }

    /// The table or view of this name.
    pub(super) fn relation(&self, name: &Name) -> Result<&'a Arc<Relation>> {
        match self.any_relation(name)? {
            FoundRelation::Relation(relation) => Ok(relation),
            FoundRelation::System(_) => {
                Err(at(name, Error::new(ErrorKind::Denied, format!("permission denied: \"{}\" is a system catalog", last(name)))))
            }
        }
    }

    /// The table, view or system relation of this name.
    pub(super) fn any_relation(&self, name: &Name) -> Result<FoundRelation<'a>> {
        let found = match name.parts.as_slice() {
            [relation] => {
                if let Some(temporary) = self.temporary(relation) {
                    return Ok(temporary);
                }
                let implicit =
                    if self.path().any(|schema| schema == "pg_catalog") { None } else { system::relation("pg_catalog", relation) };
                match implicit {
                    Some(found) => Some(FoundRelation::System(found)),
                    None => self.path().find_map(|schema| self.relation_in(self.session.catalog, &schema, relation)),
                }
            }
            [schema, relation] => {
                let catalog = self.current_catalog()?;
                self.check_schema(catalog, schema, name)?;
                self.relation_in(catalog.id, schema, relation)
            }
            [catalog, schema, relation] => {
                let catalog = self.catalog_part(catalog, name)?;
                self.check_schema(catalog, schema, name)?;
                self.relation_in(catalog.id, schema, relation)
            }
            _ => return Err(too_many_parts(name)),
        };
        found.ok_or_else(|| {
            at(name, Error::new(ErrorKind::UndefinedRelation, format!("relation \"{}\" does not exist", name.parts.join("."))))
        })
    }

    /// The temporary table of this name, which comes before all others unless the search path says where.
    fn temporary(&self, relation: &str) -> Option<FoundRelation<'a>> {
        let temporary = self.session.temporary.as_ref()?;
        if self.path().any(|schema| schema == TEMPORARY_SCHEMA) {
            return None;
        }
        self.snapshot.relation(temporary.schema.id, relation).map(FoundRelation::Relation)
    }

    /// The function of the metastore of this name.
    pub(super) fn function(&self, name: &Name) -> Result<&'a Arc<Function>> {
        let lookup = |catalog: ObjectId, schema: &str, function: &str| {
            let schema = self.snapshot.schema(catalog, schema)?;
            self.snapshot.function(schema.id, function).filter(|function| self.sees(function.id))
        };
        let found = match name.parts.as_slice() {
            [function] => self.path().find_map(|schema| lookup(self.session.catalog, &schema, function)),
            [schema, function] => {
                let catalog = self.current_catalog()?;
                self.check_schema(catalog, schema, name)?;
                lookup(catalog.id, schema, function)
            }
            [catalog, schema, function] => {
                let catalog = self.catalog_part(catalog, name)?;
                self.check_schema(catalog, schema, name)?;
                lookup(catalog.id, schema, function)
            }
            _ => return Err(too_many_parts(name)),
        };
        found.ok_or_else(|| undefined(name, SecurableKind::Function))
    }

    /// The principal of this name; `current_user` and its like are the caller.
    pub(super) fn principal(&self, name: &str) -> Result<&'a Arc<Principal>> {
        let found = match name {
            "current_user" | "session_user" | "current_role" => self.snapshot.principal_by_id(self.session.principal),
            other => self.snapshot.principal(other),
        };
        found.ok_or_else(|| Error::new(ErrorKind::UndefinedObject, format!("role \"{name}\" does not exist")))
    }

    /// Schema and last part of the name of an object that is to be made.
    pub(super) fn place<'n>(&self, name: &'n Name) -> Result<(&'a Arc<Schema>, &'n str)> {
        match name.parts.as_slice() {
            [object] => Ok((self.creation_schema()?, object)),
            [schema, object] => Ok((self.schema_in(self.current_catalog()?, schema, name)?, object)),
            [catalog, schema, object] => Ok((self.schema_in(self.catalog_part(catalog, name)?, schema, name)?, object)),
            _ => Err(too_many_parts(name)),
        }
    }

    /// The first schema of the search path that is there for the caller: one that may be entered or managed.
    pub(super) fn creation_schema(&self) -> Result<&'a Arc<Schema>> {
        let principal = self.session.principal;
        let usable = |schema: &&Arc<Schema>| {
            self.snapshot.holds(principal, Privilege::UseSchema, schema.id) || self.snapshot.manages(principal, schema.id)
        };
        self.path()
            .find_map(|schema| self.snapshot.schema(self.session.catalog, &schema).filter(usable))
            .ok_or_else(|| Error::new(ErrorKind::UndefinedSchema, "no schema has been selected to create in"))
    }

    /// The schemas of the search path, `$user` replaced.
    fn path(&self) -> impl Iterator<Item = String> + 'a {
        let (snapshot, session) = (self.snapshot, self.session);
        session.search_path.iter().filter_map(move |schema| match schema.as_str() {
            "$user" => snapshot.principal_by_id(session.current_user).map(|user| user.name.clone()),
            other => Some(other.to_string()),
        })
    }

    fn sees(&self, id: ObjectId) -> bool {
        self.snapshot.visible(self.session.principal, id)
    }

    fn catalog_part(&self, catalog: &str, name: &Name) -> Result<&'a Arc<Catalog>> {
        let found = self.snapshot.catalog(catalog).filter(|found| self.sees(found.id));
        found.ok_or_else(|| at(name, undefined_catalog(catalog)))
    }

    fn schema_in(&self, catalog: &Arc<Catalog>, schema: &str, name: &Name) -> Result<&'a Arc<Schema>> {
        if SYSTEM_SCHEMAS.contains(&schema) {
            return Err(at(name, Error::new(ErrorKind::Denied, format!("permission denied for schema {schema}")))
                .with_detail("System catalog modifications are not allowed."));
        }
        let found = self.snapshot.schema(catalog.id, schema).filter(|found| self.sees(found.id));
        found.ok_or_else(|| at(name, Error::new(ErrorKind::UndefinedSchema, format!("schema \"{schema}\" does not exist"))))
    }

    fn check_schema(&self, catalog: &Arc<Catalog>, schema: &str, name: &Name) -> Result<()> {
        if SYSTEM_SCHEMAS.contains(&schema) { Ok(()) } else { self.schema_in(catalog, schema, name).map(|_| ()) }
    }

    fn relation_in(&self, catalog: ObjectId, schema: &str, relation: &str) -> Option<FoundRelation<'a>> {
        if SYSTEM_SCHEMAS.contains(&schema) {
            return if catalog == self.session.catalog {
                system::relation(schema, relation).map(FoundRelation::System)
            } else {
                None
            };
        }
        let schema = self.snapshot.schema(catalog, schema)?;
        let found = self.snapshot.relation(schema.id, relation).filter(|relation| self.sees(relation.id));
        found.map(FoundRelation::Relation)
    }
}

fn at(name: &Name, error: Error) -> Error {
    match name.position {
        Some(position) => error.with_position(position),
        None => error,
    }
}

fn last(name: &Name) -> &str {
    name.parts.last().map_or("", String::as_str)
}

fn single(name: &Name) -> Result<&str> {
    match name.parts.as_slice() {
        [name] => Ok(name),
        _ => Err(too_many_parts(name)),
    }
}

fn too_many_parts(name: &Name) -> Error {
    at(name, Error::new(ErrorKind::Syntax, format!("improper qualified name (too many dotted names): {}", name.parts.join("."))))
}

fn undefined_catalog(name: &str) -> Error {
    Error::new(ErrorKind::UndefinedCatalog, format!("catalog \"{name}\" does not exist"))
}

fn wrong_kind(name: &Name, kind: SecurableKind) -> Error {
    at(name, Error::new(ErrorKind::WrongObjectType, format!("\"{}\" is not a {}", last(name), kind.noun())))
}

fn undefined(name: &Name, kind: SecurableKind) -> Error {
    let text = name.parts.join(".");
    let error = match kind {
        SecurableKind::Function => Error::new(ErrorKind::UndefinedFunction, format!("could not find a function named \"{text}\"")),
        SecurableKind::Table | SecurableKind::View => {
            Error::new(ErrorKind::UndefinedRelation, format!("{} \"{text}\" does not exist", kind.noun()))
        }
        SecurableKind::Catalog => undefined_catalog(&text),
        SecurableKind::Schema => Error::new(ErrorKind::UndefinedSchema, format!("schema \"{text}\" does not exist")),
        SecurableKind::Metastore | SecurableKind::StorageCredential | SecurableKind::ExternalLocation => {
            Error::new(ErrorKind::UndefinedObject, format!("{} \"{text}\" does not exist", kind.noun()))
        }
    };
    at(name, error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;

    use super::*;
    use crate::catalog::securable::{Grant, RelationKind, ViewEntry};
    use crate::catalog::{Change, NewFunction, NewPrincipal, NewRelation, NewTable};
    use crate::types::SqlType;

    /// `main.public.{t, v, f}` and `other.s.hidden`; `ann` may see all of `main.public`, `bob` nothing.
    fn world() -> (Arc<CatalogSnapshot>, ObjectId, ObjectId) {
        let mut change = Change::on(&CatalogSnapshot::empty());
        let mut user = |name: &str, is_admin| {
            change.create_principal(NewPrincipal { name: name.into(), can_login: true, is_admin, ..Default::default() }).unwrap()
        };
        let (admin, ann, bob) = (user("admin", true), user("ann", false), user("bob", false));
        let main = change.create_catalog("main", admin, None, None).unwrap();
        let public = change.create_schema(main, "public", admin, None, None).unwrap();
        change.create_schema(main, "ann", ann, None, None).unwrap();
        let other = change.create_catalog("other", admin, None, None).unwrap();
        let s = change.create_schema(other, "s", admin, None, None).unwrap();
        let mut relation = |schema, name: &str, kind| {
            let new = NewRelation { id: None, schema, name: name.into(), owner: admin, columns: vec![], comment: None, kind };
            change.create_relation(new).unwrap();
        };
        let table = || NewTable { location: "file:///t".into(), managed: true, credential: None, partition_columns: vec![] }.into();
        relation(public, "t", table());
        relation(public, "v", RelationKind::View(ViewEntry { query: "SELECT 1".into(), uses: vec![] }));
        relation(s, "hidden", table());
        let function = NewFunction {
            schema: public,
            name: "f".into(),
            owner: admin,
            parameters: vec![],
            returns: SqlType::Bool,
            body: "true".into(),
            uses: vec![],
            comment: None,
        };
        change.create_function(function).unwrap();
        for privilege in [Privilege::Select, Privilege::Execute] {
            change.grant(Grant { grantee: ann, securable: public, privilege, grantor: admin, grantable: false }).unwrap();
        }
        (Arc::new(change.into_snapshot()), ann, bob)
    }

    fn session(snapshot: &Arc<CatalogSnapshot>, principal: ObjectId) -> FunctionContext {
        FunctionContext {
            snapshot: Arc::clone(snapshot),
            principal,
            current_user: principal,
            catalog: snapshot.catalog("main").unwrap().id,
            search_path: vec!["$user".into(), "public".into()],
            settings: Arc::new(BTreeMap::new()),
            time_zone: "UTC".into(),
            form: Arc::default(),
            fixed: false,
            statement_time: DateTime::UNIX_EPOCH,
            transaction_time: DateTime::UNIX_EPOCH,
            pid: 1,
            application_name: String::new(),
            client_address: None,
            control: None,
            temporary: None,
        }
    }

    fn name(text: &str) -> Name {
        Name { parts: text.split('.').filter(|part| !part.is_empty()).map(str::to_string).collect(), position: Some(7) }
    }

    #[test]
    fn names_are_found_along_the_path_and_by_their_parts() {
        let (snapshot, ann, _) = world();
        let session = session(&snapshot, ann);
        let names = Names::new(&snapshot, &session);
        for text in ["t", "public.t", "main.public.t"] {
            assert_eq!(names.relation(&name(text)).unwrap().name, "t", "{text}");
        }
        assert_eq!(names.function(&name("f")).unwrap().name, "f");
        assert_eq!(names.creation_schema().unwrap().name, "ann");
        assert_eq!(names.place(&name("public.new")).unwrap().1, "new");
        assert_eq!(names.securable(&name(""), SecurableKind::Schema).unwrap(), names.creation_schema().unwrap().id);
        assert_eq!(names.securable(&name(""), SecurableKind::Catalog).unwrap(), session.catalog);
        assert_eq!(names.principal("current_user").unwrap().id, ann);
    }

    #[test]
    fn what_may_not_be_seen_does_not_exist() {
        let (snapshot, ann, bob) = world();
        let (of_ann, of_bob) = (session(&snapshot, ann), session(&snapshot, bob));
        let (ann, bob) = (Names::new(&snapshot, &of_ann), Names::new(&snapshot, &of_bob));
        for (names, hidden, missing) in
            [(bob, "t", "u"), (ann, "other.s.hidden", "nowhere.s.hidden"), (bob, "public.t", "private.t")]
        {
            let (hidden_error, missing_error) =
                (names.relation(&name(hidden)).unwrap_err(), names.relation(&name(missing)).unwrap_err());
            assert_eq!(hidden_error.kind(), missing_error.kind(), "{hidden}");
            assert_eq!(hidden_error.position(), missing_error.position());
        }
    }

    #[test]
    fn errors_are_those_of_postgresql() {
        let (snapshot, ann, _) = world();
        let session = session(&snapshot, ann);
        let names = Names::new(&snapshot, &session);
        let relation = |text: &str| names.relation(&name(text)).unwrap_err();
        assert_eq!(
            (relation("u").kind(), relation("u").message()),
            (ErrorKind::UndefinedRelation, "relation \"u\" does not exist")
        );
        assert_eq!(relation("u").position(), Some(7));
        assert_eq!(relation("x.u").kind(), ErrorKind::UndefinedSchema);
        assert_eq!(relation("x.y.u").kind(), ErrorKind::UndefinedCatalog);
        assert_eq!(relation("a.b.c.d").kind(), ErrorKind::Syntax);
        assert_eq!(relation("pg_class").kind(), ErrorKind::Denied);
        assert_eq!(relation("pg_catalog.pg_class").kind(), ErrorKind::Denied);
        assert_eq!(names.place(&name("pg_catalog.t")).unwrap_err().kind(), ErrorKind::Denied);
        assert_eq!(names.function(&name("g")).unwrap_err().kind(), ErrorKind::UndefinedFunction);
        assert_eq!(names.principal("nobody").unwrap_err().kind(), ErrorKind::UndefinedObject);
        assert_eq!(names.exactly(&name("u"), SecurableKind::Table).unwrap_err().message(), "table \"u\" does not exist");
        assert_eq!(names.exactly(&name("v"), SecurableKind::Table).unwrap_err().message(), "\"v\" is not a table");
        assert_eq!(names.exactly(&name("t"), SecurableKind::View).unwrap_err().message(), "\"t\" is not a view");
    }
}
