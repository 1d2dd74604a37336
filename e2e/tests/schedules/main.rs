//! No order of messages makes a proxy admit what it must not: the controller's real tables and session and the
//! proxy's real session, picture and decision, on random streams that delay, lose, repeat and begin anew.
//!
//! **What is claimed.** The controller's states have numbers; each is published whole. After every response
//! that a proxy takes, whatever was delayed, lost, repeated or restarted before it:
//!
//! 1. *No policy is older than the workload it judges.* If a workload is known by the record of state `n`, then what
//!    applies to it of each policy is what some state from `n` on says of that policy: its content, or that there
//!    is none. So a workload that is new, or newly selected, is never judged by what was before.
//! 2. *No named policy is absent.* Who is known is known with all policies that its record names. Two exceptions,
//!    both admitting nobody until the proxy hears more: a policy that goes and that applied without being named at some
//!    time goes at once; and who asks for policies, then a second long not for addresses, is told of all that is gone.
//! 3. *Nothing goes back.* What is held under a name is never again of an earlier state than it was.
//! 4. *Hence* a workload whose record is of the last state is decided as the last state says; and while states only get
//!    tighter, nothing is admitted that the state of the workload's record refuses.
//! 5. *In the end* all decisions are those of the last state.
//!
//! **What is not claimed.** States do not reach a proxy whole. While messages are under way, one policy may be of
//! a later state than another or than the workload (1 bounds that from below), and such a mixture may admit what none
//! of its states does, as it may refuse what all admit. Nothing orders objects against each other in Kubernetes either.
//! How often it happens here is counted and shown; it ends when the messages under way have arrived (5).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic, and shows what it has covered"
)]

mod history;
mod link;
mod proxy;
mod tally;

use controller::publish::session::PageSize;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use history::History;
use link::Link;
use proxy::Proxy;
use tally::Tally;

const THREADS: u64 = 2;
const SCHEDULES: u64 = 1_600;
const STEPS: usize = 160;

#[test]
fn no_schedule_of_messages_admits_what_the_states_refuse() {
    let share = |thread: u64| {
        let mut tally = Tally::default();
        for seed in (thread..SCHEDULES).step_by(THREADS as usize) {
            println!("schedule {seed}");
            run(seed, &mut tally);
        }
        tally
    };
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| std::thread::spawn(move || share(thread)))
        .collect();
    let mut tally = Tally::default();
    for thread in threads {
        tally.add(&thread.join().unwrap());
    }
    println!("decisions {tally:#?}");
    assert!(tally.as_of_last > 40_000, "the proxy was up to date");
    assert!(tally.as_of_earlier > 20_000, "the proxy lagged behind");
}

/// One random schedule, to its quiet end.
fn run(seed: u64, tally: &mut Tally) {
    let mut dice = StdRng::seed_from_u64(seed);
    let entries = if seed.is_multiple_of(3) {
        usize::MAX
    } else {
        dice.random_range(1..5)
    };
    let page = PageSize {
        entries,
        bytes: 1 << 20,
    };
    let only_tighter = seed % 4 == 1;
    let mut history = History::new(only_tighter);
    let mut link = Link::new(page);
    let mut proxy = Proxy::new();
    link.reconnect(proxy.connect());
    // A busy controller, a slow network, a slow proxy: each schedule has its own mixture.
    let weights: [u32; 4] = std::array::from_fn(|_| dice.random_range(1..8));
    let all: u32 = weights.iter().sum();
    for _ in 0..STEPS {
        let mut at = dice.random_range(0..all + 2);
        let step = weights.iter().position(|weight| {
            let is_it = at < *weight;
            at = at.saturating_sub(*weight);
            is_it
        });
        match step {
            Some(0) => {
                history.go_on(&mut dice);
                let [.., before, next] = history.states.as_slice() else {
                    unreachable!()
                };
                link.publish(before, next);
            }
            Some(1) => _ = link.send(),
            Some(2) => _ = link.hear(),
            Some(_) => _ = take(&mut link, &mut proxy, &history, tally),
            None => disturb(&mut dice, &mut link, &mut proxy, &history),
        }
    }
    while link.hear() || link.send() || take(&mut link, &mut proxy, &history, tally) {}
    proxy.assert_quiet(&history);
}

/// The proxy takes one response, if one is under way.
fn take(link: &mut Link, proxy: &mut Proxy, history: &History, tally: &mut Tally) -> bool {
    let Some(response) = link.responses.pop_front() else {
        return false;
    };
    link.requests.push_back(proxy.take(response));
    proxy.assert_claims(history, link, tally);
    true
}

/// Something that streams and programs do now and then.
fn disturb(dice: &mut StdRng, link: &mut Link, proxy: &mut Proxy, history: &History) {
    match dice.random_range(0..7) {
        0 | 1 => link.reconnect(proxy.connect()),
        2 => {
            link.restart(&history.states[history.last()]);
            link.reconnect(proxy.connect());
        }
        3 => {
            *proxy = Proxy::new();
            link.reconnect(proxy.connect());
        }
        4 => link.wait(),
        5 => {
            if let Some(first) = link.responses.front().cloned() {
                link.responses.push_front(first);
            }
        }
        _ => {
            if let Some(first) = link.requests.front().cloned() {
                link.requests.push_front(first);
            }
        }
    }
}
