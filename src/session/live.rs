//! What the session layer knows of this session and of others, for the system relations that show it.

use std::sync::Arc;

use super::locks::LockTarget;
use super::portal::Portal;
use super::prepared::Prepared;
use super::settings::{Access, Kind, SETTINGS, Setting, Settings};
use super::{Services, Session};
use crate::catalog::securable::{METASTORE, ObjectId};
use crate::functions::FunctionContext;
use crate::sql::redact::redact;
use crate::system::{Activity, CursorRow, LiveState, LockRow, LockedObject, PreparedRow, SettingRow};
use crate::types::SqlType;

/// What [`LiveState`] is made from. The session's own state is that of the statement's beginning; other sessions and locks are looked at when a
/// relation asks for them.
pub(super) struct Live {
    services: Arc<Services>,
    principal: ObjectId,
    functions: Arc<FunctionContext>,
    settings: Settings,
    prepared: Vec<Arc<Prepared>>,
    cursors: Vec<CursorRow>,
}

impl Session {
    pub(super) fn live(&self, functions: &Arc<FunctionContext>) -> Live {
        Live {
            services: Arc::clone(&self.services),
            principal: self.principal,
            functions: Arc::clone(functions),
            settings: self.settings.clone(),
            prepared: self.prepared.iter().map(Arc::clone).collect(),
            cursors: self.portals.iter().map(cursor_row).collect(),
        }
    }
}

impl Live {
    /// As far as the caller may see it.
    pub(super) fn collect(self) -> LiveState {
        LiveState {
            activity: self.activity(),
            locks: self.locks(),
            prepared: self.prepared.iter().map(|prepared| prepared_row(prepared)).collect(),
            settings: SETTINGS.iter().map(|setting| self.setting_row(setting)).collect(),
            cursors: self.cursors,
        }
    }

    /// Sessions that the caller may see: its own, or all for an administrator.
    fn activity(&self) -> Vec<Activity> {
        let snapshot = &self.functions.snapshot;
        let sees_all = snapshot.is_admin(self.principal);
        let entries = self.services.sessions.list();
        entries
            .into_iter()
            .filter(|entry| sees_all || entry.principal == self.principal)
            .map(|entry| Activity {
                pid: entry.pid,
                user: entry.principal,
                user_name: snapshot.principal_by_id(entry.principal).map(|user| user.name.clone()).unwrap_or_default(),
                catalog: snapshot.catalog(&entry.catalog).map_or(METASTORE, |catalog| catalog.id),
                catalog_name: entry.catalog,
                application_name: entry.application_name,
                client_address: entry.client_address,
                client_port: -1,
                backend_start: entry.started,
                transaction_start: None,
                query_start: entry.statement_started,
                state_change: entry.statement_started,
                state: entry.state.to_string(),
                query: entry.statement.to_string(),
                tls: None,
            })
            .collect()
    }

    /// Locks of the sessions that the caller may see.
    fn locks(&self) -> Vec<LockRow> {
        let sees_all = self.functions.snapshot.is_admin(self.principal);
        let own = |pid: i32| self.services.sessions.get(pid).is_some_and(|session| session.principal == self.principal);
        let visible = self.services.locks.list().into_iter().filter(|entry| sees_all || own(entry.pid));
        visible
            .map(|entry| LockRow {
                pid: entry.pid,
                mode: entry.mode.name(),
                granted: entry.granted,
                object: match entry.target {
                    LockTarget::Advisory { catalog, class, object, numbers } => {
                        LockedObject::Advisory { catalog, class, object, numbers }
                    }
                    LockTarget::Relation { catalog, relation } => LockedObject::Relation { catalog, relation },
                },
            })
            .collect()
    }

    fn setting_row(&self, setting: &'static Setting) -> SettingRow {
        SettingRow {
            name: setting.name.to_string(),
            setting: self.settings.get(setting.name).unwrap_or_default().to_string(),
            unit: match setting.kind {
                Kind::Milliseconds => Some("ms"),
                Kind::Kilobytes => Some("kB"),
                _ => None,
            },
            category: "Lakehold",
            description: setting.description,
            context: if setting.access == Access::Fixed { "internal" } else { "user" },
            value_type: match setting.kind {
                Kind::Bool => "bool",
                Kind::Integer { .. } | Kind::Milliseconds | Kind::Kilobytes => "integer",
                Kind::Enum(_) => "enum",
                Kind::TimeZone | Kind::DateStyle | Kind::Encoding | Kind::SearchPath | Kind::Text => "string",
            },
            source: if self.settings.get(setting.name) == Some(setting.default) { "default" } else { "session" },
            minimum: if let Kind::Integer { min, .. } = setting.kind { Some(min.to_string()) } else { None },
            maximum: if let Kind::Integer { max, .. } = setting.kind { Some(max.to_string()) } else { None },
            choices: if let Kind::Enum(words) = setting.kind {
                Some(words.iter().map(ToString::to_string).collect())
            } else {
                None
            },
            boot_value: Some(setting.default.to_string()),
            reset_value: self.settings.initial(setting.name).map(str::to_string),
        }
    }
}

fn prepared_row(prepared: &Prepared) -> PreparedRow {
    let columns = prepared.description.columns.as_ref();
    PreparedRow {
        name: prepared.name.clone(),
        statement: redact(&prepared.text),
        prepared_at: prepared.prepared_at,
        parameter_types: prepared.description.parameters.iter().map(SqlType::oid).collect(),
        result_types: columns.map(|columns| columns.iter().map(|column| column.sql_type.oid()).collect()),
        from_sql: prepared.from_sql,
    }
}

fn cursor_row(portal: &Portal) -> CursorRow {
    CursorRow {
        name: portal.name.clone(),
        statement: redact(&portal.text),
        is_holdable: portal.hold,
        is_binary: portal.binary,
        is_scrollable: portal.is_scrollable(),
        created_at: portal.created_at,
    }
}
