//! The control socket: accepts, refuses foreign users, reads one request, carries it out, answers.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use mesh::lifecycle::task;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::messages::{Answer, Request, encode, receive_head};
use crate::place::Place;
use crate::world::World;

/// Most connections served at the same time; further ones wait.
const MOST_CONNECTIONS: usize = 256;
/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(10);

/// Binds the socket; the directory's mode keeps others away, and the peer's uid is checked too.
pub(crate) fn bind(place: &Place) -> io::Result<UnixListener> {
    UnixListener::bind(place.control_socket())
}

/// Serves for ever.
pub(crate) async fn serve(listener: UnixListener, world: Arc<World>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of descriptors, most likely: let some connection end.
                tracing::warn!(%error, "cannot accept on the control socket");
                sleep(PAUSE).await;
                continue;
            }
        };
        let world = world.clone();
        task::spawn("control connection", async move {
            if let Err(error) = answer(stream, &world).await {
                tracing::debug!(%error, "control connection ended");
            }
            drop(place);
        });
    }
}

async fn answer(mut stream: UnixStream, world: &Arc<World>) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != nix::unistd::Uid::effective().as_raw() {
        let reason = "only the sandbox's owner may give it orders".to_owned();
        return reply(&mut stream, &Answer::Failed { reason }, None).await;
    }
    let (request, descriptors) = receive(&mut stream).await?;
    tracing::debug!(request = request.word(), "request");
    let is_down = matches!(request, Request::Down);
    let hung_up = async {
        let mut byte = [0; 1];
        let (mut reader, _) = stream.split();
        let _ = reader.read(&mut byte).await;
    };
    let outcome = tokio::select! {
        outcome = world.carry_out(request, descriptors) => outcome,
        () = hung_up => return Ok(()),
    };
    let (answer, descriptor) = match outcome {
        Ok(done) => done,
        Err(reason) => (Answer::Failed { reason }, None),
    };
    reply(&mut stream, &answer, descriptor).await?;
    if is_down {
        world.end();
    }
    Ok(())
}

async fn receive(stream: &mut UnixStream) -> io::Result<(Request, Vec<OwnedFd>)> {
    let socket = stream.as_raw_fd();
    let (length, descriptors) = stream
        .async_io(Interest::READABLE, || receive_head(socket))
        .await?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok((serde_json::from_slice(&body)?, descriptors))
}

async fn reply(
    stream: &mut UnixStream,
    answer: &Answer,
    descriptor: Option<OwnedFd>,
) -> io::Result<()> {
    let Some(descriptor) = descriptor else {
        return stream.write_all(&encode(answer)?).await;
    };
    // Small enough to leave at once.
    let socket = stream.as_raw_fd();
    stream
        .async_io(Interest::WRITABLE, || {
            let rights = [descriptor.as_raw_fd()];
            let frame = encode(answer)?;
            let control = [nix::sys::socket::ControlMessage::ScmRights(&rights)];
            let flags = nix::sys::socket::MsgFlags::MSG_NOSIGNAL;
            let parts = [io::IoSlice::new(&frame)];
            nix::sys::socket::sendmsg::<()>(socket, &parts, &control, flags, None)?;
            Ok(())
        })
        .await
}
