//! Which casts there are, and which of them are more than another look at the same values.
//!
//! ```text
//!  pg_cast, the string types ── castable ──▶ 42846, or
//!       same representation  ─▶ only the SQL type changes
//!       wider number         ─▶ the engine's CAST, through which it can prune
//!       anything else        ─▶ functions::conversion: PostgreSQL's texts, ranges and errors
//! ```

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use datafusion::common::ScalarValue;
use datafusion::logical_expr::Expr;

use super::Binder;
use super::coerce::cannot_cast;
use super::typed::Typed;
use crate::error::Result;
use crate::functions::builtin::static_rows;
use crate::functions::conversion::conversion;
use crate::types::convert::is_text;
use crate::types::input::Failure;
use crate::types::{Form, SqlType};

/// Source and target of each row of `pg_cast`.
static CASTS: LazyLock<HashSet<(u32, u32)>> = LazyLock::new(|| {
    let oid = |row: &[&str], column: usize| row.get(column).and_then(|text| text.parse().ok()).unwrap_or(0);
    static_rows("pg_cast").iter().map(|row| (oid(row, 1), oid(row, 2))).collect()
});

/// The types of PostgreSQL's string category, to and from which there is a cast of every type, by its text.
fn is_string(sql_type: &SqlType) -> bool {
    matches!(sql_type, SqlType::Text | SqlType::Varchar(_) | SqlType::Bpchar(_) | SqlType::Name | SqlType::Unknown)
}

/// Whether an explicit cast from one type to the other exists.
pub(super) fn castable(from: &SqlType, to: &SqlType) -> bool {
    if matches!(from, SqlType::Void) || matches!(to, SqlType::Void) {
        return from == to;
    }
    if let (SqlType::Array(from), SqlType::Array(to)) = (from, to) {
        return castable(from, to);
    }
    match (from, to) {
        (SqlType::Int2Vector, SqlType::Array(element)) => return castable(&SqlType::Int2, element),
        (SqlType::OidVector, SqlType::Array(element)) => return castable(&SqlType::Oid, element),
        _ => {}
    }
    from.oid() == to.oid() || is_string(from) || is_string(to) || CASTS.contains(&(from.oid(), to.oid()))
}

/// Whether the values are the same and only their type has another name.
fn only_renames(value: &Typed, to: &SqlType) -> bool {
    match (&value.sql_type, to) {
        (SqlType::Bpchar(_), SqlType::Bpchar(None)) => true,
        (SqlType::Varchar(Some(short)), SqlType::Varchar(Some(long)))
        | (SqlType::Bpchar(Some(short)), SqlType::Bpchar(Some(long))) => short <= long,
        (SqlType::Bpchar(_) | SqlType::Char, _) => false,
        (from, SqlType::Text | SqlType::Varchar(None) | SqlType::Bpchar(None) | SqlType::NodeTree | SqlType::AclItem) => {
            is_text(from) || value.data_type.is_string() && matches!(from, SqlType::Json | SqlType::Jsonb | SqlType::Uuid)
        }
        (SqlType::Array(from), SqlType::Array(to)) => {
            matches!((from.as_ref(), to.as_ref()), (SqlType::Text | SqlType::Varchar(_), SqlType::Text | SqlType::Varchar(None)))
                && value.data_type == SqlType::Array(from.clone()).arrow_type()
                && SqlType::Array(from.clone()).arrow_type() == SqlType::Array(to.clone()).arrow_type()
        }
        (from, to) => {
            let same = value.data_type == to.arrow_type() && !is_text(to) && !is_text(from) && !value.data_type.is_string();
            same && !matches!(
                (from, to),
                (SqlType::Timestamp | SqlType::Timestamptz | SqlType::Date, _) | (SqlType::Numeric { .. }, _)
            )
        }
    }
}

/// Whether every value stays what it is in a wider type. Numerics are numbers of the engine as well.
fn widens(from: &SqlType, to: &SqlType) -> bool {
    let rank = |number: &SqlType| match number {
        SqlType::Int2 => Some(1),
        SqlType::Int4 => Some(2),
        SqlType::Oid | SqlType::Reg(_) => Some(3),
        SqlType::Int8 => Some(4),
        SqlType::Numeric { .. } => Some(5),
        SqlType::Float4 => Some(6),
        SqlType::Float8 => Some(7),
        _ => None,
    };
    let is_numeric = |number: &SqlType| matches!(number, SqlType::Numeric { .. });
    let is_exact = !matches!(from, SqlType::Float4 | SqlType::Float8);
    match (rank(from), rank(to)) {
        // Arrow divides by a power of ten, which is exact for the digits that a double holds.
        _ if matches!((from, to), (SqlType::Numeric { precision: 16.., .. }, SqlType::Float8)) => false,
        (Some(3), Some(to)) => to >= 4,
        (Some(_), Some(3)) => false,
        (Some(low), Some(high)) => low <= high || is_exact && is_numeric(to),
        _ => false,
    }
}

impl Binder<'_> {
    /// The form in which a literal of the type is read. Stored text means the same whoever uses it, so the defaults hold there, in UTC.
    pub(super) fn literal_form(&self, sql_type: &SqlType) -> Arc<Form> {
        let form = self.context().form_for([sql_type]);
        if !self.stored() || *form == Form::default() {
            return form;
        }
        Arc::new(Form { now: form.now, object_names: form.object_names.clone(), ..Form::default() })
    }

    /// `value` as `target`, where only the types are still to be looked at.
    pub(super) fn converted(&self, value: Typed, target: &SqlType) -> Result<Typed> {
        if !castable(&value.sql_type, target) {
            return Err(cannot_cast(&value.sql_type, target));
        }
        if only_renames(&value, target) {
            return Ok(value.retyped(target.clone()));
        }
        if widens(&value.sql_type, target) {
            return Ok(super::coerce::plain_cast(value, target));
        }
        let expr = self.conversion_of(&value, target, Failure::Error);
        Ok(Typed::new(expr, target.clone(), value.nullable))
    }

    /// `TRY_CAST`: NULL instead of an error.
    pub(super) fn tried(&self, value: Typed, target: &SqlType) -> Result<Typed> {
        let value = if value.is_unknown() { Typed { sql_type: SqlType::Text, ..value } } else { value };
        if !castable(&value.sql_type, target) {
            return Err(cannot_cast(&value.sql_type, target));
        }
        if only_renames(&value, target) || value.sql_type == *target {
            return Ok(value.retyped(target.clone()));
        }
        if widens(&value.sql_type, target) {
            return Ok(super::coerce::try_cast(value, target));
        }
        Ok(Typed::new(self.conversion_of(&value, target, Failure::Null), target.clone(), true))
    }

    /// A `char(n)` as text with the spaces up to its length, which patterns and sizes see.
    pub(super) fn padded(&self, value: Typed) -> Result<Typed> {
        let SqlType::Bpchar(Some(length)) = value.sql_type else { return self.text(value) };
        let text = self.cast(value, &SqlType::Text)?;
        let length = Typed::constant(ScalarValue::Int32(Some(i32::try_from(length).unwrap_or(i32::MAX))), SqlType::Int4);
        self.call_builtin("rpad", vec![text, length])
    }

    fn conversion_of(&self, value: &Typed, target: &SqlType, failure: Failure) -> Expr {
        let form = self.context().form_for([&value.sql_type, target]);
        if is_text(&value.sql_type) && form.now.is_some() {
            // A text may be `now`.
            self.world.shared.borrow_mut().of_the_moment = true;
        }
        conversion(value.expr.clone(), &value.sql_type, target, &form, failure)
    }
}
