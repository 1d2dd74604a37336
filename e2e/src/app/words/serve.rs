//! The service: every message is answered as it arrives, as it asks to be.

use std::convert::Infallible;
use std::net::{Ipv6Addr, SocketAddr};
use std::task::Poll;
use std::time::Duration;

use anyhow::Result;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::{Body, BoxFuture, Context, Service, StdError, http};
use tonic::metadata::MetadataMap;
use tonic::server::NamedService;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::{SERVICE, judge};

/// Answers that wait for a slow client.
const WAITING: usize = 4;

/// Serves until it is ended.
///
/// # Errors
/// When it cannot listen.
pub fn serve(port: u16) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
    let served = tonic::transport::Server::builder()
        .add_service(Words)
        .add_service(judge::server())
        .serve(address);
    Ok(runtime.block_on(served)?)
}

/// The service, whatever the method.
#[derive(Clone)]
struct Words;

impl NamedService for Words {
    const NAME: &'static str = SERVICE;
}

impl<B> Service<http::Request<B>> for Words
where
    B: Body + Send + 'static,
    B::Error: Into<StdError> + Send,
{
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async {
            let codec = ProstCodec::<String, String>::default();
            let mut server = tonic::server::Grpc::new(codec);
            // On the wire a call with one message and one answer is a stream as any other.
            Ok(server.streaming(Speaker, request).await)
        })
    }
}

/// What answers one call.
struct Speaker;

impl Service<Request<Streaming<String>>> for Speaker {
    type Response = Response<ReceiverStream<Result<String, Status>>>;
    type Error = Status;
    type Future = BoxFuture<Self::Response, Status>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        Box::pin(async {
            let metadata = request.metadata().clone();
            let mut asked = request.into_inner();
            let first = asked.message().await?.unwrap_or_default();
            // As servers do, nothing is said before there is something to say.
            let mut ready = answers(&first, &metadata).await;
            if let [Err(status)] = ready.as_slice() {
                return Err(status.clone());
            }
            let (sender, receiver) = tokio::sync::mpsc::channel(WAITING);
            mesh::lifecycle::task::spawn("answers", async move {
                loop {
                    for answer in ready {
                        if sender.send(answer).await.is_err() {
                            return;
                        }
                    }
                    let Ok(Some(message)) = asked.message().await else {
                        return;
                    };
                    ready = answers(&message, &metadata).await;
                }
            });
            let mut response = Response::new(ReceiverStream::new(receiver));
            let word = tonic::metadata::MetadataValue::from_static("tonic");
            response.metadata_mut().insert("x-served-by", word);
            Ok(response)
        })
    }
}

async fn answers(message: &str, metadata: &MetadataMap) -> Vec<Result<String, Status>> {
    let number = |text: &str| text.parse::<u32>().unwrap_or_default();
    match message.split(':').collect::<Vec<_>>().as_slice() {
        ["many", times, word] => (0..number(times)).map(|_| Ok((*word).to_owned())).collect(),
        ["tell", name] => {
            let value = metadata.get(*name).and_then(|it| it.to_str().ok());
            vec![Ok(value.unwrap_or_default().to_owned())]
        }
        ["wait", time] => {
            tokio::time::sleep(Duration::from_millis(number(time).into())).await;
            vec![Ok("waited".to_owned())]
        }
        ["fail", code] => {
            let code = Code::from(code.parse::<i32>().unwrap_or_default());
            vec![Err(Status::new(code, "as asked for, with 100 %"))]
        }
        _ => vec![Ok(message.to_owned())],
    }
}
