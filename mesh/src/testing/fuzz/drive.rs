//! Fuzz targets without a fuzzer: a few thousand inputs, noise and good ones that somebody changed.

use std::path::Path;

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};

use super::Target;

/// Inputs per target.
const INPUTS: u32 = 3000;

/// One change to an input.
#[derive(Clone, Debug)]
enum Edit {
    Set(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    /// A part once more at its end.
    Double(Index, Index),
    Cut(Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    // what separates things in the texts of the contract
    let byte = || {
        prop_oneof![
            any::<u8>(),
            proptest::sample::select(&b"\"%,;:=./[] \n-"[..])
        ]
    };
    prop_oneof![
        4 => (at(), byte()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        2 => (at(), byte()).prop_map(|(at, byte)| Edit::Insert(at, byte)),
        2 => at().prop_map(Edit::Remove),
        1 => (at(), at()).prop_map(|(from, to)| Edit::Double(from, to)),
        1 => at().prop_map(Edit::Cut),
    ]
}

fn apply(mut input: Vec<u8>, edits: Vec<Edit>) -> Vec<u8> {
    for edit in edits {
        let length = input.len();
        if length == 0 {
            break;
        }
        match edit {
            Edit::Set(at, byte) => {
                if let Some(old) = input.get_mut(at.index(length)) {
                    *old = byte;
                }
            }
            Edit::Insert(at, byte) => input.insert(at.index(length), byte),
            Edit::Remove(at) => drop(input.remove(at.index(length))),
            Edit::Double(from, to) => {
                let (from, to) = (from.index(length), to.index(length));
                let part = input.get(from.min(to)..=from.max(to));
                let part = part.unwrap_or_default().to_vec();
                input.splice(to..to, part);
            }
            Edit::Cut(at) => input.truncate(at.index(length)),
        }
    }
    input
}

fn inputs(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let edits = proptest::collection::vec(edit(), 0..6);
    let changed = (proptest::sample::select(seeds.clone()), edits);
    prop_oneof![
        1 => proptest::collection::vec(any::<u8>(), 0..200),
        8 => changed.prop_map(|(seed, edits)| apply(seed, edits)),
        1 => Just(seeds.concat()),
    ]
}

/// Runs a target over its inputs; panics with the smallest one for which something does not hold.
pub fn drive(target: &Target) {
    let mut runner = TestRunner::new(Config {
        cases: INPUTS,
        failure_persistence: None,
        ..Config::default()
    });
    let run = runner.run(&inputs((target.seeds)()), |input| {
        (target.run)(&input);
        Ok(())
    });
    assert!(run.is_ok(), "{}: {run:?}", target.name);
}

/// Names of the fuzz targets of the crate in `folder`, sorted.
pub fn targets_in(folder: &str) -> Vec<String> {
    let files = std::fs::read_dir(Path::new(folder).join("fuzz/fuzz_targets")).unwrap();
    let stem = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut names: Vec<_> = files.map(|file| stem(&file.unwrap().path())).collect();
    names.sort();
    names
}

/// Names of a table, sorted.
pub fn names(targets: &[Target]) -> Vec<String> {
    let mut names: Vec<_> = targets.iter().map(|it| it.name.to_owned()).collect();
    names.sort();
    names
}
