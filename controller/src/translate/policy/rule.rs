//! Pure. One rule: `from`, `to` and each `when` become clauses, all of which must match.

use mesh::model::{Clause, Match, Rule};
use objects::istio::authorization_policy as written;
use objects::raw::Path;

use super::notes::Notes;
use super::source::{self, Piece};
use super::{Reading, condition};
use crate::translate::rule::Rule as Found;

/// The rule as node proxies enforce it; `None` when it is left out.
pub(super) fn translate(
    namespace: &str,
    rule: &written::Rule,
    path: &Path,
    reading: Reading,
    notes: &mut Notes<'_>,
) -> Option<Rule> {
    let clauses = clauses(namespace, rule, path, notes);
    let is_partial = clauses.iter().flatten().any(|piece| piece.is_partial);
    if !is_partial && notes.unread_below(path).is_none() {
        let clauses = clauses.into_iter().map(clause).collect();
        return Some(Rule { clauses });
    }
    match reading {
        Reading::Allow => {
            let reason = "the rule is left out: what cannot be enforced of it could admit too many";
            notes.add(Found::AllowRuleLeftOut, path.clone(), reason);
            None
        }
        Reading::Deny => {
            let clauses: Vec<_> = clauses.into_iter().filter(|it| !is_anything(it)).collect();
            if clauses.is_empty() {
                let reason =
                    "nothing is left of the rule's conditions, so it refuses every connection";
                notes.add(Found::DenyRefusesAll, path.clone(), reason);
            }
            let clauses = clauses.into_iter().map(clause).collect();
            Some(Rule { clauses })
        }
        Reading::LikeIstio => {
            if clauses.iter().any(|it| it.iter().all(is_empty)) {
                let reason = "nothing is left of one of the rule's conditions, so it never refuses";
                notes.add(Found::NeverMatches, path.clone(), reason);
            }
            let clauses = clauses.into_iter().map(clause).collect();
            Some(Rule { clauses })
        }
    }
}

/// The alternatives of each clause, in the order in which Istio's controller sends them.
fn clauses(
    namespace: &str,
    rule: &written::Rule,
    path: &Path,
    notes: &mut Notes<'_>,
) -> Vec<Vec<Piece>> {
    let mut clauses = Vec::new();
    if let Some(to) = &rule.to {
        clauses.push(pieces(
            to,
            &path.clone().key("to"),
            notes,
            |it, path, notes| {
                source::operation(&it.operation, &path.clone().key("operation"), notes)
            },
        ));
    }
    if let Some(from) = &rule.from {
        clauses.push(pieces(
            from,
            &path.clone().key("from"),
            notes,
            |it, path, notes| {
                source::source(namespace, &it.source, &path.clone().key("source"), notes)
            },
        ));
    }
    let when = path.clone().key("when");
    for (index, one) in rule.when.iter().flatten().enumerate() {
        clauses.push(vec![condition::translate(
            namespace,
            one,
            &when.clone().at(index),
            notes,
        )]);
    }
    clauses
}

fn pieces<T>(
    written: &[T],
    path: &Path,
    notes: &mut Notes<'_>,
    read: impl Fn(&T, &Path, &mut Notes<'_>) -> Piece,
) -> Vec<Piece> {
    if written.is_empty() {
        notes.invalid(path.clone(), "an empty list: leave it out to mean anything");
        let found = Match::default();
        let is_partial = true;
        return vec![Piece { found, is_partial }];
    }
    let indexed = written.iter().enumerate();
    indexed
        .map(|(index, one)| read(one, &path.clone().at(index), notes))
        .collect()
}

fn clause(pieces: Vec<Piece>) -> Clause {
    Clause {
        matches: pieces.into_iter().map(|piece| piece.found).collect(),
    }
}

fn is_empty(piece: &Piece) -> bool {
    piece.found == Match::default()
}

/// Whether one of the alternatives has lost all its conditions: then any connection may be meant.
fn is_anything(pieces: &[Piece]) -> bool {
    pieces
        .iter()
        .any(|piece| piece.is_partial && is_empty(piece))
}
