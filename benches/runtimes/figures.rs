//! What a row of measurements comes to.

use std::time::Duration;

/// Of one program at one work.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Half of the runs took no longer.
    pub median: Duration,
    /// Nine of ten took no longer.
    pub p90: Duration,
}

impl Figure {
    /// Of at least one measurement.
    pub fn of(mut times: Vec<Duration>) -> Figure {
        times.sort_unstable();
        let last = times.len() - 1;
        let median = (times[last / 2] + times[times.len() / 2]) / 2;
        Figure { median, p90: times[(last * 9).div_ceil(10)] }
    }

    /// The one in the middle, by its median.
    pub fn middle(mut figures: Vec<Figure>) -> Option<Figure> {
        figures.sort_unstable_by_key(|figure| figure.median);
        figures.get(figures.len() / 2).copied()
    }

    /// Milliseconds of the median.
    pub fn milliseconds(&self) -> f64 {
        self.median.as_secs_f64() * 1e3
    }

    /// How many times `other` this is.
    pub fn ratio(&self, other: &Figure) -> f64 {
        self.median.as_secs_f64() / other.median.as_secs_f64()
    }
}
