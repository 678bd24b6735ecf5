//! What one statement may ask about itself: who runs it, where, when, and with which settings.
//!
//! A context is made once a statement and never changes, so every context function is a constant of the statement: the binder folds
//! calls with constant arguments to literals, and a call over columns reads the same pinned [`CatalogSnapshot`] for all rows.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::object_names::ContextNames;
use super::session::SessionControl;
use crate::catalog::securable::ObjectId;
use crate::catalog::{CatalogSnapshot, Temporary};
use crate::types::{Form, ObjectNames, SqlType};

/// The statement's own view of the warehouse and of its session.
#[derive(Debug, Clone)]
pub struct FunctionContext {
    /// The catalog snapshot that the statement is pinned to.
    pub snapshot: Arc<CatalogSnapshot>,
    /// The session user: everything that depends on identity asks for this one.
    pub principal: ObjectId,
    /// `current_user`; the same principal unless a definer's function says otherwise.
    pub current_user: ObjectId,
    /// The current catalog (PostgreSQL's database).
    pub catalog: ObjectId,
    /// `search_path`, in order, as written; may hold `$user`.
    pub search_path: Vec<String>,
    /// Current value of every setting, by lower-case name.
    pub settings: Arc<BTreeMap<String, String>>,
    /// `TimeZone`.
    pub time_zone: String,
    /// How values are read and written.
    pub form: Arc<Form>,
    /// When the statement arrived.
    pub statement_time: DateTime<Utc>,
    /// When its transaction began; `now()`.
    pub transaction_time: DateTime<Utc>,
    /// The backend's number, as sent in `BackendKeyData`.
    pub pid: i32,
    /// `application_name`.
    pub application_name: String,
    /// Where the client connected from; `None` for a local socket.
    pub client_address: Option<IpAddr>,
    /// The session's temporary tables, which the snapshot has, too.
    pub temporary: Option<Arc<Temporary>>,
    /// What functions may do to the session; `None` where nothing runs.
    pub control: Option<Arc<dyn SessionControl>>,
    /// A policy asks, in the session that [`FunctionContext::fixed`] makes.
    pub fixed: bool,
}

impl FunctionContext {
    /// How values of these types are read and written: with the moment where a text may be `now`, and with names where OIDs have some.
    pub fn form_for<'t>(self: &Arc<Self>, types: impl IntoIterator<Item = &'t SqlType>) -> Arc<Form> {
        let (mut moment, mut names) = (false, false);
        for sql_type in types {
            moment |= sql_type
                .has_leaf(&|leaf| matches!(leaf, SqlType::Date | SqlType::Time | SqlType::Timestamp | SqlType::Timestamptz));
            names |= sql_type.has_leaf(&|leaf| matches!(leaf, SqlType::Reg(_)));
        }
        if !moment && !names {
            return Arc::clone(&self.form);
        }
        let object_names = names.then(|| Arc::new(ContextNames(Arc::clone(self))) as Arc<dyn ObjectNames>);
        let now = moment.then(|| self.transaction_time.timestamp_micros());
        Arc::new(Form { now, object_names, ..Form::clone(&self.form) })
    }

    /// The same statement in a session in which nobody has set anything: UTC, no search path, no settings, no temporary tables, nothing that could be
    /// changed. The moment is the statement's, for a transaction that is held open holds the moment of its begin.
    #[must_use]
    pub fn fixed(&self) -> FunctionContext {
        FunctionContext {
            search_path: vec![],
            settings: Arc::default(),
            time_zone: "UTC".to_string(),
            form: Arc::default(),
            transaction_time: self.statement_time,
            pid: 0,
            application_name: String::new(),
            client_address: None,
            temporary: None,
            control: None,
            fixed: true,
            ..self.clone()
        }
    }
}
