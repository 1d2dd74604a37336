//! Equal values are equal bytes, in one process and across processes: resource versions are hashes
//! of bytes, and a controller that restarts must find the versions it left.

use std::hash::Hasher as _;
use std::io::Write as _;
use std::process::Command;

use mesh::wire::{address, attached, routes, waypoint};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::{draw, strategy};

/// Digest of the bytes of five hundred resources of all kinds, the same ones in every process.
fn digest() -> u64 {
    let seed = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), seed);
    let mut hash = twox_hash::XxHash64::with_seed(0);
    for _ in 0..100 {
        let workload = strategy::workload()
            .new_tree(&mut runner)
            .unwrap()
            .current();
        let service = strategy::service().new_tree(&mut runner).unwrap().current();
        let bytes = address::encode_workload(&workload);
        for _ in 0..5 {
            assert_eq!(address::encode_workload(&workload.clone()), bytes);
        }
        hash.write(&bytes);
        hash.write(&address::encode_service(&service));
        let value = draw::service_routes().new_tree(&mut runner).unwrap();
        hash.write(&routes::encode(&value.current()));
        let value = draw::attached_policy().new_tree(&mut runner).unwrap();
        hash.write(&attached::encode(&value.current()));
        let value = draw::waypoint().new_tree(&mut runner).unwrap();
        hash.write(&waypoint::encode(&value.current()));
    }
    hash.finish()
}

/// Also what the two processes of the test below run.
#[test]
fn a_value_always_gives_the_same_bytes() {
    let digest = digest();
    // Past the test harness, which would capture a plain print.
    writeln!(std::io::stdout(), "\ndigest={digest:016x}").unwrap();
}

#[test]
fn two_processes_give_the_same_bytes() {
    let run = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "same_bytes::a_value_always_gives_the_same_bytes",
                "--nocapture",
            ])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("digest="));
        line.unwrap_or_else(|| panic!("no digest in {text}"))
            .to_owned()
    };
    let first = run();
    assert_eq!(first, run());
    assert_eq!(first, format!("{:016x}", digest()));
}
