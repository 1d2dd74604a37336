//! From rounds to a table: medians, ratios and how far they spread.

use std::fmt::Write;

use super::load::Load;
use super::round::Cost;

/// Both sides of one load, round by round.
#[derive(Clone, Debug)]
pub struct Series {
    /// The load.
    pub load: Load,
    /// Without the mesh.
    pub plain: Vec<Cost>,
    /// Through two node proxies.
    pub mesh: Vec<Cost>,
}

/// The middle of some figures; zero when there are none.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let half = figures.len() / 2;
    let at = |i: usize| figures.get(i).copied().unwrap_or_default();
    if figures.len() % 2 == 1 {
        at(half)
    } else {
        (at(half.saturating_sub(1)) + at(half)) / 2.0
    }
}

/// Smallest and largest of some figures.
fn spread(figures: &[f64]) -> (f64, f64) {
    figures
        .iter()
        .fold((f64::MAX, f64::MIN), |(low, high), &f| {
            (low.min(f), high.max(f))
        })
}

impl Series {
    /// What a unit is called, and how many of the client's units make one.
    fn unit(&self) -> (&'static str, f64) {
        match self.load {
            Load::Bulk(_) => ("bulk, 1 connection: CPU-s per GB", 1e9),
            Load::Small(_) => ("128 B round trip: CPU-us each", 1.0),
            Load::Connect(_) => ("new connection, warm tunnel: CPU-us each", 1.0),
        }
    }

    /// Machine and proxy CPU per unit of one run.
    fn cost(&self, cost: &Cost) -> (f64, f64) {
        let (_, size) = self.unit();
        let scale = if matches!(self.load, Load::Bulk(_)) {
            1.0
        } else {
            1e6
        };
        let units = cost.measured.units as f64 / size;
        (cost.machine / units * scale, cost.proxies / units * scale)
    }

    /// The load's row in the table of costs.
    pub fn row(&self) -> String {
        let machine = |side: &[Cost]| side.iter().map(|c| self.cost(c).0).collect::<Vec<_>>();
        let (plain, mesh) = (machine(&self.plain), machine(&self.mesh));
        let ratios: Vec<f64> = plain.iter().zip(&mesh).map(|(p, m)| m / p).collect();
        let (low, high) = spread(&ratios);
        let proxies = median(self.mesh.iter().map(|c| self.cost(c).1).collect());
        format!(
            "| {} | {:.2} | {:.2} | {proxies:.2} | {:.2} ({low:.2}-{high:.2}) |",
            self.unit().0,
            median(plain),
            median(mesh),
            median(ratios),
        )
    }

    /// The load's row in the table of times.
    pub fn speed(&self) -> String {
        let text = |side: &[Cost]| match self.load {
            Load::Bulk(_) => {
                let rate = |c: &Cost| c.measured.units as f64 * 8.0 / c.measured.seconds / 1e9;
                format!("{:.1} Gbit/s", median(side.iter().map(rate).collect()))
            }
            _ => {
                let p50 = median(side.iter().map(|c| c.measured.p50_us).collect());
                let p99 = median(side.iter().map(|c| c.measured.p99_us).collect());
                format!("p50 {p50:.0} us, p99 {p99:.0} us")
            }
        };
        let name = self.unit().0.split(':').next().unwrap_or_default();
        format!("| {name} | {} | {} |", text(&self.plain), text(&self.mesh))
    }
}

/// All tables as Markdown.
pub fn render(series: &[Series]) -> String {
    let mut text = String::from(
        "| work | plain, machine | mesh, machine | mesh, the two proxies | ratio of machine CPU (min-max) |\n\
         |---|---|---|---|---|\n",
    );
    for one in series {
        let _ = writeln!(text, "{}", one.row());
    }
    text.push_str("\n| work | plain | mesh |\n|---|---|---|\n");
    for one in series {
        let _ = writeln!(text, "{}", one.speed());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
    }
}
