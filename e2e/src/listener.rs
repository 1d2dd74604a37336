//! A client of the controller, as far as it listens: what a node proxy is served, byte by byte.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use proto::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node};
use proto::type_urls::{ADDRESS, AUTHORIZATION};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use tonic::{Request, Status, Streaming};

/// Largest response taken, in bytes.
const MAX_RESPONSE: usize = 200 << 20;

/// Subscribes to every address and policy, acknowledges everything, and keeps it.
#[derive(Debug)]
pub struct Listener {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
    /// What it was told, by type and name: the bytes.
    pub known: BTreeMap<(String, String), Vec<u8>>,
}

impl Listener {
    /// Connects as the node proxy `ztunnel-a` of `weft-system`; `root` is the PEM of the root to trust.
    ///
    /// # Errors
    /// When there is no connection.
    pub async fn connect(
        controller: SocketAddr,
        root: &str,
        token: &str,
    ) -> Result<Result<Listener, Status>> {
        let tls = mesh::tls::foreign::client("weft-controller.weft-system.svc", root);
        let endpoint = Endpoint::from_shared(format!("https://{controller}"))?.tls_config(tls)?;
        let channel = endpoint.connect().await.context("the controller")?;
        let mut client =
            AggregatedDiscoveryServiceClient::new(channel).max_decoding_message_size(MAX_RESPONSE);
        let (requests, receiver) = mpsc::channel(8);
        let node = Node {
            id: "ztunnel~10.0.0.1~ztunnel-a.weft-system~weft-system.svc.cluster.local".to_owned(),
            ..Node::default()
        };
        for type_url in [ADDRESS, AUTHORIZATION] {
            let first = DeltaDiscoveryRequest {
                node: Some(node.clone()),
                type_url: type_url.to_owned(),
                ..DeltaDiscoveryRequest::default()
            };
            requests.send(first).await?;
        }
        let mut request = Request::new(ReceiverStream::new(receiver));
        let bearer = format!("Bearer {token}").parse()?;
        request.metadata_mut().insert("authorization", bearer);
        let answer = client.delta_aggregated_resources(request).await;
        Ok(answer.map(|answer| Listener {
            requests,
            responses: answer.into_inner(),
            known: BTreeMap::new(),
        }))
    }

    /// Takes in the next response; how many resources it was about.
    ///
    /// # Errors
    /// When the stream ends.
    pub async fn next(&mut self) -> Result<usize, Status> {
        let response = self.responses.message().await?;
        let response = response.ok_or_else(|| Status::unavailable("the stream has ended"))?;
        let ack = DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce,
            ..DeltaDiscoveryRequest::default()
        };
        let sent = self.requests.send(ack).await;
        sent.map_err(|_| Status::unavailable("the stream has ended"))?;
        let count = response.resources.len() + response.removed_resources.len();
        for name in response.removed_resources {
            self.known.remove(&(response.type_url.clone(), name));
        }
        for resource in response.resources {
            let bytes = resource.resource.unwrap_or_default().value.to_vec();
            self.known
                .insert((response.type_url.clone(), resource.name), bytes);
        }
        Ok(count)
    }

    /// Takes in everything that is said until nothing is for a moment; how many resources that was about.
    ///
    /// # Errors
    /// When the stream ends.
    pub async fn listen(&mut self, moment: Duration) -> Result<usize, Status> {
        let mut count = 0;
        while let Ok(heard) = tokio::time::timeout(moment, self.next()).await {
            count += heard?;
        }
        Ok(count)
    }
}
