//! Aggregates over rows in an order: `array_agg(x ORDER BY y)`, `string_agg(DISTINCT x, ',')`.
//!
//! ```text
//!   f(x ORDER BY y DESC)  ─▶  ordered f(x, y)     rows are kept as bytes that compare as (y DESC) does
//!                                                 evaluate: sorted, without duplicates if DISTINCT, given to f one after the other
//! ```
//! DataFusion 55 orders the input of such aggregates instead. That refuses two aggregates with different orders (apache/datafusion#8582), loses
//! the aggregate when its ORDER BY is an expression that a rule rewrites (its column is called by it), and leaves DISTINCT in the order
//! of a hash table. Here every aggregate sorts by itself, with PostgreSQL's order: DISTINCT without ORDER BY sorts by the arguments, NULL last.
//!
//! What is absent: spilling. The rows of a group are in memory, as they are for the aggregates inside.

use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
use datafusion::arrow::compute::SortOptions;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::row::{RowConverter, RowParser, SortField};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility};

/// Built-in aggregates whose result depends on the order of the rows.
const SENSITIVE: [&str; 6] = ["array_agg", "string_agg", "json_agg", "jsonb_agg", "json_object_agg", "jsonb_object_agg"];

/// PostgreSQL's order of what DISTINCT leaves.
const ASCENDING: SortOptions = SortOptions { descending: false, nulls_first: false };

/// Whether the result of the aggregate depends on the order of its rows.
pub(crate) fn is_order_sensitive(name: &str) -> bool {
    SENSITIVE.contains(&name)
}

/// `inner` over rows that are sorted: its arguments, then values to sort by, one for each of `keys`.
pub(crate) fn ordered(inner: &Arc<AggregateUDF>, arguments: usize, keys: Vec<SortOptions>, distinct: bool) -> AggregateUDF {
    let shown: Vec<String> = keys
        .iter()
        .map(|key| {
            let direction = if key.descending { "DESC" } else { "ASC" };
            format!("{direction} NULLS {}", if key.nulls_first { "FIRST" } else { "LAST" })
        })
        .collect();
    let name = format!("{} ordered {}{}", inner.name(), if distinct { "DISTINCT " } else { "" }, shown.join(", "));
    let signature = Signature::any(arguments + keys.len(), Volatility::Immutable);
    AggregateUDF::new_from_impl(Ordered { inner: Arc::clone(inner), arguments, keys, distinct, name, signature })
}

#[derive(Debug)]
struct Ordered {
    inner: Arc<AggregateUDF>,
    /// How many of the arguments are the inner aggregate's.
    arguments: usize,
    keys: Vec<SortOptions>,
    distinct: bool,
    name: String,
    signature: Signature,
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.inner == other.inner && self.arguments == other.arguments && self.keys == other.keys
    }
}
impl Eq for Ordered {}
impl Hash for Ordered {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.arguments.hash(state);
    }
}

impl AggregateUDFImpl for Ordered {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arguments.get(..self.arguments).unwrap_or_default())
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(arguments.get(..self.arguments).unwrap_or_default())
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let types: Vec<DataType> = args.expr_fields.iter().map(|field| field.data_type().clone()).collect();
        let (values, keys) = types.split_at(self.arguments.min(types.len()));
        let sorted = |types: &[DataType], options: &[SortOptions]| {
            let options = options.iter().copied().chain(std::iter::repeat(ASCENDING));
            let fields =
                types.iter().zip(options).map(|(data_type, options)| SortField::new_with_options(data_type.clone(), options));
            RowConverter::new(fields.collect())
        };
        let (values, keys) = (sorted(values, &[])?, sorted(keys, &self.keys)?);
        let inner = self.inner.accumulator(AccumulatorArgs {
            exprs: args.exprs.get(..self.arguments).unwrap_or_default(),
            expr_fields: args.expr_fields.get(..self.arguments).unwrap_or_default(),
            order_bys: &[],
            is_distinct: false,
            is_reversed: false,
            ..args
        })?;
        Ok(Box::new(Sorting {
            inner,
            arguments: self.arguments,
            values,
            keys,
            rows: vec![],
            bytes: 0,
            seen: self.distinct.then(HashSet::new),
        }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let list = |part: &str| Arc::new(Field::new(format!("{} {part}", args.name), bytes_list(), true));
        Ok(vec![list("keys"), list("values")])
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }
}

fn bytes_list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Binary, true)))
}

/// Rows of one group.
struct Sorting {
    inner: Box<dyn Accumulator>,
    arguments: usize,
    values: RowConverter,
    keys: RowConverter,
    /// Keys and values in the order in which they came.
    rows: Vec<(Box<[u8]>, Box<[u8]>)>,
    bytes: usize,
    /// The values of `rows`, if each counts once.
    seen: Option<HashSet<Box<[u8]>>>,
}

impl fmt::Debug for Sorting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sorting").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl Sorting {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        if let Some(seen) = &mut self.seen {
            if seen.contains(value) {
                return;
            }
            seen.insert(value.into());
            self.bytes += value.len() + 2 * size_of::<Box<[u8]>>();
        }
        self.bytes += key.len() + value.len();
        self.rows.push((key.into(), value.into()));
    }

    fn columns(values: &RowConverter, parser: &RowParser, rows: &[(Box<[u8]>, Box<[u8]>)]) -> Result<Vec<ArrayRef>> {
        Ok(values.convert_rows(rows.iter().map(|(_, value)| parser.parse(value)))?)
    }
}

impl Accumulator for Sorting {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (values, keys) = values.split_at(self.arguments.min(values.len()));
        let values = self.values.convert_columns(values)?;
        if keys.is_empty() {
            for value in &values {
                self.push(&[], value.data());
            }
            return Ok(());
        }
        let keys = self.keys.convert_columns(keys)?;
        for (key, value) in keys.iter().zip(values.iter()) {
            self.push(key.data(), value.data());
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [keys, values] = states else { return Ok(()) };
        let (keys, values) = (keys.as_list::<i32>(), values.as_list::<i32>());
        for index in 0..keys.len() {
            if keys.is_null(index) || values.is_null(index) {
                continue;
            }
            let (keys, values) = (keys.value(index), values.value(index));
            let (keys, values): (&BinaryArray, &BinaryArray) = (keys.as_binary(), values.as_binary());
            for (key, value) in keys.iter().zip(values.iter()) {
                self.push(key.unwrap_or_default(), value.unwrap_or_default());
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let rows = std::mem::take(&mut self.rows);
        let list = |part: fn(&(Box<[u8]>, Box<[u8]>)) -> &[u8]| {
            let bytes: Vec<ScalarValue> = rows.iter().map(|row| ScalarValue::Binary(Some(part(row).to_vec()))).collect();
            ScalarValue::List(ScalarValue::new_list_nullable(&bytes, &DataType::Binary))
        };
        Ok(vec![list(|row| &row.0), list(|row| &row.1)])
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.inner.size() + self.bytes + self.rows.capacity() * size_of::<(Box<[u8]>, Box<[u8]>)>()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        if self.seen.is_some() {
            self.rows.sort();
        } else {
            self.rows.sort_by(|left, right| left.0.cmp(&right.0));
        }
        let parser = self.values.parser();
        // In pieces, so that a large group is not in memory three times.
        for rows in self.rows.chunks(8192) {
            let columns = Self::columns(&self.values, &parser, rows)?;
            self.inner.update_batch(&columns)?;
        }
        self.inner.evaluate()
    }
}
