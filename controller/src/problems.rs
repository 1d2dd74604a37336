//! What is wrong with the objects, and what in them is not honoured: for the log and the admin page.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use objects::change::Problem;
use objects::kinds::Key;

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
    findings: BTreeMap<Key, Vec<Problem>>,
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
    pub fn replace_findings(&self, key: &Key, findings: Vec<Problem>) {
        let mut book = self.lock();
        let before = book.findings.remove(key).unwrap_or_default();
        let is_new = |one: &&Problem| {
            !before
                .iter()
                .any(|old| old.field == one.field && old.reason == one.reason)
        };
        for finding in findings.iter().filter(is_new) {
            tracing::warn!(problem = %finding, "object is not honoured in full");
        }
        if !findings.is_empty() {
            book.findings.insert(key.clone(), findings);
        }
    }

    /// All of them, sorted: documents first, then findings by object.
    pub fn all(&self) -> Vec<Problem> {
        let book = self.lock();
        book.of_source
            .iter()
            .chain(book.findings.values().flatten())
            .cloned()
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
