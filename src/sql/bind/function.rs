//! Function calls: built-in scalars, aggregates, windows and sets, and the SQL functions of the metastore, which are inlined.
//!
//! A built-in name cannot be shadowed: it is looked up first, and only names that no built-in has are searched in the search path.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::functions::core::expr_fn as core;
use datafusion::logical_expr::expr::{NullTreatment, ScalarFunction};
use datafusion::logical_expr::{
    AggregateUDF, Case, Expr, Operator, ReturnFieldArgs, ScalarUDF, Volatility, WindowFunctionDefinition, lit,
};
use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    self, DuplicateTreatment, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArgumentClause, FunctionArguments,
    ObjectName, ObjectNamePart, WindowType,
};

use super::Binder;
use super::aggregate::{AggregateClauses, Over};
use super::arguments::{call_error, evaluate};
use super::coerce::{cast_expr, element_type};
use super::error::{at, folded, name_parts, name_span};
use super::expression::Place;
use super::names::{INFORMATION_SCHEMA, PG_CATALOG};
use super::typed::Typed;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::sql_type_of;
use crate::types::{RegKind, SqlType};

/// Functions that are written without parentheses.
const BARE: [&str; 11] = [
    "current_user",
    "session_user",
    "user",
    "current_role",
    "current_catalog",
    "current_schema",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
];

/// Aggregates and window functions whose result is one of their arguments' values.
const SELECTING: [&str; 12] = [
    "min",
    "max",
    "any_value",
    "first_value",
    "last_value",
    "nth_value",
    "lag",
    "lead",
    "mode",
    "single_value",
    "max_by",
    "min_by",
];

/// Functions of an array and elements of it.
const ELEMENTWISE: [&str; 4] = ["array_remove", "array_replace", "array_append", "array_positions"];

/// Built-in functions whose arguments are given by name, and what the parameters are called.
const NAMED: [(&str, &[&str]); 4] = [
    ("make_interval", &["years", "months", "weeks", "days", "hours", "mins", "secs"]),
    ("make_date", &["year", "month", "day"]),
    ("make_time", &["hour", "min", "sec"]),
    ("make_timestamp", &["year", "month", "mday", "hour", "min", "sec"]),
];

/// The parts of a call, taken apart.
struct CallParts<'f> {
    arguments: Vec<Cow<'f, ast::Expr>>,
    /// `name => value`, in lower case.
    named: Vec<(String, &'f ast::Expr)>,
    star: bool,
    distinct: bool,
    order_by: &'f [ast::OrderByExpr],
    within_group: &'f [ast::OrderByExpr],
    filter: Option<&'f ast::Expr>,
    null_treatment: Option<NullTreatment>,
    over: Option<&'f WindowType>,
}

impl<'f> CallParts<'f> {
    fn of(function: &'f ast::Function) -> Result<Self> {
        if function.parameters != FunctionArguments::None {
            return Err(Error::unsupported("a parameterised function call"));
        }
        let mut parts = CallParts {
            arguments: vec![],
            named: vec![],
            star: false,
            distinct: false,
            order_by: &[],
            within_group: &function.within_group,
            filter: function.filter.as_deref(),
            null_treatment: function.null_treatment.map(Into::into),
            over: function.over.as_ref(),
        };
        let list = match &function.args {
            FunctionArguments::None => return Ok(parts),
            FunctionArguments::Subquery(_) => return Err(Error::unsupported("a subquery as the argument list of this function")),
            FunctionArguments::List(list) => list,
        };
        parts.distinct = list.duplicate_treatment == Some(DuplicateTreatment::Distinct);
        for argument in &list.args {
            match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(_) | FunctionArgExpr::QualifiedWildcard(_))
                    if !parts.named.is_empty() =>
                {
                    return Err(Error::new(ErrorKind::Syntax, "positional argument cannot follow named argument"));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => parts.arguments.push(Cow::Borrowed(expr)),
                FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(name)) => {
                    let token = AttachedToken::empty();
                    parts.arguments.push(Cow::Owned(ast::Expr::QualifiedWildcard(name.clone(), token)));
                }
                FunctionArg::Unnamed(FunctionArgExpr::Wildcard) => parts.star = true,
                FunctionArg::Named {
                    name,
                    arg: FunctionArgExpr::Expr(expr),
                    operator: FunctionArgOperator::RightArrow | FunctionArgOperator::Assignment,
                } => parts.named.push((folded(name), expr)),
                other => {
                    return Err(Error::unsupported(format!("the argument {other}")).with_hint("Give the arguments by position."));
                }
            }
        }
        for clause in &list.clauses {
            match clause {
                FunctionArgumentClause::OrderBy(order_by) => parts.order_by = order_by,
                FunctionArgumentClause::IgnoreOrRespectNulls(treatment) => parts.null_treatment = Some((*treatment).into()),
                other => return Err(Error::unsupported(format!("the clause {other} in a function call"))),
            }
        }
        Ok(parts)
    }

    /// Puts named arguments into their parameters' places. `zeros` stand for what is left out between them.
    fn place_named(&mut self, function: &str, parameters: &[&str], zeros: bool) -> Result<()> {
        let unknown = |what: String| {
            Err(Error::new(ErrorKind::UndefinedFunction, format!("function {function}({what}) does not exist"))
                .with_hint("No function matches the given name and argument names."))
        };
        let mut last = None;
        let mut placed: Vec<Option<Cow<'f, ast::Expr>>> = vec![None; parameters.len()];
        for (name, expr) in std::mem::take(&mut self.named) {
            let Some(index) = parameters.iter().position(|parameter| *parameter == name) else {
                return unknown(format!("{name} => .."));
            };
            if index < self.arguments.len() || placed[index].is_some() {
                return Err(Error::new(ErrorKind::Syntax, format!("argument name \"{name}\" used more than once")));
            }
            placed[index] = Some(Cow::Borrowed(expr));
            last = last.max(Some(index));
        }
        let Some(last) = last else { return Ok(()) };
        let first = self.arguments.len();
        for (index, argument) in placed.into_iter().enumerate().take(last + 1).skip(first) {
            match argument {
                Some(argument) => self.arguments.push(argument),
                None if zeros => self.arguments.push(Cow::Owned(ast::Expr::Value(ast::Value::Number("0".into(), false).into()))),
                None => return unknown(format!("without {}", parameters[index])),
            }
        }
        Ok(())
    }

    /// 0A000 if arguments are named where the parameters' names are not known.
    fn refuse_named(&self) -> Result<()> {
        match self.named.first() {
            Some((name, _)) => {
                Err(Error::unsupported(format!("the argument {name} => ..")).with_hint("Give the arguments by position."))
            }
            None => Ok(()),
        }
    }

    /// A call with nothing but arguments.
    fn is_plain(&self) -> bool {
        !self.star
            && self.named.is_empty()
            && !self.distinct
            && self.order_by.is_empty()
            && self.within_group.is_empty()
            && self.filter.is_none()
            && self.null_treatment.is_none()
            && self.over.is_none()
    }
}

impl Binder<'_> {
    /// Binds a call.
    pub(super) fn function(&self, function: &ast::Function, place: Place<'_>) -> Result<Typed> {
        let span = name_span(&function.name);
        let parts = name_parts(&function.name);
        self.called(function, &parts, place).map_err(|error| at(error, span))
    }

    /// The built-in behind a name: unqualified, or in one of the system schemas.
    pub(super) fn builtin_name(parts: &[String]) -> Option<&str> {
        match parts {
            [name] => Some(name),
            [schema, name] if schema == PG_CATALOG || schema == INFORMATION_SCHEMA => Some(name),
            _ => None,
        }
    }

    fn called(&self, function: &ast::Function, parts: &[String], place: Place<'_>) -> Result<Typed> {
        if let (FunctionArguments::Subquery(query), "array") = (&function.args, parts.join(".").as_str()) {
            return self.array_subquery(query, place);
        }
        let mut call = CallParts::of(function)?;
        if let Some(name) = Self::builtin_name(parts) {
            let name = name.to_lowercase();
            if let Some((_, parameters)) = NAMED.iter().find(|(function, _)| *function == name) {
                call.place_named(&name, parameters, true)?;
            }
            if let Some(special) = self.special(&name, &call, place)? {
                return Ok(special);
            }
            if call.over.is_some() {
                return self.window_call(&name, &call, place);
            }
            if let Some(aggregate) = self.world.scope.registry.aggregate(&name) {
                return self.aggregate_call(&name, &aggregate, &call, place);
            }
            if let Some(set) = self.world.scope.registry.table(&name, self.context()) {
                let arguments = self.plain_arguments(&name, &call, place)?;
                let list = self.scalar_call(&name, &set.list, arguments)?;
                return self.set_call(list, place);
            }
            if let Some(scalar) = self.world.scope.registry.scalar(&name, self.context()) {
                let arguments = self.plain_arguments(&name, &call, place)?;
                return self.over_bytes(&name, arguments, |arguments| self.scalar_call(&name, &scalar, arguments));
            }
            if self.world.scope.registry.window(&name).is_some() {
                return Err(Error::new(ErrorKind::Windowing, format!("window function {name} requires an OVER clause")));
            }
        }
        if let Some(found) = self.path.function(parts)
            && self.path.may_see(self.reader(), found.id)
        {
            let parameters: Vec<&str> = found.parameters.iter().map(|(name, _)| name.as_str()).collect();
            call.place_named(&found.name, &parameters, false)?;
            let arguments = self.plain_arguments(&found.name, &call, place)?;
            return self.sql_function(&found, arguments);
        }
        let arguments = call.arguments.iter().map(|argument| self.expression(argument, place)).collect::<Result<Vec<_>>>()?;
        // `int4(x)`, `date(x)`: the name of a type is a cast.
        if let ([name], [value]) = (parts, arguments.as_slice())
            && let Some(target) = type_called(name)
        {
            return self.cast(value.clone(), &target);
        }
        Err(undefined_function(&parts.join("."), &arguments))
    }

    /// `current_user` and the like, met as a bare word.
    pub(super) fn bare_function(&self, name: &str, _place: Place<'_>) -> Result<Option<Typed>> {
        if !BARE.contains(&name) {
            return Ok(None);
        }
        match self.world.scope.registry.scalar(name, self.context()) {
            Some(function) => self.scalar_call(name, &function, vec![]).map(Some),
            None => Ok(None),
        }
    }

    /// Calls a built-in scalar by name.
    pub(super) fn call_builtin(&self, name: &str, arguments: Vec<Typed>) -> Result<Typed> {
        self.over_bytes(name, arguments, |arguments| match self.world.scope.registry.scalar(name, self.context()) {
            Some(function) => self.scalar_call(name, &function, arguments),
            None => Err(undefined_function(name, &arguments)),
        })
    }

    fn plain_arguments(&self, name: &str, call: &CallParts<'_>, place: Place<'_>) -> Result<Vec<Typed>> {
        call.refuse_named()?;
        if !call.is_plain() {
            let message = if call.over.is_some() {
                format!("OVER specified, but {name} is not a window function nor an aggregate function")
            } else {
                format!("DISTINCT, ORDER BY, FILTER or * specified, but {name} is not an aggregate function")
            };
            return Err(Error::new(ErrorKind::WrongObjectType, message));
        }
        let mut arguments = call.arguments.iter().map(|argument| self.expression(argument, place)).collect::<Result<Vec<_>>>()?;
        // Drivers send what a call gives back along as parameters of type void, and PostgreSQL overlooks those.
        arguments.retain(|argument| !(argument.sql_type == SqlType::Void && matches!(argument.expr, Expr::Placeholder(_))));
        Ok(arguments)
    }

    /// Functions that the grammar of expressions knows, not the registry.
    fn special(&self, name: &str, call: &CallParts<'_>, place: Place<'_>) -> Result<Option<Typed>> {
        if !matches!(name, "coalesce" | "nullif" | "greatest" | "least" | "pg_typeof" | "row" | "substring") {
            return Ok(None);
        }
        if name == "row" && call.is_plain() {
            let elements: Vec<ast::Expr> = call.arguments.iter().map(|argument| argument.clone().into_owned()).collect();
            return self.row(self.row_elements(&elements, place)?).map(Some);
        }
        let place = if name == "coalesce" { place.without_sets("COALESCE") } else { place };
        let arguments = self.plain_arguments(name, call, place)?;
        if arguments.is_empty() && matches!(name, "coalesce" | "greatest" | "least") {
            // In PostgreSQL's grammar their list cannot be empty.
            return Err(Error::new(ErrorKind::Syntax, "syntax error at or near \")\"")
                .with_detail(format!("{name} needs at least one argument.")));
        }
        Ok(match name {
            "coalesce" => {
                let nullable = arguments.iter().all(|argument| argument.nullable);
                let (values, common) = self.unify(arguments, "COALESCE")?;
                let data_type = values.first().map_or_else(|| common.arrow_type(), |value| value.data_type.clone());
                let expr = core::coalesce(values.into_iter().map(|value| value.expr).collect());
                Some(Typed { data_type, ..Typed::new(expr, common, nullable) })
            }
            "greatest" | "least" => {
                let nullable = arguments.iter().all(|argument| argument.nullable);
                let (values, common) = self.unify(arguments, if name == "greatest" { "GREATEST" } else { "LEAST" })?;
                if common == SqlType::Interval {
                    return self.extreme_interval(values, if name == "greatest" { Operator::GtEq } else { Operator::LtEq });
                }
                let data_type = values.first().map_or_else(|| common.arrow_type(), |value| value.data_type.clone());
                let values = values.into_iter().map(|value| value.expr).collect();
                let expr = if name == "greatest" { core::greatest(values) } else { core::least(values) };
                Some(Typed { data_type, ..Typed::new(expr, common, nullable) })
            }
            "nullif" => {
                let [left, right] =
                    <[Typed; 2]>::try_from(arguments).map_err(|arguments| undefined_function("nullif", &arguments))?;
                let left =
                    self.settled(if left.is_unknown() && !right.is_unknown() { self.cast(left, &right.sql_type)? } else { left })?;
                // What is compared is what comes back.
                let left = if matches!(left.sql_type, SqlType::Varchar(_)) { self.cast(left, &SqlType::Text)? } else { left };
                let equal = self.compare(Operator::Eq, self.copied(&left)?, right)?;
                let null = ScalarValue::try_from(&left.data_type).unwrap_or(ScalarValue::Null);
                let expr = Expr::Case(Case::new(
                    None,
                    vec![(Box::new(equal.expr), Box::new(lit(null)))],
                    Some(Box::new(left.expr.clone())),
                ));
                Some(Typed { expr, nullable: true, origin: None, ..left })
            }
            "row" => Some(self.row(arguments)?),
            "pg_typeof" => match arguments.as_slice() {
                [value] => Some(Typed::constant(ScalarValue::UInt32(Some(value.sql_type.oid())), SqlType::Reg(RegKind::Type))),
                other => return Err(undefined_function(name, other)),
            },
            // Quoted or qualified: the bare word is the grammar's.
            "substring" => match arguments.as_slice() {
                [value, from] => Some(self.part_of(value.clone(), Some(from.clone()), None)?),
                [value, from, length] => Some(self.part_of(value.clone(), Some(from.clone()), Some(length.clone()))?),
                other => return Err(undefined_function(name, other)),
            },
            _ => None,
        })
    }

    /// `ROW(a, b)`: untyped literals in it stay what they are.
    pub(super) fn row(&self, values: Vec<Typed>) -> Result<Typed> {
        let values = values
            .into_iter()
            .map(|value| match value.literal_text() {
                None if value.is_null_literal() && value.is_unknown() => {
                    Ok(Typed::constant(ScalarValue::Utf8(None), SqlType::Unknown))
                }
                None => self.settled(value),
                Some(_) => Ok(value),
            })
            .collect::<Result<Vec<_>>>()?;
        if values.is_empty() {
            return Err(Error::unsupported("a row without fields"));
        }
        let name = |index: usize| format!("f{}", index + 1);
        let fields = values.iter().enumerate().map(|(index, value)| Field::new(name(index), value.data_type.clone(), true));
        let data_type = DataType::Struct(fields.collect());
        let sql_type = SqlType::Record(values.iter().map(|value| value.sql_type.clone()).collect());
        let parts = values.into_iter().enumerate().flat_map(|(index, value)| [lit(name(index)), value.expr]);
        Ok(Typed { data_type, ..Typed::new(core::named_struct(parts.collect()), sql_type, false) })
    }

    /// A call of a scalar function; a stable one over constants is evaluated now, for it depends on the statement only.
    pub(super) fn scalar_call(&self, name: &str, function: &Arc<ScalarUDF>, arguments: Vec<Typed>) -> Result<Typed> {
        let volatility = function.signature().volatility;
        self.admit_call(name)?;
        let arguments = self.number_arguments(name, arguments)?;
        if volatility != Volatility::Immutable {
            self.world.shared.borrow_mut().of_the_moment = true;
        }
        if volatility == Volatility::Volatile {
            self.world.shared.borrow_mut().volatile = true;
        }
        let arguments = if ELEMENTWISE.contains(&name) { self.elements_of_array(arguments)? } else { arguments };
        let accepts = |fields: &[FieldRef]| {
            let constants = vec![None; fields.len()];
            function.return_field_from_args(ReturnFieldArgs { arg_fields: fields, scalar_arguments: &constants }).is_ok()
        };
        let (function, arguments) = self.overload(name, function, &accepts, arguments)?;
        let function = &function;
        let (arguments, fields) = self.typed_arguments(name, function.as_ref(), &accepts, arguments)?;
        let constants: Vec<Option<&ScalarValue>> = arguments
            .iter()
            .map(|argument| if let Expr::Literal(value, _) = &argument.expr { Some(value) } else { None })
            .collect();
        let returns = function
            .return_field_from_args(ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &constants })
            .map_err(|error| call_error(error, name, &arguments))?;
        let folded = if volatility == Volatility::Stable && constants.iter().all(Option::is_some) {
            let values: Vec<ScalarValue> = constants.into_iter().flatten().cloned().collect();
            Some(evaluate(function, values, &fields, &returns)?)
        } else {
            None
        };
        let expr = match folded {
            Some(value) => Expr::Literal(value, None),
            None => Expr::ScalarFunction(ScalarFunction::new_udf(
                Arc::clone(function),
                arguments.into_iter().map(|argument| argument.expr).collect(),
            )),
        };
        Ok(in_sql_types(name, Typed::of_field(expr, &returns)))
    }

    /// `f(anyarray, anyelement, ..)`: an untyped argument is read as an element.
    fn elements_of_array(&self, arguments: Vec<Typed>) -> Result<Vec<Typed>> {
        let Some(element) = arguments.first().and_then(|array| element_type(&array.sql_type)) else { return Ok(arguments) };
        let read = |argument: Typed| if argument.is_unknown() { self.cast(argument, &element) } else { Ok(argument) };
        arguments.into_iter().map(read).collect()
    }

    fn aggregate_call(&self, name: &str, aggregate: &Arc<AggregateUDF>, call: &CallParts<'_>, place: Place<'_>) -> Result<Typed> {
        let inside = Place { inside: Some("aggregate"), sets: None, ..place };
        let arguments = self.aggregate_arguments(name, call, inside)?;
        let mut order_by = self.sort_keys(call.order_by, inside)?;
        let mut arguments = arguments;
        if let [ordering] = self.sort_keys(call.within_group, inside)?.as_slice() {
            // An ordered-set aggregate takes the ordered value as its first argument.
            let ast_value = call.within_group.first().ok_or_else(|| Error::internal("WITHIN GROUP without a key"))?;
            let value = self.expression(&ast_value.expr, inside)?;
            let value = self.settled(value)?;
            arguments.insert(0, value);
            order_by = vec![ordering.clone()];
        } else if !call.within_group.is_empty() {
            return Err(Error::unsupported("WITHIN GROUP with several keys"));
        }
        let filter = call.filter.map(|filter| self.condition_of(filter, inside)).transpose()?;
        let given: Vec<Expr> = arguments.iter().map(|argument| argument.expr.clone()).collect();
        let within_group = !call.within_group.is_empty();
        let (aggregated, direct) = given.split_at(if within_group { 1 } else { given.len() });
        let aggregated =
            aggregated.iter().chain(order_by.iter().map(|key| &key.expr)).chain(filter.as_ref().map(|filter| &filter.expr));
        let home = self.home(&aggregated.collect::<Vec<_>>(), &direct.iter().collect::<Vec<_>>(), place)?;
        let clauses = AggregateClauses { filter, order_by, null_treatment: call.null_treatment, within_group, given };
        let of_bytes = name == "string_agg" && arguments.first().is_some_and(|value| value.sql_type == SqlType::Bytea);
        if of_bytes {
            arguments = arguments.into_iter().map(|argument| self.hex(argument)).collect::<Result<_>>()?;
        }
        let arguments = self.json_texts(name, call.distinct, arguments)?;
        let computed = self.computed_aggregate(name, aggregate, arguments, call.distinct, &clauses)?;
        let computed = self.at_home(computed, home, place)?;
        if of_bytes {
            return self.call_builtin("decode", vec![computed.retyped(SqlType::Text), Typed::unknown("hex".to_string())]);
        }
        Ok(computed)
    }

    fn computed_aggregate(
        &self,
        name: &str,
        aggregate: &Arc<AggregateUDF>,
        arguments: Vec<Typed>,
        distinct: bool,
        clauses: &AggregateClauses,
    ) -> Result<Typed> {
        if let [value] = arguments.as_slice() {
            let part = |name: &str, aggregate: Option<Arc<AggregateUDF>>, value: Typed, distinct: bool| {
                let aggregate = self.aggregate_named(name, aggregate, &value)?;
                self.one_aggregate(name, &aggregate, vec![value], distinct, clauses)
            };
            if let Some(computed) = self.number_aggregate(name, value, distinct, &part)? {
                return Ok(computed);
            }
        }
        let arguments = self.aggregate_numbers(name, arguments)?;
        let narrower = arguments.first().and_then(|argument| self.world.scope.registry.aggregate_over(name, &argument.data_type));
        self.one_aggregate(name, narrower.as_ref().unwrap_or(aggregate), arguments, distinct, clauses)
    }

    fn aggregate_arguments(&self, name: &str, call: &CallParts<'_>, place: Place<'_>) -> Result<Vec<Typed>> {
        call.refuse_named()?;
        if call.star {
            if name != "count" {
                return Err(Error::new(ErrorKind::UndefinedFunction, format!("function {name}(*) does not exist")));
            }
            return Ok(vec![Typed::constant(ScalarValue::Int64(Some(1)), SqlType::Int8)]);
        }
        if name == "count" && call.arguments.is_empty() {
            return Err(Error::new(ErrorKind::WrongObjectType, "count(*) must be used to call a parameterless aggregate function"));
        }
        call.arguments
            .iter()
            .map(|argument| {
                let value = self.expression(argument, place)?;
                // An untyped literal as an argument: its text, or what the function makes of it.
                if value.is_unknown() && value.is_null_literal() { self.cast(value, &SqlType::Text) } else { Ok(value) }
            })
            .collect()
    }

    fn window_call(&self, name: &str, call: &CallParts<'_>, place: Place<'_>) -> Result<Typed> {
        if place.inside.is_some() {
            return Err(Error::new(ErrorKind::Windowing, "window function calls cannot be nested"));
        }
        if !place.clause.allows_windows() {
            return Err(Error::new(ErrorKind::Windowing, format!("window functions are not allowed in {}", place.clause.name())));
        }
        let registry = &self.world.scope.registry;
        let definition = match (registry.window(name), registry.aggregate(name)) {
            (Some(window), _) => WindowFunctionDefinition::WindowUDF(window),
            (None, Some(aggregate)) => WindowFunctionDefinition::AggregateUDF(aggregate),
            (None, None) => {
                let message = format!("OVER specified, but {name} is not a window function nor an aggregate function");
                return Err(Error::new(ErrorKind::WrongObjectType, message));
            }
        };
        if call.distinct {
            return Err(Error::unsupported("DISTINCT in a window function"));
        }
        if !call.order_by.is_empty() || !call.within_group.is_empty() {
            return Err(Error::unsupported("ORDER BY in the arguments of a window function"));
        }
        let inside = Place { inside: Some("window"), sets: None, ..place };
        let arguments = self.window_arguments(name, call, inside)?;
        let filter = call.filter.map(|filter| self.condition_of(filter, inside)).transpose()?;
        let (partition_by, order_by, window_frame) = match call.over {
            Some(over) => self.window(over, Place { sets: place.sets, ..inside })?,
            None => return Err(Error::internal("window call without OVER")),
        };
        let over = Over { partition_by, order_by, window_frame, filter, null_treatment: call.null_treatment };
        if let ([value], WindowFunctionDefinition::AggregateUDF(_)) = (arguments.as_slice(), &definition) {
            let part = |name: &str, aggregate: Option<Arc<AggregateUDF>>, value: Typed, _distinct: bool| {
                let definition = WindowFunctionDefinition::AggregateUDF(self.aggregate_named(name, aggregate, &value)?);
                self.one_window(name, definition, vec![value], &over)
            };
            if let Some(computed) = self.number_aggregate(name, value, false, &part)? {
                return Ok(computed);
            }
        }
        let (definition, arguments) = match definition {
            WindowFunctionDefinition::AggregateUDF(aggregate) => {
                let arguments = self.aggregate_numbers(name, arguments)?;
                let narrower = arguments.first().and_then(|argument| registry.aggregate_over(name, &argument.data_type));
                (WindowFunctionDefinition::AggregateUDF(narrower.unwrap_or(aggregate)), arguments)
            }
            window => (window, arguments),
        };
        self.one_window(name, definition, arguments, &over)
    }

    /// Arguments of a window function: offsets are `bigint`, a default takes the value's type.
    fn window_arguments(&self, name: &str, call: &CallParts<'_>, place: Place<'_>) -> Result<Vec<Typed>> {
        let arguments = self.aggregate_arguments(name, call, place)?;
        if !matches!(name, "lag" | "lead" | "nth_value" | "ntile") {
            return Ok(arguments);
        }
        let arguments = self.with_common_default(name, arguments)?;
        let value_type = arguments.first().map(|value| value.sql_type.clone());
        arguments
            .into_iter()
            .enumerate()
            .map(|(index, argument)| match (name, index, &value_type) {
                ("ntile", 0, _) | ("lag" | "lead" | "nth_value", 1, _) => as_bigint(self.cast(argument, &SqlType::Int8)?),
                ("lag" | "lead", 2, Some(value_type)) => self.to_common(argument, value_type),
                (_, 0, _) => self.settled(argument),
                _ => Ok(argument),
            })
            .collect()
    }
}

/// A literal `bigint` stays a literal: window functions ask for one.
fn as_bigint(value: Typed) -> Result<Typed> {
    if let Expr::Cast(cast) = &value.expr
        && let Expr::Literal(scalar, _) = cast.expr.as_ref()
        && let Ok(constant) = scalar.cast_to(&DataType::Int64)
    {
        return Ok(Typed::constant(constant, SqlType::Int8));
    }
    Ok(value)
}

/// The SQL type of a result that is one of the arguments' values, or a collection of them.
pub(super) fn selected_type(name: &str, arguments: &[Typed], returns: &FieldRef) -> Option<SqlType> {
    let value = arguments.first()?;
    if SELECTING.contains(&name) && *returns.data_type() == value.data_type && !value.is_unknown() {
        // There is no `min(varchar)`: it is text that is compared.
        let as_text = matches!(name, "min" | "max") && matches!(value.sql_type, SqlType::Varchar(_) | SqlType::Name);
        return Some(if as_text { SqlType::Text } else { value.sql_type.clone() });
    }
    if name == "array_agg" && !value.is_unknown() {
        return Some(match &value.sql_type {
            array @ SqlType::Array(_) => array.clone(),
            scalar => SqlType::Array(Box::new(scalar.clone())),
        });
    }
    None
}

/// A list whose elements carry their SQL type: what the engine collects has lost it, and lists of two types do not go together.
fn tagged_elements(value: Typed) -> Typed {
    let wanted = value.sql_type.arrow_type();
    match (&value.data_type, &wanted) {
        (DataType::List(found), DataType::List(tagged)) if found.data_type() == tagged.data_type() && value.data_type != wanted => {
            Typed::new(cast_expr(value.expr, &wanted), value.sql_type, value.nullable)
        }
        _ => value,
    }
}

/// Results in types that PostgreSQL has: no unsigned numbers, microseconds.
pub(super) fn in_sql_types(name: &str, value: Typed) -> Typed {
    let value = if name == "array_agg" { tagged_elements(value) } else { value };
    let target = match (&value.data_type, &value.sql_type) {
        (DataType::UInt64, _) if matches!(name, "array_length" | "cardinality" | "array_ndims" | "list_length" | "ntile") => {
            SqlType::Int4
        }
        (DataType::UInt64, _) | (DataType::UInt32, SqlType::Int8) => SqlType::Int8,
        (DataType::UInt8 | DataType::Int8, _) => SqlType::Int2,
        (DataType::UInt16, _) => SqlType::Int4,
        (DataType::Timestamp(unit, None), SqlType::Timestamp) if *unit != TimeUnit::Microsecond => SqlType::Timestamp,
        (DataType::Timestamp(_, Some(_)), SqlType::Timestamptz) if value.data_type != SqlType::Timestamptz.arrow_type() => {
            SqlType::Timestamptz
        }
        _ => return value,
    };
    Typed::new(cast_expr(value.expr, &target.arrow_type()), target, value.nullable)
}

fn type_called(name: &str) -> Option<SqlType> {
    let name = ObjectName(vec![ObjectNamePart::Identifier(ast::Ident::new(name))]);
    sql_type_of(&ast::DataType::Custom(name, vec![])).ok().filter(|found| !matches!(found, SqlType::Unknown | SqlType::Void))
}

/// 42883 with the types of the arguments.
pub(super) fn undefined_function(name: &str, arguments: &[Typed]) -> Error {
    let types: Vec<String> = arguments.iter().map(|argument| argument.sql_type.unmodified_name()).collect();
    Error::new(ErrorKind::UndefinedFunction, format!("function {name}({}) does not exist", types.join(", ")))
        .with_hint("No function matches the given name and argument types. You might need to add explicit type casts.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::bind::expression::Clause;

    #[test]
    fn the_name_of_a_type_is_a_cast() {
        assert_eq!(type_called("int4"), Some(SqlType::Int4));
        assert_eq!(type_called("date"), Some(SqlType::Date));
        assert_eq!(type_called("lower"), None);
    }

    #[test]
    fn aggregates_know_their_clauses() {
        assert!(Clause::Having.allows_aggregates() && !Clause::Where.allows_aggregates());
        assert!(!Clause::Having.allows_windows());
    }
}
