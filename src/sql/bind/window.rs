//! The windows that calls run over: named ones and their own, in what order, in what frame.

use datafusion::logical_expr::{Expr, SortExpr, WindowFrame};
use datafusion::sql::sqlparser::ast::{self, NamedWindowDefinition, NamedWindowExpr, WindowSpec, WindowType};

use super::Binder;
use super::error::folded;
use super::expression::Place;
use super::typed::Typed;
use crate::error::{Error, ErrorKind, Result};
use crate::types::SqlType;

impl Binder<'_> {
    /// The value and the default of `lag` and `lead` as the type that both can have.
    pub(super) fn with_common_default(&self, name: &str, arguments: Vec<Typed>) -> Result<Vec<Typed>> {
        match <[Typed; 3]>::try_from(arguments) {
            Ok([value, offset, default]) => {
                let (values, _) = self.unify(vec![value, default], &name.to_uppercase())?;
                let [value, default] =
                    <[Typed; 2]>::try_from(values).map_err(|_| Error::internal("two values became another number"))?;
                Ok(vec![value, offset, default])
            }
            Err(arguments) => Ok(arguments),
        }
    }

    pub(super) fn window(&self, over: &WindowType, place: Place<'_>) -> Result<(Vec<Expr>, Vec<SortExpr>, WindowFrame)> {
        let spec = match over {
            WindowType::WindowSpec(spec) => self.merged_window(spec, place, 0)?,
            WindowType::NamedWindow(name) => named_window(&folded(name), place.windows, 0)?,
        };
        let partition_by = spec
            .partition_by
            .iter()
            .map(|expr| {
                let value = self.expression(expr, place)?;
                Ok(self.settled(value)?.expr)
            })
            .collect::<Result<Vec<_>>>()?;
        let keys = spec.order_by.iter().map(|key| self.sort_key(key, place)).collect::<Result<Vec<_>>>()?;
        let first_type = keys.first().map(|(_, sql_type)| sql_type.clone());
        let mut order_by: Vec<SortExpr> = keys.into_iter().map(|(key, _)| key).collect();
        let frame = self.frame(spec.window_frame.as_ref(), &mut order_by, first_type.as_ref())?;
        Ok((partition_by, order_by, frame))
    }

    pub(super) fn merged_window(&self, spec: &WindowSpec, place: Place<'_>, depth: usize) -> Result<WindowSpec> {
        let Some(base) = &spec.window_name else { return Ok(spec.clone()) };
        let base = named_window(&folded(base), place.windows, depth)?;
        merge_windows(base, spec)
    }

    /// ORDER BY keys that are expressions only: numbers are constants here.
    pub(super) fn sort_keys(&self, keys: &[ast::OrderByExpr], place: Place<'_>) -> Result<Vec<SortExpr>> {
        keys.iter().map(|key| self.sort_key(key, place).map(|(key, _)| key)).collect()
    }

    pub(super) fn sort_key(&self, key: &ast::OrderByExpr, place: Place<'_>) -> Result<(SortExpr, SqlType)> {
        let value = self.expression(&key.expr, place)?;
        let value = self.settled(value)?;
        let ascending = key.options.asc.unwrap_or(true);
        let nulls_first = key.options.nulls_first.unwrap_or(!ascending);
        Ok((SortExpr::new(value.expr, ascending, nulls_first), value.sql_type))
    }
}

fn named_window(name: &str, windows: &[NamedWindowDefinition], depth: usize) -> Result<WindowSpec> {
    if depth > windows.len() {
        return Err(Error::new(ErrorKind::Windowing, format!("window \"{name}\" refers to itself")));
    }
    let found = windows.iter().find(|NamedWindowDefinition(window, _)| folded(window) == name);
    match found {
        Some(NamedWindowDefinition(_, NamedWindowExpr::WindowSpec(spec))) => match &spec.window_name {
            None => Ok(spec.clone()),
            Some(base) => merge_windows(named_window(&folded(base), windows, depth + 1)?, spec),
        },
        Some(NamedWindowDefinition(_, NamedWindowExpr::NamedWindow(other))) => named_window(&folded(other), windows, depth + 1),
        None => Err(Error::new(ErrorKind::UndefinedObject, format!("window \"{name}\" does not exist"))),
    }
}

/// `(base ORDER BY ..)`: the base's partitions, and what the base lacks.
fn merge_windows(base: WindowSpec, spec: &WindowSpec) -> Result<WindowSpec> {
    if !spec.partition_by.is_empty() {
        return Err(Error::new(ErrorKind::Windowing, "cannot override PARTITION BY clause of a named window"));
    }
    if !spec.order_by.is_empty() && !base.order_by.is_empty() {
        return Err(Error::new(ErrorKind::Windowing, "cannot override ORDER BY clause of a named window"));
    }
    let order_by = if spec.order_by.is_empty() { base.order_by } else { spec.order_by.clone() };
    Ok(WindowSpec { window_name: None, partition_by: base.partition_by, order_by, window_frame: spec.window_frame.clone() })
}
