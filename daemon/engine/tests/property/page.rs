//! `docs/model.md` says what the code says: its tables are read here and compared.

use earmark_protocol::command::{CommandBody, Step};
use earmark_protocol::ids::Tenant;
use earmark_protocol::refusal::{Field, RefusalCode};
use earmark_protocol::reply::{Done, Reply, RowView, Status};

use crate::drive::{Answer, Scene};

const PAGE: &str = include_str!("../../../../docs/model.md");

/// The rows of the table under this header, cell by cell, without the backticks.
fn table(header: &str) -> Vec<Vec<String>> {
    let mut lines = PAGE.lines().skip_while(|line| *line != header);
    assert!(lines.next().is_some(), "docs/model.md has no table {header:?}");
    let cells =
        |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect();
    lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect()
}

#[test]
fn the_page_lists_every_refusal_with_its_number_and_meaning() {
    let told = table("| number | refusal | meaning |");
    let known: Vec<_> = RefusalCode::ALL
        .iter()
        .map(|code| vec![code.number().to_string(), code.name().into(), code.meaning().replace('`', "")])
        .collect();
    assert_eq!(told, known);
}

#[test]
fn the_page_lists_every_field_a_refusal_can_name() {
    let told = table("| number | field | as it is named |");
    let known: Vec<_> = Field::ALL
        .iter()
        .map(|field| vec![field.number().to_string(), field.name().into(), field.meaning().into()])
        .collect();
    assert_eq!(told, known);
}

#[test]
fn the_page_lists_every_status() {
    let told = table("| number | status | is final |");
    let known: Vec<_> = (0..=u8::MAX)
        .map_while(|number| Status::from_number(number).map(|status| (number, status)))
        .map(|(number, status)| {
            let is_final = if status.is_final() { "yes" } else { "no" };
            vec![number.to_string(), format!("{status:?}"), is_final.into()]
        })
        .collect();
    assert_eq!(told, known);
}

/// The stages of a row by the names the page has for them.
fn units(row: &RowView, stage: &str) -> u32 {
    match stage {
        "held" => row.held,
        "confirmed" => row.confirmed,
        "dispatched" => row.dispatched,
        "ready" => row.ready,
        "shipped" => row.shipped,
        "back" => 5 - row.held - row.confirmed - row.dispatched - row.ready - row.shipped,
        stage => panic!("docs/model.md names no stage {stage:?}"),
    }
}

#[test]
fn each_step_takes_units_from_the_stages_the_page_says_and_puts_them_where_it_says() {
    let stages = ["held", "confirmed", "dispatched", "ready", "shipped"];
    let rows = table("| command | from | to | ends as |");
    assert_eq!(rows.len(), 7, "a row per step");
    for row in rows {
        let [command, from, to, ends] = row.as_slice() else { panic!("a step has four columns: {row:?}") };
        for stage in stages {
            let mut scene = Scene::open();
            let reservation = scene.reservation_in(stage, 5);
            let step = Step { reservation, lines: Vec::new(), best_effort: false };
            let answer = scene.submit(Tenant(0), step_of(command, step));
            let after = scene.row(reservation);
            if from.split(", ").any(|from| from == stage) {
                assert_eq!(units(&after, to), 5, "{command} of what is {stage}: {answer:?}");
                let Answer::Full(Reply::Done(Done { status, moved: 5, .. })) = answer else {
                    panic!("{command} of what is {stage}: {answer:?}");
                };
                if !ends.is_empty() {
                    assert_eq!(format!("{:?}", status.expect("a step says the status")), *ends);
                }
            } else {
                assert!(scene.is_refused(&answer, RefusalCode::WrongStatus), "{command}: {answer:?}");
                assert_eq!(units(&after, stage), 5, "{command} leaves alone what is {stage}");
            }
        }
    }
}

fn step_of(command: &str, step: Step) -> CommandBody {
    match command {
        "confirm" => CommandBody::Confirm(step),
        "release" => CommandBody::Release(step),
        "cancel" => CommandBody::Cancel(step),
        "dispatch" => CommandBody::Dispatch(step),
        "ready" => CommandBody::Ready(step),
        "ship" => CommandBody::Ship(step),
        "collect" => CommandBody::Collect(step),
        command => panic!("docs/model.md names no step {command:?}"),
    }
}
