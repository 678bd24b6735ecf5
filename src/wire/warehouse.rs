//! The warehouse behind the door: [`Session`] as the wire's loop drives it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::scalar::ScalarValue;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backend::{Backend, BackendSession, ConnectRequest};
use super::encode::{Form, ObjectNames};
use crate::catalog::CatalogSnapshot;
use crate::error::Result;
use crate::functions::object_names::ContextNames;
use crate::session::channels::{Notification, Queue};
use crate::session::outcome::{Description, Notice, Outcome, TransactionStatus};
use crate::session::portal::Portals;
use crate::session::prepared::PreparedStatements;
use crate::session::{Services, Session, SessionRequest};
use crate::sql::statement::Parsed;
use crate::types::SqlType;

/// The warehouse that [`super::serve`] opens sessions on.
#[derive(Debug, Clone)]
pub struct Warehouse(pub Arc<Services>);

#[async_trait]
impl Backend for Warehouse {
    fn catalog(&self) -> Arc<CatalogSnapshot> {
        self.0.metastore.snapshot()
    }

    async fn connect(&self, request: ConnectRequest) -> Result<Box<dyn BackendSession>> {
        let request = SessionRequest {
            user: request.principal.name.clone(),
            database: request.database,
            defaults: request.defaults,
            parameters: request.parameters,
            pid: request.pid,
            client_address: request.client_address,
            terminate: request.terminate,
        };
        Ok(Box::new(Session::open(Arc::clone(&self.0), request)?))
    }
}

#[async_trait]
impl BackendSession for Session {
    fn parse(&self, text: &str) -> Result<Vec<Parsed>> {
        Session::parse(self, text)
    }

    async fn prepare(&mut self, parsed: &Arc<Parsed>, parameter_types: &[Option<SqlType>]) -> Result<Description> {
        Session::prepare(self, parsed, parameter_types).await
    }

    async fn execute(
        &mut self,
        parsed: &Arc<Parsed>,
        parameter_types: &[Option<SqlType>],
        parameters: Vec<ScalarValue>,
    ) -> Result<Outcome> {
        Session::execute(self, parsed, parameter_types, parameters).await
    }

    fn transaction_status(&self) -> TransactionStatus {
        Session::transaction_status(self)
    }

    fn transaction_opened(&self) -> Option<Instant> {
        Session::transaction_opened(self)
    }

    fn fail_transaction(&mut self) {
        Session::fail_transaction(self);
    }

    fn begin_implicit(&mut self, several: bool) {
        Session::begin_implicit(self, several);
    }

    async fn end_implicit(&mut self, committed: bool) -> Result<()> {
        Session::end_implicit(self, committed).await
    }

    fn notify(&mut self, notice: Notice) {
        Session::notify(self, notice);
    }

    fn take_notices(&mut self) -> Vec<Notice> {
        Session::take_notices(self)
    }

    fn take_parameter_changes(&mut self) -> Vec<(String, String)> {
        Session::take_parameter_changes(self)
    }

    fn take_notifications(&mut self) -> Vec<Notification> {
        Session::take_notifications(self)
    }

    fn notifications(&self) -> Arc<Queue> {
        Session::notifications(self)
    }

    fn setting(&self, name: &str) -> Option<String> {
        Session::setting(self, name)
    }

    fn form(&self) -> Arc<Form> {
        Session::form(self)
    }

    fn rest(&mut self) {
        Session::rest(self);
    }

    fn object_names(&self) -> Option<Arc<dyn ObjectNames>> {
        Some(Arc::new(ContextNames(self.function_context())))
    }

    fn cancel_token(&mut self) -> CancellationToken {
        Session::cancel_token(self)
    }

    fn prepared(&mut self) -> &mut PreparedStatements {
        Session::prepared(self)
    }

    fn portals(&mut self) -> &mut Portals {
        Session::portals(self)
    }
}
