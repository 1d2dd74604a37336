//! Pure. Copies that are sent elsewhere.

use mesh::model::http::{Fraction, Mirror};
use objects::istio::virtual_service::{HttpRoute, Percent};
use objects::raw::Path;

use super::{Reader, fault, forward};

/// The copies of a route; those without a destination are left out, and so are those of no request.
pub(super) fn read(
    route: &HttpRoute,
    namespace: &str,
    path: &Path,
    reader: &mut Reader<'_>,
) -> Vec<Mirror> {
    if route.mirror.is_some() && !route.mirrors.is_empty() {
        reader.invalid(path.clone().key("mirrors"), "either mirror or mirrors");
    }
    let all = Percent { value: 100.0 };
    let mut copies: Vec<(Option<u32>, Fraction)> = Vec::new();
    if let Some(destination) = &route.mirror {
        let percent = route.mirror_percentage.unwrap_or(all);
        let at = path.clone().key("mirror");
        let found = forward::find(Some(destination), namespace, &at, reader);
        copies.push((found, fault::share(percent, path, reader)));
    }
    for (index, one) in route.mirrors.iter().enumerate() {
        let at = path.clone().key("mirrors").at(index);
        let found = forward::find(one.destination.as_ref(), namespace, &at, reader);
        let percent = one.percentage.unwrap_or(all);
        copies.push((found, fault::share(percent, &at, reader)));
    }
    let copies = copies.into_iter().filter(|(_, share)| share.numerator > 0);
    copies
        .filter_map(|(destination, share)| {
            Some(Mirror {
                destination: destination?,
                share,
            })
        })
        .collect()
}
