//! Columns that go, come or change their name: masks follow the column itself.
