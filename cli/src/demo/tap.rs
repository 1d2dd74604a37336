//! What passes on pods' links while something happens: readable words and TLS handshakes.

use std::io;
use std::os::fd::OwnedFd;

use anyhow::{Context, Result};
use sandbox::{PodName, Sandbox};

use super::wire::{Conversations, Handshake};

/// Listens on links from the moment it is made.
pub(super) struct Tap {
    links: Vec<(String, OwnedFd)>,
}

/// What was seen.
pub(super) struct Seen {
    links: Vec<(String, Conversations)>,
}

impl Tap {
    /// Starts listening on the links of these pods.
    pub(super) fn on(sandbox: &Sandbox, pods: &[&str]) -> Result<Self> {
        let listen = |pod: &&str| {
            let socket = sandbox.capture(&PodName::parse(pod))?;
            Ok(((*pod).to_owned(), socket))
        };
        Ok(Self { links: pods.iter().map(listen).collect::<Result<_>>()? })
    }

    /// Stops listening. What was sent before this call is in: frames are queued as they pass.
    pub(super) fn finish(self) -> Result<Seen> {
        let mut links = Vec::new();
        for (pod, socket) in self.links {
            let mut conversations = Conversations::default();
            let mut frame = vec![0; 1 << 17];
            loop {
                match nix::unistd::read(&socket, &mut frame) {
                    Ok(length) => conversations.add(frame.get(..length).unwrap_or_default()),
                    Err(nix::errno::Errno::EAGAIN) => break,
                    Err(nix::errno::Errno::EINTR) => {}
                    Err(error) => {
                        return Err(io::Error::from(error)).context(format!("the link of {pod}"));
                    }
                }
            }
            links.push((pod, conversations));
        }
        Ok(Seen { links })
    }
}

impl Seen {
    /// Pods on whose links these words were readable.
    pub(super) fn links_with(&self, words: &str) -> Vec<&str> {
        let readable = |(_, seen): &&(String, Conversations)| seen.contains(words.as_bytes());
        self.links.iter().filter(readable).map(|(pod, _)| pod.as_str()).collect()
    }

    /// The first TLS handshake from a pod's link to a port.
    pub(super) fn handshake(&self, pod: &str, port: u16) -> Option<Handshake> {
        let (_, seen) = self.links.iter().find(|(name, _)| name == pod)?;
        seen.handshake_to(port)
    }
}
