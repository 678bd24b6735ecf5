//! How a function of ours is declared: one line of signature in PostgreSQL's words, and a body.
//!
//! ```text
//!  "format_type(oid, int4) -> text"      one value out
//!  "array_length(anyarray, int4) -> int4"  polymorphic
//!  "generate_series(int8, int8) -> setof int8"   a set: the function gives a list, the binder unnests it
//!  "aclexplode(aclitem[]) -> setof (grantor oid, grantee oid, ..)"   a set of rows
//! ```
//! Overloads of one name become one [`ScalarUDF`] that picks among them as PostgreSQL does: an exact type before a wider one, an
//! untyped literal (which arrives as a string) for anything that can be read from text. A call that fits none is 42883 with
//! PostgreSQL's text.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::behaviour::Behaviour;
use super::context::FunctionContext;
use super::names;
use crate::error::{Error, ErrorKind, Result};
use crate::types::datum::{self, Datum};
use crate::types::values::numeric::Numeric;
use crate::types::values::{TimeZone, moment};
use crate::types::{RegKind, SqlType};

/// One call of a row-wise body.
pub(crate) struct Call<'a> {
    context: Option<&'a FunctionContext>,
    /// The session's zone; UTC for functions declared `immutable`.
    pub(crate) zone: &'a TimeZone,
    /// Arguments, converted to the declared parameter types.
    pub(crate) arguments: &'a [Datum],
    /// SQL types of the arguments as they were passed.
    pub(crate) types: &'a [SqlType],
}

impl<'a> Call<'a> {
    /// The statement's context. Functions declared `immutable` have none.
    pub(crate) fn context(&self) -> Result<&'a FunctionContext> {
        self.context.ok_or_else(|| Error::internal("an immutable function asked for its context"))
    }

    /// Argument `index`; NULL if there is none.
    pub(crate) fn get(&self, index: usize) -> &'a Datum {
        self.arguments.get(index).unwrap_or(&Datum::Null)
    }

    /// Argument `index` as a string.
    pub(crate) fn text(&self, index: usize) -> Result<&'a str> {
        self.get(index).as_text().ok_or_else(|| wrong_argument(index))
    }

    /// Argument `index` as an integer.
    pub(crate) fn int(&self, index: usize) -> Result<i64> {
        self.get(index).as_int().ok_or_else(|| wrong_argument(index))
    }

    /// Argument `index` as an OID.
    pub(crate) fn oid(&self, index: usize) -> Result<u32> {
        Ok(u32::try_from(self.int(index)?).unwrap_or(0))
    }

    /// Argument `index` as a boolean.
    pub(crate) fn bool(&self, index: usize) -> Result<bool> {
        self.get(index).as_bool().ok_or_else(|| wrong_argument(index))
    }

    /// Argument `index` as a floating-point number.
    pub(crate) fn float(&self, index: usize) -> Result<f64> {
        match self.get(index) {
            Datum::Float(number) => Ok(*number),
            Datum::Int(number) => Ok(*number as f64),
            Datum::Numeric(number) => number.to_f64(),
            _ => Err(wrong_argument(index)),
        }
    }

    /// Argument `index` as a numeric.
    pub(crate) fn numeric(&self, index: usize) -> Result<Cow<'a, Numeric>> {
        match self.get(index) {
            Datum::Numeric(number) => Ok(Cow::Borrowed(number)),
            Datum::Int(number) => Ok(Cow::Owned(Numeric::from_i64(*number))),
            _ => Err(wrong_argument(index)),
        }
    }

    /// Argument `index` as an array.
    pub(crate) fn list(&self, index: usize) -> Result<&'a [Datum]> {
        match self.get(index) {
            Datum::List(list) => Ok(list),
            _ => Err(wrong_argument(index)),
        }
    }
}

fn wrong_argument(index: usize) -> Error {
    Error::internal(format!("argument {index} of a function has another type than declared"))
}

/// One call of a body that works on whole arrays.
pub(crate) struct ArrayCall<'a> {
    /// The session's zone; UTC for functions declared `immutable`.
    pub(crate) zone: &'a TimeZone,
    /// Arguments, with the Arrow types that [`Parameter`] admits.
    pub(crate) arguments: &'a [ColumnarValue],
    /// Number of rows.
    pub(crate) rows: usize,
    /// Arrow type of the result.
    pub(crate) returns: &'a DataType,
}

/// What runs.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    /// Row by row.
    Rows(fn(&Call<'_>) -> Result<Datum>),
    /// On arrays.
    Arrays(fn(&ArrayCall<'_>) -> Result<ColumnarValue>),
}

/// One overload of a function.
#[derive(Clone)]
pub(crate) struct Declaration {
    /// Name, lower case.
    pub(crate) name: String,
    parameters: Vec<Parameter>,
    variadic: bool,
    returns: Returns,
    strict: bool,
    behaviour: Behaviour,
    body: Body,
}

#[derive(Debug, Clone, PartialEq)]
enum Parameter {
    Exact(SqlType),
    /// A name or an OID, left as it comes.
    Object,
    Any,
    AnyElement,
    AnyArray,
}

#[derive(Debug, Clone)]
enum Returns {
    One(ResultType),
    Set(Option<String>, ResultType),
    Rows(Vec<(String, ResultType)>),
}

#[derive(Debug, Clone)]
enum ResultType {
    Exact(SqlType),
    AnyElement,
    AnyArray,
}

/// A function whose result depends on its arguments only.
pub(crate) fn immutable(signature: &'static str, body: fn(&Call<'_>) -> Result<Datum>) -> Declaration {
    Declaration::new(signature, Behaviour::Immutable, Body::Rows(body))
}

/// A function whose result depends on its arguments and on the session's time zone.
pub(crate) fn zoned(signature: &'static str, body: fn(&Call<'_>) -> Result<Datum>) -> Declaration {
    Declaration::new(signature, Behaviour::Zoned, Body::Rows(body))
}

/// A function whose result depends on the moment of the statement, and maybe on the time zone.
pub(crate) fn of_moment(signature: &'static str, body: fn(&Call<'_>) -> Result<Datum>) -> Declaration {
    Declaration::new(signature, Behaviour::Moment, Body::Rows(body))
}

/// A function about who runs the statement, and about membership in groups.
pub(crate) fn of_principal(signature: &'static str, body: fn(&Call<'_>) -> Result<Datum>) -> Declaration {
    Declaration::new(signature, Behaviour::Principal, Body::Rows(body))
}

/// A function whose result depends on the session, on the catalog as it sees it, or on the server.
pub(crate) fn stable(signature: &'static str, body: fn(&Call<'_>) -> Result<Datum>) -> Declaration {
    Declaration::new(signature, Behaviour::Session, Body::Rows(body))
}

/// A function that may give something else at each call, and does nothing.
pub(crate) fn volatile(signature: &'static str, body: fn(&Call<'_>) -> Result<Datum>) -> Declaration {
    Declaration::new(signature, Behaviour::Volatile, Body::Rows(body))
}

/// A function that does something to its session or to others.
pub(crate) fn effect(signature: &'static str, body: fn(&Call<'_>) -> Result<Datum>) -> Declaration {
    Declaration::new(signature, Behaviour::Effect, Body::Rows(body))
}

/// A function over arrays whose result depends on its arguments only.
pub(crate) fn immutable_arrays(signature: &'static str, body: fn(&ArrayCall<'_>) -> Result<ColumnarValue>) -> Declaration {
    Declaration::new(signature, Behaviour::Immutable, Body::Arrays(body))
}

/// A function over arrays whose result depends on its arguments and on the session's time zone.
pub(crate) fn zoned_arrays(signature: &'static str, body: fn(&ArrayCall<'_>) -> Result<ColumnarValue>) -> Declaration {
    Declaration::new(signature, Behaviour::Zoned, Body::Arrays(body))
}

impl Declaration {
    fn new(signature: &'static str, behaviour: Behaviour, body: Body) -> Self {
        let (head, returns) = signature.split_once(" -> ").unwrap_or((signature, "void"));
        let (name, parameters) = head.trim_end_matches(')').split_once('(').unwrap_or((head, ""));
        let (parameters, variadic) = parameters.strip_suffix("..").map_or((parameters, false), |rest| (rest, true));
        let parameters = parameters.split(", ").filter(|word| !word.is_empty()).map(parameter).collect();
        Self { name: name.to_string(), parameters, variadic, returns: returns_of(returns), strict: true, behaviour, body }
    }

    /// The body is called for NULL arguments too.
    pub(crate) fn called_on_null(mut self) -> Self {
        self.strict = false;
        self
    }

    /// The same body under another name.
    pub(crate) fn also(&self, name: &str) -> Self {
        Self { name: name.to_string(), ..self.clone() }
    }

    /// Names of the columns of a set; `None` for a function that returns one value.
    pub(crate) fn set_columns(&self) -> Option<Vec<String>> {
        match &self.returns {
            Returns::One(_) => None,
            Returns::Set(name, _) => Some(vec![name.clone().unwrap_or_else(|| self.name.clone())]),
            Returns::Rows(columns) => Some(columns.iter().map(|(name, _)| name.clone()).collect()),
        }
    }

    /// Whether a set's rows have fields.
    pub(crate) const fn is_composite(&self) -> bool {
        matches!(self.returns, Returns::Rows(_))
    }

    fn parameter(&self, index: usize) -> Option<&Parameter> {
        self.parameters.get(index).or_else(|| if self.variadic { self.parameters.last() } else { None })
    }

    fn admits(&self, count: usize) -> bool {
        count == self.parameters.len() || (self.variadic && count + 1 >= self.parameters.len())
    }

    /// How badly the arguments fit, and the Arrow types that they have to be brought to; `None` if they do not.
    fn fit(&self, arguments: &[DataType]) -> Option<(u32, Vec<DataType>)> {
        if !self.admits(arguments.len()) {
            return None;
        }
        let mut total = 0;
        let mut types = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let (cost, data_type) = fit_one(self.parameter(index)?, argument)?;
            total += cost;
            types.push(data_type);
        }
        Some((total, types))
    }

    fn return_field(&self, arguments: &[SqlType]) -> Field {
        let resolve = |result: &ResultType| self.resolve(result, arguments);
        match &self.returns {
            Returns::One(result) => resolve(result).field(self.name.as_str(), true),
            Returns::Set(_, result) => SqlType::Array(Box::new(resolve(result))).field(self.name.as_str(), true),
            Returns::Rows(columns) => {
                let fields: Fields = columns.iter().map(|(name, result)| resolve(result).field(name.as_str(), true)).collect();
                let element = Field::new_list_field(DataType::Struct(fields), true);
                Field::new(self.name.as_str(), DataType::List(Arc::new(element)), true)
            }
        }
    }

    fn resolve(&self, result: &ResultType, arguments: &[SqlType]) -> SqlType {
        let polymorphic =
            || arguments.iter().enumerate().find_map(|(index, sql_type)| element_of(self.parameter(index)?, sql_type));
        match result {
            ResultType::Exact(sql_type) => sql_type.clone(),
            ResultType::AnyElement => polymorphic().unwrap_or(SqlType::Text),
            ResultType::AnyArray => SqlType::Array(Box::new(polymorphic().unwrap_or(SqlType::Text))),
        }
    }
}

fn element_of(parameter: &Parameter, argument: &SqlType) -> Option<SqlType> {
    match (parameter, argument) {
        (Parameter::AnyElement, SqlType::Unknown) => Some(SqlType::Text),
        (Parameter::AnyElement, other) => Some(other.clone()),
        (Parameter::AnyArray, SqlType::Array(element)) => Some((**element).clone()),
        (Parameter::AnyArray, SqlType::Int2Vector) => Some(SqlType::Int2),
        (Parameter::AnyArray, SqlType::OidVector) => Some(SqlType::Oid),
        _ => None,
    }
}

fn parameter(word: &str) -> Parameter {
    match word {
        "any" => Parameter::Any,
        "anyelement" => Parameter::AnyElement,
        "anyarray" => Parameter::AnyArray,
        "object" => Parameter::Object,
        other => Parameter::Exact(sql_type(other)),
    }
}

fn returns_of(words: &str) -> Returns {
    let Some(set) = words.strip_prefix("setof ") else { return Returns::One(result_type(words)) };
    let Some(columns) = set.strip_prefix('(').and_then(|open| open.strip_suffix(')')) else {
        return Returns::Set(None, result_type(set));
    };
    let column = |text: &str| text.split_once(' ').map(|(name, word)| (name.to_string(), result_type(word)));
    let mut columns: Vec<(String, ResultType)> = columns.split(", ").filter_map(column).collect();
    // One output column is a set of values with a name, not of rows.
    match (columns.len(), columns.pop()) {
        (1, Some((name, result))) => Returns::Set(Some(name), result),
        (_, last) => Returns::Rows(columns.into_iter().chain(last).collect()),
    }
}

fn result_type(word: &str) -> ResultType {
    match word {
        "anyelement" => ResultType::AnyElement,
        "anyarray" => ResultType::AnyArray,
        other => ResultType::Exact(sql_type(other)),
    }
}

fn sql_type(word: &str) -> SqlType {
    SqlType::from_tag(word).unwrap_or(SqlType::Unknown)
}

/// Cost of reading an untyped literal: more than every conversion between types.
const FROM_TEXT: u32 = 100;

fn is_string(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn is_decimal(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..))
}

fn is_list(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

fn fit_one(parameter: &Parameter, argument: &DataType) -> Option<(u32, DataType)> {
    if let DataType::Dictionary(_, values) = argument {
        return fit_one(parameter, values);
    }
    if let DataType::RunEndEncoded(_, values) = argument {
        return fit_one(parameter, values.data_type());
    }
    let kept = |cost| Some((cost, argument.clone()));
    match parameter {
        Parameter::Any => kept(40),
        Parameter::AnyElement => kept(30),
        Parameter::AnyArray if is_list(argument) || matches!(argument, DataType::Null) => kept(20),
        Parameter::AnyArray => None,
        Parameter::Object if is_string(argument) || argument.is_integer() || matches!(argument, DataType::Null) => kept(0),
        Parameter::Object => None,
        Parameter::Exact(sql_type) => fit_exact(sql_type, argument),
    }
}

fn fit_exact(sql_type: &SqlType, argument: &DataType) -> Option<(u32, DataType)> {
    let target = sql_type.arrow_type();
    if matches!(argument, DataType::Null) {
        return Some((1, target));
    }
    let kept = |cost| Some((cost, argument.clone()));
    let cast = |cost| Some((cost, target.clone()));
    match sql_type {
        SqlType::Bool => match argument {
            DataType::Boolean => kept(0),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Int2 | SqlType::Int4 | SqlType::Int8 | SqlType::Oid | SqlType::Xid => fit_integer(sql_type, argument),
        SqlType::Float4 | SqlType::Float8 => match argument {
            DataType::Float64 => kept(0),
            DataType::Float32 | DataType::Float16 => cast(1),
            integer if integer.is_integer() => cast(4),
            decimal if is_decimal(decimal) => cast(3),
            DataType::LargeBinary => kept(3),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Numeric { .. } | SqlType::UnconstrainedNumeric => match argument {
            decimal if is_decimal(decimal) => kept(0),
            DataType::LargeBinary => kept(0),
            // An integer is rather a double, PostgreSQL's preferred number.
            integer if integer.is_integer() => kept(5),
            // Read where the other arguments are brought to their types: the engine has no such cast.
            text if is_string(text) => kept(FROM_TEXT + 1),
            _ => None,
        },
        SqlType::Bytea => match argument {
            DataType::Binary | DataType::BinaryView | DataType::FixedSizeBinary(_) => kept(0),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Date => match argument {
            DataType::Date32 => kept(0),
            DataType::Date64 => cast(1),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Time => match argument {
            DataType::Time32(_) | DataType::Time64(_) => cast(0),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Timestamp => match argument {
            DataType::Timestamp(_, None) => cast(0),
            DataType::Date32 => kept(3),
            DataType::Date64 => Some((3, DataType::Date32)),
            text if is_string(text) => cast(FROM_TEXT + 1),
            _ => None,
        },
        SqlType::Timestamptz => match argument {
            DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => kept(0),
            DataType::Timestamp(_, Some(zone)) => Some((0, DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone))))),
            DataType::Timestamp(_, None) => Some((2, DataType::Timestamp(TimeUnit::Microsecond, None))),
            DataType::Date32 | DataType::Date64 => Some((2, DataType::Date32)),
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Interval => match argument {
            DataType::Interval(IntervalUnit::MonthDayNano) => kept(0),
            DataType::Interval(_) | DataType::Duration(_) => cast(1),
            DataType::Time64(_) | DataType::Time32(_) => None,
            text if is_string(text) => cast(FROM_TEXT),
            _ => None,
        },
        SqlType::Reg(_) => match argument {
            DataType::UInt32 => kept(0),
            integer if integer.is_integer() => kept(2),
            text if is_string(text) => kept(5),
            _ => None,
        },
        SqlType::Array(element) => match argument {
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                let (cost, _) = fit_exact(element, field.data_type()).filter(|(cost, _)| *cost < FROM_TEXT)?;
                kept(cost)
            }
            text if is_string(text) => kept(FROM_TEXT),
            _ => None,
        },
        SqlType::Int2Vector | SqlType::OidVector => {
            if is_list(argument) {
                kept(0)
            } else {
                None
            }
        }
        SqlType::Text | SqlType::Varchar(_) | SqlType::Name | SqlType::Unknown | SqlType::Char | SqlType::Bpchar(_) => {
            if is_string(argument) { kept(0) } else { None }
        }
        SqlType::Json | SqlType::Jsonb | SqlType::Uuid | SqlType::AclItem | SqlType::NodeTree => {
            if is_string(argument) {
                kept(1)
            } else {
                None
            }
        }
        SqlType::Record(_) | SqlType::Void => None,
    }
}

fn fit_integer(sql_type: &SqlType, argument: &DataType) -> Option<(u32, DataType)> {
    let wanted = match sql_type {
        SqlType::Int2 => 2,
        SqlType::Int4 => 4,
        SqlType::Int8 => 8,
        _ => 5,
    };
    let width = match argument {
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => 2,
        DataType::UInt16 | DataType::Int32 => 4,
        DataType::UInt32 => 5,
        DataType::Int64 => 8,
        text if is_string(text) => return Some((FROM_TEXT, DataType::Int64)),
        _ => return None,
    };
    // A narrower parameter is not PostgreSQL's rule, but a literal may have been typed wider than PostgreSQL would.
    let cost = if width == wanted {
        0
    } else if width < wanted {
        1 + (wanted - width) / 3
    } else {
        10
    };
    Some((cost, argument.clone()))
}

/// What the overloads of one name do: what the worst of them does.
pub(crate) fn behaviour(overloads: &[Declaration]) -> Behaviour {
    overloads.iter().map(|overload| overload.behaviour).max().unwrap_or(Behaviour::Effect)
}

/// A function of ours: its overloads, and what they need.
pub(crate) struct Function {
    name: String,
    overloads: Arc<[Declaration]>,
    context: Option<Arc<FunctionContext>>,
    /// The session's, for functions that depend on it; else UTC.
    zone: TimeZone,
    signature: Signature,
}

impl Function {
    /// The function of the given overloads, all of one name, for a statement.
    pub(crate) fn new(name: &str, overloads: &Arc<[Declaration]>, context: &Arc<FunctionContext>) -> Self {
        let behaviour = behaviour(overloads);
        Self {
            name: name.to_string(),
            overloads: Arc::clone(overloads),
            context: (behaviour >= Behaviour::Moment).then(|| Arc::clone(context)),
            zone: if behaviour >= Behaviour::Zoned {
                TimeZone::parse(&context.time_zone).unwrap_or_default()
            } else {
                TimeZone::utc()
            },
            signature: Signature::user_defined(behaviour.volatility()),
        }
    }

    fn pick(&self, arguments: &[DataType]) -> Option<(&Declaration, Vec<DataType>)> {
        let fits =
            self.overloads.iter().filter_map(|overload| overload.fit(arguments).map(|(cost, types)| (cost, overload, types)));
        fits.min_by_key(|(cost, ..)| *cost).map(|(_, overload, types)| (overload, types))
    }

    fn undefined(&self, fields: &[FieldRef]) -> Error {
        undefined_function(&self.name, fields)
    }

    fn call(&self, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let Some((overload, _)) = self.pick(&data_types) else { return Err(self.undefined(&args.arg_fields)) };
        let returns = args.return_field.data_type();
        let zone = &self.zone;
        let body = match overload.body {
            Body::Arrays(body) => {
                return body(&ArrayCall { zone, arguments: &args.args, rows: args.number_rows, returns });
            }
            Body::Rows(body) => body,
        };
        let once = overload.behaviour < Behaviour::Volatile && args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if once { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| Input::of(arg, rows)).collect::<Result<Vec<_>>>()?;
        let types: Vec<SqlType> = args.arg_fields.iter().map(|field| argument_type(field)).collect();
        let mut results = Vec::with_capacity(rows);
        let mut arguments = Vec::with_capacity(columns.len());
        for row in 0..rows {
            arguments.clear();
            for (index, column) in columns.iter().enumerate() {
                arguments.push(convert(overload.parameter(index), column.read(row)?, zone, self.context.as_deref())?);
            }
            if overload.strict && arguments.iter().any(Datum::is_null) {
                results.push(Datum::Null);
                continue;
            }
            results.push(body(&Call { context: self.context.as_deref(), zone, arguments: &arguments, types: &types })?);
        }
        let array = datum::write(returns, results)?;
        if once {
            return Ok(ColumnarValue::Scalar(constant(&array)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

/// The one value of an array. A list keeps the array's own field: rebuilt, it would lose the SQL type of its elements.
pub(crate) fn constant(array: &ArrayRef) -> Result<ScalarValue> {
    if let Some(list) = array.as_list_opt::<i32>() {
        return Ok(ScalarValue::List(Arc::new(list.clone())));
    }
    ScalarValue::try_from_array(array, 0).map_err(|error| Error::internal("a function's result").with_source(error))
}

/// What no overload fits, in PostgreSQL's words.
pub(crate) fn undefined_function(name: &str, fields: &[FieldRef]) -> Error {
    let types: Vec<String> = fields.iter().map(|field| argument_type(field).display_name()).collect();
    Error::new(ErrorKind::UndefinedFunction, format!("function {name}({}) does not exist", types.join(", ")))
        .with_hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

fn argument_type(field: &Field) -> SqlType {
    match field.data_type() {
        DataType::Null => SqlType::Unknown,
        DataType::Decimal128(..) | DataType::Decimal256(..) => SqlType::of_field(field),
        _ => SqlType::of_field(field),
    }
}

/// An argument that is read row by row; a constant is read once.
enum Input {
    Constant(Datum),
    Column(ArrayRef),
}

impl Input {
    fn of(value: &ColumnarValue, rows: usize) -> Result<Self> {
        Ok(match value {
            ColumnarValue::Array(array) => Input::Column(Arc::clone(array)),
            ColumnarValue::Scalar(scalar) => {
                let array = scalar.to_array().map_err(|error| Error::internal("a function's argument").with_source(error))?;
                if array.is_empty() || rows == 0 { Input::Constant(Datum::Null) } else { Input::Constant(datum::read(&array, 0)?) }
            }
        })
    }

    fn read(&self, row: usize) -> Result<Datum> {
        match self {
            Input::Constant(datum) => Ok(datum.clone()),
            Input::Column(array) => datum::read(array, row),
        }
    }
}

/// Brings a value to its parameter's type where the Arrow types were left as they came.
fn convert(parameter: Option<&Parameter>, value: Datum, zone: &TimeZone, context: Option<&FunctionContext>) -> Result<Datum> {
    let Some(Parameter::Exact(sql_type)) = parameter else { return Ok(value) };
    Ok(match (sql_type, value) {
        (SqlType::Timestamp, Datum::Date(days)) => Datum::Timestamp(moment::midnight(days)?),
        (SqlType::Timestamptz, Datum::Date(days)) => Datum::Timestamptz(moment::instant_of_local(moment::midnight(days)?, zone)?),
        (SqlType::Timestamptz, Datum::Timestamp(local)) => Datum::Timestamptz(moment::instant_of_local(local, zone)?),
        (SqlType::Reg(kind), Datum::Text(text)) => resolve_object(context, *kind, &text)?,
        (SqlType::UnconstrainedNumeric, Datum::Text(text)) => Datum::Numeric(Numeric::parse(&text)?),
        (SqlType::Array(element), Datum::Text(text)) => Datum::List(names::parse_array_literal(&text, element)?),
        (_, value) => value,
    })
}

fn resolve_object(context: Option<&FunctionContext>, kind: RegKind, text: &str) -> Result<Datum> {
    let context = context.ok_or_else(|| Error::internal("an object name without a context"))?;
    Ok(Datum::from(names::require_object(context, kind, text)?))
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Function").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        let same_context = match (&self.context, &other.context) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        };
        self.name == other.name && self.zone == other.zone && same_context
    }
}
impl Eq for Function {}
impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> DataFusionResult<DataType> {
        let fields: Vec<FieldRef> = arguments.iter().map(|data_type| Arc::new(Field::new("", data_type.clone(), true))).collect();
        let (overload, _) = self.pick(arguments).ok_or_else(|| external(self.undefined(&fields)))?;
        let types: Vec<SqlType> = fields.iter().map(|field| argument_type(field)).collect();
        Ok(overload.return_field(&types).data_type().clone())
    }

    /// Never fails: DataFusion would turn the error into text. A call that fits nothing fails in `return_field_from_args`.
    fn coerce_types(&self, arguments: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        Ok(self.pick(arguments).map_or_else(|| arguments.to_vec(), |(_, types)| types))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> DataFusionResult<FieldRef> {
        let data_types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let (overload, _) = self.pick(&data_types).ok_or_else(|| external(self.undefined(args.arg_fields)))?;
        let types: Vec<SqlType> = args.arg_fields.iter().map(|field| argument_type(field)).collect();
        Ok(Arc::new(overload.return_field(&types)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        self.call(&args).map_err(external)
    }
}

/// Our error inside the engine's; the engine's room takes it out again.
pub(crate) fn external(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// A [`ScalarUDF`] over the overloads, for a statement.
pub(crate) fn scalar(name: &str, overloads: &Arc<[Declaration]>, context: &Arc<FunctionContext>) -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(Function::new(name, overloads, context)))
}
