//! Envoy as a process, told by `envoy.json`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::client::PATIENCE;

/// A running Envoy; ends with this.
pub(crate) struct Envoy {
    /// Socket that it takes requests at.
    pub(crate) door: PathBuf,
    child: Child,
    _place: TempDir,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its executable, where `cargo xtask install` puts it.
fn program() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let libraries = fs::read_dir(root.join("target/tools/envoy/lib"));
    libraries
        .into_iter()
        .flatten()
        .flatten()
        .map(|python| python.path().join("site-packages/envoy/_bin/envoy"))
        .find(|path| path.is_file())
        .expect("Envoy; run `cargo xtask install`")
}

/// Starts one before the application, the raw one, one that refuses, and one of HTTP/2.
pub(crate) async fn start([app, raw, refused, grpc]: [SocketAddr; 4]) -> Envoy {
    let place = tempfile::tempdir().unwrap();
    let door = place.path().join("door");
    let told = include_str!("envoy.json")
        .replace("@DOOR@", door.to_str().unwrap())
        .replace("@APP@", &app.port().to_string())
        .replace("@RAW@", &raw.port().to_string())
        .replace("@REFUSED@", &refused.port().to_string())
        .replace("@GRPC@", &grpc.port().to_string());
    let file = place.path().join("envoy.json");
    fs::write(&file, told).unwrap();
    let log = place.path().join("log");
    let child = Command::new(program())
        .args([
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "-l",
            "warning",
            "-c",
        ])
        .arg(&file)
        .stderr(Stdio::from(fs::File::create(&log).unwrap()))
        .spawn()
        .unwrap();
    let mut envoy = Envoy {
        door,
        child,
        _place: place,
    };
    let begun = Instant::now();
    while UnixStream::connect(&envoy.door).await.is_err() {
        let ended = envoy.child.try_wait().unwrap();
        let said = || fs::read_to_string(&log).unwrap_or_default();
        assert!(ended.is_none(), "Envoy ended: {}", said());
        assert!(
            begun.elapsed() < PATIENCE,
            "Envoy does not listen: {}",
            said()
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    envoy
}
