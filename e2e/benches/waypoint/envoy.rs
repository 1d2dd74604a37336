//! Envoy as a process, configured as a waypoint that is told by a file.

use std::fmt::Write;
use std::fs;
use std::io::{Read, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mesh::testing::ca::{Ca, Leaf, identity};
use serde_json::Value;
use tempfile::TempDir;

use crate::Proxy;
use crate::client::Client;
use crate::load;

/// It is ready within this.
const PATIENCE: Duration = Duration::from_secs(20);

struct Ends {
    child: Child,
    _place: TempDir,
}

impl Drop for Ends {
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

/// Starts one with so many routes.
pub(crate) async fn start(app: SocketAddr, routes: usize) -> Proxy {
    let place = tempfile::tempdir().unwrap();
    let ca = Ca::new();
    let waypoint = identity("shop", "waypoint");
    let (chain, key) = ca.issue_pem(&Leaf::of(&waypoint));
    for (name, text) in [("chain", chain), ("key", key), ("roots", ca.root_pem())] {
        fs::write(place.path().join(name), text).unwrap();
    }
    let told = told(place.path(), app, routes);
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
    let pid = i32::try_from(child.id()).unwrap();
    let mut ends = Ends {
        child,
        _place: place,
    };
    let admin = ends._place.path().join("admin");
    let begun = Instant::now();
    let door = loop {
        if let Some(door) = door(&admin) {
            break door;
        }
        let said = || fs::read_to_string(&log).unwrap_or_default();
        assert!(
            ends.child.try_wait().unwrap().is_none(),
            "Envoy ended: {}",
            said()
        );
        assert!(
            begun.elapsed() < PATIENCE,
            "Envoy does not listen: {}",
            said()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    load::pin(pid, 0);
    Proxy {
        client: Client::new(&ca, door, waypoint, "shop", "client"),
        pid,
        _process: Box::new(ends),
    }
}

/// What it is told.
fn told(place: &Path, app: SocketAddr, routes: usize) -> String {
    let mut rules = String::new();
    for number in 0..routes {
        let comma = if number > 0 { "," } else { "" };
        write!(
            rules,
            "{comma}{{\"match\":{{\"path_separated_prefix\":\"/r{number}\"}},\"route\":{{\"cluster\":\"app\",\"timeout\":\"0s\"}}}}"
        )
        .unwrap();
    }
    include_str!("envoy.json")
        .replace("@PLACE@", place.to_str().unwrap())
        .replace("@APP@", &app.port().to_string())
        .replace("@ROUTES@", &rules)
}

/// Where it takes tunnels, as its admin page says.
fn door(admin: &Path) -> Option<SocketAddr> {
    let mut stream = UnixStream::connect(admin).ok()?;
    let request = "GET /listeners?format=json HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).ok()?;
    let mut page = String::new();
    stream.read_to_string(&mut page).ok()?;
    let json = &page[page.find('{')?..=page.rfind('}')?];
    let listed: Value = serde_json::from_str(json).ok()?;
    let mut all = listed["listener_statuses"].as_array()?.iter();
    let port = all.find_map(|it| it["local_address"]["socket_address"]["port_value"].as_u64())?;
    let port = u16::try_from(port).ok().filter(|it| *it > 0)?;
    Some(SocketAddr::from(([127, 0, 0, 1], port)))
}
