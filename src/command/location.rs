//! Storage credentials, external locations, and where tables may lie.
//!
//! ```text
//!  external location   URL prefix that an administrator opened; overlaps with no other and with no managed storage
//!  external table      lies under one, and neither above nor below another table
//!  managed storage     the server's root, or a catalog's or schema's own below an external location
//! ```
//! A location has one spelling ([`Location`]). Of local files the real path counts: a symbolic link is resolved before anything is
//! compared, so two names of one directory are one place.

use std::borrow::Cow;
use std::collections::BTreeMap;

use object_store::aws::AmazonS3ConfigKey;
use object_store::azure::AzureConfigKey;
use object_store::gcp::GoogleConfigKey;

use super::ddl::created_or_skipped;
use super::{CommandContext, CommandOutcome};
use crate::catalog::securable::{ExternalLocation, ObjectId};
use crate::catalog::{CatalogSnapshot, url_covers};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::statement::Command;
use crate::storage::{Location, Scheme};

pub(super) async fn create_credential(command: &Command, context: &CommandContext) -> Result<CommandOutcome> {
    let Command::CreateStorageCredential { name, if_not_exists, options, comment } = command else {
        return Err(Error::internal("no CREATE STORAGE CREDENTIAL"));
    };
    context.authorize(command)?;
    let options = checked_options(options.expose())?;
    let created = context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            if *if_not_exists && change.snapshot().storage_credential(name).is_some() {
                return Ok(false);
            }
            change.create_storage_credential(name, context.caller(), options, comment.clone())?;
            Ok(true)
        })
        .await?;
    let text = || format!("storage credential \"{name}\" already exists, skipping");
    Ok(created_or_skipped("CREATE STORAGE CREDENTIAL", created, text))
}

pub(super) async fn create_location(command: &Command, context: &CommandContext) -> Result<CommandOutcome> {
    let Command::CreateExternalLocation { name, if_not_exists, url, credential, comment } = command else {
        return Err(Error::internal("no CREATE EXTERNAL LOCATION"));
    };
    context.authorize(command)?;
    let location = real_location(url)?;
    if location.path().as_ref().is_empty() && location.scheme() == Scheme::File {
        return Err(Error::new(ErrorKind::InvalidParameter, "the root of the file system cannot be an external location"));
    }
    let url = location.to_string();
    refuse_overlap_with_root(&url, context)?;
    let created = context
        .metastore
        .write(|change| {
            context.authorize_in(command, change.snapshot())?;
            if *if_not_exists && change.snapshot().external_location(name).is_some() {
                return Ok(false);
            }
            let credential = match credential {
                Some(credential) => Some(credential_id(credential, change.snapshot(), context)?),
                None => None,
            };
            if credential.is_some() && location.scheme() == Scheme::File {
                return Err(Error::new(ErrorKind::InvalidParameter, "a location of local files takes no storage credential"));
            }
            change.create_external_location(name, context.caller(), &url, credential, comment.clone())?;
            Ok(true)
        })
        .await?;
    let text = || format!("external location \"{name}\" already exists, skipping");
    Ok(created_or_skipped("CREATE EXTERNAL LOCATION", created, text))
}

/// The command with its locations in their one spelling, as external locations are compared with them.
pub(super) fn canonical(command: &Command) -> Result<Cow<'_, Command>> {
    let mut command = Cow::Borrowed(command);
    let text = match command.as_ref() {
        Command::CreateTable(create) => create.location.clone(),
        Command::CreateCatalog { managed_location, .. } | Command::CreateSchema { managed_location, .. } => {
            managed_location.clone()
        }
        _ => None,
    };
    let Some(text) = text else { return Ok(command) };
    let spelling = Some(Location::parse(&text)?.to_string());
    match command.to_mut() {
        Command::CreateTable(create) => create.location = spelling,
        Command::CreateCatalog { managed_location, .. } | Command::CreateSchema { managed_location, .. } => {
            *managed_location = spelling
        }
        _ => {}
    }
    Ok(command)
}

/// Where an external table may lie, and the credential that opens it.
pub(super) fn external_table_location(
    location: &Location,
    snapshot: &CatalogSnapshot,
    context: &CommandContext,
) -> Result<(String, Option<ObjectId>)> {
    let url = location.to_string();
    let covering = covering_location(&url, snapshot, context)?;
    let overlaps = |other: &str| url_covers(other, &url) || url_covers(&url, other);
    refuse_overlap_with_root(&url, context)?;
    let managed_roots = snapshot.catalogs().flat_map(|catalog| {
        catalog
            .managed_location
            .clone()
            .into_iter()
            .chain(snapshot.schemas(catalog.id).filter_map(|schema| schema.managed_location.clone()))
    });
    if managed_roots.into_iter().any(|root| overlaps(&root)) {
        return Err(in_managed_storage());
    }
    let tables = snapshot.all_relations().filter_map(|relation| relation.table());
    if tables.into_iter().any(|table| overlaps(&table.location)) || snapshot.orphans().any(|orphan| overlaps(&orphan.location)) {
        return Err(Error::new(ErrorKind::InvalidObjectDefinition, "the location overlaps with that of another table")
            .with_detail("Two tables over the same files would have two sets of policies."));
    }
    Ok((url, covering.credential))
}

/// MANAGED LOCATION of a catalog or schema: below an external location, away from every table that lies there already.
pub(super) fn managed_location(text: Option<&str>, snapshot: &CatalogSnapshot, context: &CommandContext) -> Result<Option<String>> {
    let Some(text) = text else { return Ok(None) };
    let url = real_location(text)?.to_string();
    covering_location(&url, snapshot, context)?;
    refuse_overlap_with_root(&url, context)?;
    let overlaps = |other: &str| url_covers(other, &url) || url_covers(&url, other);
    let tables = snapshot.all_relations().filter_map(|relation| relation.table());
    if tables.into_iter().any(|table| overlaps(&table.location)) {
        return Err(Error::new(ErrorKind::InvalidObjectDefinition, "the location overlaps with that of a table"));
    }
    Ok(Some(url))
}

/// Root of the managed tables of a schema, and the credential that opens it.
pub(super) fn managed_root(
    schema: ObjectId,
    snapshot: &CatalogSnapshot,
    context: &CommandContext,
) -> Result<(String, Option<ObjectId>)> {
    let schema = snapshot.schema_by_id(schema).ok_or_else(|| Error::internal("a resolved schema is gone"))?;
    let own = schema.managed_location.clone();
    let root = own.or_else(|| snapshot.catalog_by_id(schema.catalog).and_then(|catalog| catalog.managed_location.clone()));
    match root {
        None => Ok((Location::parse(&context.managed_root)?.to_string(), None)),
        Some(root) => {
            let covering = snapshot.external_location_of(&root).ok_or_else(|| {
                Error::new(ErrorKind::UndefinedObject, "the external location of the managed storage is gone")
                    .with_hint("Ask an administrator to create it again.")
            })?;
            Ok((root, covering.credential))
        }
    }
}

/// The canonical place that a text names, symbolic links of local files resolved as far as the path exists.
pub(super) fn real_location(text: &str) -> Result<Location> {
    let location = Location::parse(text)?;
    if location.scheme() != Scheme::File {
        return Ok(location);
    }
    let path = std::path::PathBuf::from(format!("/{}", location.path()));
    let mut missing = Vec::new();
    let mut existing = path.as_path();
    let real = loop {
        match existing.canonicalize() {
            Ok(real) => break real,
            Err(_) => {
                let (Some(name), Some(parent)) = (existing.file_name(), existing.parent()) else { return Ok(location) };
                // A dangling link would be followed once its target is made.
                if existing.symlink_metadata().is_ok() {
                    return Err(Error::new(ErrorKind::InvalidParameter, format!("location \"{text}\" cannot be resolved")));
                }
                missing.push(name.to_os_string());
                existing = parent;
            }
        }
    };
    let real: std::path::PathBuf = std::iter::once(real.into_os_string()).chain(missing.into_iter().rev()).collect();
    let real = real.to_str().ok_or_else(|| Error::new(ErrorKind::InvalidParameter, "the location is not UTF-8"))?;
    Location::parse(real)
}

fn covering_location<'a>(url: &str, snapshot: &'a CatalogSnapshot, context: &CommandContext) -> Result<&'a ExternalLocation> {
    use crate::catalog::privilege::Privilege;
    let covering = snapshot.external_location_of(url);
    let caller = context.caller();
    let allowed = covering.filter(|location| {
        snapshot.holds(caller, Privilege::CreateExternalTable, location.id) || snapshot.manages(caller, location.id)
    });
    allowed.map(AsRef::as_ref).ok_or_else(|| {
        Error::new(ErrorKind::Denied, "permission denied for the location")
            .with_detail("It lies under no external location on which you hold CREATE EXTERNAL TABLE.")
            .with_hint("Ask an administrator for CREATE EXTERNAL LOCATION, or for the privilege.")
    })
}

fn refuse_overlap_with_root(url: &str, context: &CommandContext) -> Result<()> {
    let root = real_location(&context.managed_root)?.to_string();
    if url_covers(&root, url) || url_covers(url, &root) { Err(in_managed_storage()) } else { Ok(()) }
}

fn in_managed_storage() -> Error {
    Error::new(ErrorKind::InvalidObjectDefinition, "the location overlaps with managed storage")
}

fn credential_id(name: &str, snapshot: &CatalogSnapshot, context: &CommandContext) -> Result<ObjectId> {
    let name = crate::sql::statement::Name { parts: vec![name.to_string()], position: None };
    context.names_in(snapshot).securable(&name, crate::catalog::securable::SecurableKind::StorageCredential)
}

/// Options by lower-case key. All keys must be options of one kind of store; values are not looked at and never shown.
fn checked_options(options: &[(String, String)]) -> Result<BTreeMap<String, String>> {
    let mut checked = BTreeMap::new();
    for (key, value) in options {
        let key = key.to_ascii_lowercase();
        if checked.contains_key(&key) {
            return Err(Error::new(ErrorKind::InvalidParameter, format!("option \"{key}\" specified more than once")));
        }
        checked.insert(key, value.clone());
    }
    if checked.is_empty() {
        return Err(Error::new(ErrorKind::InvalidParameter, "a storage credential needs options")
            .with_hint("Write WITH (aws_access_key_id = '..', aws_secret_access_key = '..', region = '..')."));
    }
    let known: [(&str, fn(&str) -> bool); 3] = [
        ("S3", |key| key.parse::<AmazonS3ConfigKey>().is_ok()),
        ("Azure", |key| key.parse::<AzureConfigKey>().is_ok()),
        ("Google Cloud", |key| key.parse::<GoogleConfigKey>().is_ok()),
    ];
    if known.iter().any(|(_, knows)| checked.keys().all(|key| knows(key))) {
        return Ok(checked);
    }
    let unknown = checked.keys().find(|key| !known.iter().any(|(_, knows)| knows(key)));
    Err(match unknown {
        Some(key) => Error::new(ErrorKind::InvalidParameter, format!("unknown option \"{key}\" of a storage credential"))
            .with_hint(
                "Use the keys of object_store: aws_access_key_id, azure_storage_account_name, google_service_account_key, ..",
            ),
        None => Error::new(ErrorKind::InvalidParameter, "the options belong to different kinds of storage"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn options_of_one_kind_of_storage_are_accepted() {
        for pairs in [
            &[("AWS_ACCESS_KEY_ID", "x"), ("aws_secret_access_key", "y"), ("region", "eu-central-1")][..],
            &[("azure_storage_account_name", "x"), ("azure_storage_account_key", "y")],
            &[("google_service_account_key", "{}")],
        ] {
            assert_eq!(checked_options(&options(pairs)).unwrap().len(), pairs.len());
        }
    }

    #[test]
    fn other_options_are_refused_and_values_never_shown() {
        let secret = "t0ps3cret";
        for pairs in [
            &[("aws_acces_key_id", secret)][..],
            &[("aws_access_key_id", secret), ("AWS_ACCESS_KEY_ID", secret)],
            &[("aws_access_key_id", secret), ("azure_storage_account_name", secret)],
            &[],
        ] {
            let error = checked_options(&options(pairs)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidParameter);
            assert!(!format!("{error:?}").contains(secret));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_the_place_it_leads_to() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("data")).unwrap();
        std::os::unix::fs::symlink(real.join("data"), real.join("link")).unwrap();
        let through = |path: &str| real_location(real.join(path).to_str().unwrap()).unwrap();
        assert_eq!(through("link/t"), through("data/t"));
        assert_eq!(through("link"), through("data"));
        assert_ne!(through("other"), through("data"));
        std::os::unix::fs::symlink(real.join("nowhere"), real.join("dangling")).unwrap();
        assert!(real_location(real.join("dangling").to_str().unwrap()).is_err());
    }
}
