//! Aggregates whose PostgreSQL meaning the engine's own do not have.
//!
//! `sum` over `bigint` is `numeric`, as in PostgreSQL: the engine's would wrap around at 64 bits. Over decimals it has room for every sum:
//! the engine's wraps around at 38 digits. Averages and spreads of numbers that are exact are the binder's, from sums.
//! `json_agg` collects as `array_agg` does, ORDER BY and DISTINCT included, and writes JSON at the end.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::Result as DataFusionResult;
use datafusion::functions_aggregate::array_agg::array_agg_udaf;
use datafusion::functions_aggregate::sum::sum_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, GroupsAccumulator, ReversedUDAF, Signature, Volatility,
};

use super::define::external;
use super::postgres::json::{is_json, json_of};
use crate::error::{Error, ErrorKind};
use crate::types::SqlType;
use crate::types::datum;
use crate::types::values::TimeZone;
use crate::types::values::canonical_jsonb;

/// The aggregates of this file.
pub(super) fn aggregates() -> Vec<AggregateUDF> {
    vec![
        AggregateUDF::new_from_impl(Exact::new("sum", sum_udaf(), sum_input)),
        AggregateUDF::new_from_impl(JsonAgg::new("json_agg")),
        AggregateUDF::new_from_impl(JsonAgg::new("jsonb_agg")),
        AggregateUDF::new_from_impl(JsonObjectAgg::new("json_object_agg")),
        AggregateUDF::new_from_impl(JsonObjectAgg::new("jsonb_object_agg")),
        AggregateUDF::new_from_impl(Chosen::new("mode")),
        AggregateUDF::new_from_impl(Chosen::new("percentile_disc")),
    ]
}

/// Digits of a decimal from which on sums do not fit 38: the engine gives a sum ten digits more than its input has.
pub(super) const SUMMED_NARROW: u8 = 29;

/// `sum(bigint)` cannot wrap as numeric, nor a sum of decimals that has more digits; smaller integers sum as bigint, as in PostgreSQL.
fn sum_input(data_type: &DataType) -> Option<DataType> {
    match data_type {
        DataType::Int64 | DataType::UInt64 => Some(DataType::Decimal128(20, 0)),
        DataType::Decimal128(precision, scale) if *precision >= SUMMED_NARROW => Some(DataType::Decimal256(*precision, *scale)),
        _ => None,
    }
}

/// One of the engine's aggregates over another input type.
#[derive(Debug)]
struct Exact {
    name: &'static str,
    inner: Arc<AggregateUDF>,
    input: fn(&DataType) -> Option<DataType>,
    signature: Signature,
}

impl Exact {
    fn new(name: &'static str, inner: Arc<AggregateUDF>, input: fn(&DataType) -> Option<DataType>) -> Self {
        Self { name, inner, input, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Exact {}
impl Hash for Exact {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Exact {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arguments: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        let wanted: Vec<DataType> =
            arguments.iter().map(|argument| (self.input)(argument).unwrap_or_else(|| argument.clone())).collect();
        let fields: Vec<FieldRef> = wanted.iter().map(|data_type| Arc::new(Field::new("", data_type.clone(), true))).collect();
        let coerced = datafusion::logical_expr::type_coercion::functions::fields_with_udf(&fields, self.inner.as_ref())?;
        Ok(coerced.iter().map(|field| field.data_type().clone()).collect())
    }

    fn return_type(&self, arguments: &[DataType]) -> DataFusionResult<DataType> {
        self.inner.return_type(arguments)
    }

    fn return_field(&self, arguments: &[FieldRef]) -> DataFusionResult<FieldRef> {
        self.inner.return_field(arguments)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        self.inner.accumulator(args)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn GroupsAccumulator>> {
        self.inner.create_groups_accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        self.inner.create_sliding_accumulator(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn order_sensitivity(&self) -> datafusion::logical_expr::utils::AggregateOrderSensitivity {
        datafusion::logical_expr::utils::AggregateOrderSensitivity::Insensitive
    }
}

/// The type of a JSON aggregate's result.
fn json_type(name: &str) -> SqlType {
    if name.starts_with("jsonb") { SqlType::Jsonb } else { SqlType::Json }
}

/// A document as the aggregate `name` gives it: jsonb has one form.
fn document(name: &str, text: String) -> DataFusionResult<ScalarValue> {
    let text = if json_type(name) == SqlType::Jsonb { canonical_jsonb(&text).map_err(external)? } else { text };
    Ok(ScalarValue::Utf8(Some(text)))
}

/// `json_agg(x)`: the list that `array_agg(x)` collects, as JSON.
#[derive(Debug)]
struct JsonAgg {
    name: &'static str,
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl JsonAgg {
    fn new(name: &'static str) -> Self {
        Self { name, inner: array_agg_udaf(), signature: Signature::any(1, Volatility::Immutable) }
    }

    fn list_field(argument: &FieldRef) -> FieldRef {
        let element = Field::new_list_field(argument.data_type().clone(), true);
        Arc::new(Field::new("json_agg", DataType::List(Arc::new(element)), true))
    }
}

impl PartialEq for JsonAgg {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.inner == other.inner
    }
}
impl Eq for JsonAgg {}
impl Hash for JsonAgg {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for JsonAgg {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(SqlType::Json.arrow_type())
    }

    fn return_field(&self, _arguments: &[FieldRef]) -> DataFusionResult<FieldRef> {
        Ok(Arc::new(json_type(self.name).field(self.name, true)))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        let Some(argument) = args.expr_fields.first() else {
            return Err(external(Error::internal("json_agg without an argument")));
        };
        let is_json = is_json(&SqlType::of_field(argument)) && !argument.data_type().is_nested();
        let inner = self.inner.accumulator(AccumulatorArgs { return_field: Self::list_field(argument), ..args })?;
        Ok(Box::new(JsonAccumulator { name: self.name, inner, is_json }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        let Some(argument) = args.input_fields.first() else {
            return Err(external(Error::internal("json_agg without an argument")));
        };
        self.inner.state_fields(StateFieldsArgs { return_field: Self::list_field(argument), ..args })
    }

    fn order_sensitivity(&self) -> datafusion::logical_expr::utils::AggregateOrderSensitivity {
        self.inner.inner().order_sensitivity()
    }

    fn with_beneficial_ordering(self: Arc<Self>, beneficial_ordering: bool) -> DataFusionResult<Option<Arc<dyn AggregateUDFImpl>>> {
        let Some(inner) = self.inner.as_ref().clone().with_beneficial_ordering(beneficial_ordering)? else { return Ok(None) };
        Ok(Some(Arc::new(Self { name: self.name, inner: Arc::new(inner), signature: self.signature.clone() })))
    }
}

#[derive(Debug)]
struct JsonAccumulator {
    name: &'static str,
    inner: Box<dyn Accumulator>,
    is_json: bool,
}

impl Accumulator for JsonAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        self.inner.update_batch(values)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        self.inner.merge_batch(states)
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        let list = self.inner.evaluate()?;
        let array = list.to_array()?;
        let value = datum::read(&array, 0).map_err(external)?;
        if value.is_null() {
            return Ok(ScalarValue::Utf8(None));
        }
        let datum::Datum::List(items) = value else { return Ok(ScalarValue::Utf8(None)) };
        let separator = if items.iter().any(|item| matches!(item, datum::Datum::Row(_))) { ", \n " } else { ", " };
        let items: Vec<String> = items.iter().map(|item| json_of(item, self.is_json, &TimeZone::utc())).collect();
        document(self.name, format!("[{}]", items.join(separator)))
    }
}

/// `mode()` and `percentile_disc(fraction)` WITHIN GROUP: one of the values, chosen after all are collected. The binder puts the ordered
/// value before the fraction.
#[derive(Debug)]
struct Chosen {
    name: &'static str,
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl Chosen {
    fn new(name: &'static str) -> Self {
        let arguments = if name == "mode" { 1 } else { 2 };
        Self { name, inner: array_agg_udaf(), signature: Signature::any(arguments, Volatility::Immutable) }
    }

    fn value(fields: &[FieldRef]) -> DataFusionResult<&FieldRef> {
        fields.first().ok_or_else(|| external(Error::internal("an ordered-set aggregate without its value")))
    }
}

impl PartialEq for Chosen {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Chosen {}
impl Hash for Chosen {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for Chosen {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(arguments.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field(&self, arguments: &[FieldRef]) -> DataFusionResult<FieldRef> {
        Ok(Arc::new(Self::value(arguments)?.as_ref().clone().with_name(self.name).with_nullable(true)))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        let value = Self::value(args.expr_fields)?;
        let descending = args.order_bys.first().is_some_and(|key| key.options.descending);
        let fraction = match args.exprs.get(1) {
            None => None,
            Some(fraction) => {
                let one_row = datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
                let row = datafusion::arrow::array::RecordBatch::try_new_with_options(
                    Arc::new(datafusion::arrow::datatypes::Schema::empty()),
                    vec![],
                    &one_row,
                )?;
                Some(read_fraction(&fraction.evaluate(&row)?.to_array(1)?)?)
            }
        };
        let exprs = args.exprs.get(..1).unwrap_or_default();
        let expr_fields = args.expr_fields.get(..1).unwrap_or_default();
        let return_field = JsonAgg::list_field(value);
        let inner = self.inner.accumulator(AccumulatorArgs { return_field, order_bys: &[], exprs, expr_fields, ..args })?;
        Ok(Box::new(ChosenAccumulator { inner, fraction, descending }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        let return_field = JsonAgg::list_field(Self::value(args.input_fields)?);
        let input_fields = args.input_fields.get(..1).unwrap_or_default();
        self.inner.state_fields(StateFieldsArgs { return_field, ordering_fields: &[], input_fields, ..args })
    }

    fn order_sensitivity(&self) -> datafusion::logical_expr::utils::AggregateOrderSensitivity {
        datafusion::logical_expr::utils::AggregateOrderSensitivity::Insensitive
    }
}

fn read_fraction(array: &ArrayRef) -> DataFusionResult<f64> {
    let doubles = datafusion::arrow::compute::cast(array, &DataType::Float64)?;
    let fraction = doubles.as_primitive::<datafusion::arrow::datatypes::Float64Type>().value(0);
    if (0.0..=1.0).contains(&fraction) {
        return Ok(fraction);
    }
    Err(external(Error::new(ErrorKind::NumericOutOfRange, format!("percentile value {fraction} is not between 0 and 1"))))
}

#[derive(Debug)]
struct ChosenAccumulator {
    inner: Box<dyn Accumulator>,
    /// Of `percentile_disc`; `mode` has none.
    fraction: Option<f64>,
    descending: bool,
}

impl Accumulator for ChosenAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        self.inner.update_batch(values.get(..1).unwrap_or_default())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        self.inner.merge_batch(states)
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        let list = self.inner.evaluate()?.to_array()?;
        let lists = list.as_list::<i32>();
        let null = || ScalarValue::try_from(&lists.value_type());
        if lists.is_null(0) {
            return null();
        }
        let values = lists.value(0);
        let values = datafusion::arrow::compute::filter(&values, &datafusion::arrow::compute::is_not_null(&values)?)?;
        if values.is_empty() {
            return null();
        }
        let options = datafusion::arrow::compute::SortOptions { descending: self.descending, nulls_first: false };
        let sorted = datafusion::arrow::compute::sort(&values, Some(options))?;
        let index = match self.fraction {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the number of values")]
            Some(fraction) => ((fraction * sorted.len() as f64).ceil() as usize).max(1) - 1,
            None => most_frequent(&sorted)?,
        };
        ScalarValue::try_from_array(&sorted, index.min(sorted.len() - 1))
    }
}

/// Where the longest run of equal values begins.
fn most_frequent(sorted: &ArrayRef) -> DataFusionResult<usize> {
    let runs = datafusion::arrow::compute::partition(&[Arc::clone(sorted)])?.ranges();
    let longest = runs.iter().rev().max_by_key(|run| run.len());
    Ok(longest.map_or(0, |run| run.start))
}

/// `json_object_agg(key, value)`.
#[derive(Debug)]
struct JsonObjectAgg {
    name: &'static str,
    signature: Signature,
}

impl JsonObjectAgg {
    fn new(name: &'static str) -> Self {
        Self { name, signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl PartialEq for JsonObjectAgg {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for JsonObjectAgg {}
impl Hash for JsonObjectAgg {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for JsonObjectAgg {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> DataFusionResult<DataType> {
        Ok(SqlType::Json.arrow_type())
    }

    fn return_field(&self, _arguments: &[FieldRef]) -> DataFusionResult<FieldRef> {
        Ok(Arc::new(json_type(self.name).field(self.name, true)))
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> DataFusionResult<Box<dyn Accumulator>> {
        let is_json =
            args.expr_fields.get(1).is_some_and(|value| is_json(&SqlType::of_field(value)) && !value.data_type().is_nested());
        Ok(Box::new(ObjectAccumulator { name: self.name, fields: Vec::new(), is_json }))
    }

    fn state_fields(&self, _args: StateFieldsArgs<'_>) -> DataFusionResult<Vec<FieldRef>> {
        let element = Arc::new(Field::new_list_field(DataType::Utf8, true));
        Ok(vec![Arc::new(Field::new("fields", DataType::List(element), true))])
    }
}

#[derive(Debug)]
struct ObjectAccumulator {
    name: &'static str,
    fields: Vec<String>,
    is_json: bool,
}

impl Accumulator for ObjectAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        let [keys, values, ..] = values else { return Err(external(Error::internal("json_object_agg takes a key and a value"))) };
        for row in 0..keys.len() {
            let key = datum::read(keys, row).map_err(external)?;
            if key.is_null() {
                return Err(external(Error::new(ErrorKind::InvalidParameter, "field name must not be null")));
            }
            let value = datum::read(values, row).map_err(external)?;
            let key = super::postgres::json::quoted(&super::output::text_of(&key, &TimeZone::utc()));
            self.fields.push(format!("{key} : {}", json_of(&value, self.is_json, &TimeZone::utc())));
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> DataFusionResult<()> {
        let Some(states) = states.first() else { return Ok(()) };
        let lists = states.as_list::<i32>();
        for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
            let items = lists.value(row);
            self.fields.extend(items.as_string::<i32>().iter().flatten().map(ToString::to_string));
        }
        Ok(())
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        let items: Vec<ScalarValue> = self.fields.drain(..).map(|field| ScalarValue::Utf8(Some(field))).collect();
        Ok(vec![ScalarValue::List(ScalarValue::new_list_nullable(&items, &DataType::Utf8))])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.fields.iter().map(|field| field.capacity() + size_of::<String>()).sum::<usize>()
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        if self.fields.is_empty() {
            return Ok(ScalarValue::Utf8(None));
        }
        document(self.name, format!("{{ {} }}", self.fields.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int32Array, Int64Array, RecordBatch, StringArray};
    use datafusion::arrow::datatypes::Schema;
    use datafusion::logical_expr::{ExprFunctionExt, col};
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::functions::Functions;
    use crate::functions::output::text_of;

    /// One aggregate over a table of three rows, by `g` if grouped, as text.
    async fn aggregate(name: &str, arguments: &[&str], ordered: bool, grouped: bool) -> Vec<String> {
        let schema = Schema::new(vec![
            Field::new("g", DataType::Utf8, true),
            Field::new("big", DataType::Int64, true),
            Field::new("small", DataType::Int32, true),
        ]);
        let batch = RecordBatch::try_new(
            Arc::new(schema),
            vec![
                Arc::new(StringArray::from(vec!["b", "a", "b"])),
                Arc::new(Int64Array::from(vec![i64::MAX, i64::MAX, i64::MAX])),
                Arc::new(Int32Array::from(vec![Some(1), Some(2), Some(4)])),
            ],
        );
        let function = Functions::new().aggregate(name).unwrap();
        let mut call = function.call(arguments.iter().map(|column| col(*column)).collect());
        if ordered {
            call = call.order_by(vec![col("g").sort(true, false), col("small").sort(false, false)]).build().unwrap();
        }
        let groups = if grouped { vec![col("g")] } else { vec![] };
        let frame = SessionContext::new().read_batch(batch.unwrap()).unwrap();
        let frame = frame.aggregate(groups, vec![call.alias("result")]).unwrap().sort_by(vec![col("result")]).unwrap();
        let mut results = Vec::new();
        for batch in frame.collect().await.unwrap() {
            let column = batch.column_by_name("result").unwrap();
            results.extend((0..batch.num_rows()).map(|row| text_of(&datum::read(column, row).unwrap(), &TimeZone::utc())));
        }
        results
    }

    #[tokio::test]
    async fn sums_do_not_wrap() {
        assert_eq!(aggregate("sum", &["big"], false, false).await, ["27670116110564327421"]);
        assert_eq!(aggregate("sum", &["small"], false, false).await, ["7"]);
    }

    #[tokio::test]
    async fn one_of_the_values_is_chosen() {
        assert_eq!(aggregate("mode", &["g"], false, false).await, ["b"]);
        assert_eq!(aggregate("mode", &["small"], false, true).await, ["1", "2"]);
    }

    #[tokio::test]
    async fn json_is_collected_in_order() {
        assert_eq!(aggregate("json_agg", &["small"], true, false).await, ["[2, 4, 1]"]);
        assert_eq!(aggregate("json_agg", &["g"], false, true).await, [r#"["a"]"#, r#"["b", "b"]"#]);
        assert_eq!(aggregate("json_object_agg", &["g", "small"], false, true).await, [r#"{ "a" : 2 }"#, r#"{ "b" : 1, "b" : 4 }"#]);
    }
}
