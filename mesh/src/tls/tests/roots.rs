//! Several roots, and authorities that stand between a root and a leaf.

use super::*;

/// Whether a client and a server with papers of `theirs` are taken by somebody who trusts `roots`.
async fn are_taken(theirs: &Ca, roots: &str) -> (bool, bool) {
    let ours = Ca::named("ours");
    let everything = format!("{roots}{}", ours.root_pem());
    // the other end trusts us and itself, so that only our decision counts
    let peer = |id: &Identity| theirs.issue_as(id, &Leaf::of(id), &everything);
    let us = |id: &Identity| ours.issue_as(id, &Leaf::of(id), roots);
    let (caller, called) = (peer(&client()), us(&server()));
    let (_, accepted) = Box::pin(handshake(&caller, &called, &[server()])).await;
    let (caller, called) = (us(&client()), peer(&server()));
    let (connected, _) = Box::pin(handshake(&caller, &called, &[server()])).await;
    let is_taken = |refused: Option<Error>| match refused {
        None => true,
        Some(Error::UnknownIssuer) => false,
        Some(error) => panic!("{error}"),
    };
    (is_taken(accepted.err()), is_taken(connected.err()))
}

#[tokio::test]
async fn every_one_of_several_roots_is_trusted_at_both_ends_and_no_other() {
    let (old, new, other) = (Ca::named("old"), Ca::named("new"), Ca::named("other"));
    // as while a root is replaced, also by one of the same name
    let namesake = Ca::named("old");
    let roots = format!(
        "{}{}{}",
        old.root_pem(),
        new.root_pem(),
        namesake.root_pem()
    );
    assert_eq!(are_taken(&old, &roots).await, (true, true));
    assert_eq!(are_taken(&new, &roots).await, (true, true));
    assert_eq!(are_taken(&namesake, &roots).await, (true, true));
    assert_eq!(are_taken(&other, &roots).await, (false, false));
    assert_eq!(are_taken(&old, &new.root_pem()).await, (false, false));
}

#[tokio::test]
async fn a_chain_over_intermediates_leads_to_its_root_at_both_ends_and_to_no_other() {
    let root = Ca::named("root");
    let region = root.intermediate("region");
    let cluster = region.intermediate("cluster");
    let issued = cluster.issue(&client());
    assert_eq!(issued.chain().len(), 3, "leaf, cluster, region");
    assert_eq!(are_taken(&cluster, &root.root_pem()).await, (true, true));
    let stranger = Ca::named("root").root_pem();
    assert_eq!(are_taken(&cluster, &stranger).await, (false, false));
}

#[tokio::test]
async fn a_chain_ends_when_its_first_certificate_does() {
    let root = Ca::named("root");
    let hour = Duration::from_secs(3600);
    let end = SystemTime::now() + hour;
    let short = root.intermediate_with("short", |it| it.not_after = end.into());
    let leaf = Leaf {
        not_after: end + hour,
        ..Leaf::of(&client())
    };
    let credentials = short.issue_as(&client(), &leaf, &root.root_pem());
    let left = credentials.not_after().duration_since(SystemTime::now());
    assert!(left.unwrap() <= hour);
}
