//! The rates of a day with a sale in it, pressed into the seconds of a run.

use std::time::Duration;

use crate::pace::Step;

/// How many times the mean the peak hour has, in a year of a retailer's orders.
const PEAK: f64 = 14.5;
/// Each hour's part of what is left beside the peak hour: a quiet night, a day, an evening.
const HOURS: [f64; 24] = [
    1.5, 0.8, 0.5, 0.4, 0.4, 0.5, 1.0, 2.0, 3.5, 5.0, 6.0, 6.5, 7.0, 6.5, 6.0, 6.0, 6.5, 7.0, 8.0, 10.0, 0.0,
    8.0, 5.0, 3.0,
];
/// The hour of the peak.
const PEAK_HOUR: usize = 20;

/// The day, hour by hour.
pub(crate) fn day(mean: f64, lasts: Duration) -> Vec<Step> {
    let others: f64 = HOURS.iter().sum();
    let rest = HOURS.len() as f64 - PEAK;
    let rates = HOURS
        .iter()
        .enumerate()
        .map(|(hour, part)| mean * if hour == PEAK_HOUR { PEAK } else { part / others * rest });
    rates.map(|rate| Step { lasts: lasts / HOURS.len() as u32, rate }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_its_mean_and_a_peak_of_fourteen_and_a_half_times_that() {
        let steps = day(1_000.0, Duration::from_secs(48));
        let mean = steps.iter().map(|step| step.rate).sum::<f64>() / 24.0;
        assert!((mean - 1_000.0).abs() < 1e-6, "{mean}");
        let peak = steps.iter().map(|step| step.rate).fold(0.0, f64::max);
        assert!((peak - 14_500.0).abs() < 1e-6, "{peak}");
        assert_eq!(steps.iter().map(|step| step.lasts).sum::<Duration>(), Duration::from_secs(48));
    }
}
