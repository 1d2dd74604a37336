//! Puts a pod's redirection in place, takes it away again, and tells whether it is there. Blocking and idempotent.

mod routes;

use std::io;
use std::os::fd::BorrowedFd;

use crate::netns;
use crate::nft::{self, Command, Ruleset, dump};
use crate::rules::{Redirection, tables};

/// Why a pod's redirection could not be brought into the wanted state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The pod's namespace cannot be entered.
    #[error("cannot enter the pod's network namespace")]
    Enter(#[source] io::Error),
    /// The rules were refused; the ones before are still in place, whole.
    #[error("cannot change the pod's nftables")]
    Rules(#[from] nft::Error),
    /// The routing rule or table was refused.
    #[error("cannot change the pod's routing")]
    Routes(#[from] routes::Error),
    /// What is installed cannot be read.
    #[error("cannot read the pod's nftables")]
    Read(#[source] io::Error),
}

/// Makes the redirection in this namespace exactly the given one. All tables change in one step.
///
/// # Errors
/// When the kernel refuses; the tables are then as they were before.
pub fn apply(netns: BorrowedFd<'_>, redirection: &Redirection) -> Result<(), Error> {
    netns::inside(netns, || {
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

/// Whether this namespace's tables are those of the given redirection: the same chains with the same rules in the same
/// order, told by their comments. What is inside a rule is not compared.
///
/// # Errors
/// When the kernel cannot be asked.
pub fn verify(netns: BorrowedFd<'_>, redirection: &Redirection) -> Result<bool, Error> {
    netns::inside(netns, || {
        for ruleset in &redirection.rulesets {
            let installed = dump::rules(&ruleset.table).map_err(Error::Read)?;
            if !is_same(ruleset, installed.as_deref()) {
                return Ok(false);
            }
        }
        Ok(true)
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

fn is_same(wanted: &Ruleset, installed: Option<&[dump::InstalledRule]>) -> bool {
    let Some(installed) = installed else {
        return wanted.chains.is_empty();
    };
    wanted.chains.iter().all(|chain| {
        let there = installed.iter().filter(|rule| rule.chain == chain.name);
        there
            .map(|rule| &rule.comment)
            .eq(chain.rules.iter().map(|rule| &rule.comment))
    })
}
