//! Columns that can be named but are not part of `*`, nor of `pg_attribute`.
//!
//! - `tableoid`, `xmin` and `xmax`, for which catalog browsers ask. They are constants: rows of a snapshot are all equally old.
//! - Names that older versions of PostgreSQL had for columns of the system catalogs, for clients that take the server for one of these.
//!
//! Absent: `ctid` (rows have no address), `cmin` and `cmax`, and the constants of a relation without NOT NULL columns behind an outer
//! join, where nothing tells whether there is a row.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Case, Expr};

use super::range::{Presence, Range};
use super::typed::{Output, Typed};
use crate::system::SystemRelation;
use crate::types::SqlType;

/// PostgreSQL's `FrozenTransactionId`: older than every snapshot.
const FROZEN: u32 = 2;

/// Relation, older name, name.
const RENAMED: [(&str, &str, &str); 2] =
    [("pg_database", "daticulocale", "datlocale"), ("pg_collation", "colliculocale", "colllocale")];

/// The system columns of the relation with this OID.
pub(super) fn system_columns(oid: u32) -> Vec<Output> {
    let constant = |name: &str, value: u32, sql_type: SqlType| Output {
        name: name.to_string(),
        value: Typed::constant(ScalarValue::UInt32(Some(value)), sql_type),
    };
    vec![constant("tableoid", oid, SqlType::Oid), constant("xmin", FROZEN, SqlType::Xid), constant("xmax", 0, SqlType::Xid)]
}

/// Older names of columns of `relation`.
pub(super) fn renamed_columns(relation: &SystemRelation, columns: &[Output]) -> Vec<Output> {
    let of_relation = RENAMED.iter().filter(|(name, _, _)| *name == relation.name());
    let found = of_relation.filter_map(|(_, older, name)| {
        let column = columns.iter().find(|column| column.name == *name)?;
        Some(Output { name: (*older).to_string(), value: column.value.clone() })
    });
    found.collect()
}

/// Adds hidden columns to the only table of `range`.
pub(super) fn hide(range: &mut Range, columns: Vec<Output>) {
    if let [table] = range.tables.as_mut_slice() {
        table.hidden.extend(columns);
    }
}

/// A constant must be NULL where its row is missing; without a column that tells, it cannot be named any more.
pub(super) fn make_optional(hidden: &mut Vec<Output>, presence: &Presence) {
    hidden.retain_mut(|column| {
        column.value.nullable = true;
        let (constant, Expr::Literal(..)) = (column.value.expr.clone(), &column.value.expr) else { return true };
        let Presence::Unless(witness) = presence else { return false };
        let present = Expr::IsNotNull(Box::new(witness.clone()));
        column.value.expr = Expr::Case(Case::new(None, vec![(Box::new(present), Box::new(constant))], None));
        true
    });
}
