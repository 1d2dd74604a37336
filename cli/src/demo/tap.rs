//! What passes on pods' links while something happens: readable words and TLS handshakes.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use sandbox::capture::parse::{ClientHello, ServerHello, client_hello, server_hello, streams};
use sandbox::capture::recording::Recording;
use sandbox::{PodName, Sandbox};

/// Bytes by direction: from, to.
type Streams = BTreeMap<(SocketAddr, SocketAddr), Vec<u8>>;

/// Listens on links from the moment it is made.
pub(super) struct Tap {
    links: Vec<(String, Recording)>,
}

/// What was seen, link by link.
pub(super) struct Seen {
    links: Vec<(String, Streams)>,
}

/// Both hellos of a handshake, as everybody on the way can read them.
pub(super) struct Handshake {
    /// What the client offered.
    pub client: ClientHello,
    /// What the server chose, once it has answered.
    pub server: Option<ServerHello>,
}

impl Tap {
    /// Starts listening on the links of these pods.
    pub(super) fn on(sandbox: &Sandbox, pods: &[&str]) -> Result<Self> {
        let listen = |pod: &&str| {
            let socket = sandbox.capture(&PodName::parse(pod))?;
            let recording = Recording::new(socket).with_context(|| format!("the link of {pod}"))?;
            Ok(((*pod).to_owned(), recording))
        };
        Ok(Self {
            links: pods.iter().map(listen).collect::<Result<_>>()?,
        })
    }

    /// Stops listening. What was sent before this call is in: frames are queued as they pass.
    pub(super) fn finish(self) -> Result<Seen> {
        let read = |(pod, mut recording): (String, Recording)| {
            let frames = recording
                .frames()
                .with_context(|| format!("the link of {pod}"))?;
            Ok((pod, streams(frames.iter().map(Vec::as_slice))))
        };
        Ok(Seen {
            links: self.links.into_iter().map(read).collect::<Result<_>>()?,
        })
    }
}

impl Seen {
    /// Pods on whose links these words were readable.
    pub(super) fn links_with(&self, words: &str) -> Vec<&str> {
        let words = words.as_bytes();
        let holds = |bytes: &Vec<u8>| bytes.windows(words.len()).any(|w| w == words);
        let readable = |(_, seen): &&(String, Streams)| seen.values().any(holds);
        self.links
            .iter()
            .filter(readable)
            .map(|(pod, _)| pod.as_str())
            .collect()
    }

    /// The first TLS handshake on a pod's link towards a port.
    pub(super) fn handshake(&self, pod: &str, port: u16) -> Option<Handshake> {
        let (_, seen) = self.links.iter().find(|(name, _)| name == pod)?;
        let towards = |((from, to), bytes): (&(SocketAddr, SocketAddr), &Vec<u8>)| {
            let client = (to.port() == port).then(|| client_hello(bytes)).flatten()?;
            let server = seen
                .get(&(*to, *from))
                .and_then(|answer| server_hello(answer));
            Some(Handshake { client, server })
        };
        seen.iter().find_map(towards)
    }
}
