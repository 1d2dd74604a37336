//! Reads back what is installed, in the network namespace of the calling thread: enough to tell whether it is ours.

use std::io;
use std::net::IpAddr;

use netlink_sys::Socket;
use netlink_sys::constants::NETLINK_NETFILTER;

use super::attribute::{Attributes, find, text, walk as attributes};
use super::encode::family_number;
use super::kernel::{packet, walk};
use super::rule::{Element, Table};

const SUBSYSTEM: u16 = 10;
const GET_RULE: u16 = 7;
const GET_ELEMENT: u16 = 13;
const REQUEST_DUMP: u16 = 0x301;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// A rule as the kernel holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledRule {
    /// The chain that it stands in.
    pub chain: String,
    /// Its comment; empty when it has none.
    pub comment: String,
    /// Its expressions: name, and the kernel's bytes for it (counters hold their values there).
    pub expressions: Vec<(String, Vec<u8>)>,
}

/// All rules of a table, chain by chain and in order; `None` when there is no such table, or it is switched off.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn rules(table: &Table) -> io::Result<Option<Vec<InstalledRule>>> {
    // A dump of rules is empty for a table that does not exist, so ask for the table itself first.
    let name = Attributes::new().text(1, &table.name).into_bytes();
    const GET_TABLE: u16 = 1;
    const REQUEST_ACK: u16 = 5;
    let is_dormant = match ask(table, GET_TABLE, REQUEST_ACK, &name) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        answer => answer?.iter().any(|answer| is_dormant(answer)),
    };
    if is_dormant {
        return Ok(None);
    }
    let answers = ask(table, GET_RULE, REQUEST_DUMP, &name)?;
    let in_table = |answer: &Vec<u8>| find(answer, 1).map(text).as_ref() == Some(&table.name);
    Ok(Some(
        answers
            .into_iter()
            .filter(in_table)
            .map(|answer| installed(&answer))
            .collect(),
    ))
}

/// All addresses of a set; `None` when there is no such set.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn elements(table: &Table, set: &str) -> io::Result<Option<Vec<Element>>> {
    let names = Attributes::new()
        .text(1, &table.name)
        .text(2, set)
        .into_bytes();
    let answers = match ask(table, GET_ELEMENT, REQUEST_DUMP, &names) {
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        answer => answer?,
    };
    let list = |answer: &Vec<u8>| -> Vec<Element> {
        let list = find(answer, 3).unwrap_or_default();
        attributes(list)
            .filter_map(|(_, element)| read_element(element))
            .collect()
    };
    Ok(Some(answers.iter().flat_map(list).collect()))
}

/// Whether a notice of the kernel is about one of these tables or something in them.
#[must_use]
pub fn concerns(notice: &[u8], tables: &[Table]) -> bool {
    const NEW_GENERATION: u16 = 15;
    walk(notice).any(|(kind, _, _, payload)| {
        // In every message but that of a new generation, the first attribute is the table's name.
        let name = find(payload.get(4..).unwrap_or_default(), 1).map(text);
        kind >> 8 == SUBSYSTEM
            && kind & 0xff != NEW_GENERATION
            && tables
                .iter()
                .any(|table| name.as_ref() == Some(&table.name))
    })
}

/// Whether the table's rules are there and yet not in effect.
fn is_dormant(table: &[u8]) -> bool {
    const DORMANT: u32 = 1;
    let flags = find(table, 2).and_then(|flags| Some(u32::from_be_bytes(*flags.first_chunk()?)));
    flags.unwrap_or_default() & DORMANT != 0
}

fn installed(answer: &[u8]) -> InstalledRule {
    let expressions = attributes(find(answer, 4).unwrap_or_default())
        .map(|(_, expression)| {
            let name = find(expression, 1).map(text).unwrap_or_default();
            (name, find(expression, 2).unwrap_or_default().to_vec())
        })
        .collect();
    InstalledRule {
        chain: find(answer, 2).map(text).unwrap_or_default(),
        comment: find(answer, 7).map(comment).unwrap_or_default(),
        expressions,
    }
}

fn read_element(element: &[u8]) -> Option<Element> {
    let key = find(find(element, 1)?, 1)?;
    let address = match key.len() {
        4 => IpAddr::from(*key.first_chunk::<4>()?),
        16 => IpAddr::from(*key.first_chunk::<16>()?),
        _ => return None,
    };
    Some(Element {
        address,
        comment: find(element, 6).map(comment).unwrap_or_default(),
    })
}

/// The text of user data that is a comment.
fn comment(user_data: &[u8]) -> String {
    match user_data {
        [0, _, rest @ ..] => text(rest),
        _ => String::new(),
    }
}

/// Sends one request and collects the attributes of every answer.
fn ask(table: &Table, kind: u16, flags: u16, inner: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    let family = family_number(table.family);
    socket.send(
        &packet((SUBSYSTEM << 8) | kind, flags, 1, family, 0, inner),
        0,
    )?;
    let mut answers = Vec::new();
    loop {
        let mut buffer = Vec::with_capacity(64 * 1024);
        socket.recv(&mut buffer, 0)?;
        for (kind, _, _, payload) in walk(&buffer) {
            match (
                kind,
                payload.first_chunk().map(|code| i32::from_ne_bytes(*code)),
            ) {
                (NLMSG_DONE, _) | (NLMSG_ERROR, Some(0)) => return Ok(answers),
                (NLMSG_ERROR, code) => {
                    return Err(io::Error::from_raw_os_error(-code.unwrap_or(-libc::EIO)));
                }
                _ => answers.push(payload.get(4..).unwrap_or_default().to_vec()),
            }
        }
    }
}
