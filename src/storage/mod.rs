//! Object stores, each rooted at one location.
