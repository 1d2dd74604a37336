//! Pure. Requests and responses of the session, to and from the generated messages.

use prost_types::value::Kind;
use proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node as WireNode, Status};
use serde_json::Value;

use super::node::Node;
use super::session::{Request, Resource, Response};

/// A request as it is sent; the first of its type carries the node.
pub(super) fn request(request: Request, node: &Node) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        node: request.is_first.then(|| wire_node(node)),
        type_url: request.type_url,
        resource_names_subscribe: request.subscribe,
        resource_names_unsubscribe: request.unsubscribe,
        initial_resource_versions: request.initial_versions,
        response_nonce: request.nonce,
        error_detail: request.refusal.map(|message| Status {
            message,
            ..Status::default()
        }),
    }
}

/// A response as the session reads it.
pub(super) fn response(response: DeltaDiscoveryResponse) -> Response {
    Response {
        type_url: response.type_url,
        nonce: response.nonce,
        version: response.system_version_info,
        resources: response
            .resources
            .into_iter()
            .map(|r| Resource {
                name: r.name,
                version: r.version,
                aliases: r.aliases,
                content: r.resource.map(|payload| (payload.type_url, payload.value)),
            })
            .collect(),
        removed: response.removed_resources,
    }
}

fn wire_node(node: &Node) -> WireNode {
    let fields = node
        .metadata
        .iter()
        .map(|(k, v)| (k.clone(), value(v)))
        .collect();
    WireNode {
        id: node.id.clone(),
        metadata: Some(prost_types::Struct { fields }),
        ..WireNode::default()
    }
}

fn value(json: &Value) -> prost_types::Value {
    let kind = match json {
        Value::Null => Kind::NullValue(0),
        Value::Bool(b) => Kind::BoolValue(*b),
        Value::Number(n) => Kind::NumberValue(n.as_f64().unwrap_or_default()),
        Value::String(s) => Kind::StringValue(s.clone()),
        Value::Array(list) => Kind::ListValue(prost_types::ListValue {
            values: list.iter().map(value).collect(),
        }),
        Value::Object(map) => Kind::StructValue(prost_types::Struct {
            fields: map.iter().map(|(k, v)| (k.clone(), value(v))).collect(),
        }),
    };
    prost_types::Value { kind: Some(kind) }
}
