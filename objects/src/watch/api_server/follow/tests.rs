//! Tables of what is asked next.

use std::time::Duration;

use super::{Effect, Follow, Heard, LAST_PAUSE, LONGEST_WISH, LOOK_AGAIN, Step, is_later, pause};
use crate::api::Refusal;
use crate::kinds::Kind;

fn refusal(code: u16, reason: &str) -> Refusal {
    Refusal {
        path: "/a".to_owned(),
        code,
        reason: reason.to_owned(),
        message: String::new(),
        retry_after: None,
    }
}

fn pods() -> Follow {
    Follow::new(Kind::Pod.facts())
}

/// Watches pods since 10.
fn watching() -> Follow {
    let mut follow = pods();
    assert_eq!(follow.step(), Step::Stream { version: "v1" });
    let end = Heard::Bookmark {
        as_of: "10",
        is_end: true,
    };
    assert_eq!(follow.heard(&end, 0.5), Effect::Whole);
    follow
}

fn since(follow: &mut Follow) -> String {
    match follow.step() {
        Step::Watch { since, .. } => since,
        other => panic!("{other:?}"),
    }
}

fn event(as_of: &str) -> Heard<'_> {
    Heard::Event {
        is_deletion: false,
        as_of,
    }
}

#[test]
fn a_streamed_list_is_whole_at_its_bookmark_and_goes_on_as_a_watch() {
    let mut follow = pods();
    assert_eq!(follow.step(), Step::Stream { version: "v1" });
    // In the order of names, not of versions.
    assert_eq!(follow.heard(&event("7"), 0.5), Effect::Put);
    assert_eq!(follow.heard(&event("3"), 0.5), Effect::Put);
    let ordinary = Heard::Bookmark {
        as_of: "9",
        is_end: false,
    };
    assert_eq!(follow.heard(&ordinary, 0.5), Effect::None);
    let end = Heard::Bookmark {
        as_of: "10",
        is_end: true,
    };
    assert_eq!(follow.heard(&end, 0.5), Effect::Whole);
    assert_eq!(since(&mut follow), "10");
}

#[test]
fn where_lists_cannot_be_streamed_they_are_asked_for_page_by_page_from_then_on() {
    let refused = refusal(422, "Invalid");
    for heard in [Heard::Silent, Heard::Refused(&refused)] {
        let mut follow = pods();
        follow.heard(&heard, 0.5);
        let first = Step::List {
            version: "v1",
            more: None,
        };
        assert_eq!(follow.step(), first);
        let page = |as_of, more: Option<&str>| Heard::Page {
            as_of,
            more: more.map(str::to_owned),
        };
        assert_eq!(follow.heard(&page("5", Some("x")), 0.5), Effect::None);
        let second = Step::List {
            version: "v1",
            more: Some("x".to_owned()),
        };
        assert_eq!(follow.step(), second);
        assert_eq!(follow.heard(&page("5", None), 0.5), Effect::Whole);
        assert_eq!(since(&mut follow), "5");
        // A list that is needed again is not streamed either.
        follow.heard(&Heard::Refused(&refusal(410, "Expired")), 0.5);
        assert!(matches!(follow.step(), Step::Wait(_)));
        assert_eq!(follow.step(), first);
    }
}

#[test]
fn a_page_that_fails_or_has_expired_begins_the_list_anew_after_a_pause() {
    for (code, reason) in [(410, "Expired"), (500, ""), (0, ""), (429, "")] {
        let mut follow = pods();
        follow.heard(&Heard::Silent, 0.5);
        let page = Heard::Page {
            as_of: "5",
            more: Some("x".to_owned()),
        };
        follow.heard(&page, 0.5);
        follow.heard(&Heard::Refused(&refusal(code, reason)), 0.5);
        assert!(matches!(follow.step(), Step::Wait(_)), "{code}");
        let first = Step::List {
            version: "v1",
            more: None,
        };
        assert_eq!(follow.step(), first, "{code}");
    }
}

#[test]
fn an_event_that_is_not_later_than_where_we_are_is_none() {
    let mut follow = watching();
    for (as_of, effect) in [
        ("11", Effect::Put),
        ("11", Effect::None),
        ("9", Effect::None),
        ("10", Effect::None),
        ("100", Effect::Put),
        ("99", Effect::None),
    ] {
        assert_eq!(follow.heard(&event(as_of), 0.5), effect, "{as_of}");
    }
    let gone = |as_of| Heard::Event {
        is_deletion: true,
        as_of,
    };
    assert_eq!(follow.heard(&gone("50"), 0.5), Effect::None);
    assert_eq!(follow.heard(&gone("101"), 0.5), Effect::Remove);
    assert_eq!(since(&mut follow), "101");
}

#[test]
fn a_watch_goes_on_from_the_last_bookmark_or_event() {
    let mut follow = watching();
    let bookmark = |as_of| Heard::Bookmark {
        as_of,
        is_end: false,
    };
    follow.heard(&bookmark("20"), 0.5);
    follow.heard(&bookmark("15"), 0.5);
    follow.heard(&Heard::Ended(Duration::from_secs(300)), 0.5);
    assert_eq!(since(&mut follow), "20", "at once, and never back");
    follow.heard(&Heard::Refused(&refusal(0, "")), 0.5);
    assert!(matches!(follow.step(), Step::Wait(_)));
    assert_eq!(since(&mut follow), "20");
}

#[test]
fn watches_that_end_at_once_are_not_asked_for_in_a_circle() {
    let mut follow = watching();
    let mut waited = Duration::ZERO;
    for _ in 0..12 {
        follow.heard(&Heard::Ended(Duration::from_millis(3)), 1.0);
        match follow.step() {
            Step::Wait(pause) => waited += pause,
            other => panic!("{other:?}"),
        }
        assert_eq!(since(&mut follow), "10");
    }
    assert!(waited > Duration::from_secs(60), "{waited:?}");
}

#[test]
fn a_watch_from_too_long_ago_needs_a_list() {
    for code in [410, 0] {
        let mut follow = watching();
        follow.heard(&Heard::Refused(&refusal(code, "Expired")), 0.5);
        assert!(matches!(follow.step(), Step::Wait(_)));
        assert_eq!(follow.step(), Step::Stream { version: "v1" });
    }
}

#[test]
fn a_custom_resource_is_looked_for_in_every_version_and_again_later() {
    let mut follow = Follow::new(Kind::Telemetry.facts());
    for version in ["v1", "v1alpha1"] {
        assert_eq!(follow.step(), Step::Seek(version));
        let effect = follow.heard(&Heard::Served(false), 0.5);
        let expected = match version {
            "v1" => Effect::None,
            _ => Effect::Nothing,
        };
        assert_eq!(effect, expected);
    }
    assert_eq!(follow.step(), Step::Wait(LOOK_AGAIN));
    assert_eq!(follow.step(), Step::Seek("v1"));
    follow.heard(&Heard::Served(false), 0.5);
    follow.heard(&Heard::Served(true), 0.5);
    assert_eq!(
        follow.step(),
        Step::Stream {
            version: "v1alpha1"
        }
    );
}

#[test]
fn a_custom_resource_with_objects_must_be_missing_three_times_before_they_are_gone() {
    let mut follow = Follow::new(Kind::RateLimitPolicy.facts());
    follow.heard(&Heard::Served(true), 0.5);
    let end = Heard::Bookmark {
        as_of: "10",
        is_end: true,
    };
    follow.heard(&end, 0.5);
    let unserved = refusal(404, "");
    follow.heard(&Heard::Refused(&unserved), 0.5);
    for expected in [Effect::None, Effect::None, Effect::Nothing] {
        assert_eq!(follow.step(), Step::Seek("v1alpha1"));
        assert_eq!(follow.heard(&Heard::Refused(&unserved), 0.5), expected);
        assert!(matches!(follow.step(), Step::Wait(_)));
    }
}

#[test]
fn pauses_grow_spread_and_end() {
    assert_eq!(pause(1, 1.0), Duration::from_millis(200));
    assert_eq!(pause(1, 0.0), Duration::from_millis(100));
    assert_eq!(pause(3, 1.0), Duration::from_millis(800));
    assert_eq!(pause(1000, 1.0), LAST_PAUSE);
}

#[test]
fn the_servers_wish_to_be_left_alone_is_honoured_within_reason() {
    for (wish, least) in [(7, 7), (100_000, LONGEST_WISH.as_secs())] {
        let mut follow = watching();
        let mut refused = refusal(429, "TooManyRequests");
        refused.retry_after = Some(Duration::from_secs(wish));
        follow.heard(&Heard::Refused(&refused), 0.0);
        let Step::Wait(pause) = follow.step() else {
            panic!("no pause");
        };
        assert_eq!(pause.as_secs(), least);
    }
}

#[test]
fn versions_are_numbers_of_any_length() {
    for (one, other, later) in [
        ("10", "9", true),
        ("9", "10", false),
        ("10", "10", false),
        ("123456789012345678901", "99999999999999999999", true),
        ("abc", "abd", true),
        ("abc", "abc", false),
        ("", "5", true),
    ] {
        assert_eq!(is_later(one, other), later, "{one} {other}");
    }
}
