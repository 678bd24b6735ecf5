//! The columns of what commands show, named as Databricks names them.

use datafusion::arrow::datatypes::SchemaRef;

use super::rows::schema;
use crate::sql::statement::Command;
use crate::types::SqlType;

/// Columns of a command's rows; `None` for a command without rows.
pub(super) fn columns(command: &Command) -> Option<SchemaRef> {
    match command {
        Command::ShowGrants { .. } => Some(grants()),
        Command::CreateToken { .. } => Some(new_token()),
        Command::ShowTokens { .. } => Some(tokens()),
        Command::ShowCatalogs { .. } => Some(catalogs()),
        Command::ShowSchemas { .. } => Some(schemas()),
        Command::ShowTables { .. } => Some(tables()),
        Command::ShowViews { .. } => Some(views()),
        Command::ShowColumns { .. } => Some(column_names()),
        Command::DescribeTable { .. } => Some(description()),
        Command::DescribeHistory { .. } => Some(history()),
        Command::CreateCatalog { .. }
        | Command::CreateSchema { .. }
        | Command::Drop { .. }
        | Command::CreateTable(_)
        | Command::CreateView { .. }
        | Command::CreateFunction { .. }
        | Command::Insert { .. }
        | Command::CopyIn(_)
        | Command::CreatePrincipal { .. }
        | Command::AlterPrincipal { .. }
        | Command::AlterSettings { .. }
        | Command::RenamePrincipal { .. }
        | Command::DropPrincipal { .. }
        | Command::DropToken { .. }
        | Command::AddMember { .. }
        | Command::RemoveMember { .. }
        | Command::CreateStorageCredential { .. }
        | Command::CreateExternalLocation { .. }
        | Command::Grant { .. }
        | Command::Revoke { .. }
        | Command::SetOwner { .. }
        | Command::SetRowFilter { .. }
        | Command::DropRowFilter { .. }
        | Command::SetMask { .. }
        | Command::DropMask { .. }
        | Command::Rename { .. }
        | Command::Lock { .. }
        | Command::Comment { .. } => None,
    }
}

pub(super) fn grants() -> SchemaRef {
    schema(&[
        ("Principal", SqlType::Text),
        ("ActionType", SqlType::Text),
        ("ObjectType", SqlType::Text),
        ("ObjectKey", SqlType::Text),
    ])
}

pub(super) fn new_token() -> SchemaRef {
    schema(&[("token_value", SqlType::Text), ("token_id", SqlType::Text), ("expiry_time", SqlType::Timestamptz)])
}

pub(super) fn tokens() -> SchemaRef {
    schema(&[
        ("token_id", SqlType::Text),
        ("owner", SqlType::Text),
        ("comment", SqlType::Text),
        ("created_by", SqlType::Text),
        ("creation_time", SqlType::Timestamptz),
        ("expiry_time", SqlType::Timestamptz),
    ])
}

pub(super) fn catalogs() -> SchemaRef {
    schema(&[("catalog", SqlType::Text)])
}

pub(super) fn schemas() -> SchemaRef {
    schema(&[("databaseName", SqlType::Text)])
}

pub(super) fn tables() -> SchemaRef {
    schema(&[("database", SqlType::Text), ("tableName", SqlType::Text), ("isTemporary", SqlType::Bool)])
}

pub(super) fn views() -> SchemaRef {
    schema(&[
        ("namespace", SqlType::Text),
        ("viewName", SqlType::Text),
        ("isTemporary", SqlType::Bool),
        ("isMaterialized", SqlType::Bool),
    ])
}

pub(super) fn column_names() -> SchemaRef {
    schema(&[("col_name", SqlType::Text)])
}

pub(super) fn description() -> SchemaRef {
    schema(&[("col_name", SqlType::Text), ("data_type", SqlType::Text), ("comment", SqlType::Text)])
}

pub(super) fn history() -> SchemaRef {
    schema(&[
        ("version", SqlType::Int8),
        ("timestamp", SqlType::Timestamptz),
        ("userId", SqlType::Text),
        ("userName", SqlType::Text),
        ("operation", SqlType::Text),
        ("operationParameters", SqlType::Json),
        ("job", SqlType::Json),
        ("notebook", SqlType::Json),
        ("clusterId", SqlType::Text),
        ("readVersion", SqlType::Int8),
        ("isolationLevel", SqlType::Text),
        ("isBlindAppend", SqlType::Bool),
        ("operationMetrics", SqlType::Json),
        ("userMetadata", SqlType::Text),
        ("engineInfo", SqlType::Text),
    ])
}
