//! Window frames.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{SortExpr, WindowFrame};
use datafusion::sql::sqlparser::ast::{self, Spanned, WindowFrameBound};

use super::Binder;
use super::coerce::{Family, family};
use super::error::at;
use super::expression::{Clause, Place, unnested};
use super::range::{Environment, Range};
use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;

impl Binder<'_> {
    /// The frame of a window that is ordered by `order_by`.
    ///
    /// # Errors
    /// 42P20 for bounds in the wrong order, 22013 for offsets below zero, 42P10 for offsets that are not constant.
    pub(super) fn frame(
        &self,
        frame: Option<&ast::WindowFrame>,
        order_by: &mut Vec<SortExpr>,
        key: Option<&SqlType>,
    ) -> Result<WindowFrame> {
        let Some(frame) = frame else { return Ok(WindowFrame::new((!order_by.is_empty()).then_some(false))) };
        check_bounds(&frame.start_bound, frame.end_bound.as_ref())?;
        let has_offset =
            |bound: &WindowFrameBound| matches!(bound, WindowFrameBound::Preceding(Some(_)) | WindowFrameBound::Following(Some(_)));
        let offsets = has_offset(&frame.start_bound) || frame.end_bound.as_ref().is_some_and(has_offset);
        if let (ast::WindowFrameUnits::Range, true, Some(key)) = (frame.units, offsets, key)
            && !has_distances(key)
        {
            let message = format!("RANGE with offset PRECEDING/FOLLOWING is not supported for column type {}", key.display_name());
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let start_bound = self.frame_bound(&frame.start_bound, "starting")?;
        let end_bound = frame.end_bound.as_ref().map(|bound| self.frame_bound(bound, "ending")).transpose()?;
        let frame = WindowFrame::try_from(ast::WindowFrame { units: frame.units, start_bound, end_bound })
            .map_err(|error| Error::new(ErrorKind::Windowing, "this window frame is not possible").with_source(error))?;
        frame.regularize_order_bys(order_by).map_err(|error| {
            Error::new(ErrorKind::Windowing, "RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column")
                .with_source(error)
        })?;
        Ok(frame)
    }

    /// A bound whose offset is a literal.
    fn frame_bound(&self, bound: &WindowFrameBound, which: &str) -> Result<WindowFrameBound> {
        let literal = |offset: &ast::Expr| -> Result<Box<ast::Expr>> {
            if matches!(unnested(offset), ast::Expr::Value(_) | ast::Expr::Interval(_)) {
                return Ok(Box::new(unnested(offset).clone()));
            }
            let range = Range::default();
            let value = self.expression(offset, Place::new(&range, &Environment::EMPTY, Clause::Limit))?;
            let value = self.cast(value, &SqlType::Int8)?;
            let number = match self.constant(value).map_err(|error| at(error, offset.span()))? {
                ScalarValue::Int64(Some(number)) if number >= 0 => number,
                ScalarValue::Int64(None) => {
                    return Err(Error::new(ErrorKind::InvalidFrameOffset, format!("frame {which} offset must not be null")));
                }
                _ => return Err(Error::new(ErrorKind::InvalidFrameOffset, format!("frame {which} offset must not be negative"))),
            };
            Ok(Box::new(ast::Expr::Value(ast::Value::Number(number.to_string(), false).into())))
        };
        Ok(match bound {
            WindowFrameBound::Preceding(Some(offset)) => WindowFrameBound::Preceding(Some(literal(offset)?)),
            WindowFrameBound::Following(Some(offset)) => WindowFrameBound::Following(Some(literal(offset)?)),
            other => other.clone(),
        })
    }
}

/// Whether values of the type are a distance apart that DataFusion can add to one.
fn has_distances(key: &SqlType) -> bool {
    matches!(key, SqlType::Date | SqlType::Timestamp | SqlType::Timestamptz)
        || family(key) == Family::Number && *key != SqlType::UnconstrainedNumeric
}

/// PostgreSQL's rules for the order of a frame's bounds.
fn check_bounds(start: &WindowFrameBound, end: Option<&WindowFrameBound>) -> Result<()> {
    use WindowFrameBound::{CurrentRow, Following, Preceding};
    let end = end.unwrap_or(&CurrentRow);
    let wrong = match (start, end) {
        (Following(None), _) => "frame start cannot be UNBOUNDED FOLLOWING",
        (_, Preceding(None)) => "frame end cannot be UNBOUNDED PRECEDING",
        (CurrentRow, Preceding(_)) => "frame starting from current row cannot have preceding rows",
        (Following(_), Preceding(_)) => "frame starting from following row cannot have preceding rows",
        (Following(_), CurrentRow) => "frame starting from following row cannot end with current row",
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::Windowing, wrong))
}
