//! The client: one call with tonic's own client, and all that it heard.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::{KeyAndValueRef, MetadataKey, MetadataMap};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{Call, Kind, SERVICE, Told};

/// Longest time a call may take, whatever its deadline.
const PATIENCE: Duration = Duration::from_secs(20);

/// Calls once.
///
/// # Errors
/// When the call cannot be written down, or takes for ever; a call that fails is told.
pub fn call(call: &Call) -> Result<Told> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async { tokio::time::timeout(PATIENCE, told(call)).await })?
}

async fn told(call: &Call) -> Result<Told> {
    let endpoint = Endpoint::from_shared(call.url.clone())?;
    let path: PathAndQuery = format!("/{SERVICE}/{}", call.method).parse()?;
    let begun = Instant::now();
    let mut told = Told::default();
    let ended = match endpoint.connect().await {
        Ok(channel) => spoken(Grpc::new(channel), path, call, &mut told).await,
        Err(error) => Err(Status::from_error(error.into()).into()),
    };
    if let Err(ended) = ended {
        let status = ended.downcast::<Status>()?;
        told.code = status.code().into();
        status.message().clone_into(&mut told.why);
        if told.metadata.is_empty() {
            told.metadata = words(status.metadata());
        }
    }
    told.milliseconds = u64::try_from(begun.elapsed().as_millis())?;
    Ok(told)
}

async fn spoken(
    mut client: Grpc<Channel>,
    path: PathAndQuery,
    call: &Call,
    told: &mut Told,
) -> Result<()> {
    client.ready().await.context("not ready")?;
    let codec = ProstCodec::<String, String>::default();
    let first = call.messages.first().cloned().unwrap_or_default();
    match call.kind {
        Kind::Unary => {
            let answer = client.unary(request(call, first)?, path, codec).await?;
            told.metadata = words(answer.metadata());
            told.messages.push(answer.into_inner());
            Ok(())
        }
        Kind::Stream => {
            let request = request(call, first)?;
            let answer = client.server_streaming(request, path, codec).await?;
            told.metadata = words(answer.metadata());
            let mut answers = answer.into_inner();
            while let Some(message) = answers.message().await? {
                told.messages.push(message);
            }
            behind(&mut answers, told).await
        }
        Kind::Bidi => {
            let (sender, receiver) = tokio::sync::mpsc::channel(1);
            // A server may wait for the first message before it says anything.
            sender.send(first).await?;
            let request = request(call, ReceiverStream::new(receiver))?;
            let answer = client.streaming(request, path, codec).await?;
            told.metadata = words(answer.metadata());
            let mut answers = answer.into_inner();
            for (number, message) in call.messages.iter().enumerate() {
                if number > 0 {
                    sender.send(message.clone()).await?;
                }
                let answer = answers.message().await?;
                told.messages.push(answer.context("it ended early")?);
            }
            drop(sender);
            if let Some(more) = answers.message().await? {
                told.messages.push(more);
            }
            behind(&mut answers, told).await
        }
    }
}

async fn behind(answers: &mut Streaming<String>, told: &mut Told) -> Result<()> {
    if let Some(trailers) = answers.trailers().await? {
        told.trailers = words(&trailers);
    }
    Ok(())
}

fn request<T>(call: &Call, body: T) -> Result<Request<T>> {
    let mut request = Request::new(body);
    for (name, value) in &call.metadata {
        let name: MetadataKey<_> = name.parse()?;
        request.metadata_mut().insert(name, value.parse()?);
    }
    if let Some(deadline) = call.deadline {
        request.set_timeout(Duration::from_millis(deadline));
    }
    Ok(request)
}

fn words(metadata: &MetadataMap) -> BTreeMap<String, String> {
    let mut words = BTreeMap::new();
    for pair in metadata.iter() {
        if let KeyAndValueRef::Ascii(name, value) = pair {
            let value = value.to_str().unwrap_or_default().to_owned();
            words.insert(name.as_str().to_owned(), value);
        }
    }
    words
}
