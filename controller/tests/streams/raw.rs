//! A hand-driven stream, for clients that do not behave.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes};
use prost_types::value::Kind;
use proto::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Request, Status, Streaming};

use crate::harness::{World, within};

async fn channel(world: &World) -> Channel {
    let root = std::fs::read(world.root_file()).unwrap();
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(root));
    let address = format!("https://localhost:{}", world.address().port());
    let endpoint = Endpoint::from_shared(address).unwrap();
    endpoint.tls_config(tls).unwrap().connect().await.unwrap()
}

fn call<T>(body: T, token: &str) -> Request<T> {
    let mut request = Request::new(body);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// A stream on which the test says every word.
pub(crate) struct Stream {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
}

impl Stream {
    pub(crate) async fn open(world: &World, token: &str) -> Result<Self, Status> {
        let (requests, queue) = mpsc::channel(16);
        let mut client = AggregatedDiscoveryServiceClient::new(channel(world).await);
        let call = call(ReceiverStream::new(queue), token);
        let opening = client.delta_aggregated_resources(call);
        let responses = within("the stream opens", opening).await?.into_inner();
        Ok(Self {
            requests,
            responses,
        })
    }

    pub(crate) async fn subscribe(&mut self, type_url: &str) {
        let id = "ztunnel~1.1.1.1~raw.weft-system~weft-system.svc.cluster.local";
        self.subscribe_as(type_url, id, &[]).await;
    }

    pub(crate) async fn subscribe_as(
        &mut self,
        type_url: &str,
        id: &str,
        metadata: &[(&str, &str)],
    ) {
        let value = |text: &str| prost_types::Value {
            kind: Some(Kind::StringValue(text.to_owned())),
        };
        let fields: BTreeMap<String, prost_types::Value> = metadata
            .iter()
            .map(|(k, v)| ((*k).to_owned(), value(v)))
            .collect();
        let node = Node {
            id: id.to_owned(),
            metadata: Some(prost_types::Struct { fields }),
            ..Node::default()
        };
        let request = DeltaDiscoveryRequest {
            type_url: type_url.to_owned(),
            node: Some(node),
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(request).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Result<DeltaDiscoveryResponse, Status> {
        let message = within("a response", self.responses.message()).await?;
        message.ok_or_else(|| Status::aborted("the stream ended"))
    }

    pub(crate) async fn ack(&mut self, response: &DeltaDiscoveryResponse) {
        let request = DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            ..DeltaDiscoveryRequest::default()
        };
        self.requests.send(request).await.unwrap();
    }
}

/// Sends bytes without TLS and waits until the server has closed.
pub(crate) async fn send_plain(world: &World, bytes: &[u8]) {
    let mut stream = tokio::net::TcpStream::connect(world.address())
        .await
        .unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut rest = Vec::new();
    let _ = within("the server closes", stream.read_to_end(&mut rest)).await;
}

/// Sends these bytes as the first message of a stream; how the stream ended.
pub(crate) async fn send_message(world: &World, bytes: &[u8]) -> Status {
    let mut client = tonic::client::Grpc::new(channel(world).await);
    client.ready().await.unwrap();
    let path = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
    let body = tokio_stream::once(Bytes::copy_from_slice(bytes));
    let path = http::uri::PathAndQuery::from_static(path);
    let answer = client.streaming(call(body, "good"), path, RawCodec);
    match within("an answer to garbage", answer).await {
        Err(status) => status,
        Ok(response) => match within("an end", response.into_inner().message()).await {
            Err(status) => status,
            Ok(_) => Status::cancelled("the server closed the stream"),
        },
    }
}

/// Bytes as they are.
#[derive(Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
