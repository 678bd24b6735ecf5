//! Object stores, each rooted at one location.
//!
//! ```text
//!  location text ──▶ Location ──▶ Storage::open ──▶ RootedStore ──▶ base store of (bucket, credential)
//!                    (parsed,      (cached)          (refuses what     (local with fsync | S3 | Azure | GCS,
//!                     canonical)                      is outside)       requests run on the I/O runtime)
//! ```
//! Wrappers are stacked in [`registry`] only. A store belongs to one pair of bucket and credential, so two credentials for one bucket
//! never meet; DataFusion finds a store by a private URL that stands for one opened location, not by scheme and host.
//! There is no way from here to a path that is not below an opened location.

mod local;
pub mod location;
mod options;
mod registry;
mod rooted;

pub use location::{Location, Scheme};
pub use options::StorageOptions;
pub use registry::Storage;
pub use rooted::{RootedStore, is_outside};
