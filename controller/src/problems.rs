//! What is wrong with the objects, and what in them is not honoured: for the log and the admin page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use objects::change::{Class, Problem};
use objects::kinds::Key;

use crate::translate::rule::{Rule, Severity};

/// A problem, and which row of the table of rules it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The rule.
    pub rule: Rule,
    /// Where and why.
    pub problem: Problem,
}

/// All problems that exist now. A problem leaves when its cause does.
#[derive(Debug, Default)]
pub struct Problems {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    /// Documents that could not be taken over.
    of_source: BTreeSet<Problem>,
    /// What translation found, by object.
    findings: BTreeMap<Key, Vec<Found>>,
}

impl Problems {
    /// A document could not be taken over.
    pub fn add(&self, problem: Problem) {
        self.lock().of_source.insert(problem);
    }

    /// These are no more.
    pub fn resolve(&self, problems: &[Problem]) {
        let mut book = self.lock();
        for problem in problems {
            book.of_source.remove(problem);
        }
    }

    /// What translation found in an object, instead of what it found before. New ones are logged.
    pub fn replace_findings(&self, key: &Key, findings: Vec<Found>) {
        let mut book = self.lock();
        let before = book.findings.remove(key).unwrap_or_default();
        let says_the_same = |one: &Found, old: &Found| {
            old.rule == one.rule
                && old.problem.field == one.problem.field
                && old.problem.reason == one.problem.reason
        };
        let is_new = |one: &&Found| !before.iter().any(|old| says_the_same(one, old));
        for finding in findings.iter().filter(is_new) {
            let (problem, rule) = (&finding.problem, finding.rule.word());
            match finding.rule.severity() {
                Severity::Info => tracing::info!(%problem, rule, "worth knowing"),
                _ => tracing::warn!(%problem, rule, "object is not honoured in full"),
            }
        }
        if !findings.is_empty() {
            book.findings.insert(key.clone(), findings);
        }
    }

    /// All of them, sorted: documents first, then findings by object.
    pub fn all(&self) -> Vec<Found> {
        let book = self.lock();
        let of_source = book.of_source.iter().map(|problem| Found {
            rule: match problem.class {
                Class::Broken => Rule::Unreadable,
                Class::NotRead => Rule::KindNotRead,
                Class::Foreign => Rule::ForeignKind,
            },
            problem: problem.clone(),
        });
        of_source
            .chain(book.findings.values().flatten().cloned())
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
