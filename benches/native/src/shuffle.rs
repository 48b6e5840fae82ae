//! Random order, the same for the same seed.

/// Numbers by Steele, Lea and Flood's splitmix64 (doi:10.1145/2660193.2660195).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `limit`; what the remainder does to its fairness does not matter here.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Fisher and Yates' shuffle.
pub(crate) fn shuffle<T>(values: &mut [T], random: &mut Random) {
    for last in (1..values.len()).rev() {
        values.swap(last, random.below(last + 1));
    }
}

/// The order in which `yield-shuffled` wakes its tasks: for all subjects the same.
pub(crate) fn order(tasks: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..tasks as usize).collect();
    shuffle(&mut order, &mut Random::new(tasks));
    order
}

/// Deadlines for `timers`, in milliseconds from now: for all subjects the same.
pub(crate) fn deadlines(tasks: u64) -> impl Iterator<Item = u64> {
    let mut random = Random::new(tasks);
    (0..tasks).map(move |_| 1 + random.next() % 10_000)
}

#[cfg(test)]
mod tests {
    use super::{deadlines, order};

    #[test]
    fn an_order_has_every_task_once() {
        let order = order(1000);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
        assert_ne!(sorted, order);
    }

    #[test]
    fn deadlines_are_in_range() {
        assert_eq!(deadlines(1000).filter(|ms| (1..=10_000).contains(ms)).count(), 1000);
    }
}
