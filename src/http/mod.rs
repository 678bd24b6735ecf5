//! Door: HTTP.
