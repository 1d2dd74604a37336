//! From rounds to tables: medians, ratios, and how far they spread.

use std::fmt::Write;

use super::Cost;
use super::load::{Load, Measured};
use super::proxy::{Kind, Proxy};
use crate::bench::table::{median, spread};

/// One case, round by round.
pub(super) struct Series {
    pub(super) load: Load,
    pub(super) routes: usize,
    pub(super) rate: u32,
    /// Envoy, Weft, Weft once more.
    sides: [Vec<Cost>; 3],
}

impl Series {
    pub(super) fn new((load, routes, rate): &(Load, usize, u32)) -> Self {
        Self {
            load: *load,
            routes: *routes,
            rate: *rate,
            sides: Default::default(),
        }
    }

    pub(super) fn push(&mut self, side: usize, cost: Cost) {
        if let Some(side) = self.sides.get_mut(side) {
            side.push(cost);
        }
    }

    fn name(&self) -> String {
        let routes = match self.routes {
            1 => "1 route".to_owned(),
            several => format!("{several} routes"),
        };
        match self.load {
            Load::Small => format!("HTTP/1 GET, {routes}"),
            Load::Unary => format!("HTTP/2 unary of 128 B, {routes}"),
            Load::Large => format!("HTTP/1 POST, 64 KiB there and back, {routes}"),
        }
    }

    fn per_cpu_second(cost: &Cost) -> f64 {
        cost.closed.requests as f64 / (cost.cpu as f64 / 1e9)
    }

    fn throughput(&self) -> String {
        let [envoy, weft, again] = &self.sides;
        let figures = |side: &[Cost]| side.iter().map(Self::per_cpu_second).collect::<Vec<_>>();
        let [envoy, weft, again] = [figures(envoy), figures(weft), figures(again)];
        let (beside, same) = (ratios(&weft, &envoy), ratios(&again, &weft));
        format!(
            "| {} | {} | {} | {} | {} |",
            self.name(),
            with_spread(&envoy, 0),
            with_spread(&weft, 0),
            with_spread(&beside, 2),
            with_spread(&same, 2),
        )
    }

    fn times(&self) -> String {
        let [envoy, weft, again] = &self.sides;
        let middle = |side: &[Cost], time: fn(&Measured) -> f64| {
            median(side.iter().map(|it| time(&it.fixed)).collect())
        };
        let p99s = |side: &[Cost]| side.iter().map(|it| it.fixed.p99_us).collect::<Vec<_>>();
        let beside = ratios(&p99s(weft), &p99s(envoy));
        let same = ratios(&p99s(again), &p99s(weft));
        let two = |side: &[Cost]| {
            let (p50, p99) = (middle(side, |it| it.p50_us), middle(side, |it| it.p99_us));
            format!("{p50:.0} us, {p99:.0} us")
        };
        format!(
            "| {}, {}/s | {} | {} | {} | {} |",
            self.name(),
            self.rate,
            two(envoy),
            two(weft),
            with_spread(&beside, 2),
            with_spread(&same, 2),
        )
    }
}

/// Round by round, what one is of the other.
fn ratios(one: &[f64], other: &[f64]) -> Vec<f64> {
    one.iter().zip(other).map(|(a, b)| a / b).collect()
}

fn with_spread(figures: &[f64], digits: usize) -> String {
    let (low, high) = spread(figures);
    let middle = median(figures.to_vec());
    format!("{middle:.digits$} ({low:.digits$}-{high:.digits$})")
}

/// All tables as Markdown. `memory` is what each of `proxies` holds, in KiB.
pub(super) fn render(series: &[Series], proxies: &[Proxy], memory: &[u64]) -> String {
    let mut text = String::from(
        "| requests per CPU-second of the proxy | Envoy 1.40 | Weft | Weft / Envoy (min-max) | Weft / Weft (min-max) |\n\
         |---|---|---|---|---|\n",
    );
    for one in series {
        let _ = writeln!(text, "{}", one.throughput());
    }
    text.push_str(
        "\n| p50 and p99 at a fixed rate | Envoy 1.40 | Weft | p99, Weft / Envoy (min-max) | p99, Weft / Weft (min-max) |\n\
         |---|---|---|---|---|\n",
    );
    for one in series {
        let _ = writeln!(text, "{}", one.times());
    }
    text.push_str("\n| resident memory after the same load | Envoy 1.40 | Weft |\n|---|---|---|\n");
    for routes in super::ROUTES {
        let of = |kind| {
            let mut all = proxies.iter().zip(memory);
            let found = all.find(|(it, _)| it.kind == kind && it.routes == routes);
            found.map_or(0.0, |(_, kib)| *kib as f64 / 1024.0)
        };
        let (envoy, weft) = (of(Kind::Envoy), of(Kind::Weft));
        let _ = writeln!(text, "| {routes} routes | {envoy:.1} MiB | {weft:.1} MiB |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::with_spread;

    #[test]
    fn a_figure_is_told_with_its_spread() {
        assert_eq!(with_spread(&[3.0, 1.0, 2.0], 1), "2.0 (1.0-3.0)");
    }
}
