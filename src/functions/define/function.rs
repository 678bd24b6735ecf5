//! A declared function as the engine's: its overloads, what they need of the statement, and how their bodies are run.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};

use super::overload::{choose, wanted};
use super::signature::Parameter;
use super::{ArrayCall, Body, Call, Declaration};
use crate::error::{Error, ErrorKind, Result};
use crate::functions::behaviour::Behaviour;
use crate::functions::context::FunctionContext;
use crate::functions::names;
use crate::functions::object_names::ContextNames;
use crate::types::datum::{self, Datum};
use crate::types::input::parse_scalar;
use crate::types::values::numeric::Numeric;
use crate::types::values::{TimeZone, moment};
use crate::types::{Form, ObjectNames, RegKind, SqlType};

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
    /// How values are read and written; `None` for functions that depend on their arguments only.
    form: Option<Arc<Form>>,
    /// SQL types of the arguments, where the binder has chosen the overload.
    types: Option<Arc<[SqlType]>>,
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
            form: (behaviour >= Behaviour::Zoned).then(|| {
                let names: Arc<dyn ObjectNames> = Arc::new(ContextNames(Arc::clone(context)));
                Arc::new(Form { object_names: Some(names), ..Form::clone(&context.form) })
            }),
            types: None,
            signature: Signature::user_defined(behaviour.volatility()),
        }
    }

    fn pick(&self, arguments: &[DataType]) -> Option<(&Declaration, Vec<DataType>)> {
        let fits =
            self.overloads.iter().filter_map(|overload| overload.fit(arguments).map(|(cost, types)| (cost, overload, types)));
        fits.min_by_key(|(cost, ..)| *cost).map(|(_, overload, types)| (overload, types))
    }

    /// The function for one call, with the overload that PostgreSQL would take, and the types of its untyped arguments.
    fn resolve(&self, sql_types: &[SqlType], arguments: &[DataType]) -> Option<(Function, Vec<Option<SqlType>>)> {
        let lenient = || {
            let fits = self.overloads.iter().filter_map(|overload| Some((overload.fit_typed(sql_types, arguments)?.0, overload)));
            fits.min_by_key(|(cost, _)| *cost).map(|(_, overload)| overload)
        };
        let overload = choose(&self.overloads, sql_types, arguments).or_else(lenient)?;
        let untyped = |index: usize| (sql_types[index] == SqlType::Unknown).then(|| wanted(overload, index, sql_types)).flatten();
        let types: Vec<Option<SqlType>> = (0..sql_types.len()).map(untyped).collect();
        let settled = sql_types.iter().zip(&types).map(|(given, wanted)| wanted.clone().unwrap_or_else(|| given.clone()));
        let function = Function {
            name: self.name.clone(),
            overloads: Arc::new([overload.clone()]),
            context: self.context.clone(),
            zone: self.zone.clone(),
            form: self.form.clone(),
            types: Some(settled.collect()),
            signature: self.signature.clone(),
        };
        Some((function, types))
    }

    fn undefined(&self, fields: &[FieldRef]) -> Error {
        undefined_function(&self.name, fields)
    }

    fn call(&self, args: &ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_types: Vec<DataType> = args.args.iter().map(ColumnarValue::data_type).collect();
        let Some((overload, _)) = self.pick(&data_types) else { return Err(self.undefined(&args.arg_fields)) };
        let returns = args.return_field.data_type();
        let zone = &self.zone;
        let plain = Form::default();
        let form = self.form.as_deref().unwrap_or(&plain);
        let types: Vec<SqlType> = match &self.types {
            Some(types) if types.len() == args.args.len() => types.to_vec(),
            _ => args.arg_fields.iter().map(|field| argument_type(field)).collect(),
        };
        let body = match overload.body {
            Body::Arrays(body) => {
                let fields = &args.arg_fields;
                return body(&ArrayCall {
                    zone,
                    form,
                    arguments: &args.args,
                    fields,
                    types: &types,
                    rows: args.number_rows,
                    returns,
                });
            }
            Body::Rows(body) => body,
        };
        let once = overload.behaviour < Behaviour::Volatile && args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if once { 1 } else { args.number_rows };
        let columns = args.args.iter().map(|arg| Input::of(arg, rows)).collect::<Result<Vec<_>>>()?;
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
        (SqlType::UnconstrainedNumeric, Datum::Text(text)) => Datum::Numeric(Numeric::parse(&text)?),
        (SqlType::Reg(kind), Datum::Text(text)) => resolve_object(context, *kind, &text)?,
        (SqlType::Array(_), Datum::Text(text)) => {
            let list = parse_scalar(&text, sql_type, &Form::default())?;
            let list = list.to_array().map_err(|error| Error::internal("an array literal").with_source(error))?;
            datum::read(&list, 0)?
        }
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
        self.name == other.name && self.zone == other.zone && self.form == other.form && self.types == other.types && same_context
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

/// What the binder knows about a call of a function of ours once its overload is chosen.
pub(crate) struct Resolved {
    /// The function, narrowed to the overload.
    pub(crate) function: Arc<ScalarUDF>,
    /// For each argument that is an untyped literal or parameter, the type that it is read as; `None` leaves it a text.
    pub(crate) wanted: Vec<Option<SqlType>>,
}

/// The overload of `function` for arguments of these types; `None` for functions of the engine, and where no overload fits.
pub(crate) fn resolved(function: &ScalarUDF, sql_types: &[SqlType], arguments: &[DataType]) -> Option<Resolved> {
    let ours = function.inner().downcast_ref::<Function>()?;
    let (function, wanted) = ours.resolve(sql_types, arguments)?;
    Some(Resolved { function: Arc::new(ScalarUDF::new_from_impl(function)), wanted })
}

/// Whether the function is one of ours.
pub(crate) fn is_ours(function: &ScalarUDF) -> bool {
    function.inner().is::<Function>()
}
