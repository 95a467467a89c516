//! What happened in a run: told when it fails, counted, and summed up in one number that is the same for the same seed.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Lines kept for the telling.
const LINES: usize = 40;

/// How often things happened, over any number of runs. A run in which something never happens proves nothing about it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Met {
    pub(crate) commands: u64,
    pub(crate) expired: u64,
    pub(crate) stale_plans: u64,
    pub(crate) storage_full: u64,
    pub(crate) starts: u64,
    pub(crate) failed_starts: u64,
    pub(crate) stops: u64,
    pub(crate) crashes: u64,
    pub(crate) faults: u64,
    pub(crate) torn: u64,
    pub(crate) images: u64,
    pub(crate) images_further: u64,
    pub(crate) seals: u64,
    pub(crate) lost_unanswered: u64,
    pub(crate) refused_damage: u64,
    pub(crate) windows: u64,
}

impl Met {
    fn counts(&self) -> [(&'static str, u64); 16] {
        [
            ("commands", self.commands),
            ("holds expired", self.expired),
            ("plans made before the last record", self.stale_plans),
            ("refusals for a full disk", self.storage_full),
            ("starts", self.starts),
            ("starts that failed", self.failed_starts),
            ("clean stops", self.stops),
            ("crashes", self.crashes),
            ("faults", self.faults),
            ("torn tails", self.torn),
            ("images", self.images),
            ("images by a follower that went on", self.images_further),
            ("seals of an idle log", self.seals),
            ("records lost that nobody had an answer of", self.lost_unanswered),
            ("damage refused", self.refused_damage),
            ("answers lost to the window", self.windows),
        ]
    }

    pub(crate) fn and(&mut self, other: &Self) {
        self.commands += other.commands;
        self.expired += other.expired;
        self.stale_plans += other.stale_plans;
        self.storage_full += other.storage_full;
        self.starts += other.starts;
        self.failed_starts += other.failed_starts;
        self.stops += other.stops;
        self.crashes += other.crashes;
        self.faults += other.faults;
        self.torn += other.torn;
        self.images += other.images;
        self.images_further += other.images_further;
        self.seals += other.seals;
        self.lost_unanswered += other.lost_unanswered;
        self.refused_damage += other.refused_damage;
        self.windows += other.windows;
    }

    /// What never happened.
    pub(crate) fn never(&self) -> Vec<&'static str> {
        self.counts().into_iter().filter(|(_, count)| *count == 0).map(|(what, _)| what).collect()
    }
}

impl fmt::Display for Met {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts().iter().try_for_each(|(what, count)| writeln!(f, "{count:>9} {what}"))
    }
}

pub(crate) struct Story {
    seed: u64,
    is_told: bool,
    lines: VecDeque<String>,
    hasher: DefaultHasher,
    pub(crate) met: Met,
}

impl Story {
    /// `is_told`: where the run fails.
    pub(crate) fn new(seed: u64, is_told: bool) -> Self {
        Self { seed, is_told, lines: VecDeque::new(), hasher: DefaultHasher::new(), met: Met::default() }
    }

    pub(crate) fn tell(&mut self, line: &str) {
        line.hash(&mut self.hasher);
        if self.lines.len() == LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(line.to_owned());
    }

    /// A number that must be the same when the seed is played again.
    pub(crate) fn note(&mut self, number: u64) {
        number.hash(&mut self.hasher);
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hasher.finish()
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if self.is_told && std::thread::panicking() {
            eprintln!("the last {} lines of the story:", self.lines.len());
            for line in &self.lines {
                eprintln!("{line}");
            }
            eprintln!("play it again with\n  scripts/simulate.sh --seed {}", self.seed);
        }
    }
}
