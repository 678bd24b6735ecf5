//! Functions with effects in text that somebody else stored.
