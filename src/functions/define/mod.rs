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

mod function;
mod overload;
mod signature;

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, StringArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::ColumnarValue;

use self::signature::{Parameter, Returns, parameter, returns_of};
use super::behaviour::Behaviour;
use super::context::FunctionContext;
use crate::error::{Error, Result};
use crate::types::convert::convert;
use crate::types::datum::Datum;
use crate::types::encode::{json_of, text_of};
use crate::types::input::Failure;
use crate::types::values::TimeZone;
use crate::types::values::numeric::Numeric;
use crate::types::{Form, SqlType};

pub(crate) use self::function::{Resolved, behaviour, constant, external, is_ours, resolved, scalar, undefined_function};

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
    /// How the session reads and writes values; the default for functions declared `immutable`.
    pub(crate) form: &'a Form,
    /// Arguments, with the Arrow types that [`Parameter`] admits.
    pub(crate) arguments: &'a [ColumnarValue],
    /// The arguments' fields.
    pub(crate) fields: &'a [FieldRef],
    /// SQL types of the arguments as they were passed.
    pub(crate) types: &'a [SqlType],
    /// Number of rows.
    pub(crate) rows: usize,
    /// Arrow type of the result.
    pub(crate) returns: &'a DataType,
}

/// The texts of an argument, one for each row or one for all.
pub(crate) struct ArgumentTexts {
    texts: StringArray,
    is_constant: bool,
}

impl ArgumentTexts {
    /// The text in a row; `None` for NULL.
    pub(crate) fn get(&self, row: usize) -> Option<&str> {
        let row = if self.is_constant { 0 } else { row };
        (row < self.texts.len() && self.texts.is_valid(row)).then(|| self.texts.value(row))
    }
}

impl ArrayCall<'_> {
    /// The argument as its output function writes it.
    pub(crate) fn texts(&self, index: usize) -> Result<ArgumentTexts> {
        let (array, is_constant) = self.array(index)?;
        let sql_type = self.types.get(index).ok_or_else(|| missing(index))?;
        let untyped = *sql_type == SqlType::Unknown;
        let texts = text_of(&array, if untyped { &SqlType::Text } else { sql_type }, self.form)?;
        Ok(ArgumentTexts { texts, is_constant })
    }

    /// The argument as a cast to text gives it.
    pub(crate) fn cast_to_text(&self, index: usize) -> Result<ArgumentTexts> {
        let (array, is_constant) = self.array(index)?;
        let sql_type = self.types.get(index).ok_or_else(|| missing(index))?;
        let texts = convert(&array, sql_type, &SqlType::Text, self.form, Failure::Error)?;
        Ok(ArgumentTexts { texts: text_of(&texts, &SqlType::Text, self.form)?, is_constant })
    }

    /// The argument as JSON.
    pub(crate) fn json(&self, index: usize) -> Result<ArgumentTexts> {
        let (array, is_constant) = self.array(index)?;
        let field = self.fields.get(index).ok_or_else(|| missing(index))?;
        let sql_type = self.types.get(index).ok_or_else(|| missing(index))?;
        let field = field.as_ref().clone().with_data_type(array.data_type().clone()).with_metadata(sql_type.metadata());
        Ok(ArgumentTexts { texts: json_of(&array, &field, self.form)?, is_constant })
    }

    /// The argument as an array: of one row where it is a constant.
    pub(crate) fn array(&self, index: usize) -> Result<(ArrayRef, bool)> {
        match self.arguments.get(index).ok_or_else(|| missing(index))? {
            ColumnarValue::Array(array) => Ok((Arc::clone(array), false)),
            ColumnarValue::Scalar(value) => {
                let array = value.to_array().map_err(|error| Error::internal("a function's argument").with_source(error))?;
                Ok((array, true))
            }
        }
    }

    /// A text for each row, or one for all if all arguments are constants.
    pub(crate) fn each_row(&self, mut text: impl FnMut(usize) -> Result<Option<String>>) -> Result<ColumnarValue> {
        if self.arguments.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_))) {
            return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(text(0)?)));
        }
        let mut texts = StringBuilder::new();
        for row in 0..self.rows {
            texts.append_option(text(row)?);
        }
        Ok(ColumnarValue::Array(Arc::new(texts.finish())))
    }
}

fn missing(index: usize) -> Error {
    Error::internal(format!("a function has no argument {index}"))
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
}
