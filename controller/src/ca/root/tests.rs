//! Tests of the kept and the plugged-in root.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

fn load(directory: &Path) -> Result<SigningRoot, RootError> {
    SigningRoot::load_or_create(directory, &TrustDomain::default(), now())
}

#[test]
fn is_made_once_and_kept_with_a_private_key_file() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let first = load(&state).unwrap();
    let mode = std::fs::metadata(state.join(PRIVATE_FILE))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let public = std::fs::read_to_string(state.join(PUBLIC_FILE)).unwrap();
    assert_eq!(public, first.roots());
    assert!(!public.contains("PRIVATE"));
    assert_eq!(load(&state).unwrap().roots(), first.roots());
    let files = std::fs::read_dir(&state).unwrap().count();
    assert_eq!(files, 2, "no draft is left behind");
}

#[test]
fn a_damaged_file_is_named_and_left_alone() {
    for damage in [
        "",
        "rubbish",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let directory = tempfile::tempdir().unwrap();
        load(directory.path()).unwrap();
        let private = directory.path().join(PRIVATE_FILE);
        std::fs::write(&private, damage).unwrap();
        let error = load(directory.path()).err().unwrap();
        assert!(error.to_string().contains(PRIVATE_FILE), "{error}");
        assert_eq!(std::fs::read_to_string(&private).unwrap(), damage);
    }
}

#[test]
fn a_key_that_every_user_may_read_is_not_used() {
    let directory = tempfile::tempdir().unwrap();
    load(directory.path()).unwrap();
    let private = directory.path().join(PRIVATE_FILE);
    let allow = |mode| std::fs::set_permissions(&private, PermissionsExt::from_mode(mode)).unwrap();
    allow(0o644);
    let error = load(directory.path()).err().unwrap().to_string();
    assert!(
        error.contains(PRIVATE_FILE) && error.contains("0600"),
        "{error}"
    );
    allow(0o660);
    assert!(load(directory.path()).is_ok(), "a group may share it");
}

#[test]
fn a_draft_that_a_crash_left_behind_is_not_written_over() {
    let directory = tempfile::tempdir().unwrap();
    let draft = format!("{PRIVATE_FILE}.{}.draft", std::process::id());
    let draft = directory.path().join(draft);
    std::fs::write(&draft, "open to all").unwrap();
    let mut reader = std::fs::File::open(&draft).unwrap();
    load(directory.path()).unwrap();
    let mut seen = String::new();
    std::io::Read::read_to_string(&mut reader, &mut seen).unwrap();
    assert_eq!(seen, "open to all", "whoever opened it before sees no key");
}

#[test]
fn a_life_past_the_end_of_the_calendar_ends_with_the_root() {
    use crate::ca::sign::{Moment, sign_server};
    let directory = tempfile::tempdir().unwrap();
    let root = load(directory.path()).unwrap();
    let key = KeyPair::generate().unwrap();
    let moment = Moment {
        now: now(),
        serial: [7; 16],
    };
    let names = ["a".to_owned()];
    let signed = sign_server(&root, moment, Duration::MAX, &key, &names).unwrap();
    assert_eq!(signed.not_after, root.not_after());
}

#[test]
fn a_lost_private_file_is_not_made_anew_under_running_proxies() {
    let directory = tempfile::tempdir().unwrap();
    load(directory.path()).unwrap();
    std::fs::remove_file(directory.path().join(PRIVATE_FILE)).unwrap();
    assert!(matches!(
        load(directory.path()),
        Err(RootError::Lost { .. })
    ));
}
