//! What is compared: the works, and the row that a system has for each it can do.

use serde::Serialize;

use crate::load::{Plan, Sample};

/// What is asked of a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// The next hold is sent when the last is answered.
    OneAtATime,
    /// Many clients that each send one hold.
    ManySmall,
    /// The same, all on one cell.
    OneHotCell,
    /// 16 holds in a write.
    Sixteen,
    /// 64 holds in a write.
    SixtyFour,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::OneAtATime, Self::ManySmall, Self::OneHotCell, Self::Sixteen, Self::SixtyFour];

    /// Whether all holds are on one cell.
    pub fn is_hot(self) -> bool {
        self == Self::OneHotCell
    }

    /// In a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::OneAtATime => "one at a time",
            Self::ManySmall => "many clients, one hold each",
            Self::OneHotCell => "the same, all on one cell",
            Self::Sixteen => "16 per write",
            Self::SixtyFour => "64 per write",
        }
    }
}

/// One system at one work, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Which system, with the setting that matters.
    pub system: String,
    /// The setting as the system calls it.
    #[serde(skip)]
    pub setting: String,
    /// What it is asked.
    pub work: Work,
    /// What has become of a hold when it is answered.
    pub durability: &'static str,
    /// Holds that are sent together.
    pub batch: usize,
    /// Connections, or streams of one.
    pub connections: usize,
    /// Holds that wait for an answer at any time.
    pub in_flight: usize,
    /// What guards the bytes on their way.
    pub encryption: &'static str,
}

/// A system, running, with a world in it.
pub trait System {
    /// What it can be asked, in this order.
    fn rows(&self) -> Vec<Row>;

    /// One run of one row.
    fn measure(&mut self, row: &Row, plan: &Plan) -> anyhow::Result<Sample>;
}
