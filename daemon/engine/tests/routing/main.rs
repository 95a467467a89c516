//! Plans against oracles: legal, priced right, the cheapest there is or honest about how far from it.

mod awaiting;
mod backorders;
mod bonds;
mod carriers;
mod days;
mod full;
mod given;
mod kept;
mod kits;
mod late;
mod moves;
mod oracle;
mod policies;
mod policy_page;
mod prices;
mod promises;
mod real;
mod repair;
mod rollout;
mod sellers;
mod small;
mod substitutes;
mod tariffs;
mod upgrades;
mod wide;
mod world;
