//! Policies that their subject could steer.
