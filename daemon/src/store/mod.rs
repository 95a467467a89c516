//! What is kept: from a data directory to a state in memory at a start ([`open()`]), then the threads beside the committer
//! that flush its log, make segments and images ([`Keeper`]). The bytes on disk are the `snapshot` crate's; what they
//! mean is the engine's; this room knows in which order things happen.

pub mod check;
mod copy;
mod due;
mod error;
mod follower;
mod images;
mod keeper;
mod load;
mod open;
mod replay;
mod snapshots;

pub use copy::copy;
pub use due::Limits;
pub use error::StoreError;
pub use follower::Follower;
pub use images::{KEPT, Made, write_image};
pub use keeper::{Keeper, Keeping, OnFault};
pub use load::{Loaded, Progress, load, load_image, load_threads, to_the_end};
pub use open::{Opened, Opening, Stage, open};
pub use replay::Replay;
pub use snapshots::{LastImage, NotMade, Snapshots};
