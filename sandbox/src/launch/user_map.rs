//! Which user and group ids exist inside: all of ours for root, only our own for an ordinary user.

use std::fs;
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};

use nix::unistd::{Gid, Uid};

use super::{MAP_USERS, OURSELVES};

/// A process outside the new user namespace that waits to write its map.
pub(super) struct Mapper {
    child: Child,
}

impl Mapper {
    /// Starts the helper; must be called before the namespace is entered.
    pub(super) fn start() -> io::Result<Self> {
        let child = Command::new(OURSELVES)
            .arg(MAP_USERS)
            .arg(std::process::id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        Ok(Self { child })
    }

    /// Lets the helper write, now that the namespace exists. False when it may not (root without `CAP_SETUID`).
    pub(super) fn finish(mut self) -> io::Result<bool> {
        drop(self.child.stdin.take());
        Ok(self.child.wait()?.success())
    }
}

/// The helper's whole life: waits for end of file, then maps every id of ours to itself in process `pid`.
pub(super) fn map_all(pid: &str) -> io::Result<()> {
    io::stdin().read_to_end(&mut Vec::new())?;
    for map in ["uid_map", "gid_map"] {
        let ours = fs::read_to_string(format!("/proc/self/{map}"))?;
        fs::write(format!("/proc/{pid}/{map}"), identity(&ours))?;
    }
    Ok(())
}

/// Maps only our own ids, to 0. The kernel asks that `setgroups` is given up first.
pub(super) fn map_own(uid: Uid, gid: Gid) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// The map that gives every id mapped in `ours` the same number inside.
fn identity(ours: &str) -> String {
    ours.lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let first = fields.next()?;
            let count = fields.nth(1)?;
            Some(format!("{first} {first} {count}\n"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::identity;

    #[test]
    fn keeps_every_id_we_have() {
        assert_eq!(
            identity("         0       1000          1\n     1     100000      65536\n"),
            "0 0 1\n1 1 65536\n"
        );
    }
}
