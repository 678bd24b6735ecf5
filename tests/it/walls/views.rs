//! Views and functions that are read with their owner's rights tell their reader what they return and nothing else.
