//! Names that look like internal ones, and arguments of functions that have their owner's rights.
