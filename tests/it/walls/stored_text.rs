//! Views and functions mean what their author wrote, whatever stands in their quotes.
