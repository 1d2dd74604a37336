//! Pure. A row of the table: medians, and how far rounds lie apart.

/// A figure of one round.
#[derive(Clone, Copy)]
pub(crate) enum Cell {
    Number(f64),
    Microseconds(f64),
    Mebibytes(f64),
}

impl Cell {
    fn value(self) -> f64 {
        match self {
            Self::Number(it) | Self::Microseconds(it) | Self::Mebibytes(it) => it,
        }
    }

    fn shown(self, value: f64) -> String {
        match self {
            Self::Number(_) => format!("{value:.0}"),
            Self::Microseconds(_) => format!("{value:.0} us"),
            Self::Mebibytes(_) => format!("{value:.1} MiB"),
        }
    }
}

/// One kind of work: Envoy, a waypoint, another waypoint, round by round.
pub(crate) struct Row {
    name: String,
    rounds: Vec<[Cell; 3]>,
}

impl Row {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            rounds: Vec::new(),
        }
    }

    pub(crate) fn round(&mut self, found: [Cell; 3]) {
        self.rounds.push(found);
    }

    pub(crate) fn print(&self) {
        let median = |at: usize| {
            let values = self.rounds.iter().map(|it| it[at].value()).collect();
            self.rounds[0][at].shown(middle(values).1)
        };
        let ratio = |one: usize, other: usize| {
            let ratios = self
                .rounds
                .iter()
                .map(|it| it[one].value() / it[other].value());
            let (least, middle, most) = middle(ratios.collect());
            format!("{middle:.2} ({least:.2}-{most:.2})")
        };
        println!(
            "| {} | {} | {} | {} | {} |",
            self.name,
            median(0),
            median(1),
            ratio(1, 0),
            ratio(2, 1)
        );
    }
}

/// Least, median, most.
fn middle(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    (
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    )
}
