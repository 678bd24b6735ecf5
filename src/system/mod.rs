//! Tables about the warehouse.
