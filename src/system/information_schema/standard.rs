//! What the SQL standard wants to know of an implementation.

use crate::error::Result;
use crate::functions::builtin::data_lines;
use crate::system::context::SystemContext;
use crate::system::rows::Rows;
use crate::system::{Source, visible};

pub(super) const SOURCES: &[(&str, Source)] = &[
    ("character_sets", character_sets),
    ("collations", collations),
    ("collation_character_set_applicability", applicability),
    ("sql_implementation_info", implementation),
    ("sql_parts", parts),
    ("sql_sizing", sizing),
];

fn character_sets(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    let catalog = visible::catalog_name(context);
    rows.row()
        .set("character_set_name", "UTF8")
        .set("character_repertoire", "UCS")
        .set("form_of_use", "UTF8")
        .set("default_collate_catalog", catalog)
        .set("default_collate_schema", "pg_catalog")
        .set("default_collate_name", "C");
    Ok(())
}

const COLLATIONS: [&str; 3] = ["C", "POSIX", "ucs_basic"];

fn collations(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for name in COLLATIONS {
        rows.row()
            .set("collation_catalog", visible::catalog_name(context))
            .set("collation_schema", "pg_catalog")
            .set("collation_name", name)
            .set("pad_attribute", "NO PAD");
    }
    Ok(())
}

fn applicability(context: &SystemContext, rows: &mut Rows) -> Result<()> {
    for name in COLLATIONS {
        rows.row()
            .set("collation_catalog", visible::catalog_name(context))
            .set("collation_schema", "pg_catalog")
            .set("collation_name", name)
            .set("character_set_name", "UTF8");
    }
    Ok(())
}

fn from_file(text: &'static str, rows: &mut Rows) -> Result<()> {
    data_lines(text).try_for_each(|line| rows.push_text(&line))
}

fn implementation(_context: &SystemContext, rows: &mut Rows) -> Result<()> {
    from_file(include_str!("../../functions/postgresql17/sql_implementation_info.tsv"), rows)
}

fn parts(_context: &SystemContext, rows: &mut Rows) -> Result<()> {
    from_file(include_str!("../../functions/postgresql17/sql_parts.tsv"), rows)
}

fn sizing(_context: &SystemContext, rows: &mut Rows) -> Result<()> {
    from_file(include_str!("../../functions/postgresql17/sql_sizing.tsv"), rows)
}
