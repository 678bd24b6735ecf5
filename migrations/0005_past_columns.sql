-- Columns that a table had, with the masks that were in force when they went: older versions have them still. NULL for none.
-- The columns of a relation (JSON in relation.columns) have a physical_name from here on.

ALTER TABLE relation ADD COLUMN past_columns TEXT;
