//! The one place where object stores are built and wrapped.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::SpawnedReqwestConnector;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};
use parking_lot::RwLock;
use tokio::runtime::Handle;
use url::Url;

use super::local::LocalFiles;
use super::location::{Location, Scheme};
use super::options::StorageOptions;
use super::rooted::RootedStore;
use crate::error::{Error, ErrorKind, Result};

type Credential = BTreeMap<String, String>;

/// Opens locations. Equal location and credential give the same store; everything else gives another.
pub struct Storage {
    options: StorageOptions,
    io: Handle,
    open: RwLock<OpenStores>,
}

#[derive(Default)]
struct OpenStores {
    /// By kind, bucket and credential.
    bases: HashMap<(Scheme, String, Option<Credential>), Arc<dyn ObjectStore>>,
    /// By place and credential. A few hundred bytes each, kept for the life of the process: plans refer to them by number.
    rooted: HashMap<(Location, Option<Credential>), Arc<RootedStore>>,
    by_url: HashMap<String, Arc<RootedStore>>,
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Storage {
    /// Storage whose requests run on `io`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the options contradict each other.
    pub fn new(options: &StorageOptions, io: Handle) -> Result<Arc<Self>> {
        if options.request_timeout.0.is_zero() || options.connect_timeout.0.is_zero() {
            return Err(Error::new(ErrorKind::Config, "storage timeouts must be longer than zero"));
        }
        Ok(Arc::new(Self { options: options.clone(), io, open: RwLock::default() }))
    }

    /// Opens a location (a URL or a plain absolute path) with a credential; `None` opens local files and public buckets.
    ///
    /// Sends no request: whether the location exists is seen at first use.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] if the location or an option of the credential is malformed.
    pub fn open(&self, location: &str, credential: Option<&BTreeMap<String, String>>) -> Result<Arc<RootedStore>> {
        let location = Location::parse(location)?;
        let key = (location, credential.cloned());
        if let Some(store) = self.open.read().rooted.get(&key) {
            return Ok(Arc::clone(store));
        }
        let mut open = self.open.write();
        if let Some(store) = open.rooted.get(&key) {
            return Ok(Arc::clone(store));
        }
        let base_key = (key.0.scheme(), key.0.bucket().to_string(), key.1.clone());
        let base = match open.bases.get(&base_key) {
            Some(base) => Arc::clone(base),
            None => {
                let base = self.base(&key.0, credential)?;
                open.bases.insert(base_key, Arc::clone(&base));
                base
            }
        };
        let number = u32::try_from(open.rooted.len()).map_err(|_| Error::internal("too many open locations"))?;
        let store = Arc::new(RootedStore::new(base, key.0.clone(), number)?);
        open.by_url.insert(store.engine_url().as_str().to_string(), Arc::clone(&store));
        open.rooted.insert(key, Arc::clone(&store));
        Ok(store)
    }

    /// How query plans find stores: by the private URL of one opened location, and in no other way.
    pub fn object_store_registry(self: &Arc<Self>) -> Arc<dyn ObjectStoreRegistry> {
        Arc::new(OpenedOnly { storage: Arc::clone(self) })
    }

    /// Runtime that requests run on.
    pub fn io(&self) -> &Handle {
        &self.io
    }

    fn base(&self, location: &Location, credential: Option<&Credential>) -> Result<Arc<dyn ObjectStore>> {
        match location.scheme() {
            Scheme::File if credential.is_some() => {
                Err(Error::new(ErrorKind::InvalidParameter, "a location of local files takes no storage credential"))
            }
            Scheme::File => Ok(Arc::new(LocalFiles::new(self.io.clone(), self.options.fsync))),
            Scheme::S3 => self.s3(location, credential),
            Scheme::Azure => self.azure(location, credential),
            Scheme::Gcs => self.gcs(location, credential),
        }
    }

    fn s3(&self, location: &Location, credential: Option<&Credential>) -> Result<Arc<dyn ObjectStore>> {
        let mut builder = AmazonS3Builder::new()
            .with_client_options(self.client())
            .with_retry(self.retry())
            .with_http_connector(SpawnedReqwestConnector::new(self.io.clone()))
            .with_skip_signature(credential.is_none());
        for (key, value) in credential.into_iter().flatten() {
            let key: AmazonS3ConfigKey = option(key)?;
            self.check_client_option(matches!(key, AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp)), value)?;
            builder = builder.with_config(key, value);
        }
        Ok(Arc::new(builder.with_bucket_name(location.bucket()).build().map_err(unusable)?))
    }

    fn azure(&self, location: &Location, credential: Option<&Credential>) -> Result<Arc<dyn ObjectStore>> {
        let mut builder = MicrosoftAzureBuilder::new()
            .with_client_options(self.client())
            .with_retry(self.retry())
            .with_http_connector(SpawnedReqwestConnector::new(self.io.clone()))
            .with_skip_signature(credential.is_none());
        for (key, value) in credential.into_iter().flatten() {
            let key: AzureConfigKey = option(key)?;
            self.check_client_option(matches!(key, AzureConfigKey::Client(ClientConfigKey::AllowHttp)), value)?;
            builder = builder.with_config(key, value);
        }
        builder = match location.bucket().split_once('@') {
            Some((container, account)) => builder.with_container_name(container).with_account(account),
            None => builder.with_container_name(location.bucket()),
        };
        Ok(Arc::new(builder.build().map_err(unusable)?))
    }

    fn gcs(&self, location: &Location, credential: Option<&Credential>) -> Result<Arc<dyn ObjectStore>> {
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_client_options(self.client())
            .with_retry(self.retry())
            .with_http_connector(SpawnedReqwestConnector::new(self.io.clone()))
            .with_skip_signature(credential.is_none());
        for (key, value) in credential.into_iter().flatten() {
            let key: GoogleConfigKey = option(key)?;
            self.check_client_option(matches!(key, GoogleConfigKey::Client(ClientConfigKey::AllowHttp)), value)?;
            builder = builder.with_config(key, value);
        }
        Ok(Arc::new(builder.with_bucket_name(location.bucket()).build().map_err(unusable)?))
    }

    fn client(&self) -> ClientOptions {
        ClientOptions::new().with_timeout(self.options.request_timeout.0).with_connect_timeout(self.options.connect_timeout.0)
    }

    fn retry(&self) -> RetryConfig {
        RetryConfig { max_retries: self.options.max_retries, retry_timeout: self.options.retry_timeout.0, ..RetryConfig::default() }
    }

    fn check_client_option(&self, allow_http: bool, value: &str) -> Result<()> {
        if allow_http && value.eq_ignore_ascii_case("true") && !self.options.allow_http {
            return Err(Error::new(ErrorKind::InvalidParameter, "unencrypted HTTP to object storage is not allowed")
                .with_hint("Set storage.allow_http in the server's configuration."));
        }
        Ok(())
    }
}

fn option<K: FromStr>(key: &str) -> Result<K> {
    key.parse().map_err(|_| Error::new(ErrorKind::InvalidParameter, format!("unknown option \"{key}\" of a storage credential")))
}

fn unusable(error: object_store::Error) -> Error {
    Error::new(ErrorKind::InvalidParameter, "the options of the storage credential do not open the location").with_source(error)
}

/// DataFusion's view of [`Storage`]: it can look up what was opened, and register nothing.
#[derive(Debug)]
struct OpenedOnly {
    storage: Arc<Storage>,
}

impl ObjectStoreRegistry for OpenedOnly {
    fn register_store(&self, _url: &Url, _store: Arc<dyn ObjectStore>) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> datafusion::error::Result<Arc<dyn ObjectStore>> {
        let host = url.host_str().unwrap_or_default();
        match self.storage.open.read().by_url.get(&format!("{}://{host}/", url.scheme())) {
            Some(store) => Ok(Arc::clone(store) as Arc<dyn ObjectStore>),
            None => Err(DataFusionError::Internal(format!("no store was opened as {}://{host}", url.scheme()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage() -> Arc<Storage> {
        Storage::new(&StorageOptions::default(), Handle::current()).unwrap()
    }

    fn credential(entries: &[(&str, &str)]) -> Credential {
        entries.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[tokio::test]
    async fn two_credentials_in_one_bucket_never_meet() {
        let storage = storage();
        let alice = credential(&[("access_key_id", "alice"), ("secret_access_key", "x"), ("region", "eu-central-1")]);
        let bob = credential(&[("access_key_id", "bob"), ("secret_access_key", "y"), ("region", "eu-central-1")]);
        let first = storage.open("s3://bucket/t", Some(&alice)).unwrap();
        let second = storage.open("s3://bucket/t", Some(&bob)).unwrap();
        let again = storage.open("s3a://bucket/t/", Some(&alice)).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_ne!(first.engine_url(), second.engine_url());
        let registry = storage.object_store_registry();
        for store in [&first, &second] {
            let url: &Url = store.engine_url().as_ref();
            assert_eq!(registry.get_store(url).unwrap().to_string(), store.to_string());
        }
        assert_eq!(storage.open.read().bases.len(), 2);
    }

    #[tokio::test]
    async fn plans_reach_opened_locations_only() {
        let registry = storage().object_store_registry();
        for url in ["file:///etc/passwd", "s3://bucket/t", "lakehold://store-0/"] {
            assert!(registry.get_store(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn faults_in_a_credential_are_named() {
        let storage = storage();
        let error = storage.open("s3://bucket/t", Some(&credential(&[("acess_key", "x")]))).unwrap_err();
        assert!(error.message().contains("acess_key"), "{error}");
        assert!(storage.open("s3://bucket/t", Some(&credential(&[("allow_http", "true")]))).is_err());
        assert!(storage.open("file:///data", Some(&credential(&[]))).is_err());
    }
}
