//! An answer that nobody wants: read to its end where that is cheap, so that its connection carries the next
//! request.

use std::time::Duration;

use http_body::Body;
use http_body_util::BodyExt;

use crate::upstream::Answer;

/// Longest body that costs less than a new connection, in bytes.
const LONGEST: u64 = 64 * 1024;

/// How long its end may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads what is left of an answer and gives its connection back; closes it when that would be too much.
pub(super) async fn drain(answer: Answer) {
    let Answer { response, lease } = answer;
    let mut body = response.into_body();
    if body.size_hint().lower() > LONGEST {
        return;
    }
    let reading = async {
        let mut room = LONGEST;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return false };
            let length = frame.data_ref().map_or(0, |it| it.len() as u64);
            let Some(left) = room.checked_sub(length) else {
                return false;
            };
            room = left;
        }
        true
    };
    if matches!(tokio::time::timeout(PATIENCE, reading).await, Ok(true)) {
        lease.give_back();
    }
}
