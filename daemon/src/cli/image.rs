//! `snapshot inspect`: what is in an image, and whether every byte of it is as it was written. It reads only and needs no
//! daemon; one may be running.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use earmark_engine::image::{SCALARS, SECTIONS, Summary};
use earmark_engine::{Rules, quantities};
use earmark_protocol::ids::{Tenant, TimestampMs};
use earmark_protocol::reply::DigestReply;
use earmark_snapshot::image::{ImageError, ImageReader, Inspection, images, inspect};
use earmark_snapshot::log::segment_name;
use earmark_snapshot::storage::Storage;
use serde_json::{Value, json};

use super::digest;
use super::log::look;
use super::outcome::{Answer, Failure, Outcome};
use super::table::Table;
use super::text::moment_text;
use crate::store::{load_image, to_the_end};

/// `earmark snapshot` without asking a daemon.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum ImageCommand {
    /// Say what is in an image, and whether every byte is as it was written; without a daemon or beside one
    Inspect(InspectArgs),
}

impl ImageCommand {
    /// Runs it.
    pub(super) fn run(&self) -> Outcome {
        let Self::Inspect(args) = self;
        run(args)
    }
}

/// `earmark snapshot inspect`.
#[derive(Clone, Debug, Args)]
pub(super) struct InspectArgs {
    /// An image, or a daemon's data directory: then all images in it. Nothing is changed
    #[arg(value_name = "DIR|FILE")]
    path: PathBuf,
    /// Load the state too, and add the sums and the digest over all cells, as `earmark stats --digest` does. It takes as
    /// much memory as the daemon
    #[arg(long)]
    digest: bool,
    /// Whose cells the sums are of
    #[arg(long, value_name = "NUMBER", default_value_t = 0, requires = "digest")]
    tenant: u16,
}

fn run(args: &InspectArgs) -> Outcome {
    let (storage, names) = named(&args.path)?;
    let (mut texts, mut jsons, mut damaged) = (Vec::new(), Vec::new(), Vec::new());
    for name in names {
        match look_at(&storage, &name, args) {
            Ok(Look { text, json, damage }) => {
                texts.push(text);
                jsons.push(json);
                damaged.extend(damage);
            }
            Err(ImageError::Disk(fault)) => return Err(Failure::unreachable(fault.to_string())),
            Err(error) => {
                texts.push(error.to_string());
                jsons.push(json!({ "file": name, "error": error.to_string() }));
                damaged.push(name);
            }
        }
    }
    let (text, mut json) = (texts.join("\n"), json!({ "images": jsons, "sound": damaged.is_empty() }));
    if damaged.is_empty() {
        return Ok(Answer { text, json });
    }
    let error = format!(
        "{} cannot be loaded; a start takes the image before it and more of the log, `earmark log check` says whether that \
         is sound",
        damaged.join(" and ")
    );
    json["error"] = json!(error);
    let mut failure = Failure::refused(format!("{error}\n{text}"));
    failure.json = json;
    Err(failure)
}

/// A directory, and the images in it that are meant.
fn named(path: &Path) -> Result<(Arc<dyn Storage>, Vec<String>), Failure> {
    let shown = path.display();
    if path.is_dir() {
        let storage = look(path)?;
        let found = images(&*storage).map_err(|fault| Failure::unreachable(fault.to_string()))?;
        if found.is_empty() {
            return Err(Failure::usage(format!(
                "looking into {shown}: there is no image; a daemon makes one at a stop, or by `earmark snapshot`"
            )));
        }
        return Ok((storage, found.into_iter().map(|image| image.name).collect()));
    }
    let name = path.file_name().and_then(|name| name.to_str()).filter(|_| path.is_file());
    let Some(name) = name else {
        return Err(Failure::usage(format!(
            "looking at {shown}: there is no such file; name an image or a directory"
        )));
    };
    let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((look(above)?, vec![name.to_owned()]))
}

struct Look {
    text: String,
    json: Value,
    /// Its name, where it cannot be loaded.
    damage: Option<String>,
}

fn look_at(storage: &Arc<dyn Storage>, name: &str, args: &InspectArgs) -> Result<Look, ImageError> {
    let seen = inspect(&**storage, name)?;
    let mut look = Look { text: header_text(&seen), json: header_json(&seen), damage: None };
    if !seen.damaged.is_empty() {
        for block in &seen.damaged {
            let _ = writeln!(look.text, "  {}", block.found);
        }
        look.damage = Some(name.to_owned());
        return Ok(look);
    }
    look.text += "  every block is as it was written\n";
    match summary(&**storage, name)? {
        Ok(summary) => look.add_summary(&summary),
        Err(error) => look.add_error(name, &error),
    }
    if args.digest && look.damage.is_none() {
        match load_image(&**storage, name, &Rules::default(), 1, &to_the_end) {
            Ok(loaded) => look.add_digest(&quantities(&loaded.state, Tenant(args.tenant))),
            Err(error) => look.add_error(name, &error.to_string()),
        }
    }
    Ok(look)
}

/// What the image says of its state, or why that cannot be read.
fn summary(storage: &dyn Storage, name: &str) -> Result<Result<Summary, String>, ImageError> {
    let reader = ImageReader::open(storage, name)?;
    let Some(section) = reader.section(SCALARS) else {
        return Ok(Err("it has no scalars".to_owned()));
    };
    let mut scalars = vec![0; usize::try_from(section.bytes()).unwrap_or(usize::MAX)];
    reader.load(section, &mut scalars)?;
    Ok(Summary::read(&scalars).map_err(|error| error.to_string()))
}

impl Look {
    fn add_summary(&mut self, summary: &Summary) {
        let mut table = Table::new(&["capacity", ">given", ">used"]);
        for (setting, given, used) in &summary.capacity {
            table.row([(*setting).to_owned(), given.to_string(), used.to_string()]);
            self.json["capacity"][*setting] = json!({ "given": given, "used": used });
        }
        self.text += &table.text("  ");
        let Summary { reservations_live, reservations_held, reservations_remembered, .. } = summary;
        let forgotten_before = moment_text(summary.forgotten_before);
        let _ = writeln!(
            self.text,
            "  reservations: {reservations_live} live, {reservations_held} of them held until a deadline; \
             {reservations_remembered} ended and remembered"
        );
        self.json["reservations"] = json!({
            "live": reservations_live,
            "held": reservations_held,
            "remembered": reservations_remembered,
        });
        self.json["forgotten_before"] = json!(forgotten_before);
    }

    fn add_digest(&mut self, digest: &DigestReply) {
        let (json, parts) = digest::told(digest);
        self.text +=
            &parts.into_iter().map(|(name, value)| format!("  {name} {value}\n")).collect::<String>();
        self.json["digest"] = json;
    }

    /// Its bytes are right, and are no state of this build.
    fn add_error(&mut self, name: &str, error: &str) {
        let _ = writeln!(self.text, "  {error}; start the build that wrote it");
        self.json["error"] = json!(error);
        self.damage = Some(name.to_owned());
    }
}

fn section_name(id: u32) -> &'static str {
    SECTIONS.get((id as usize).wrapping_sub(1)).copied().unwrap_or("unknown")
}

fn header_text(seen: &Inspection) -> String {
    let Inspection { name, version, cut, file_bytes, .. } = seen;
    let (time, segment) = (moment_text(TimestampMs(cut.time_ms)), segment_name(cut.position.segment));
    let mut text = format!("{name}: lsn {}, {time}, version {version}, {file_bytes} bytes\n", cut.lsn);
    let _ = writeln!(
        text,
        "  log {:016x} goes on at byte {} of {segment}, epoch {:016x}",
        cut.position.log_id, cut.position.offset, cut.position.epoch
    );
    let mut table = Table::new(&["section", ">bytes", ">at_byte"]);
    for (id, offset, bytes) in &seen.sections {
        table.row([section_name(*id).to_owned(), bytes.to_string(), offset.to_string()]);
    }
    text + &table.text("  ")
}

fn header_json(seen: &Inspection) -> Value {
    let sections = seen.sections.iter().map(|(id, offset, bytes)| {
        json!({ "id": id, "name": section_name(*id), "offset": offset, "bytes": bytes })
    });
    let damaged = seen.damaged.iter().map(|block| {
        json!({
            "section": section_name(block.section),
            "block": block.block,
            "offset": block.offset,
            "found": block.found,
        })
    });
    let position = &seen.cut.position;
    json!({
        "file": seen.name,
        "version": seen.version,
        "lsn": seen.cut.lsn,
        "time": moment_text(TimestampMs(seen.cut.time_ms)),
        "bytes": seen.file_bytes,
        "log": {
            "id": format!("{:016x}", position.log_id),
            "file": segment_name(position.segment),
            "offset": position.offset,
            "next_lsn": position.next_lsn,
            "epoch": format!("{:016x}", position.epoch),
        },
        "sections": sections.collect::<Vec<_>>(),
        "damaged": damaged.collect::<Vec<_>>(),
    })
}
