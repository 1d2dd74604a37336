//! Puts a pod's redirection in place, takes it away again, and tells whether it is there. Blocking and idempotent.

mod routes;

use std::io;
use std::os::fd::BorrowedFd;

use mesh::telemetry::privilege::{NET_ADMIN, SYS_ADMIN, lack};

use crate::netns;
use crate::nft::{self, AddressKind, Command, Ruleset, Table, compare, dump};
use crate::rules::{Redirection, tables};

/// Why a pod's redirection could not be brought into the wanted state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pod's namespace cannot be entered.
    #[error("cannot enter the pod's network namespace{}", lack(.0, SYS_ADMIN))]
    Enter(#[source] io::Error),
    /// The rules were refused; the ones before are still in place, whole.
    #[error("cannot change the pod's nftables")]
    Rules(#[from] nft::Error),
    /// The routing rule or table was refused.
    #[error("cannot bring the pod's routing in order")]
    Routes(#[from] routes::Error),
    /// What is installed cannot be read.
    #[error("cannot read the pod's nftables{}", lack(.0, NET_ADMIN))]
    Read(#[source] io::Error),
}

/// A part of the redirection that is not there, or is another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The table is missing, switched off, or has other rules.
    #[error("table {0} is missing or was changed")]
    Table(Table),
    /// The way back for replies is missing.
    #[error("the routing rule or route of {0:?} is missing")]
    Routes(AddressKind),
}

/// Makes the redirection in this namespace exactly the given one. All tables change in one step, and none when they are
/// as they should be: whoever looks meanwhile sees them whole.
///
/// # Errors
/// When the kernel refuses; the tables are then as they were before.
pub fn apply(netns: BorrowedFd<'_>, redirection: &Redirection) -> Result<(), Error> {
    netns::inside(netns, || {
        if faults(redirection).is_ok_and(|faults| faults.is_empty()) {
            return Ok(());
        }
        // The way back for replies comes first: without it, captured connections would hang.
        routes::add(&redirection.routes)?;
        nft::apply(&redirection.rulesets.iter().map(command).collect::<Vec<_>>())?;
        Ok(())
    })
    .map_err(Error::Enter)?
}

/// Takes all redirection out of this namespace, whatever settings it was made with.
///
/// # Errors
/// When the kernel refuses.
pub fn remove(netns: BorrowedFd<'_>) -> Result<(), Error> {
    netns::inside(netns, || {
        nft::apply(&tables().map(Command::Remove))?;
        routes::remove()?;
        Ok(())
    })
    .map_err(Error::Enter)?
}

/// What is not as the given redirection asks: nothing when all of it is in effect.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn verify(netns: BorrowedFd<'_>, redirection: &Redirection) -> Result<Vec<Fault>, Error> {
    netns::inside(netns, || faults(redirection)).map_err(Error::Enter)?
}

/// The same in the namespace that the thread is in.
fn faults(redirection: &Redirection) -> Result<Vec<Fault>, Error> {
    let mut faults = Vec::new();
    for ruleset in &redirection.rulesets {
        let installed = dump::rules(&ruleset.table).map_err(Error::Read)?;
        if !compare::is_installed(ruleset, installed.as_deref()) {
            faults.push(Fault::Table(ruleset.table.clone()));
        }
    }
    let missing = routes::missing(&redirection.routes)?;
    faults.extend(missing.into_iter().map(Fault::Routes));
    Ok(faults)
}

/// Whether any table of redirection is in this namespace.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn is_redirected(netns: BorrowedFd<'_>) -> Result<bool, Error> {
    netns::inside(netns, || {
        for table in tables() {
            if dump::rules(&table).map_err(Error::Read)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    })
    .map_err(Error::Enter)?
}

fn command(ruleset: &Ruleset) -> Command {
    if ruleset.chains.is_empty() {
        Command::Remove(ruleset.table.clone())
    } else {
        Command::Replace(ruleset.clone())
    }
}
