//! Arrow to PostgreSQL bytes.
