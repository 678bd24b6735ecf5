//! Aggregates over frames that move, computed anew for each frame where taking values back is not exact.
//!
//! DataFusion keeps one running state, adds the rows that enter a frame and takes those back that leave it (apache/datafusion#24025). With floats that
//! is wrong: of 1e20 and 1 nothing is left of the 1 when 1e20 is taken back, and what has met NaN or infinity stays so. Aggregates without a
//! way back are refused by it. PostgreSQL takes back what is exact, and begins anew for every other frame. So does this.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{FieldRef, Schema};
use datafusion::common::{ScalarValue, not_impl_err};
use datafusion::error::Result;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_plan::PhysicalExpr;

/// More pieces of a frame than these become one.
const PIECES: usize = 32;

/// An accumulator for frames that move.
pub(super) fn sliding(aggregate: &Arc<AggregateUDF>, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
    if takes_back_exactly(aggregate.name(), args.expr_fields) {
        let inner = aggregate.create_sliding_accumulator(args.clone())?;
        if inner.supports_retract_batch() {
            return Ok(inner);
        }
    }
    let recipe = Recipe::new(Arc::clone(aggregate), &args);
    // What cannot be made at all is said now.
    let size = recipe.fresh()?.size();
    Ok(Box::new(Recomputed { recipe, pieces: VecDeque::new(), size }))
}

fn takes_back_exactly(name: &str, arguments: &[FieldRef]) -> bool {
    match name {
        "count" | "min" | "max" | "array_agg" => true,
        "sum" | "avg" | "mean" => arguments.iter().all(|field| field.data_type().is_integer() || field.data_type().is_decimal()),
        _ => false,
    }
}

/// How to make an accumulator.
struct Recipe {
    aggregate: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    expr_fields: Vec<FieldRef>,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
}

impl Recipe {
    fn new(aggregate: Arc<AggregateUDF>, args: &AccumulatorArgs<'_>) -> Self {
        Self {
            aggregate,
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            expr_fields: args.expr_fields.to_vec(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_string(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
        }
    }

    fn fresh(&self) -> Result<Box<dyn Accumulator>> {
        self.aggregate.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            expr_fields: &self.expr_fields,
            ignore_nulls: self.ignore_nulls,
            order_bys: &self.order_bys,
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: self.is_distinct,
            exprs: &self.exprs,
        })
    }
}

/// The rows of a frame.
struct Recomputed {
    recipe: Recipe,
    pieces: VecDeque<Vec<ArrayRef>>,
    size: usize,
}

impl fmt::Debug for Recomputed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recomputed").field("aggregate", &self.recipe.name).finish_non_exhaustive()
    }
}

fn rows(piece: &[ArrayRef]) -> usize {
    piece.first().map_or(0, |column| column.len())
}

impl Recomputed {
    fn join_pieces(&mut self) -> Result<()> {
        let columns = self.pieces.front().map_or(0, Vec::len);
        let joined = (0..columns).map(|index| {
            let parts: Vec<&dyn Array> = self.pieces.iter().filter_map(|piece| piece.get(index)).map(AsRef::as_ref).collect();
            Ok(concat(&parts)?)
        });
        let joined = joined.collect::<Result<Vec<_>>>()?;
        self.pieces = VecDeque::from([joined]);
        Ok(())
    }
}

impl Accumulator for Recomputed {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.pieces.push_back(values.to_vec());
        if self.pieces.len() > PIECES { self.join_pieces() } else { Ok(()) }
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut gone = rows(values);
        while gone > 0
            && let Some(mut piece) = self.pieces.pop_front()
        {
            let count = rows(&piece);
            if count > gone {
                for column in &mut piece {
                    *column = column.slice(gone, count - gone);
                }
                self.pieces.push_front(piece);
            }
            gone = gone.saturating_sub(count);
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut accumulator = self.recipe.fresh()?;
        for piece in &self.pieces {
            accumulator.update_batch(piece)?;
        }
        accumulator.evaluate()
    }

    fn size(&self) -> usize {
        let columns = self.pieces.iter().flatten();
        size_of_val(self) + self.size + columns.map(|column| column.get_array_memory_size()).sum::<usize>()
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        not_impl_err!("the state of a frame")
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        not_impl_err!("the state of a frame")
    }
}
