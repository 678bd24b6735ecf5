//! A small warehouse for the tests of this room and of `system`: what Alice may see, and what she may not.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs};

use super::{FunctionContext, Functions};
use crate::catalog::privilege::Privilege;
use crate::catalog::securable::{ColumnEntry, ColumnMask, Grant, ObjectId, RelationKind, RowFilter, ViewEntry};
use crate::catalog::{CatalogSnapshot, Change, NewFunction, NewPrincipal, NewRelation, NewTable};
use crate::error::Error;
use crate::types::SqlType;

/// The warehouse: `main.public` with `orders` (filtered and masked) and the view `big_orders`, and `main.vault`, which Alice knows
/// nothing of. Everything in the vault has `secret` in its name.
pub(crate) struct World {
    pub(crate) snapshot: Arc<CatalogSnapshot>,
    pub(crate) catalog: ObjectId,
    pub(crate) orders: ObjectId,
    pub(crate) view: ObjectId,
    pub(crate) secret: ObjectId,
    pub(crate) admin: ObjectId,
    pub(crate) alice: ObjectId,
    pub(crate) analysts: ObjectId,
}

fn column(number: i16, name: &str, sql_type: SqlType, nullable: bool) -> ColumnEntry {
    ColumnEntry { number, name: name.to_string(), sql_type, nullable, comment: None, physical_name: None }
}

fn table(location: &str) -> RelationKind {
    NewTable { location: format!("file:///{location}"), managed: true, credential: None, partition_columns: vec![] }.into()
}

pub(crate) fn world() -> World {
    let mut change = Change::on(&CatalogSnapshot::empty());
    let mut principal = |name: &str, can_login, is_admin| {
        change.create_principal(NewPrincipal { name: name.to_string(), can_login, is_admin, ..NewPrincipal::default() }).unwrap()
    };
    let (admin, alice, analysts) =
        (principal("admin", true, true), principal("alice", true, false), principal("Data Analysts", false, false));
    change.add_member(analysts, alice).unwrap();
    let catalog = change.create_catalog("main", admin, None, Some("the catalog".to_string())).unwrap();
    let public = change.snapshot().schema(catalog, "public").map(|schema| schema.id);
    let schema = public.unwrap_or_else(|| change.create_schema(catalog, "public", admin, None, None).unwrap());
    let vault = change.create_schema(catalog, "vault_secret", admin, None, Some("secret".to_string())).unwrap();
    change.create_catalog("other_secret", admin, None, None).unwrap();
    let mut id = column(1, "id", SqlType::Int8, false);
    id.comment = Some("the key".to_string());
    let columns = vec![
        id,
        column(2, "amount", SqlType::Numeric { precision: 12, scale: 2 }, true),
        column(3, "note", SqlType::Varchar(Some(10)), true),
        column(4, "tags", SqlType::Array(Box::new(SqlType::Text)), true),
    ];
    let new = |name: &str, schema, columns, kind, comment: Option<&str>| NewRelation {
        id: None,
        schema,
        name: name.to_string(),
        owner: admin,
        columns,
        comment: comment.map(str::to_string),
        kind,
    };
    let orders = change.create_relation(new("orders", schema, columns.clone(), table("orders"), Some("all orders"))).unwrap();
    let view = RelationKind::View(ViewEntry { query: "SELECT id FROM main.public.orders".to_string(), uses: vec![orders] });
    let view = change.create_relation(new("big_orders", schema, vec![column(1, "id", SqlType::Int8, true)], view, None)).unwrap();
    let secret_columns = vec![column(1, "secret_column", SqlType::Text, true)];
    let secret = change.create_relation(new("secret_table", vault, secret_columns, table("secret"), Some("secret"))).unwrap();
    let mut function = |name: &str, returns, schema| {
        let parameters = vec![("x".to_string(), SqlType::Int8)];
        let body = "x > 0 /* secret */".to_string();
        change
            .create_function(NewFunction {
                schema,
                name: name.to_string(),
                owner: admin,
                parameters,
                returns,
                body,
                uses: vec![],
                comment: None,
            })
            .unwrap()
    };
    let filter = function("secret_filter", SqlType::Bool, vault);
    let mask = function("secret_mask", SqlType::Int8, vault);
    function("positive", SqlType::Bool, schema);
    change.set_row_filter(orders, Some(RowFilter { function: filter, columns: vec!["id".to_string()] })).unwrap();
    change.set_mask(orders, "id", Some(ColumnMask { function: mask, using: vec![] })).unwrap();
    for (grantee, securable, privilege) in [
        (analysts, catalog, Privilege::UseCatalog),
        (analysts, schema, Privilege::UseSchema),
        (alice, orders, Privilege::Select),
        (alice, view, Privilege::Select),
    ] {
        change.grant(Grant { grantee, securable, privilege, grantor: admin, grantable: false }).unwrap();
    }
    World { snapshot: Arc::new(change.into_snapshot()), catalog, orders, view, secret, admin, alice, analysts }
}

impl World {
    /// A statement of `principal`.
    pub(crate) fn context(&self, principal: ObjectId) -> Arc<FunctionContext> {
        let moment = DateTime::<Utc>::from_timestamp(1_709_647_629, 0).unwrap();
        Arc::new(FunctionContext {
            snapshot: Arc::clone(&self.snapshot),
            principal,
            current_user: principal,
            catalog: self.catalog,
            search_path: vec!["$user".to_string(), "public".to_string()],
            settings: Arc::new(BTreeMap::from([
                ("timezone".to_string(), "UTC".to_string()),
                ("jit".to_string(), "off".to_string()),
            ])),
            time_zone: "Europe/Berlin".to_string(),
            form: Arc::new(crate::types::Form {
                time_zone: crate::types::values::TimeZone::parse("Europe/Berlin").unwrap(),
                ..Default::default()
            }),
            fixed: false,
            statement_time: moment,
            transaction_time: moment,
            pid: 7,
            application_name: "test".to_string(),
            client_address: None,
            control: None,
            temporary: None,
        })
    }

    /// Calls a function with constants as `principal`, with the engine's type rules.
    pub(crate) fn call(&self, principal: ObjectId, name: &str, arguments: &[ScalarValue]) -> Result<ScalarValue, Error> {
        let functions = Functions::new();
        let context = self.context(principal);
        let function = functions.scalar(name, &context).or_else(|| functions.table(name, &context).map(|set| set.list));
        let function = function.ok_or_else(|| Error::internal(format!("no function {name}")))?;
        let unwrap = |error: datafusion::error::DataFusionError| match error {
            datafusion::error::DataFusionError::External(inner) => match inner.downcast::<Error>() {
                Ok(error) => *error,
                Err(other) => Error::internal(other.to_string()),
            },
            other => Error::internal(other.to_string()),
        };
        let types: Vec<DataType> = arguments.iter().map(ScalarValue::data_type).collect();
        let coerced = if matches!(function.signature().type_signature, datafusion::logical_expr::TypeSignature::UserDefined) {
            function.coerce_types(&types).map_err(unwrap)?
        } else {
            types
        };
        let values: Vec<ScalarValue> = arguments
            .iter()
            .zip(&coerced)
            .map(|(value, data_type)| value.cast_to(data_type))
            .collect::<Result<_, _>>()
            .map_err(unwrap)?;
        let fields: Vec<FieldRef> = coerced
            .iter()
            .map(|data_type| Arc::new(Field::new("", data_type.clone(), true).with_metadata(HashMap::new())))
            .collect();
        let constants: Vec<Option<&ScalarValue>> = values.iter().map(Some).collect();
        let return_field = function
            .return_field_from_args(ReturnFieldArgs { arg_fields: &fields, scalar_arguments: &constants })
            .map_err(unwrap)?;
        let args = values.into_iter().map(ColumnarValue::Scalar).collect();
        let args = ScalarFunctionArgs {
            args,
            arg_fields: fields,
            number_rows: 1,
            return_field,
            config_options: Arc::new(ConfigOptions::default()),
        };
        let result = function.invoke_with_args(args).map_err(unwrap)?;
        ScalarValue::try_from_array(&result.to_array(1).map_err(unwrap)?, 0).map_err(unwrap)
    }

    /// The result of a call as text.
    pub(crate) fn text(&self, principal: ObjectId, name: &str, arguments: &[ScalarValue]) -> String {
        let value = self
            .call(principal, name, arguments)
            .unwrap_or_else(|error| panic!("{name}: {error} {:?}", std::error::Error::source(&error).map(ToString::to_string)));
        let datum = crate::types::datum::read(&value.to_array().unwrap(), 0).unwrap();
        if datum.is_null() { "NULL".to_string() } else { super::output::text_of(&datum, &crate::types::values::TimeZone::utc()) }
    }
}
