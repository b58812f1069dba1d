//! Calls of gRPC, gRPC-Web and Connect in the words of the semantic conventions for RPC.
//!
//! The names are those that every backend knows (`rpc.system`, `rpc.service`, `rpc.method`, `rpc.grpc.status_code`); the conventions'
//! next version renames them. Source: <https://opentelemetry.io/docs/specs/semconv/rpc/grpc/>, `…/connect-rpc/`.
//! Where a call's own status is in its body it is absent, and the HTTP status is told: an error that this says is one.
use super::{List, cut, error_type};
use crate::{
    exchange::{Answer, Ended, HttpRequest, Opened, Role},
    protocols::grpc::{self, Form, Rpc},
    spans::{Description, Rules, Status, Value, authority},
};
use opentelemetry_semantic_conventions::attribute as semconv;
use std::borrow::Cow;

/// Keys that the conventions are about to rename.
#[expect(deprecated, reason = "backends know these names and not yet the new ones")]
mod keys {
    use super::semconv;
    pub(super) const SYSTEM: &str = semconv::RPC_SYSTEM;
    pub(super) const SERVICE: &str = semconv::RPC_SERVICE;
    pub(super) const STATUS_CODE: &str = semconv::RPC_GRPC_STATUS_CODE;
}

/// See [`crate::spans::describe`].
pub(super) fn describe(
    opened: &Opened,
    request: &HttpRequest,
    call: Rpc<'_>,
    ended: &Ended,
    rules: &Rules,
) -> Description {
    let mut list = List(Vec::with_capacity(super::ATTRIBUTES));
    let system = if call.form == Form::Connect { "connect_rpc" } else { "grpc" };
    list.constant(keys::SYSTEM, system);
    if let Some(service) = call.service {
        list.text(keys::SERVICE, cut(service));
    }
    if let Some(method) = call.method {
        list.text(semconv::RPC_METHOD, cut(method));
    }
    if let Some(status) = call.status {
        list.int(keys::STATUS_CODE, i64::from(status));
    }
    let response = ended.answer.as_ref().map(|Answer::Http(response)| response);
    let response = response.filter(|response| call.form != Form::Grpc && response.status > 0);
    if let Some(response) = response {
        list.int(semconv::HTTP_RESPONSE_STATUS_CODE, i64::from(response.status));
    }
    let error = match call.status {
        None => error_type(opened.role, response, ended.end),
        Some(status) => error(opened.role, status),
    };
    if let Some(error) = &error {
        list.0.push((Cow::Borrowed(semconv::ERROR_TYPE), Value::Str(error.clone())));
    }
    let socket = match opened.role {
        Role::Client => opened.endpoints.remote,
        Role::Server => opened.endpoints.local,
    };
    let asked = request.host.as_deref().filter(|text| !text.is_empty()).and_then(authority::parse);
    list.server_address(asked, request.scheme.unwrap_or("http"), socket);
    list.user_agent(request);
    list.network(opened, request);
    list.sizes(ended);
    list.captured(semconv::HTTP_REQUEST_HEADER, &request.fields, &rules.request_fields);
    list.incomplete(ended);
    let name = match (call.service, call.method) {
        (Some(service), Some(method)) => Cow::Owned(cut(&format!("{service}/{method}")).to_owned()),
        _ => Cow::Borrowed(system),
    };
    let status = if error.is_some() { Status::Error(String::new()) } else { Status::Unset };
    Description { name, attributes: list.0, status }
}

/// A status that is an error for this side.
fn error(role: Role, status: u16) -> Option<Cow<'static, str>> {
    let is_error = match role {
        Role::Client => status != 0,
        Role::Server => grpc::is_server_error(status),
    };
    is_error.then(|| grpc::name(status).map_or_else(|| Cow::Owned(status.to_string()), Cow::Borrowed))
}

#[cfg(test)]
mod tests;
