//! The waypoint: this very program, started once more, with everything that a waypoint has but discovery.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use mesh::model::AppProtocol;
use mesh::model::observe::{AccessLog, Telemetry};
use mesh::model::waypoint::Waypoint;
use mesh::testing::ca::{Leaf, identity};
use mesh::tls::Credentials;
use serde_json::{Value, json};

use crate::Proxy;
use crate::app::App;
use crate::client::Client;
use crate::load;
use crate::world::{World, below, routes, run, settings, to};

/// Makes this program a waypoint: the application's address and the number of routes come behind it.
pub(crate) const ALONE: &str = "--waypoint-alone";

struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts one with so many routes.
pub(crate) async fn start(app: SocketAddr, routes: usize) -> Proxy {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([ALONE, &app.to_string(), &routes.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let text = |key: &str| said[key].as_str().unwrap();
    let who = identity("shop", "client");
    let credentials =
        Credentials::from_pem(who.clone(), text("chain"), text("key"), text("roots")).unwrap();
    let door = text("door").parse().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    load::pin(pid, 0);
    Proxy {
        client: Client::known(
            who,
            Arc::new(credentials),
            door,
            identity("shop", "waypoint"),
        ),
        pid,
        _process: Box::new(Ends(child)),
    }
}

/// Is a waypoint until its standard input ends.
pub(crate) fn alone(app: &str, count: usize) {
    let app = app.parse().unwrap();
    run(|| async move {
        let log = std::fs::File::create("/dev/null").unwrap();
        let mut world = World::logging(|_| {}, log).await;
        let app = App {
            at: app,
            requests: Arc::default(),
        };
        world.writer.set_waypoint(Waypoint {
            telemetry: Telemetry {
                access_log: Some(AccessLog::default()),
                ..Telemetry::default()
            },
            ..settings(world.follow.node.key())
        });
        world.service("web", 80, AppProtocol::Http11, &[&app]);
        let rules = (0..count).map(|number| (below(&format!("/r{number}")), to(0)));
        world.route(&routes(&[], rules.collect()));
        let who = identity("shop", "client");
        let (chain, key) = world.ca.issue_pem(&Leaf::of(&who));
        let door = world.door.to_string();
        println!(
            "{}",
            json!({"door": door, "chain": chain, "key": key, "roots": world.ca.root_pem()})
        );
        // Whoever started it ends it.
        let wait = || std::io::stdin().read_to_end(&mut Vec::new());
        let _ = tokio::task::spawn_blocking(wait).await;
    });
}
