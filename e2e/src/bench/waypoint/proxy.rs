//! A proxy as a process of its own, and the tunnel that leads into it.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use mesh::hbone::{Authority, ConnectHead, Dialed, Pool, PoolKey, TunnelStream};
use mesh::tls;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::papers::{Ca, identity};
use super::{PATIENCE, Told, envoy, pin, weft};
use crate::bench::{cpu, memory};

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Envoy,
    Weft,
}

/// A running proxy; ends with this.
pub(super) struct Proxy {
    pub(super) kind: Kind,
    pub(super) routes: usize,
    child: Child,
    door: SocketAddr,
    pool: Rc<Pool<tls::Error>>,
    credentials: Arc<tls::Credentials>,
    folder: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Proxy {
    /// Starts one on processor 1 and waits until it takes tunnels.
    ///
    /// # Errors
    /// When it ends at once or is not there in time; with what it said.
    pub(super) async fn start(kind: Kind, program: &Path, told: &Told) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ca = Ca::new()?;
        let at = folder.path();
        let mut command = Command::new(program);
        match kind {
            Kind::Envoy => envoy::prepare(&mut command, at, told, &ca)?,
            Kind::Weft => weft::prepare(&mut command, at, told, &ca)?,
        }
        let said = at.join("said");
        command.stdin(Stdio::piped()); // what ends with us reads its end
        command.stdout(Stdio::null()); // lines about requests: made and written, kept by nobody
        command.stderr(File::create(&said)?);
        pin::this_thread(1)?;
        let child = command.spawn();
        pin::this_thread(0)?;
        let child = child.with_context(|| program.display().to_string())?;
        let papers = ca.issue(&identity("client"))?;
        let credentials = tls::Credentials::from_pem(
            identity("client"),
            &papers.chain,
            &papers.key,
            &papers.root,
        )?;
        let mut proxy = Self {
            kind,
            routes: told.routes,
            child,
            door: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            pool: Pool::new(mesh::hbone::Settings::default()),
            credentials: Arc::new(credentials),
            folder: folder,
        };
        let begun = Instant::now();
        loop {
            let door = match kind {
                Kind::Envoy => envoy::door(proxy.folder.path()),
                Kind::Weft => weft::door(proxy.folder.path()),
            };
            if let Some(door) = door {
                proxy.door = door;
                return Ok(proxy);
            }
            if proxy.child.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                bail!("{kind:?}: {}", fs::read_to_string(&said)?);
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// A stream to `authority` through its tunnel.
    ///
    /// # Errors
    /// When there is no tunnel or it refuses.
    pub(super) async fn stream(&self, authority: &str) -> Result<TunnelStream> {
        let key = PoolKey::new(
            identity("client"),
            vec![identity("waypoint")],
            self.door,
            self.door.ip(),
        );
        let dial = async || {
            let tcp = TcpStream::connect(self.door)
                .await
                .map_err(tls::Error::from_io)?;
            let _ = tcp.set_nodelay(true);
            let local_address = tcp.local_addr().map_err(tls::Error::from_io)?;
            let made = tls::client::connect(tcp, &self.credentials, key.peers(), PATIENCE);
            let (io, peer) = made.await?;
            Ok(Dialed {
                good_until: peer.not_after,
                io,
                peer,
                local_address,
                kept: Box::new(()),
            })
        };
        let authority = Authority::parse(authority).context("authority")?;
        let head = ConnectHead::new(authority);
        let opened = self.pool.open(&key, dial, &head).await;
        let opened = opened
            .map_err(|error| anyhow!("{:?}: {}", self.kind, mesh::telemetry::report(&error)))?;
        Ok(opened.stream)
    }

    fn pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.child.id())?)
    }

    /// Nanoseconds that its threads have run so far.
    pub(super) fn cpu(&self) -> Result<u64> {
        cpu::of_process(self.pid()?)
    }

    /// Resident memory now, in KiB.
    pub(super) fn memory(&self) -> Result<u64> {
        Ok(memory::of_process(self.pid()?)?.0)
    }
}
