//! Locations: the one spelling of a place in object storage.
//!
//! Two texts name the same place exactly when their [`Location`]s are equal, and containment is decided on path-segment borders of that
//! one spelling. A text with a second reading (`..`, `.`, `//`, an encoded `%2e`, a query, a user name) is refused, not repaired.

use std::fmt;

use object_store::path::Path;
use percent_encoding::percent_decode_str;
use url::Url;

use crate::error::{Error, ErrorKind, Result};

/// The kinds of object storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// Files of this machine: `file:///data/t` or a plain absolute path.
    File,
    /// Amazon S3 and servers that speak its protocol: `s3://bucket/t`; `s3a://` and `s3n://` are other spellings.
    S3,
    /// Azure Data Lake and Blob Storage: `abfss://container@account.dfs.core.windows.net/t` or `az://container/t`.
    Azure,
    /// Google Cloud Storage: `gs://bucket/t`.
    Gcs,
}

/// A place in object storage in its canonical spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    scheme: Scheme,
    /// Bucket, or for Azure `container` or `container@account`; empty for files.
    bucket: String,
    path: Path,
}

impl Location {
    /// Reads a URL or a plain absolute path.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`] if the text is no location, or has a part with a second reading.
    pub fn parse(text: &str) -> Result<Location> {
        let refuse = |why: &str| {
            Err(Error::new(ErrorKind::InvalidParameter, format!("invalid location \"{text}\""))
                .with_detail(why.to_string())
                .with_hint("Write file:///path, s3://bucket/path, abfss://container@account.dfs.core.windows.net/path or gs://bucket/path."))
        };
        if text.bytes().any(|byte| byte < 0x20 || byte == 0x7f) {
            return refuse("It contains a control character.");
        }
        if text.contains('\\') {
            return refuse("It contains a backslash.");
        }
        if text.starts_with('/') {
            return match segments(text, false) {
                Ok(path) => Ok(Location { scheme: Scheme::File, bucket: String::new(), path }),
                Err(why) => refuse(why),
            };
        }
        let Some((scheme, rest)) = text.split_once("://") else { return refuse("It has no scheme and is no absolute path.") };
        if rest.contains(['?', '#']) {
            return refuse("It contains a query or a fragment.");
        }
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "file" => Scheme::File,
            "s3" | "s3a" | "s3n" => Scheme::S3,
            "az" | "abfs" | "abfss" => Scheme::Azure,
            "gs" => Scheme::Gcs,
            _ => return refuse("Its scheme is not one of file, s3, s3a, az, abfss and gs."),
        };
        let bucket = match bucket(scheme, authority) {
            Ok(bucket) => bucket,
            Err(why) => return refuse(why),
        };
        match segments(path, true) {
            Ok(path) => Ok(Location { scheme, bucket, path }),
            Err(why) => refuse(why),
        }
    }

    /// Kind of storage.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Bucket (Azure: `container` or `container@account`); empty for files.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// Path inside the bucket, decoded, without a leading slash.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// True if `other` is this place or lies below it.
    pub fn contains(&self, other: &Location) -> bool {
        self.scheme == other.scheme && self.bucket == other.bucket && other.path.prefix_matches(&self.path)
    }

    /// The place `relative` below this one.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn join(&self, relative: &str) -> Result<Location> {
        match segments(relative, false) {
            Ok(below) => Ok(Location { path: self.path.parts().chain(below.parts()).collect(), ..self.clone() }),
            Err(why) => Err(Error::new(ErrorKind::InvalidParameter, format!("invalid path \"{relative}\"")).with_detail(why)),
        }
    }

    /// The place as a URL that ends in a slash, as the Delta kernel wants a table's root.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`]: a parsed location always has a URL.
    pub fn url(&self) -> Result<Url> {
        let mut text = self.to_string();
        if !text.ends_with('/') {
            text.push('/');
        }
        Url::parse(&text).map_err(|error| Error::internal(format!("location {text} has no URL: {error}")))
    }
}

/// Canonical URL without a trailing slash.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.scheme, self.bucket.split_once('@')) {
            (Scheme::File, _) => f.write_str("file://")?,
            (Scheme::S3, _) => write!(f, "s3://{}", self.bucket)?,
            (Scheme::Azure, Some((container, account))) => write!(f, "abfss://{container}@{account}.dfs.core.windows.net")?,
            (Scheme::Azure, None) => write!(f, "az://{}", self.bucket)?,
            (Scheme::Gcs, _) => write!(f, "gs://{}", self.bucket)?,
        }
        for part in self.path.parts() {
            write!(f, "/{}", percent_encoding::utf8_percent_encode(part.as_ref(), ESCAPED))?;
        }
        Ok(())
    }
}

/// Characters of a path segment that a URL must escape.
const ESCAPED: &percent_encoding::AsciiSet = &percent_encoding::CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

fn bucket(scheme: Scheme, authority: &str) -> Result<String, &'static str> {
    let named = |name: &str| {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
        if name.is_empty() {
            Err("It names no bucket.")
        } else if plain {
            Ok(name.to_string())
        } else {
            Err("Its bucket name is malformed.")
        }
    };
    match scheme {
        Scheme::File if authority.is_empty() || authority == "localhost" => Ok(String::new()),
        Scheme::File => Err("A file location names no host; write three slashes."),
        Scheme::S3 | Scheme::Gcs => named(authority),
        Scheme::Azure => match authority.split_once('@') {
            None => named(authority),
            Some((container, host)) => {
                let account = host
                    .strip_suffix(".dfs.core.windows.net")
                    .or_else(|| host.strip_suffix(".blob.core.windows.net"))
                    .ok_or("Its host is not account.dfs.core.windows.net.")?;
                Ok(format!("{}@{}", named(container)?, named(account)?))
            }
        },
    }
}

/// Splits a path, refusing every segment with a second reading. `encoded`: the text is part of a URL.
fn segments(path: &str, encoded: bool) -> Result<Path, &'static str> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    if inner.is_empty() {
        return Ok(Path::default());
    }
    let mut decoded = Vec::new();
    for segment in inner.split('/') {
        let segment = if encoded {
            percent_decode_str(segment).decode_utf8().map_err(|_| "It is not UTF-8.")?.into_owned()
        } else {
            segment.to_string()
        };
        match segment.as_str() {
            "" => return Err("It contains an empty path segment."),
            "." | ".." => return Err("It contains a \".\" or \"..\" path segment."),
            other if other.contains('/') || other.contains('\\') => return Err("It contains an encoded slash."),
            other if other.contains('\0') => return Err("It contains a NUL byte."),
            other if percent_decode_str(other).decode_utf8().is_ok_and(|twice| matches!(twice.as_ref(), "." | "..")) => {
                return Err("It contains an encoded \".\" or \"..\" path segment.");
            }
            _ => decoded.push(segment),
        }
    }
    Path::parse(decoded.join("/")).map_err(|_| "It contains a character that object storage does not accept.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_place_is_one_location() {
        for (text, canonical) in [
            ("/data/t", "file:///data/t"),
            ("/data/t/", "file:///data/t"),
            ("file:///data/t", "file:///data/t"),
            ("file://localhost/data/t/", "file:///data/t"),
            ("FILE:///data/my%20table", "file:///data/my%20table"),
            ("/data/my table", "file:///data/my%20table"),
            ("s3://bucket/a/b/", "s3://bucket/a/b"),
            ("s3a://bucket/a/b", "s3://bucket/a/b"),
            ("s3://bucket", "s3://bucket"),
            ("abfss://c@acc.dfs.core.windows.net/t", "abfss://c@acc.dfs.core.windows.net/t"),
            ("az://c/t", "az://c/t"),
            ("gs://b/t", "gs://b/t"),
        ] {
            assert_eq!(Location::parse(text).unwrap().to_string(), canonical, "{text}");
            assert_eq!(Location::parse(canonical).unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn a_text_with_a_second_reading_is_refused() {
        for text in [
            "",
            "data/t",
            "file://host/data",
            "/data/../etc",
            "/data/./t",
            "/data//t",
            "file:///data/%2e%2e/etc",
            "file:///data/%2E%2E/etc",
            "file:///data/.%2e/etc",
            "file:///data/%252e%252e/etc",
            "file:///data/a%2fb",
            "file:///data/t?x=1",
            "file:///data/t#x",
            "s3://",
            "s3:///t",
            "s3://user@bucket/t",
            "s3://bucket:80/t",
            "http://host/t",
            "ftp://host/t",
            "memory:///t",
            "c:\\data",
            "/data\\..\\etc",
            "/data/\0",
            "/data/\nx",
            "abfss://c@evil.example/t",
        ] {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn containment_ends_on_segment_borders() {
        let contains = |outer: &str, inner: &str| Location::parse(outer).unwrap().contains(&Location::parse(inner).unwrap());
        assert!(contains("/data", "/data"));
        assert!(contains("/data", "/data/t"));
        assert!(contains("s3://b", "s3://b/t"));
        assert!(!contains("/data", "/database"));
        assert!(!contains("/data/t", "/data"));
        assert!(!contains("s3://b/t", "s3://c/t"));
        assert!(!contains("s3://b/t", "gs://b/t"));
    }
}
