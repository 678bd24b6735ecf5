//! Which expressions can fail on a value.
//!
//! A list of what cannot: whatever is not on it is guarded (`guards`) and stays above the filter that it was written over (`volatile`), which costs
//! little where it is wrong. It decides about nothing that anybody may see: that is `governance::leakproof`, which trusts far less.
//!
//! Sums and products of decimals count as such that cannot fail, although one beyond all digits does: TPC-H is full of them. A subquery is run before
//! the rows that ask for it, so no guard could help.

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use datafusion::physical_expr::ScalarFunctionExpr;
use datafusion::physical_plan::PhysicalExpr;

use super::checked_arithmetic::Checked;
use super::opaque_casts::Conversion;
use crate::functions::conversion;

/// Functions that have a result for every value of their arguments.
const STEADY: [&str; 68] = [
    "array_has",
    "array_length",
    "array_ndims",
    "array_position",
    "array_to_string",
    "ascii",
    "bit_length",
    "bounded",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "coalesce",
    "concat",
    "concat_ws",
    super::identity::NAME,
    "current_date",
    "date_part",
    "ends_with",
    "endswith",
    "equal_key",
    "extract",
    "floor",
    "get_field",
    "greatest",
    "if",
    "initcap",
    "isfinite",
    "json_array_element",
    "json_array_element_text",
    "json_extract_path",
    "json_extract_path_text",
    "json_object_field",
    "json_object_field_text",
    "key",
    "least",
    "left",
    "length",
    "list_has",
    "lower",
    "ltrim",
    "make_array",
    "md5",
    "named_struct",
    "now",
    "nullif",
    "num_nonnulls",
    "num_nulls",
    "nvl2",
    "octet_length",
    "reverse",
    "right",
    "rint",
    "round",
    "rtrim",
    "same",
    "sign",
    "split_part",
    "starts_with",
    "strpos",
    "struct",
    "text",
    "to_local_time",
    "translate",
    "trunc",
    "upper",
];

/// Functions that have a result for every value of their first argument, if the others are constants.
const STEADY_OVER_CONSTANTS: [&str; 6] = ["at_zone", "date_trunc", "substr", "substring", "to_char", "regexp_like"];

/// Whether evaluating the expression can fail.
pub(super) fn fails(expr: &Expr) -> Result<bool> {
    let mut found = false;
    expr.apply(|node| {
        found = fails_itself(node);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

fn fails_itself(node: &Expr) -> bool {
    match node {
        Expr::ScalarFunction(call) => call_fails(call),
        Expr::BinaryExpr(BinaryExpr { op, right, .. }) => match op {
            Operator::Divide | Operator::Modulo => !is_literal(right),
            Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch => !is_literal(right),
            _ => false,
        },
        Expr::Like(like) => !is_literal(&like.pattern),
        // Those that remain cast structs and lists, or keep every value.
        Expr::Cast(cast) => cast.field.data_type().is_nested(),
        Expr::Negative(_) | Expr::SimilarTo(_) | Expr::HigherOrderFunction(_) => true,
        _ => false,
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..))
}

fn call_fails(call: &ScalarFunction) -> bool {
    let function = call.func.inner();
    if let Some(checked) = function.downcast_ref::<Checked>() {
        return call.args.get(1).is_none_or(|right| checked.fails(right));
    }
    if let Some(conversion) = function.downcast_ref::<Conversion>() {
        return conversion.fails();
    }
    if let Some(fails) = conversion::fails(&call.func) {
        return fails;
    }
    let name = call.func.name();
    let constants = || call.args.iter().skip(1).all(is_literal) || call.args.iter().rev().skip(1).all(is_literal);
    !(STEADY.contains(&name) || STEADY_OVER_CONSTANTS.contains(&name) && constants() && no_negative(&call.args))
}

/// A negative number of characters is refused.
fn no_negative(args: &[Expr]) -> bool {
    let negative = |arg: &Expr| match arg {
        Expr::Literal(ScalarValue::Int32(Some(number)), _) => *number < 0,
        Expr::Literal(ScalarValue::Int64(Some(number)), _) => *number < 0,
        _ => false,
    };
    !args.iter().any(negative)
}

/// The same for what is planned already, where any function of the second kind may fail.
pub(super) fn fails_when_run(expr: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    expr.exists(|node| {
        Ok(node.downcast_ref::<ScalarFunctionExpr>().is_some_and(|call| {
            if let Some(conversion) = call.fun().inner().downcast_ref::<Conversion>() {
                return conversion.fails();
            }
            if let Some(fails) = conversion::fails(call.fun()) {
                return fails;
            }
            let name = call.fun().name();
            !STEADY.contains(&name) && !STEADY_OVER_CONSTANTS.contains(&name)
        }))
    })
}
