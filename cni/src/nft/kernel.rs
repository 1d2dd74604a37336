//! Sends a batch to the kernel, in the network namespace of the calling thread, and finds out which step it refused.

use std::io;

use mesh::telemetry::privilege::{NET_ADMIN, lack};
use netlink_sys::Socket;
use netlink_sys::constants::NETLINK_NETFILTER;

use super::attribute;
use super::command::Command;
use super::encode::{Message, encode};

const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const SUBSYSTEM: u16 = 10;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const NLMSG_ERROR: u16 = 2;
const HAS_EXTENDED_ANSWER: u16 = 0x200;
/// Bytes of a netlink header, and of the netfilter header behind it.
const HEADER: usize = 16;

/// Why a batch was not applied. Nothing of it is in effect then.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no way to talk to the kernel's nftables.
    #[error("cannot talk to nftables over netlink")]
    Netlink(#[source] io::Error),
    /// The kernel refused one step, and with it the batch.
    #[error("kernel refused {subject}{}{}", explain(.explanation.as_deref()), lack(.source, NET_ADMIN))]
    Refused {
        /// The step.
        subject: String,
        /// The kernel's own words, where it gave any.
        explanation: Option<String>,
        /// The error number.
        source: io::Error,
    },
    /// The kernel neither confirmed nor refused.
    #[error("kernel gave no answer about {subject}")]
    NoAnswer {
        /// The last step of the batch.
        subject: String,
    },
}

/// Applies all commands, in order and atomically, in the calling thread's network namespace.
///
/// # Errors
/// When the kernel refuses any of them; none is in effect then.
pub fn apply(commands: &[Command]) -> Result<(), Error> {
    let messages = encode(commands);
    let Some(last) = messages.last() else {
        return Ok(());
    };
    let mut socket = Socket::new(NETLINK_NETFILTER).map_err(Error::Netlink)?;
    socket.bind_auto().map_err(Error::Netlink)?;
    // Without these two the kernel gives the number of an error only, and echoes the request into its answer.
    socket.set_ext_ack(true).map_err(Error::Netlink)?;
    socket.set_cap_ack(true).map_err(Error::Netlink)?;
    let batch = frame(&messages);
    enlarge_send_buffer(&socket, batch.len());
    socket.send(&batch, 0).map_err(Error::Netlink)?;
    // The kernel has worked through the whole batch inside `send`, so its answers are all there.
    match first_error(&socket, &messages)? {
        None => Err(Error::NoAnswer {
            subject: last.subject.clone(),
        }),
        Some(Verdict::Done) => Ok(()),
        Some(Verdict::Refused(error)) => Err(error),
    }
}

enum Verdict {
    Done,
    Refused(Error),
}

fn first_error(socket: &Socket, messages: &[Message]) -> Result<Option<Verdict>, Error> {
    let mut verdict = None;
    loop {
        let mut buffer = Vec::with_capacity(32 * 1024);
        match socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(verdict),
            Err(error) => return Err(Error::Netlink(error)),
        }
        for (kind, flags, sequence, payload) in walk(&buffer) {
            if kind != NLMSG_ERROR {
                continue;
            }
            let Some(code) = payload.first_chunk().map(|code| i32::from_ne_bytes(*code)) else {
                continue;
            };
            if code == 0 {
                verdict.get_or_insert(Verdict::Done);
                continue;
            }
            // Sequence 0 is the batch's opening: errors found only when all of it was looked at together.
            let subject = (sequence as usize)
                .checked_sub(1)
                .and_then(|index| messages.get(index))
                .map_or_else(|| "the batch as a whole".to_owned(), |m| m.subject.clone());
            let explanation = extended(flags, payload);
            let source = io::Error::from_raw_os_error(-code);
            return Ok(Some(Verdict::Refused(Error::Refused {
                subject,
                explanation,
                source,
            })));
        }
    }
}

/// The kernel's own words: attribute 1 behind the error number and the copy of the request's header.
fn extended(flags: u16, payload: &[u8]) -> Option<String> {
    if flags & HAS_EXTENDED_ANSWER == 0 {
        return None;
    }
    let words = attribute::find(payload.get(4 + HEADER..)?, 1)?;
    Some(attribute::text(words))
}

fn explain(explanation: Option<&str>) -> String {
    explanation
        .map(|words| format!(" ({words})"))
        .unwrap_or_default()
}

/// The messages between the two that make them one transaction. Message `n` has the sequence number `n + 1`.
fn frame(messages: &[Message]) -> Vec<u8> {
    let mut batch = Vec::new();
    let bracket = |kind, sequence| packet(kind, REQUEST, sequence, 0, SUBSYSTEM, &[]);
    batch.extend(bracket(BATCH_BEGIN, 0));
    let mut sequence = 0;
    for (message, left) in messages.iter().zip((0..messages.len()).rev()) {
        sequence += 1;
        // Errors come for every message; one confirmation, for the last, is enough.
        let flags = REQUEST | message.flags | if left == 0 { ACKNOWLEDGE } else { 0 };
        let kind = (SUBSYSTEM << 8) | u16::from(message.kind);
        batch.extend(packet(
            kind,
            flags,
            sequence,
            message.family,
            0,
            &message.attributes,
        ));
    }
    batch.extend(bracket(BATCH_END, sequence + 1));
    batch
}

/// One netlink message with a netfilter header.
pub(super) fn packet(
    kind: u16,
    flags: u16,
    sequence: u32,
    family: u8,
    resource: u16,
    attributes: &[u8],
) -> Vec<u8> {
    let length = u32::try_from(HEADER + 4 + attributes.len()).unwrap_or(u32::MAX);
    let [high, low] = resource.to_be_bytes();
    let mut packet = Vec::with_capacity(HEADER + 4 + attributes.len());
    packet.extend(length.to_ne_bytes());
    packet.extend(kind.to_ne_bytes());
    packet.extend(flags.to_ne_bytes());
    packet.extend(sequence.to_ne_bytes());
    packet.extend(0_u32.to_ne_bytes());
    packet.extend([family, 0, high, low]);
    packet.extend(attributes);
    packet
}

/// Walks over the netlink messages in `bytes`: kind, flags, sequence number, payload.
pub(super) fn walk(bytes: &[u8]) -> impl Iterator<Item = (u16, u16, u32, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*rest.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes(*rest.get(4..)?.first_chunk()?);
        let flags = u16::from_ne_bytes(*rest.get(6..)?.first_chunk()?);
        let sequence = u32::from_ne_bytes(*rest.get(8..)?.first_chunk()?);
        let payload = rest.get(HEADER..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, flags, sequence, payload))
    })
}

/// A batch goes out in one piece, which must fit into the socket's buffer.
fn enlarge_send_buffer(socket: &Socket, length: usize) {
    use nix::sys::socket::{setsockopt, sockopt};
    use std::os::fd::AsFd;
    let wanted = length.saturating_mul(2);
    // Either may be refused; the send then says so itself when the buffer was too small after all.
    let _ = setsockopt(&socket.as_fd(), sockopt::SndBuf, &wanted);
    let _ = setsockopt(&socket.as_fd(), sockopt::SndBufForce, &wanted);
}
