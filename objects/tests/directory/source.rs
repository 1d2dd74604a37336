//! What the source says about files that come, change, break and go.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use objects::change::{Batch, Key, Kind};
use objects::watch::Source;
use objects::watch::directory::DirectorySource;

use crate::support::{World, config_map, map_key, pod, pod_key, value_of};

#[tokio::test]
async fn says_what_exists_first_and_then_what_changes() {
    let mut world = World::new();
    world.write(
        "a.yaml",
        &format!("{}---\n{}", config_map("one", "1"), config_map("two", "2")),
    );
    world.write(
        "deep/er/b.json",
        r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}"#,
    );
    world.write(".hidden.yaml", &config_map("hidden", "1"));
    world.write("notes.txt", "not yaml: [");
    let mut view = world.watch();
    let first = view.step().await;
    assert!(first.synced && first.problems.is_empty());
    let keys: BTreeSet<_> = first
        .changes
        .iter()
        .map(|change| change.key.to_string())
        .collect();
    let expected = [
        "ConfigMap default/one",
        "ConfigMap default/two",
        "Namespace shop",
    ];
    assert_eq!(keys, expected.map(str::to_owned).into());

    world.write(
        "a.yaml",
        &format!("{}---\n{}", config_map("one", "1"), config_map("two", "3")),
    );
    let second = view.step().await;
    assert_eq!(
        second.changes.len(),
        1,
        "only what differs is said: {second:?}"
    );
    assert_eq!(value_of(second.changes[0].object.as_ref().unwrap()), "3");
    assert_eq!(view.object(&map_key("two")).unwrap().line(), 8);

    world.write("new/folder/c.yaml", &config_map("three", "1"));
    view.until("a file in a new folder is read", |view| {
        view.has(&map_key("three"))
    })
    .await;
    fs::remove_file(world.path("a.yaml")).unwrap();
    view.until("a deleted file's objects are gone", |view| {
        !view.has(&map_key("one"))
    })
    .await;
    assert!(!view.has(&map_key("two")) && view.has(&map_key("three")));
    fs::rename(world.path("new"), world.path("moved")).unwrap();
    world.write("moved/folder/c.yaml", &config_map("three", "2"));
    view.until("a renamed folder is followed", |view| {
        view.value(&map_key("three")) == Some("2")
    })
    .await;
    fs::remove_dir_all(world.path("moved")).unwrap();
    view.until("a deleted folder's objects are gone", |view| {
        !view.has(&map_key("three"))
    })
    .await;
}

#[tokio::test]
async fn a_broken_document_keeps_its_last_good_version_and_names_its_line() {
    let mut world = World::new();
    let good = format!("{}---\n{}", config_map("one", "1"), config_map("two", "2"));
    world.write("a.yaml", &good);
    let mut view = world.watch();
    view.step().await;

    world.write("a.yaml", &good.replace("value: '2'", "value: 3"));
    view.until("a bad field is a problem", |view| view.problems.len() == 1)
        .await;
    let problem = view.problems.iter().next().unwrap();
    assert_eq!((problem.line, problem.field.as_str()), (13, "data.value"));
    assert_eq!(problem.key, Some(map_key("two")));
    assert_eq!(
        view.value(&map_key("two")),
        Some("2"),
        "the last good version serves"
    );

    world.write(
        "a.yaml",
        &good
            .replace("value: '1'", "value: '5'")
            .replace("name: two", "nome: two"),
    );
    view.until("the healthy neighbour changes", |view| {
        view.value(&map_key("one")) == Some("5")
    })
    .await;
    assert!(
        view.has(&map_key("two")),
        "a document without a name deletes nothing"
    );

    world.write("a.yaml", "kind: [");
    view.until("a file that does not parse is a problem", |view| {
        view.problems
            .iter()
            .any(|problem| problem.line > 0 && problem.key.is_none())
    })
    .await;
    assert!(view.has(&map_key("one")) && view.has(&map_key("two")));

    world.write("a.yaml", &good);
    view.until("problems end", |view| view.problems.is_empty())
        .await;
    assert_eq!(view.value(&map_key("one")), Some("1"));
}

#[tokio::test]
async fn a_kind_that_is_not_read_is_named_and_stops_nothing() {
    let mut world = World::new();
    let lease = "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: x}\n---\n";
    world.write("a.yaml", &format!("{lease}{}", config_map("one", "1")));
    let mut view = world.watch();
    let batch = view.step().await;
    assert_eq!(batch.changes.len(), 1);
    let text = batch.problems[0].to_string();
    assert!(
        text.ends_with(
            "a.yaml:2: kind: coordination.k8s.io/v1 Lease is not a kind that Weft reads"
        ),
        "{text}"
    );
}

#[tokio::test]
async fn the_first_of_two_definitions_counts_and_the_other_is_a_problem() {
    let mut world = World::new();
    world.write("b.yaml", &config_map("one", "b"));
    world.write("a.yaml", &format!("\n{}", config_map("one", "a")));
    let mut view = world.watch();
    view.step().await;
    assert_eq!(view.value(&map_key("one")), Some("a"));
    let text = view.problems.iter().next().unwrap().to_string();
    assert!(
        text.contains("b.yaml:1: ConfigMap default/one: already defined in "),
        "{text}"
    );
    assert!(text.ends_with("a.yaml:2, which counts"), "{text}");
    fs::remove_file(world.path("a.yaml")).unwrap();
    view.until("the other takes its place", |view| {
        view.value(&map_key("one")) == Some("b")
    })
    .await;
    assert!(view.problems.is_empty());
}

#[tokio::test]
async fn thousands_of_files_are_one_batch_and_one_change_stays_one() {
    let mut world = World::new();
    for number in 0..2000 {
        world.write(&format!("pods/p{number}.yaml"), &pod(&format!("p{number}")));
    }
    let start = Instant::now();
    let mut view = world.watch();
    let first = view.step().await;
    // Unoptimized code on a shared machine; the release build takes about a tenth of a second.
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "took {:?}",
        start.elapsed()
    );
    assert_eq!(first.changes.len(), 2000);
    world.write("pods/p7.yaml", &pod("p7").replace("echo", "other"));
    let second = view.step().await;
    let keys: Vec<_> = second
        .changes
        .iter()
        .map(|change| change.key.clone())
        .collect();
    assert_eq!(keys, [pod_key("p7")]);
}

#[tokio::test]
async fn a_pipe_in_a_file_s_place_is_a_problem_and_holds_nobody_up() {
    let mut world = World::new();
    nix::unistd::mkfifo(
        &world.path("a.yaml"),
        nix::sys::stat::Mode::from_bits_truncate(0o600),
    )
    .unwrap();
    world.write("b.yaml", &config_map("one", "1"));
    let mut view = world.watch();
    let batch = view.step().await;
    assert!(view.has(&map_key("one")));
    assert_eq!(batch.problems.len(), 1);
    assert_eq!(batch.problems[0].reason, "not a file");
}

#[tokio::test]
async fn rapid_rewrites_never_flap_and_the_last_one_is_never_lost() {
    let mut world = World::new();
    let text = |value: u32| {
        format!(
            "{}---\n{}",
            config_map("one", &value.to_string()),
            config_map("two", "x")
        )
    };
    world.write("a.yaml", &text(0));
    let mut view = world.watch();
    view.step().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = std::thread::spawn({
        let (path, stop) = (world.path("a.yaml"), stop.clone());
        move || {
            let mut last = 0;
            while !stop.load(Ordering::Relaxed) || last < 300 {
                last += 1;
                fs::write(&path, text(last)).unwrap();
            }
            last
        }
    });
    view.until("some rewrites are seen on the way", |view| {
        view.seen(&map_key("one")) >= 3
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    let last = writer.join().unwrap().to_string();
    view.until("the last one is seen", |view| {
        view.value(&map_key("one")) == Some(&last)
    })
    .await;
    assert_eq!(view.vanished, 0, "nothing was taken for deleted on the way");
    assert_eq!(view.seen(&map_key("two")), 1, "the neighbour never changed");
}

#[tokio::test]
async fn a_file_saved_by_rename_or_moved_away_and_back_is_one_change() {
    let mut world = World::new();
    world.write("a.yaml", &config_map("one", "1"));
    let mut view = world.watch();
    view.step().await;
    for round in 2..20 {
        // As some editors do: the old file aside, a new one in its place.
        fs::rename(world.path("a.yaml"), world.path("a.yaml~")).unwrap();
        fs::write(world.path("a.yaml"), config_map("one", &round.to_string())).unwrap();
        let wanted = round.to_string();
        view.until("the save is seen", |view| {
            view.value(&map_key("one")) == Some(&wanted)
        })
        .await;
    }
    assert_eq!(view.vanished, 0);
}

#[tokio::test]
async fn a_file_is_not_read_while_its_writer_is_at_work() {
    use std::io::Write;
    let mut world = World::new();
    world.write("a.yaml", &config_map("one", "1"));
    let mut view = world.watch();
    view.step().await;
    let text = config_map("two", "2");
    let (start, rest) = text.split_at(text.find("data").unwrap());
    let mut file = fs::File::create(world.path("b.yaml")).unwrap();
    file.write_all(start.as_bytes()).unwrap();
    // Something else is seen in between, so the half has had its chance.
    world.write("a.yaml", &config_map("one", "3"));
    view.until("the neighbour is seen", |view| {
        view.value(&map_key("one")) == Some("3")
    })
    .await;
    assert!(!view.has(&map_key("two")));
    file.write_all(rest.as_bytes()).unwrap();
    drop(file);
    view.until("the whole file is seen", |view| {
        view.value(&map_key("two")) == Some("2")
    })
    .await;
    assert_eq!(view.seen(&map_key("two")), 1);
}

#[tokio::test]
async fn more_events_than_the_kernel_keeps_lose_nothing() {
    let mut world = World::new();
    world.write("a.yaml", &config_map("one", "0"));
    let mut view = world.watch();
    view.step().await;
    // Two events per turn; the kernel keeps 16 384 unless told otherwise.
    for number in 0..9000 {
        fs::write(
            world.path(&format!("x{}.yaml", number % 2)),
            config_map("x", &number.to_string()),
        )
        .unwrap();
    }
    world.write("last.yaml", &config_map("last", "1"));
    view.until("what came after the overflow is seen", |view| {
        view.has(&map_key("last"))
    })
    .await;
}

#[tokio::test]
async fn a_directory_that_goes_away_ends_the_source_and_a_missing_one_cannot_be_opened() {
    let world = World::new();
    let mut view = world.watch();
    view.step().await;
    fs::remove_dir_all(world.root()).unwrap();
    let error = loop {
        match view.source.next().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(error.to_string().ends_with("is gone"), "{error}");
    assert!(DirectorySource::open(world.root()).is_err());
}

#[tokio::test]
async fn items_of_a_list_are_objects() {
    let mut world = World::new();
    world.write("l.yaml", "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n- apiVersion: v1\n  kind: Namespace\n  metadata: {name: b}\n");
    let mut view = world.watch();
    view.step().await;
    assert_eq!(
        view.object(&Key::new(Kind::Namespace, "", "b"))
            .unwrap()
            .line(),
        7
    );
}

#[tokio::test]
async fn what_the_kernel_does_not_report_is_found_by_looking() {
    let mut world = World::new();
    let elsewhere = World::new();
    fs::write(elsewhere.path("target"), config_map("one", "1")).unwrap();
    std::os::unix::fs::symlink(elsewhere.path("target"), world.path("a.yaml")).unwrap();
    world.write("b.yaml", &config_map("two", "1"));
    let mut view = world.watch();
    view.source = view.source.rescan_every(Duration::from_millis(20));
    view.step().await;
    assert_eq!(view.value(&map_key("one")), Some("1"));
    fs::write(elsewhere.path("target"), config_map("one", "22")).unwrap();
    view.until("the target's change is seen", |view| {
        view.value(&map_key("one")) == Some("22")
    })
    .await;
    assert_eq!(view.seen(&map_key("two")), 1);
}

#[tokio::test]
async fn a_wait_given_up_loses_nothing() {
    let mut world = World::new();
    let mut view = world.watch();
    view.step().await;
    for number in 0..50 {
        world.write("a.yaml", &config_map("one", &number.to_string()));
        // Polled once, then dropped.
        tokio::select! {
            biased;
            batch = view.source.next() => view.take(batch.unwrap()),
            () = std::future::ready(()) => Batch::default(),
        };
    }
    view.until("the last change is seen", |view| {
        view.value(&map_key("one")) == Some("49")
    })
    .await;
}
