//! Numbers out of repeated measurements.

/// What repeated measurements come to.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// The middle one, or the mean of the two.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// How many there were.
    pub runs: usize,
    /// Median over the rounds of what it took to what the base took in the same round: what else the machine does
    /// falls on both.
    pub ratio: Option<f64>,
}

impl Figures {
    /// Of times taken by themselves.
    pub fn of(values: &[f64]) -> Figures {
        Figures { median: median(values), min: minimum(values), runs: values.len(), ratio: None }
    }

    /// Of times taken in turn with those of the base.
    pub fn beside(base: &[f64], values: &[f64]) -> Figures {
        let ratios: Vec<f64> = values.iter().zip(base).map(|(value, base)| value / base).collect();
        let ratio = (base.len() == values.len()).then(|| median(&ratios));
        Figures { ratio, ..Figures::of(values) }
    }

    /// Something that repeats exactly.
    pub fn exact(value: f64) -> Figures {
        Figures { median: value, min: value, runs: 1, ratio: None }
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n => f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2]),
    }
}

fn minimum(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::min)
}

/// The geometric mean.
pub fn geomean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::{Figures, geomean, median, minimum};

    #[test]
    fn of_few_values() {
        assert!(median(&[]).is_nan());
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(minimum(&[3.0, 1.0, 2.0]), 1.0);
        assert_eq!(Figures::beside(&[1.0, 2.0, 4.0], &[2.0, 4.0, 4.0]).ratio, Some(2.0));
        assert_eq!(Figures::beside(&[1.0], &[2.0, 4.0]).ratio, None);
        assert!((geomean(&[1.0, 4.0]) - 2.0).abs() < 1e-12);
    }
}
