//! Orders routed again: under two policies, or beside what another system decided, each on a copy of the stock that is used
//! up order by order. The planner is the engine's own, and what it plans is held as the daemon would; nothing is
//! written, sent or planned here.

mod compare;
mod figures;
mod ground;
mod orders;

pub use compare::{Agreement, Difference, Report, against_decisions, under_two};
pub use figures::{Figures, NodeLoad};
pub use ground::{Ground, ReplayError};
pub use orders::{Placed, Told, place, tell};
