//! Which options a load obeys. One that would be left out without a word is refused, with what to do instead. It reads what
//! was given, and nothing of what is sent.

use clap::parser::ValueSource;
use clap::{ArgMatches, ValueEnum};

use crate::error::Trouble;
use crate::shape::Work;

const OF_BASKETS: &[Work] = &[Work::Cart, Work::Quote, Work::Atp, Work::PeakDay, Work::Replay];
const OF_CARTS: &[Work] = &[Work::Cart, Work::PeakDay, Work::Replay];
const BUT_REPLAY: &[Work] = &[Work::Hold, Work::Cart, Work::Quote, Work::Atp, Work::FlashSale, Work::PeakDay];
const BUT_FLASH_SALE: &[Work] =
    &[Work::Hold, Work::Cart, Work::Quote, Work::Atp, Work::PeakDay, Work::Replay];

/// The options that not every workload obeys, and those that do.
const OBEYED_BY: &[(&str, &[Work])] = &[
    ("rate", BUT_REPLAY),
    ("in_flight", &[Work::Hold, Work::Cart, Work::Quote, Work::Atp, Work::FlashSale]),
    ("batch", BUT_REPLAY),
    ("warmup", BUT_REPLAY),
    ("lifetime_ms", &[Work::Hold, Work::Cart, Work::Atp, Work::PeakDay, Work::Replay]),
    ("skus", BUT_FLASH_SALE),
    ("seed", BUT_FLASH_SALE),
    ("orders", OF_BASKETS),
    ("lines_max", OF_BASKETS),
    ("confirm", OF_CARTS),
    ("release", OF_CARTS),
    ("checks_per_order", &[Work::Atp]),
    ("units", &[Work::FlashSale]),
    ("routed", &[Work::FlashSale]),
    ("speed", &[Work::Replay]),
];

/// Refuses what `run` would not obey.
pub(crate) fn by_run(given: &ArgMatches) -> Result<(), Trouble> {
    let work = by_workload(given)?;
    let is_open = is_given(given, "rate");
    if is_open && is_given(given, "in_flight") {
        return Err(ignored(
            "--in-flight",
            "beside --rate",
            "a closed loop keeps requests in flight, an open loop keeps a rate; give one of them",
        ));
    }
    if is_given(given, "tick_us") && !is_open && work != Work::Replay {
        return Err(ignored("--tick-us", "in a closed loop", "give --rate too, or leave it out"));
    }
    Ok(())
}

/// Refuses what `sweep` would not obey.
pub(crate) fn by_sweep(given: &ArgMatches) -> Result<(), Trouble> {
    if work(given) == Work::Replay {
        let text = "sweeping `replay`: recorded orders have times of their own, so there is no rate to find; use \
                    `run replay`, or `sweep cart` with --orders";
        return Err(Trouble::Usage(text.to_owned()));
    }
    for (option, instead) in [
        ("rate", "a sweep chooses its rates; give the first as --from, or one rate to `run`"),
        ("in_flight", "a sweep is of open loops; leave it out, or give it to `run`"),
    ] {
        if is_given(given, option) {
            return Err(ignored(&flag(option), "in a sweep", instead));
        }
    }
    by_workload(given).map(drop)
}

/// The workload that was asked for, where it obeys all that was given.
fn by_workload(given: &ArgMatches) -> Result<Work, Trouble> {
    let work = work(given);
    for (option, obeyed_by) in OBEYED_BY {
        if is_given(given, option) && !obeyed_by.contains(&work) {
            let others: Vec<String> = obeyed_by.iter().map(|work| name(*work)).collect();
            let instead = format!("leave it out, or choose a workload that obeys it: {}", others.join(", "));
            return Err(ignored(&flag(option), &format!("with `{}`", name(work)), &instead));
        }
    }
    Ok(work)
}

fn work(given: &ArgMatches) -> Work {
    *given.get_one("work").expect("the workload has a default")
}

fn is_given(given: &ArgMatches, option: &str) -> bool {
    given.value_source(option) == Some(ValueSource::CommandLine)
}

fn name(work: Work) -> String {
    work.to_possible_value().expect("no workload is hidden").get_name().to_owned()
}

fn flag(option: &str) -> String {
    format!("--{}", option.replace('_', "-"))
}

fn ignored(flag: &str, place: &str, instead: &str) -> Trouble {
    Trouble::Usage(format!("giving {flag} {place}: it would be ignored; {instead}"))
}
