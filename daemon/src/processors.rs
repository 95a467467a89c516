//! Which processors the threads run on. The system is free to choose, unless `server.pin_io_cores` keeps one for each
//! I/O core: what wakes up beside it then never takes its place.

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::config::Config;

/// The processors that the process may use, and how its threads share them.
pub(crate) struct Processors {
    /// How many it is worth to run on at once: a quota of processor time counts, too.
    available: usize,
    /// Where `server.pin_io_cores` is set.
    pinned: Option<Pinned>,
}

/// Who runs where.
struct Pinned {
    allowed: CpuSet,
    /// A processor for each I/O core, the first of those allowed.
    own: Vec<CpuSet>,
}

/// While this lives, threads that the calling one starts run beside the I/O cores.
#[must_use]
pub(crate) struct Beside {
    before: Option<CpuSet>,
}

impl Processors {
    /// Those that the calling thread may use; an error where they are too few for what is wanted.
    pub(crate) fn of(config: &Config) -> anyhow::Result<Self> {
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let mut processors = Self { available, pinned: None };
        if config.server.pin_io_cores {
            let allowed = sched_getaffinity(None).context("asking which processors the process may use")?;
            let (cores, count) = (processors.io_cores(config), allowed.count() as usize);
            anyhow::ensure!(
                cores < count,
                "keeping a processor for each of {cores} I/O cores (server.pin_io_cores) needs at least one more for all \
                 other threads, and the process may use {count}; lower server.io_cores, or let it use more"
            );
            let each = (0..CpuSet::MAX_CPU).filter(|number| allowed.is_set(*number)).map(|number| {
                let mut own = CpuSet::new();
                own.set(number);
                own
            });
            processors.pinned = Some(Pinned { allowed, own: each.take(cores).collect() });
        }
        Ok(processors)
    }

    /// How many there are.
    pub(crate) fn available(&self) -> usize {
        self.available
    }

    /// Threads for `server.io_cores` and the like, where 0 leaves the choice to the daemon: one up to three processors,
    /// else a quarter of them.
    pub(crate) fn threads(&self, setting: u16) -> usize {
        match usize::from(setting) {
            0 => (self.available / 4).max(1),
            chosen => chosen,
        }
    }

    /// How many I/O cores there are to be.
    pub(crate) fn io_cores(&self, config: &Config) -> usize {
        self.threads(config.server.io_cores)
    }

    /// Keeps the calling thread, and those it starts while the answer lives, off the I/O cores' processors.
    pub(crate) fn beside(&self) -> anyhow::Result<Beside> {
        let Some(Pinned { allowed, own }) = &self.pinned else { return Ok(Beside { before: None }) };
        let mut rest = *allowed;
        for number in 0..CpuSet::MAX_CPU {
            if own.iter().any(|own| own.is_set(number)) {
                rest.unset(number);
            }
        }
        sched_setaffinity(None, &rest).context("keeping a thread off the I/O cores' processors")?;
        Ok(Beside { before: Some(*allowed) })
    }

    /// Gives the processors of the I/O core of this number to the calling thread.
    pub(crate) fn take_own(&self, number: usize) -> anyhow::Result<()> {
        let Some(own) = self.pinned.as_ref().and_then(|pinned| pinned.own.get(number)) else { return Ok(()) };
        sched_setaffinity(None, own).with_context(|| format!("giving I/O core {number} its processor"))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(before) = &self.before
            && let Err(error) = sched_setaffinity(None, before)
        {
            tracing::warn!("a thread that started the daemon stays beside the I/O cores: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_up_to_seven_processors_then_a_quarter() {
        for (available, threads) in [(1, 1), (2, 1), (3, 1), (7, 1), (8, 2), (16, 4)] {
            let processors = Processors { available, pinned: None };
            assert_eq!(processors.threads(0), threads);
            assert_eq!(processors.threads(3), 3);
        }
    }

    #[test]
    fn what_is_started_beside_the_io_cores_has_the_rest_and_the_starter_has_all_again() {
        let allowed = sched_getaffinity(None).unwrap();
        if allowed.count() < 2 {
            println!("one processor: nothing can be kept apart");
            return;
        }
        let mut config = Config::default();
        (config.server.pin_io_cores, config.server.io_cores) = (true, 1);
        let processors = Processors::of(&config).unwrap();
        let first = (0..CpuSet::MAX_CPU).find(|number| allowed.is_set(*number)).unwrap();
        std::thread::scope(|scope| {
            let beside = processors.beside().unwrap();
            let started = scope.spawn(|| {
                let rest = sched_getaffinity(None).unwrap();
                assert!(!rest.is_set(first) && rest.count() == allowed.count() - 1);
                processors.take_own(0).unwrap();
                let own = sched_getaffinity(None).unwrap();
                assert!(own.is_set(first) && own.count() == 1);
            });
            started.join().unwrap();
            drop(beside);
        });
        assert!(sched_getaffinity(None).unwrap() == allowed);
        config.server.io_cores = allowed.count() as u16;
        let error = Processors::of(&config).err().unwrap().to_string();
        assert!(error.contains("server.pin_io_cores"), "{error}");
    }
}
