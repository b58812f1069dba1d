//! Services and their endpoints as they come from the API.
//!
//! Shape: the API's JSON → [`ApiService`], [`ApiSlice`], whose other fields are never kept → [`Peer`]. Source: the API's `v1.Service`
//! and `discovery.k8s.io/v1.EndpointSlice`. A Service's addresses are its own, whatever the port. Those of a slice may be its node's,
//! which many share: they are the Service's at the slice's ports alone.
use super::{
    peers::{Peer, Source},
    resource::resource,
};
use kube::core::ObjectMeta;
use serde::Deserialize;
use std::net::IpAddr;

/// Names the Service of a slice. Source: `discovery/v1.LabelServiceName`.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The fields of a Service that are read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiService {
    metadata: ObjectMeta,
    spec: Spec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Spec {
    #[serde(rename = "clusterIPs")]
    cluster_ips: Vec<String>,
}

/// The fields of an EndpointSlice that are read. Empty lists are `null` in it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ApiSlice {
    metadata: ObjectMeta,
    endpoints: Option<Vec<Endpoint>>,
    ports: Option<Vec<Port>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    addresses: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Port {
    /// None means all.
    port: Option<u16>,
    /// None means TCP.
    protocol: Option<String>,
}

resource!(ApiService, "", "Service", "services");
resource!(ApiSlice, "discovery.k8s.io", "EndpointSlice", "endpointslices");

impl From<ApiService> for Peer {
    fn from(service: ApiService) -> Peer {
        let ApiService { metadata, spec } = service;
        Peer {
            uid: metadata.uid.unwrap_or_default(),
            source: Source::Service,
            name: metadata.name.unwrap_or_default(),
            namespace: metadata.namespace.unwrap_or_default(),
            addresses: addresses(&spec.cluster_ips),
            ports: None,
        }
    }
}

impl From<ApiSlice> for Peer {
    fn from(slice: ApiSlice) -> Peer {
        let ApiSlice { metadata, endpoints, ports } = slice;
        let name = metadata.labels.unwrap_or_default().remove(SERVICE_NAME).unwrap_or_default();
        let mut tcp = ports.unwrap_or_default();
        tcp.retain(|port| port.protocol.as_deref().unwrap_or("TCP") == "TCP");
        let endpoints = endpoints.unwrap_or_default();
        // Nobody's, or not to be reached by TCP.
        let is_none = name.is_empty() || tcp.is_empty();
        let endpoints = endpoints.iter().filter(|_| !is_none);
        Peer {
            uid: metadata.uid.unwrap_or_default(),
            source: Source::Slice,
            name,
            namespace: metadata.namespace.unwrap_or_default(),
            addresses: endpoints.flat_map(|endpoint| addresses(&endpoint.addresses)).collect(),
            ports: tcp.iter().map(|port| port.port).collect(),
        }
    }
}

/// `None` and names of hosts are no addresses.
fn addresses(texts: &[String]) -> Vec<IpAddr> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn a_headless_service_has_no_address() {
        let read = |ips: Value| {
            let object = json!({"metadata": {"name": "s", "uid": "u"}, "spec": {"clusterIPs": ips}});
            Peer::from(serde_json::from_value::<ApiService>(object).unwrap()).addresses.len()
        };
        assert_eq!(read(json!(["None"])), 0);
        assert_eq!(read(json!(["10.0.0.1", "fd00::1"])), 2);
    }

    fn slice(more: &Value) -> Peer {
        let mut object = json!({
            "addressType": "IPv4",
            "metadata": {"name": "s-x1", "namespace": "n", "uid": "u", "labels": {SERVICE_NAME: "s"}},
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "nodeName": "other"},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": false}},
            ],
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}],
        });
        for (key, value) in more.as_object().unwrap() {
            object[key] = value.clone();
        }
        Peer::from(serde_json::from_value::<ApiSlice>(object).unwrap())
    }

    #[test]
    fn endpoints_are_their_services_at_its_ports() {
        let peer = slice(&json!({}));
        assert_eq!((peer.name.as_str(), peer.namespace.as_str(), peer.addresses.len()), ("s", "n", 2));
        assert_eq!(peer.ports, Some(vec![8080]));
        assert_eq!(slice(&json!({"ports": [{"name": "any", "port": null}]})).ports, None);
    }

    #[test]
    fn what_is_nobodys_or_has_no_ports_or_no_endpoints_has_no_address() {
        for less in [
            json!({"metadata": {"name": "s-x1", "uid": "u"}}),
            json!({"ports": null}),
            json!({"ports": [{"port": 53, "protocol": "UDP"}]}),
            json!({"endpoints": null}),
            json!({"endpoints": [{"addresses": ["db.example.org"]}]}),
        ] {
            assert_eq!(slice(&less).addresses, [] as [IpAddr; 0], "{less}");
        }
    }
}
