//! Statements that change the warehouse.
