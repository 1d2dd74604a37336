//! Pure. Copies of requests.

use mesh::model::http::{Fraction, Mirror};
use objects::gateway_api::filter as written;
use objects::raw::Path;

use crate::translate::routes::backends;
use crate::translate::routes::destinations::Destinations;
use crate::translate::routes::notes::Notes;

/// A copy; none when it would go nowhere, which does not harm the request itself.
pub(super) fn read(
    mirror: &written::Mirror,
    namespace: &str,
    path: &Path,
    to: &mut Destinations<'_>,
    notes: &mut Notes,
) -> Result<Option<Mirror>, (Path, String)> {
    let share =
        share(mirror).map_err(|(key, reason)| (path.clone().key(key), reason.to_owned()))?;
    match backends::resolve(&mirror.backend_ref, namespace, to) {
        Ok(destination) => Ok(Some(Mirror { destination, share })),
        Err((word, reason)) => {
            let path = path.clone().key("backendRef");
            notes.unresolved(word, path, &reason, "no copy is sent");
            Ok(None)
        }
    }
}

fn share(mirror: &written::Mirror) -> Result<Fraction, (&'static str, &'static str)> {
    match (mirror.percent, mirror.fraction) {
        (Some(_), Some(_)) => Err(("percent", "either `percent` or `fraction`, not both")),
        (Some(percent), None) if percent > 100 => Err(("percent", "at most 100")),
        (None, Some(it)) if it.denominator == 0 || it.numerator > it.denominator => {
            Err(("fraction", "at most the whole"))
        }
        (percent, None) => Ok(Fraction {
            numerator: percent.unwrap_or(100),
            denominator: 100,
        }),
        (None, Some(it)) => Ok(Fraction {
            numerator: it.numerator,
            denominator: it.denominator,
        }),
    }
}
