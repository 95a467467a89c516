//! `calendar list`: when nodes work.

use clap::{Args, Subcommand};
use earmark_engine::promise::date_text;
use earmark_protocol::catalogue::{CalendarSpec, DayHours};
use earmark_protocol::client::Client;
use earmark_protocol::query::Query;
use earmark_protocol::reply::Reply;
use serde_json::{Value, json};

use super::codes::all_pages;
use super::connect::{Connection, Session};
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;
use crate::data::calendars::{DAY_NAMES, clock_text, handling_text};

/// `earmark calendar`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum CalendarCommand {
    /// List all calendars of nodes: open hours, cut-offs, holidays, handling time
    List(ListArgs),
}

/// `earmark calendar list`.
#[derive(Clone, Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    connection: Connection,
}

/// Runs one of them.
pub(super) async fn run(command: &CalendarCommand, session: &Session) -> Outcome {
    let CalendarCommand::List(args) = command;
    let client = session.connect(&args.connection).await?;
    Ok(listing(&all_calendars(&client).await?))
}

fn listing(calendars: &[CalendarSpec]) -> Answer {
    let (mut table, mut rows) =
        (Table::new(&["calendar", "day", "opens", "closes", "cut off", "handling"]), Vec::new());
    for spec in calendars {
        let days = DAY_NAMES.iter().map(|name| (*name).to_owned()).zip(spec.week);
        let dates = spec.dates.iter().map(|day| (date_text(day.date), day.hours));
        let days: Vec<_> = days.chain(dates).collect();
        for (at, (day, hours)) in days.iter().enumerate() {
            let first = |text: String| if at == 0 { text } else { String::new() };
            let [opens, closes, cut_off] = hours.as_ref().map_or_else(
                || ["closed", "", ""].map(str::to_owned),
                |hours| [hours.opens_min, hours.closes_min, hours.cut_off_min].map(clock_text),
            );
            let (code, handling) = (first(spec.code.clone()), first(handling_text(spec)));
            table.row(vec![code, day.clone(), opens, closes, cut_off, handling]);
        }
        let days: Vec<_> = days.iter().map(|(day, hours)| day_json(day, hours.as_ref())).collect();
        rows.push(json!({ "calendar": spec.code, "handling": handling_text(spec), "days": days }));
    }
    let text = if calendars.is_empty() {
        "there is no calendar: every node always works, and plans do not say when shipments leave".to_owned()
    } else {
        table.text("")
    };
    Answer { text, json: json!({ "calendars": rows }) }
}

fn day_json(day: &str, hours: Option<&DayHours>) -> Value {
    match hours {
        Some(hours) => json!({
            "day": day,
            "opens": clock_text(hours.opens_min),
            "closes": clock_text(hours.closes_min),
            "cut_off": clock_text(hours.cut_off_min),
        }),
        None => json!({ "day": day, "opens": null, "closes": null, "cut_off": null }),
    }
}

async fn all_calendars(client: &Client) -> Result<Vec<CalendarSpec>, Failure> {
    let behind = |last: Option<&CalendarSpec>| Query::Calendars {
        after: last.map(|last| last.code.clone()).unwrap_or_default(),
    };
    all_pages(client, "listing calendars", behind, |reply| match reply {
        Reply::Calendars(page) => Some(page),
        _ => None,
    })
    .await
}

#[cfg(test)]
mod tests {
    use earmark_protocol::catalogue::DateHours;

    use super::*;

    #[test]
    fn calendars_are_listed_day_by_day_and_their_absence_is_said() {
        let hours = DayHours { opens_min: 480, closes_min: 1_080, cut_off_min: 840 };
        let mut week = [Some(hours); 7];
        week[6] = None;
        let dates = vec![DateHours { date: 20_261_225, hours: None }];
        let spec = CalendarSpec { code: "dc".to_owned(), week, dates, handling_days: 1, handling_min: 90 };
        let lines: Vec<String> = listing(&[spec]).text.lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 9, "{lines:?}");
        assert!(lines[0].starts_with("calendar  day"), "{lines:?}");
        let words: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(words, ["dc", "mon", "08:00", "18:00", "14:00", "1d", "1h", "30m"]);
        assert_eq!(lines[7].split_whitespace().collect::<Vec<_>>(), ["sun", "closed"]);
        assert_eq!(lines[8].split_whitespace().collect::<Vec<_>>(), ["2026-12-25", "closed"]);
        assert!(listing(&[]).text.starts_with("there is no calendar"));
    }
}
