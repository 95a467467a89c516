//! When a shipment leaves: calendars of nodes, and what they say of an order that comes now.
//!
//! All of it is arithmetic on the calendars, with the time zones that are built in, so that every machine says the same.
//! Nothing here reads a clock: the time is passed in.

mod calendar;
mod schedule;
#[cfg(test)]
mod tests;
mod timetable;
mod transit;

pub(crate) use calendar::day_at;
pub use calendar::{CalendarFault, check_calendar, date_text, time_zone};
pub use schedule::{Departure, Schedule};
pub(crate) use timetable::{DEPARTURES_MAX, Timetable};
pub use transit::days_late;
pub(crate) use transit::{MILES_PER_DAY, TRANSIT_DAYS_MAX, Transit};
