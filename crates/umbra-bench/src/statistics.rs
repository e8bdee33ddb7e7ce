//! What many measurements come to.

use std::time::Duration;

/// Measurements of one thing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// In milliseconds, in order of size.
    sorted: Vec<f64>,
}

impl Sample {
    /// Takes in another measurement.
    pub fn add(&mut self, measured: Duration) {
        self.add_milliseconds(measured.as_secs_f64() * 1e3);
    }

    /// Takes in another measurement.
    pub fn add_milliseconds(&mut self, measured: f64) {
        let at = self.sorted.partition_point(|other| *other < measured);
        self.sorted.insert(at, measured);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The smallest measurement that at least this share of all (0 to 1) are not
    /// above: the nearest rank, so always one that was measured. In
    /// milliseconds; not a number where there is none.
    pub fn quantile(&self, share: f64) -> f64 {
        let rank = (share * self.sorted.len() as f64).ceil() as usize;
        let last = self.sorted.len().saturating_sub(1);
        self.sorted
            .get(rank.saturating_sub(1).min(last))
            .copied()
            .unwrap_or(f64::NAN)
    }

    /// Half are not above it and half not below. In milliseconds.
    pub fn median(&self) -> f64 {
        let above = self.sorted.len() / 2;
        match self.sorted.len() % 2 {
            1 => self.sorted[above],
            _ if above == 0 => f64::NAN,
            _ => f64::midpoint(self.sorted[above - 1], self.sorted[above]),
        }
    }

    /// The largest. In milliseconds.
    pub fn max(&self) -> f64 {
        self.quantile(1.0)
    }

    /// How many times as large as the other this is, by the medians.
    pub fn ratio_to(&self, other: &Self) -> f64 {
        self.median() / other.median()
    }
}

impl FromIterator<Duration> for Sample {
    fn from_iter<I: IntoIterator<Item = Duration>>(measurements: I) -> Self {
        let mut sample = Self::default();
        for measured in measurements {
            sample.add(measured);
        }
        sample
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(milliseconds: &[u64]) -> Sample {
        milliseconds
            .iter()
            .map(|each| Duration::from_millis(*each))
            .collect()
    }

    #[test]
    fn the_median_is_in_the_middle() {
        let check = |measured: &[u64], expected: f64| {
            assert_eq!(sample(measured).median(), expected, "{measured:?}");
        };
        check(&[7], 7.0);
        check(&[9, 1, 5], 5.0);
        check(&[4, 1, 3, 2], 2.5);
        check(&[1, 1, 1, 100], 1.0);
        assert!(sample(&[]).median().is_nan());
    }

    #[test]
    fn quantiles_are_nearest_ranks() {
        let hundred = sample(&(1..=100).rev().collect::<Vec<_>>());
        let check = |share: f64, expected: f64| {
            assert_eq!(hundred.quantile(share), expected, "{share}");
        };
        check(0.0, 1.0);
        check(0.5, 50.0);
        check(0.9, 90.0);
        check(0.99, 99.0);
        check(0.991, 100.0);
        check(1.0, 100.0);
        assert_eq!(hundred.max(), 100.0);
        assert_eq!(hundred.count(), 100);
        // With few measurements the 99th percentile is the largest.
        assert_eq!(sample(&[3, 1, 2]).quantile(0.99), 3.0);
        assert!(sample(&[]).quantile(0.5).is_nan());
    }

    #[test]
    fn a_ratio_is_of_medians() {
        assert_eq!(sample(&[2, 3, 90]).ratio_to(&sample(&[1, 2, 2])), 1.5);
        assert!(sample(&[1]).ratio_to(&sample(&[])).is_nan());
    }
}
