//! Seeded randomness for tests: every run sees the same series.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Dice(pub u64);

impl Dice {
    /// In [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Mean 0, variance 1 (Box–Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let (radius, turn) = (1.0 - self.uniform(), self.uniform());
        (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * turn).cos()
    }

    /// Autocorrelated noise of variance 1.
    pub(crate) fn remembering(&mut self, rows: usize, memory: f64) -> Vec<f64> {
        let mut at = self.normal();
        (0..rows)
            .map(|_| {
                at = memory * at + (1.0 - memory * memory).sqrt() * self.normal();
                at
            })
            .collect()
    }
}
