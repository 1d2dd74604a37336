//! A Gateway of the waypoint class is deployed, and all of it goes with the Gateway. What runs in the pod is a stand-in:
//! the deployer's work is its surroundings.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, TcpListener};
use std::time::Duration;

use anyhow::{Context, ensure};
use sandbox::messages::PodStatus;
use sandbox::{Options, Sandbox};

use crate::Test;
use crate::machine::until;

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn tests() -> Vec<Test> {
    vec![(
        "a_gateway_of_the_waypoint_class_is_deployed_and_all_of_it_goes_with_the_gateway",
        deployed,
    )]
}

/// What a waypoint needs of its surroundings; readiness is answered when all of it is there.
pub(crate) fn stand_in() -> anyhow::Result<()> {
    let variable = |name: &str| std::env::var(name).with_context(|| name.to_owned());
    let file = |name: &str| -> anyhow::Result<String> {
        let path = variable(name)?;
        std::fs::read_to_string(&path).with_context(|| format!("{name}: {path}"))
    };
    ensure!(file("AUTH_TOKEN")?.split('.').count() == 3);
    for root in ["XDS_ROOT_CA", "CA_ROOT_CA"] {
        ensure!(file(root)?.starts_with("-----BEGIN CERTIFICATE-----"));
    }
    ensure!(variable("GATEWAY_NAME")? == "gate" && variable("POD_NAMESPACE")? == "shop");
    let _: std::net::IpAddr = variable("INSTANCE_IP")?.parse()?;
    for name in ["POD_NAME", "NODE_NAME", "SERVICE_ACCOUNT", "XDS_ADDRESS"] {
        ensure!(!variable(name)?.is_empty(), "{name} is empty");
    }
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 15021))?;
    for stream in listener.incoming() {
        let mut stream = stream?;
        let mut head = [0; 512];
        let length = stream.read(&mut head)?;
        let is_probe = head
            .get(..length)
            .is_some_and(|it| it.starts_with(b"GET /healthz/ready "));
        let answer: &[u8] = match is_probe {
            true => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            false => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        };
        stream.write_all(answer)?;
    }
    Ok(())
}

const GATEWAY: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gate, namespace: shop}
spec:
  gatewayClassName: istio-waypoint
  listeners:
  - {name: mesh, port: 15008, protocol: HBONE}
"#;

fn deployed() -> anyhow::Result<()> {
    let name = format!("m-gate-{}", std::process::id());
    let sandbox = Sandbox::up(&Options {
        name,
        ..Options::default()
    })?;
    sandbox.apply(GATEWAY)?;
    sandbox.wait_settled(PATIENCE)?;
    let pod = pod(&sandbox).context("no pod of the waypoint")?;
    ensure!(pod.ready && !pod.enrolled, "{pod:?}");
    let status = sandbox.status()?;
    ensure!(status.services.contains_key("shop/gate"), "{status:?}");
    let file = "gateways.gateway.networking.k8s.io_shop_gate@weft-controller.json";
    let file = sandbox.place().cluster().join("status").join(file);
    let said = std::fs::read_to_string(&file)?;
    ensure!(said.contains("gate.shop.svc.cluster.local"), "{said}");
    ensure!(said.contains("1 of 1 ready"), "{said}");
    sandbox.delete("Gateway", "shop", "gate")?;
    until("nothing of the waypoint is left", PATIENCE, || {
        let services = sandbox.status().map(|status| status.services);
        let no_service = services.is_ok_and(|all| !all.contains_key("shop/gate"));
        no_service && self::pod(&sandbox).is_none()
    })?;
    Ok(sandbox.down()?)
}

fn pod(sandbox: &Sandbox) -> Option<PodStatus> {
    let pods = sandbox.status().ok()?.pods;
    let is_of_it =
        |one: &PodStatus| one.pod.namespace == "shop" && one.pod.name.starts_with("gate-");
    pods.into_iter().find(is_of_it)
}
