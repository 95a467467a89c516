//! What the disk and the power do: chosen from the seed, at any moment of a run. It never looks at what the daemon does.

use earmark_snapshot::image::images;
use earmark_snapshot::storage::{Attempt, SimulatedDisk, Storage, Trouble};

use crate::drive::Dice;

/// What can happen in one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Climate {
    /// Operations fail.
    fails: bool,
    /// The disk fills up, and there is room again.
    fills: bool,
    /// Once, the disk loses or changes bytes that it said were synced.
    lies: bool,
    /// Once, a bit flips in the newest image.
    spoils: bool,
}

/// What has happened.
#[derive(Debug)]
pub(crate) struct Weather {
    climate: Climate,
    disk: SimulatedDisk,
    pub(crate) is_full: bool,
    /// Operations that were told to fail.
    pub(crate) failures: u32,
    /// The disk has lied, or is about to.
    pub(crate) has_lied: bool,
    /// A bit has flipped in an image. There is an older one, or all of the log: it must not cost a start.
    pub(crate) has_spoilt: bool,
}

impl Weather {
    pub(crate) fn new(dice: &mut Dice, disk: SimulatedDisk) -> Self {
        let climate = Climate {
            fails: dice.one_in(2),
            fills: dice.one_in(4),
            lies: dice.one_in(3),
            spoils: dice.one_in(2),
        };
        Self { climate, disk, is_full: false, failures: 0, has_lied: false, has_spoilt: false }
    }

    /// Before a start: the power may go again in its midst, and anything may fail.
    pub(crate) fn at_start(&mut self, dice: &mut Dice) -> Option<String> {
        match dice.below(8) {
            0 => Some(self.crash_within(dice, 14)),
            1 if self.climate.fails => Some(self.fail(dice, 6)),
            _ => None,
        }
    }

    /// Between two steps of a life. What it was, for the story.
    pub(crate) fn change(&mut self, dice: &mut Dice) -> Option<String> {
        match dice.below(160) {
            0..4 => Some(self.crash_within(dice, 40)),
            4..8 if self.climate.fails => Some(self.fail(dice, 20)),
            8..12 if self.climate.fills => Some(self.fill(dice)),
            12..16 if self.climate.lies && !self.has_lied => self.lie(dice),
            16..20 if self.climate.spoils && !self.has_spoilt => self.spoil(dice),
            _ => None,
        }
    }

    fn crash_within(&mut self, dice: &mut Dice, most: u64) -> String {
        let operation = self.disk.operations() + dice.between(1, most);
        if dice.one_in(4) {
            self.disk.kill_at(operation);
            format!("the process will be killed at operation {operation}")
        } else {
            self.disk.crash_at(operation);
            format!("the power will go at operation {operation}")
        }
    }

    fn fail(&mut self, dice: &mut Dice, most: u64) -> String {
        let attempts = [
            Attempt::Write,
            Attempt::Write,
            Attempt::Sync,
            Attempt::Sync,
            Attempt::Sync,
            Attempt::Create,
            Attempt::Rename,
            Attempt::Remove,
            Attempt::Open,
            Attempt::List,
            Attempt::Read,
        ];
        let (attempt, nth) = (*dice.pick(&attempts), dice.between(1, most));
        let trouble = if dice.one_in(3) { Trouble::Short } else { Trouble::Broken };
        self.disk.fail(attempt, nth, trouble);
        self.failures += 1;
        format!("{attempt:?} number {nth} from now will fail: {trouble:?}")
    }

    fn fill(&mut self, dice: &mut Dice) -> String {
        self.is_full = !self.is_full;
        if self.is_full {
            let left = dice.between(0, 48 << 10);
            self.disk.limit(Some(self.used() + left));
            format!("the disk has {left} bytes left")
        } else {
            self.make_room()
        }
    }

    pub(crate) fn make_room(&mut self) -> String {
        self.is_full = false;
        self.disk.limit(None);
        "the disk has room".to_owned()
    }

    fn used(&self) -> u64 {
        self.names().iter().filter_map(|name| self.disk.seen(name)).map(|bytes| bytes.len() as u64).sum()
    }

    fn names(&self) -> Vec<String> {
        self.disk.list().unwrap_or_default()
    }

    fn lie(&mut self, dice: &mut Dice) -> Option<String> {
        let names = self.names();
        if names.is_empty() {
            return None;
        }
        let name = dice.pick(&names);
        let bytes = self.disk.seen(name).filter(|bytes| !bytes.is_empty())?;
        let nth = dice.between(1, 8);
        self.has_lied = true;
        Some(match dice.below(4) {
            0 => {
                self.disk.lose_write(nth);
                format!("the disk will lose write number {nth} from now")
            }
            1 => {
                let offset = dice.below(bytes.len()) as u64 / 64 * 64;
                self.disk.misdirect_write(nth, name, offset);
                format!("the disk will put write number {nth} from now at byte {offset} of {name}")
            }
            2 => {
                self.disk.lose_write(1);
                self.disk.crash_at(self.disk.operations() + dice.between(2, 4));
                "the disk will lose the next write, and soon the power goes".to_owned()
            }
            _ => {
                // Where something is written, not in the zeros behind it.
                let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0);
                let (offset, bit) = (dice.below(last + 1) as u64, dice.below(8) as u32);
                self.disk.flip(name, offset, bit);
                format!("bit {bit} of byte {offset} of {name} has flipped")
            }
        })
    }

    fn spoil(&mut self, dice: &mut Dice) -> Option<String> {
        let newest = images(&self.disk).ok()?.into_iter().next()?;
        let bytes = self.disk.seen(&newest.name).filter(|bytes| !bytes.is_empty())?;
        let offset = dice.below(bytes.len()) as u64;
        self.disk.flip(&newest.name, offset, 0);
        self.has_spoilt = true;
        Some(format!("byte {offset} of {} is spoilt", newest.name))
    }
}
