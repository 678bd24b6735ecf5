//! Making, renaming and describing objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Change, NewFunction, NewRelation, Write};
use crate::catalog::dependents::{Dependents, policy_functions};
use crate::catalog::names;
use crate::catalog::securable::{
    Catalog, ColumnEntry, ExternalLocation, Function, ObjectId, Relation, RelationKind, Schema, Secret, SecurableKind,
    StorageCredential, ViewEntry,
};
use crate::catalog::snapshot::Orphan;
use crate::error::{Error, ErrorKind, Result};

impl Change {
    /// CREATE CATALOG.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateCatalog`], [`ErrorKind::ReservedName`].
    pub fn create_catalog(
        &mut self,
        name: &str,
        owner: ObjectId,
        managed_location: Option<String>,
        comment: Option<String>,
    ) -> Result<ObjectId> {
        names::check_catalog_name(name)?;
        self.catalog_name_is_free(name)?;
        let id = self.next_id()?;
        self.record(Write::PutCatalog(Arc::new(Catalog { id, name: name.to_string(), owner, managed_location, comment })));
        Ok(id)
    }

    /// CREATE SCHEMA.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateSchema`], [`ErrorKind::ReservedName`].
    pub fn create_schema(
        &mut self,
        catalog: ObjectId,
        name: &str,
        owner: ObjectId,
        managed_location: Option<String>,
        comment: Option<String>,
    ) -> Result<ObjectId> {
        names::check_schema_name(name)?;
        self.snapshot.catalog_by_id(catalog).ok_or_else(Change::gone)?;
        self.schema_name_is_free(catalog, name)?;
        let id = self.next_id()?;
        self.record(Write::PutSchema(Arc::new(Schema { id, catalog, name: name.to_string(), owner, managed_location, comment })));
        Ok(id)
    }

    /// Gives out an id for a table whose files are not the warehouse's. An id that is not used is lost.
    pub fn reserve_id(&mut self) -> Result<ObjectId> {
        self.next_id()
    }

    /// Gives out the id of a managed table whose files are about to be made at `location`.
    ///
    /// Until [`Change::create_relation`] takes the id, the files count as an orphan's and are removed after a crash.
    pub fn reserve_table(&mut self, location: &str, credential: Option<ObjectId>) -> Result<ObjectId> {
        let id = self.next_id()?;
        self.record(Write::PutOrphan(Orphan { id, location: location.to_string(), credential }));
        Ok(id)
    }

    /// Forgets an orphan whose files are gone.
    pub fn remove_orphan(&mut self, id: ObjectId) {
        if self.snapshot.orphans.contains_key(&id) {
            self.record(Write::RemoveOrphan(id));
        }
    }

    /// CREATE TABLE, CREATE VIEW.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateRelation`]; [`ErrorKind::InvalidObjectDefinition`] for policies that cannot hold.
    pub fn create_relation(&mut self, new: NewRelation) -> Result<ObjectId> {
        names::check_name(&new.name)?;
        self.snapshot.schema_by_id(new.schema).ok_or_else(Change::gone)?;
        self.relation_name_is_free(new.schema, &new.name)?;
        let id = match new.id {
            Some(reserved) => {
                self.remove_orphan(reserved);
                reserved
            }
            None => self.next_id()?,
        };
        let relation = Relation {
            id,
            schema: new.schema,
            name: new.name,
            owner: new.owner,
            columns: new.columns,
            comment: new.comment,
            kind: new.kind,
        };
        self.check_column_policies(&relation)?;
        let functions: Vec<ObjectId> = policy_functions(&relation).collect();
        self.record(Write::PutRelation(Arc::new(relation)));
        self.check_no_cycle(id)?;
        self.check_policy_functions(functions)?;
        Ok(id)
    }

    /// CREATE OR REPLACE VIEW: a new text under the same identity, owner and grants.
    ///
    /// # Errors
    /// [`ErrorKind::WrongObjectType`] if it is a table; [`ErrorKind::InvalidObjectDefinition`] if the view would use itself.
    pub fn replace_view(
        &mut self,
        id: ObjectId,
        columns: Vec<ColumnEntry>,
        view: ViewEntry,
        comment: Option<String>,
    ) -> Result<()> {
        let old = self.relation(id)?;
        if old.view().is_none() {
            return Err(Error::new(ErrorKind::WrongObjectType, format!("\"{}\" is not a view", old.name)));
        }
        self.record(Write::PutRelation(Arc::new(Relation { columns, comment, kind: RelationKind::View(view), ..old })));
        self.trust_text(id);
        self.check_no_cycle(id)?;
        self.check_policies_over(id)
    }

    /// The text of a view or function says what its author wrote.
    pub fn trust_text(&mut self, id: ObjectId) {
        if self.snapshot.has_doubtful_text(id) {
            self.record(Write::RemoveDoubtfulText(id));
        }
    }

    /// CREATE FUNCTION.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateFunction`]: functions are not overloaded.
    pub fn create_function(&mut self, new: NewFunction) -> Result<ObjectId> {
        names::check_name(&new.name)?;
        self.snapshot.schema_by_id(new.schema).ok_or_else(Change::gone)?;
        self.function_name_is_free(new.schema, &new.name)?;
        let id = self.next_id()?;
        self.record(Write::PutFunction(Arc::new(function_of(id, new))));
        Ok(id)
    }

    /// CREATE OR REPLACE FUNCTION: a new body under the same identity, owner and grants. Name, schema and owner of `new` are ignored.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidObjectDefinition`] if a policy uses the function and its signature would change, or if the function would
    /// use itself, or if a policy would come to read a table that has a policy itself.
    pub fn replace_function(&mut self, id: ObjectId, new: NewFunction) -> Result<()> {
        let old = Function::clone(self.snapshot.function_by_id(id).ok_or_else(Change::gone)?);
        let types = |parameters: &[(String, _)]| parameters.iter().map(|(_, sql_type)| sql_type).cloned().collect::<Vec<_>>();
        let same_signature = types(&old.parameters) == types(&new.parameters) && old.returns == new.returns;
        if !same_signature && Dependents::of(&self.snapshot).policies_on(id).next().is_some() {
            return Err(Error::new(
                ErrorKind::InvalidObjectDefinition,
                format!("cannot change the signature of function {}", old.name),
            )
            .with_detail("A row filter or column mask uses the function.")
            .with_hint("Drop the policy first, or create a function with another name."));
        }
        let new = NewFunction { schema: old.schema, name: old.name, owner: old.owner, ..new };
        self.record(Write::PutFunction(Arc::new(function_of(id, new))));
        self.trust_text(id);
        self.check_no_cycle(id)?;
        self.check_policies_over(id)
    }

    /// CREATE STORAGE CREDENTIAL.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateObject`].
    pub fn create_storage_credential(
        &mut self,
        name: &str,
        owner: ObjectId,
        options: BTreeMap<String, String>,
        comment: Option<String>,
    ) -> Result<ObjectId> {
        names::check_name(name)?;
        if self.snapshot.storage_credential(name).is_some() {
            return Err(duplicate(SecurableKind::StorageCredential, name));
        }
        let id = self.next_id()?;
        let options = Arc::new(Secret::new(options));
        self.record(Write::PutStorageCredential(Arc::new(StorageCredential {
            id,
            name: name.to_string(),
            owner,
            options,
            comment,
        })));
        Ok(id)
    }

    /// CREATE EXTERNAL LOCATION. `url` is canonical and has no trailing slash.
    ///
    /// # Errors
    /// [`ErrorKind::DuplicateObject`]; [`ErrorKind::InvalidObjectDefinition`] if it overlaps with another location.
    pub fn create_external_location(
        &mut self,
        name: &str,
        owner: ObjectId,
        url: &str,
        credential: Option<ObjectId>,
        comment: Option<String>,
    ) -> Result<ObjectId> {
        names::check_name(name)?;
        if self.snapshot.external_location(name).is_some() {
            return Err(duplicate(SecurableKind::ExternalLocation, name));
        }
        let overlaps = |other: &str| names::url_covers(other, url) || names::url_covers(url, other);
        if self.snapshot.external_locations().any(|other| overlaps(&other.url)) {
            return Err(Error::new(
                ErrorKind::InvalidObjectDefinition,
                format!("external location \"{name}\" overlaps with another one"),
            )
            .with_detail("One URL would lie under two locations."));
        }
        let managed = |root: &Option<String>| root.as_deref().is_some_and(overlaps);
        let overlaps_managed = self.snapshot.catalogs().any(|catalog| managed(&catalog.managed_location))
            || self.snapshot.schemas.all().any(|schema| managed(&schema.managed_location));
        if overlaps_managed {
            return Err(Error::new(
                ErrorKind::InvalidObjectDefinition,
                format!("external location \"{name}\" overlaps with managed storage"),
            ));
        }
        let id = self.next_id()?;
        let location = ExternalLocation { id, name: name.to_string(), owner, url: url.to_string(), credential, comment };
        self.record(Write::PutExternalLocation(Arc::new(location)));
        Ok(id)
    }

    /// ALTER .. RENAME TO. Grants, policies and comments stay: they are bound to the identity.
    ///
    /// # Errors
    /// The duplicate kinds; [`ErrorKind::DependentObjects`] if the text of a view or function names the object or something in it.
    pub fn rename(&mut self, id: ObjectId, to: &str) -> Result<()> {
        let kind = self.snapshot.kind_of(id).ok_or_else(Change::gone)?;
        self.check_unnamed_by_texts(id, kind)?;
        let name = to.to_string();
        if let Some(old) = self.snapshot.relation_by_id(id).cloned() {
            names::check_name(to)?;
            self.relation_name_is_free(old.schema, to)?;
            self.record(Write::PutRelation(Arc::new(Relation { name, ..Relation::clone(&old) })));
        } else if let Some(old) = self.snapshot.function_by_id(id).cloned() {
            names::check_name(to)?;
            self.function_name_is_free(old.schema, to)?;
            self.record(Write::PutFunction(Arc::new(Function { name, ..Function::clone(&old) })));
        } else if let Some(old) = self.snapshot.schema_by_id(id).cloned() {
            names::check_schema_name(to)?;
            self.schema_name_is_free(old.catalog, to)?;
            self.record(Write::PutSchema(Arc::new(Schema { name, ..Schema::clone(&old) })));
        } else if let Some(old) = self.snapshot.catalog_by_id(id).cloned() {
            names::check_catalog_name(to)?;
            self.catalog_name_is_free(to)?;
            self.record(Write::PutCatalog(Arc::new(Catalog { name, ..Catalog::clone(&old) })));
        } else if let Some(old) = self.snapshot.storage_credential_by_id(id).cloned() {
            names::check_name(to)?;
            if self.snapshot.storage_credential(to).is_some() {
                return Err(duplicate(kind, to));
            }
            self.record(Write::PutStorageCredential(Arc::new(StorageCredential { name, ..StorageCredential::clone(&old) })));
        } else if let Some(old) = self.snapshot.external_location_by_id(id).cloned() {
            names::check_name(to)?;
            if self.snapshot.external_location(to).is_some() {
                return Err(duplicate(kind, to));
            }
            self.record(Write::PutExternalLocation(Arc::new(ExternalLocation { name, ..ExternalLocation::clone(&old) })));
        }
        Ok(())
    }

    /// ALTER .. OWNER TO. What the old owner has granted, the new owner has granted then, as in PostgreSQL.
    pub fn set_owner(&mut self, id: ObjectId, owner: ObjectId) -> Result<()> {
        if self.snapshot.principal_by_id(owner).is_none() {
            return Err(Change::gone());
        }
        self.take_over_grants(id, owner)?;
        if let Some(old) = self.snapshot.relation_by_id(id).cloned() {
            self.record(Write::PutRelation(Arc::new(Relation { owner, ..Relation::clone(&old) })));
        } else if let Some(old) = self.snapshot.function_by_id(id).cloned() {
            self.record(Write::PutFunction(Arc::new(Function { owner, ..Function::clone(&old) })));
        } else if let Some(old) = self.snapshot.schema_by_id(id).cloned() {
            self.record(Write::PutSchema(Arc::new(Schema { owner, ..Schema::clone(&old) })));
        } else if let Some(old) = self.snapshot.catalog_by_id(id).cloned() {
            self.record(Write::PutCatalog(Arc::new(Catalog { owner, ..Catalog::clone(&old) })));
        } else if let Some(old) = self.snapshot.storage_credential_by_id(id).cloned() {
            self.record(Write::PutStorageCredential(Arc::new(StorageCredential { owner, ..StorageCredential::clone(&old) })));
        } else if let Some(old) = self.snapshot.external_location_by_id(id).cloned() {
            self.record(Write::PutExternalLocation(Arc::new(ExternalLocation { owner, ..ExternalLocation::clone(&old) })));
        } else {
            return Err(Change::gone());
        }
        Ok(())
    }

    /// COMMENT ON an object or a principal.
    pub fn set_comment(&mut self, id: ObjectId, comment: Option<String>) -> Result<()> {
        use crate::catalog::securable::Principal;
        if let Some(old) = self.snapshot.relation_by_id(id).cloned() {
            self.record(Write::PutRelation(Arc::new(Relation { comment, ..Relation::clone(&old) })));
        } else if let Some(old) = self.snapshot.function_by_id(id).cloned() {
            self.record(Write::PutFunction(Arc::new(Function { comment, ..Function::clone(&old) })));
        } else if let Some(old) = self.snapshot.schema_by_id(id).cloned() {
            self.record(Write::PutSchema(Arc::new(Schema { comment, ..Schema::clone(&old) })));
        } else if let Some(old) = self.snapshot.catalog_by_id(id).cloned() {
            self.record(Write::PutCatalog(Arc::new(Catalog { comment, ..Catalog::clone(&old) })));
        } else if let Some(old) = self.snapshot.storage_credential_by_id(id).cloned() {
            self.record(Write::PutStorageCredential(Arc::new(StorageCredential { comment, ..StorageCredential::clone(&old) })));
        } else if let Some(old) = self.snapshot.external_location_by_id(id).cloned() {
            self.record(Write::PutExternalLocation(Arc::new(ExternalLocation { comment, ..ExternalLocation::clone(&old) })));
        } else if let Some(old) = self.snapshot.principals.get(id).cloned() {
            self.record(Write::PutPrincipal(Arc::new(Principal { comment, ..Principal::clone(&old) })));
        } else {
            return Err(Change::gone());
        }
        Ok(())
    }

    /// COMMENT ON COLUMN.
    ///
    /// # Errors
    /// [`ErrorKind::UndefinedColumn`].
    pub fn set_column_comment(&mut self, id: ObjectId, column: &str, comment: Option<String>) -> Result<()> {
        let mut relation = self.relation(id)?;
        let Some(entry) = relation.columns.iter_mut().find(|entry| entry.name == column) else {
            return Err(undefined_column(column, &relation.name));
        };
        entry.comment = comment;
        self.record(Write::PutRelation(Arc::new(relation)));
        Ok(())
    }

    pub(super) fn relation(&self, id: ObjectId) -> Result<Relation> {
        self.snapshot.relation_by_id(id).map(|relation| Relation::clone(relation)).ok_or_else(Change::gone)
    }

    fn catalog_name_is_free(&self, name: &str) -> Result<()> {
        match self.snapshot.catalog(name) {
            Some(_) => Err(duplicate(SecurableKind::Catalog, name)),
            None => Ok(()),
        }
    }

    fn schema_name_is_free(&self, catalog: ObjectId, name: &str) -> Result<()> {
        match self.snapshot.schema(catalog, name) {
            Some(_) => Err(duplicate(SecurableKind::Schema, name)),
            None => Ok(()),
        }
    }

    fn relation_name_is_free(&self, schema: ObjectId, name: &str) -> Result<()> {
        match self.snapshot.relation(schema, name) {
            Some(_) => Err(duplicate(SecurableKind::Table, name)),
            None => Ok(()),
        }
    }

    fn function_name_is_free(&self, schema: ObjectId, name: &str) -> Result<()> {
        match self.snapshot.function(schema, name) {
            Some(_) => Err(duplicate(SecurableKind::Function, name)),
            None => Ok(()),
        }
    }
}

fn function_of(id: ObjectId, new: NewFunction) -> Function {
    Function {
        id,
        schema: new.schema,
        name: new.name,
        owner: new.owner,
        parameters: new.parameters,
        returns: new.returns,
        body: new.body,
        uses: new.uses,
        comment: new.comment,
    }
}

/// The name is taken.
pub(super) fn duplicate(kind: SecurableKind, name: &str) -> Error {
    let error_kind = match kind {
        SecurableKind::Catalog => ErrorKind::DuplicateCatalog,
        SecurableKind::Schema => ErrorKind::DuplicateSchema,
        SecurableKind::Table | SecurableKind::View => {
            return Error::new(ErrorKind::DuplicateRelation, format!("relation \"{name}\" already exists"));
        }
        SecurableKind::Function => ErrorKind::DuplicateFunction,
        SecurableKind::Metastore | SecurableKind::StorageCredential | SecurableKind::ExternalLocation => ErrorKind::DuplicateObject,
    };
    Error::new(error_kind, format!("{} \"{name}\" already exists", kind.noun()))
}

/// The relation has no such column.
pub(super) fn undefined_column(column: &str, relation: &str) -> Error {
    Error::new(ErrorKind::UndefinedColumn, format!("column \"{column}\" of relation \"{relation}\" does not exist"))
}
