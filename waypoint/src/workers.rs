//! The data path's threads: each runs its own single-threaded runtime and takes its share of tunnels; a
//! connection lives on one of them. Nothing on the path is `Send`.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use mesh::hbone::Pool;
use mesh::lifecycle::{drain, task};
use mesh::net::listen::{self, SocketOptions};
use tokio::net::TcpListener;
use tokio::runtime::LocalOptions;
use tokio::sync::oneshot;

use crate::observe::Observer;
use crate::tunnel;
use crate::upstream::{Dialer, Upstream};
use crate::worker::{Shared, Worker};

/// The threads, to be told and joined at the end.
pub struct Workers {
    door: SocketAddr,
    stops: Vec<oneshot::Sender<Duration>>,
    handles: Vec<JoinHandle<()>>,
}

/// Backlog of each listening socket.
const BACKLOG: i32 = 1024;

/// Starts the threads; each listens on the door by itself.
///
/// # Errors
/// When the door cannot be listened on, or a thread or its runtime cannot be made.
pub fn start(shared: &Shared) -> io::Result<Workers> {
    let options = SocketOptions {
        reuse_port: true,
        backlog: BACKLOG,
        ..SocketOptions::default()
    };
    let mut at = shared.config.door;
    let mut workers = Workers {
        door: at,
        stops: Vec::new(),
        handles: Vec::new(),
    };
    for index in 0..shared.config.worker_threads {
        let door = listen::bind(at, &options)?;
        // with port 0 the kernel chooses once, for all
        at = door.local_addr()?;
        workers.door = at;
        let (stop, stopped) = oneshot::channel();
        let shared = shared.clone();
        let (built, when_built) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(format!("worker-{index}"))
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build_local(LocalOptions::default());
                match runtime {
                    Ok(runtime) => {
                        let _ = built.send(Ok(()));
                        runtime.block_on(work(shared, door, stopped));
                    }
                    Err(error) => {
                        let _ = built.send(Err(error));
                    }
                }
            })?;
        when_built
            .recv()
            .unwrap_or_else(|_| Err(io::Error::other("worker thread ended")))?;
        workers.stops.push(stop);
        workers.handles.push(thread);
    }
    Ok(workers)
}

/// A worker's life, on its own thread.
async fn work(
    shared: Shared,
    door: std::net::TcpListener,
    mut stopped: oneshot::Receiver<Duration>,
) {
    let door = match TcpListener::from_std(door) {
        Ok(door) => door,
        Err(error) => {
            tracing::error!(%error, "the door cannot be used");
            return;
        }
    };
    let (trigger, drain) = drain::channel();
    let dialer = Dialer {
        certificates: shared.certificates.clone(),
        identity: shared.identity.clone(),
        pool: Pool::new(shared.tunnels.clone()),
        keep_alive: shared.config.keep_alive,
        tls: Default::default(),
        state: shared.state.clone(),
        own: shared.config.node.instance_ip,
    };
    let observer = Observer {
        recorder: shared.metrics.recorder(),
        lines: shared.lines.lines(),
        spans: shared.spans.clone(),
    };
    task::spawn_local("access log", Rc::clone(&observer.lines).keep_flushing());
    let worker = Rc::new(Worker {
        shared,
        upstream: Upstream::new(dialer),
        observer: Rc::new(observer),
        drain,
    });
    let deadline = tokio::select! {
        () = tunnel::serve(Rc::clone(&worker), door) => stopped.await,
        deadline = &mut stopped => deadline,
    };
    // Only the work that is still under way hears of the drain from here on.
    drop(worker);
    trigger.drain(deadline.unwrap_or_default()).await;
    tokio::task::yield_now().await;
}

impl Workers {
    /// Where tunnels are taken.
    pub fn door(&self) -> SocketAddr {
        self.door
    }

    /// Tells all to finish within `deadline` and waits for them.
    pub fn stop(self, deadline: Duration) {
        for stop in self.stops {
            // an error means that the thread has ended
            let _ = stop.send(deadline);
        }
        for thread in self.handles {
            let name = thread.thread().name().unwrap_or("worker").to_owned();
            if thread.join().is_err() {
                tracing::error!(thread = name, "worker thread panicked");
            }
        }
    }
}
