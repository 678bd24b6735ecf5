//! Which policies bind a caller, and whether anything is left of them.
//!
//! A policy arrives bound for the session: its functions are inlined and its identity functions are literals. So a filter such as
//! `is_member('hr') OR region = 'emea'` is `true OR ..` for one caller and `region = 'emea'` for another. What is constantly true, or the
//! column itself, restricts nothing and costs nothing: the raw provider is handed out. Owners and administrators are not exempt.

use std::collections::BTreeMap;

use datafusion::common::{Column, DFSchema, ScalarValue, TableReference};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;

use crate::sql::source::BoundPolicies;

/// Drops what restricts nothing. `qualifier` is the scan that the policies are bound to, `schema` its columns.
pub(super) fn effective(policies: BoundPolicies, schema: &DFSchema, qualifier: &TableReference) -> BoundPolicies {
    let context = SimplifyContext::builder().with_schema(std::sync::Arc::new(schema.clone())).build();
    let simplifier = ExprSimplifier::new(context);
    // A policy that cannot be simplified stays as it is: it binds.
    let simplify = |expr: Expr| simplifier.simplify(expr.clone()).unwrap_or(expr);
    let row_filter = policies.row_filter.map(simplify).filter(|filter| !is_true(filter));
    let masks: BTreeMap<String, Expr> = policies
        .masks
        .into_iter()
        .map(|(column, mask)| (column, simplify(mask)))
        .filter(|(column, mask)| !is_column(mask, column, qualifier))
        .collect();
    BoundPolicies { row_filter, masks }
}

fn is_true(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Boolean(Some(true)), _))
}

fn is_column(expr: &Expr, name: &str, qualifier: &TableReference) -> bool {
    match expr {
        Expr::Column(Column { relation: Some(relation), name: column, .. }) => relation == qualifier && column == name,
        Expr::Alias(alias) => is_column(&alias.expr, name, qualifier),
        _other => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::prelude::*;

    use super::*;

    fn run(row_filter: Option<Expr>, mask: Option<Expr>) -> BoundPolicies {
        let qualifier = TableReference::bare("raw");
        let schema = Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("ssn", DataType::Utf8, true)]);
        let schema = DFSchema::try_from_qualified_schema(qualifier.clone(), &schema).unwrap();
        let masks = mask.into_iter().map(|mask| ("ssn".to_string(), mask)).collect();
        effective(BoundPolicies { row_filter, masks }, &schema, &qualifier)
    }

    #[test]
    fn constant_policies_vanish_and_others_stay() {
        assert!(run(Some(lit(true).or(col("raw.id").lt(lit(5_i64)))), None).is_empty());
        assert!(run(None, Some(when(lit(true), col("raw.ssn")).otherwise(lit("*")).unwrap())).is_empty());
        assert!(!run(Some(lit(false)), None).is_empty());
        assert!(!run(Some(lit(ScalarValue::Boolean(None))), None).is_empty());
        assert!(!run(Some(lit(false).or(col("raw.id").lt(lit(5_i64)))), None).is_empty());
        assert!(!run(None, Some(when(lit(false), col("raw.ssn")).otherwise(lit("*")).unwrap())).is_empty());
    }
}
