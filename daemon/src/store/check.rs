//! What is in a data directory's log, and what the next start makes of it. For a person: it reads only, and a daemon may be
//! running.

use std::collections::BTreeMap;
use std::sync::Arc;

use earmark_snapshot::image::{ImageError, ImageReader, images};
use earmark_snapshot::log::{
    Frame, FrameKind, LogError, Position, Torn, find, segment_name, segments, survey,
};
use earmark_snapshot::storage::Storage;
use serde::Serialize;

use super::StoreError;

/// A running daemon makes, renames and removes files; a look that met that is taken again, so often.
const LOOKS: usize = 5;

/// A log, and the images that lead into it.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// The log's id, in hex; `None` where there is no log.
    pub log_id: Option<String>,
    /// Its files, lowest number first.
    pub segments: Vec<SegmentCheck>,
    /// Its lives: each start of a daemon begins one.
    pub lives: Vec<Life>,
    /// Where it cannot be read.
    pub gaps: Vec<GapCheck>,
    /// Where it ends.
    pub end: Option<End>,
    /// Images, the newest first.
    pub images: Vec<ImageCheck>,
    /// What the next start does.
    pub start: Start,
}

/// Records that follow each other. All numbers are 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Frames, those without records among them.
    pub frames: u64,
    /// Records.
    pub records: u64,
    /// Lsn of the first.
    pub first_lsn: u64,
    /// Lsn of the last.
    pub last_lsn: u64,
    /// Time of the first, in milliseconds since 1970.
    pub first_time_ms: u64,
    /// Time of the last.
    pub last_time_ms: u64,
}

/// A file of the log.
#[derive(Clone, Debug, Serialize)]
pub struct SegmentCheck {
    /// Its name.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// Where its last frame ends, in bytes from its start.
    pub used_bytes: u64,
    /// What is in it.
    #[serde(flatten)]
    pub span: Span,
    /// Whether it was made ahead of the writer: nothing in it counts.
    pub is_ahead: bool,
    /// What is wrong with its header.
    pub damage: Option<String>,
}

/// What one daemon wrote, from its start to its end.
#[derive(Clone, Debug, Serialize)]
pub struct Life {
    /// The epoch, in hex.
    pub epoch: String,
    /// The file in which it begins.
    pub file: String,
    /// Bytes from that file's start.
    pub offset: u64,
    /// What was written.
    #[serde(flatten)]
    pub span: Span,
    /// Whether it ended in good order.
    pub is_stopped: bool,
}

/// A place where the log cannot be read.
#[derive(Clone, Debug, Serialize)]
pub struct GapCheck {
    /// The file.
    pub file: String,
    /// Bytes from its start.
    pub offset: u64,
    /// Lsn of the first record that cannot be read.
    pub lsn: u64,
    /// What stands there.
    pub reason: String,
    /// File, offset and lsn where it can be read again.
    pub resumed: Option<(String, u64, u64)>,
}

/// Where the log ends.
#[derive(Clone, Debug, Serialize)]
pub struct End {
    /// The file.
    pub file: String,
    /// Bytes from its start.
    pub offset: u64,
    /// Lsn of the last record.
    pub last_lsn: u64,
    /// What the last frame is for.
    pub last_frame: Option<&'static str>,
    /// A write that was cut off.
    pub torn: Option<TornCheck>,
}

/// A write that was cut off. Nobody had an answer to what was in it, where answers wait for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TornCheck {
    /// Lsn of the first record that is lost.
    pub lsn: u64,
    /// Lsn of the last that is known of.
    pub last_lsn: u64,
    /// Frames that are known of.
    pub frames: u64,
}

/// An image, by its header.
#[derive(Clone, Debug, Serialize)]
pub struct ImageCheck {
    /// Its file.
    pub file: String,
    /// Its last record.
    pub lsn: u64,
    /// What is wrong with its header.
    pub damage: Option<String>,
    /// What stands in the way of a start from it.
    pub refused: Option<String>,
}

/// What the next start does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Start {
    /// It begins anew: there is neither log nor image.
    Empty,
    /// It loads an image, or none, and replays the log behind it.
    Recovers {
        /// The image, if its blocks are whole too.
        image: Option<String>,
        /// Records that it replays.
        records: u64,
        /// The last one it has then.
        last_lsn: u64,
    },
    /// It refuses.
    Refuses {
        /// What it says.
        error: String,
    },
}

impl Check {
    /// Whether nothing is damaged. A torn tail is none: the next start cuts it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.gaps.is_empty()
            && self.segments.iter().all(|segment| segment.damage.is_none())
            && self.images.iter().all(|image| image.damage.is_none())
            && !matches!(self.start, Start::Refuses { .. })
    }
}

/// Looks at a directory.
///
/// # Errors
/// A file operation that failed.
pub fn check(storage: &Arc<dyn Storage>) -> Result<Check, StoreError> {
    let mut left = LOOKS;
    loop {
        let before = storage.list()?;
        let check = look(storage);
        left -= 1;
        if left == 0 || check.as_ref().is_ok_and(Check::is_sound) || storage.list()? == before {
            return check;
        }
    }
}

fn look(storage: &Arc<dyn Storage>) -> Result<Check, StoreError> {
    let mut written = Written::default();
    let (survey, refused) = match survey(storage, &mut |frame| written.add(frame)) {
        Ok(survey) => (survey, None),
        Err(LogError::Fault(fault)) => return Err(fault.into()),
        Err(refused) => (None, Some(refused.to_string())),
    };
    let (images, start) = starts(storage, survey.is_some() || refused.is_some())?;
    let end = survey.as_ref().map(|survey| End {
        file: segment_name(survey.end.segment),
        offset: survey.end.offset,
        last_lsn: survey.end.next_lsn - 1,
        last_frame: survey.last_kind.map(kind_name),
        torn: survey.torn.map(|Torn { lsn, last_lsn, frames, .. }| TornCheck { lsn, last_lsn, frames }),
    });
    let gaps = survey.iter().flat_map(|survey| &survey.gaps);
    let gaps = gaps.map(|gap| GapCheck {
        file: segment_name(gap.after.segment),
        offset: gap.after.offset,
        lsn: gap.after.next_lsn,
        reason: gap.reason.to_string(),
        resumed: gap.resumed.map(|at| (segment_name(at.segment), at.offset, at.next_lsn)),
    });
    let gaps = gaps.collect();
    let last = survey.as_ref().map(|survey| survey.end.segment);
    Ok(Check {
        log_id: survey.map(|survey| format!("{:016x}", survey.end.log_id)),
        segments: segment_checks(&**storage, &written, last)?,
        lives: written.lives,
        gaps,
        end,
        images,
        start,
    })
}

/// What the frames of a log are, by segment and by life.
#[derive(Default)]
struct Written {
    segments: BTreeMap<u64, (Span, u64)>,
    lives: Vec<Life>,
    epoch: Option<u64>,
}

impl Written {
    fn add(&mut self, frame: &Frame<'_>) {
        let Frame { segment, offset, header, .. } = frame;
        let (span, used_bytes) = self.segments.entry(*segment).or_default();
        span.add(frame);
        *used_bytes = offset + header.stride();
        if self.epoch != Some(header.epoch) {
            self.epoch = Some(header.epoch);
            self.lives.push(Life {
                epoch: format!("{:016x}", header.epoch),
                file: segment_name(*segment),
                offset: *offset,
                span: Span::default(),
                is_stopped: false,
            });
        }
        if let Some(life) = self.lives.last_mut() {
            life.span.add(frame);
            life.is_stopped = header.kind == FrameKind::Stop;
        }
    }
}

impl Span {
    fn add(&mut self, frame: &Frame<'_>) {
        let header = &frame.header;
        self.frames += 1;
        if header.count == 0 {
            return;
        }
        if self.records == 0 {
            (self.first_lsn, self.first_time_ms) = (header.first_lsn, header.time_ms);
        }
        self.records += u64::from(header.count);
        (self.last_lsn, self.last_time_ms) = (header.next_lsn() - 1, header.time_ms);
    }
}

fn segment_checks(
    storage: &dyn Storage,
    written: &Written,
    last: Option<u64>,
) -> Result<Vec<SegmentCheck>, StoreError> {
    let mut checks = Vec::new();
    for segment in segments(storage)? {
        let (span, used_bytes) = written.segments.get(&segment.number).copied().unwrap_or_default();
        let (bytes, damage) = match segment.header {
            Ok((bytes, _)) => (bytes, None),
            Err(LogError::Fault(fault)) => return Err(fault.into()),
            Err(error) => (0, Some(error.to_string())),
        };
        checks.push(SegmentCheck {
            file: segment_name(segment.number),
            bytes,
            used_bytes,
            span,
            is_ahead: last.is_some_and(|last| segment.number > last),
            damage,
        });
    }
    Ok(checks)
}

/// Tries a start from each image, reading only; what the next one does is what the newest image that opens leads to.
fn starts(storage: &Arc<dyn Storage>, has_log: bool) -> Result<(Vec<ImageCheck>, Start), StoreError> {
    let (mut checks, mut start) = (Vec::new(), None);
    for image in images(&**storage)? {
        let mut check = ImageCheck { file: image.name.clone(), lsn: image.lsn, damage: None, refused: None };
        match ImageReader::open(&**storage, &image.name) {
            Ok(reader) => {
                let tried = try_start(storage, Some((image.name, reader.cut().position)))?;
                if let Start::Refuses { error } = &tried {
                    check.refused = Some(error.clone());
                }
                start.get_or_insert(tried);
            }
            Err(ImageError::Disk(fault)) => return Err(fault.into()),
            Err(error) => {
                check.damage = Some(error.to_string());
                if !error.is_damage() {
                    // A newer build's image is not passed over.
                    start.get_or_insert(Start::Refuses { error: error.to_string() });
                }
            }
        }
        checks.push(check);
    }
    let start = match start {
        Some(start) => start,
        None if has_log => try_start(storage, None)?,
        None => Start::Empty,
    };
    Ok((checks, start))
}

fn try_start(storage: &Arc<dyn Storage>, image: Option<(String, Position)>) -> Result<Start, StoreError> {
    let (image, position) = image.unzip();
    match find(storage, position, &mut |_| {}) {
        Ok(found) => Ok(Start::Recovers { image, records: found.records, last_lsn: found.end.next_lsn - 1 }),
        Err(LogError::Fault(fault)) => Err(fault.into()),
        Err(error) => Ok(Start::Refuses { error: error.to_string() }),
    }
}

/// What a frame is for, in a word.
fn kind_name(kind: FrameKind) -> &'static str {
    match kind {
        FrameKind::Records => "records",
        FrameKind::Seal => "seal",
        FrameKind::Stop => "stop",
        FrameKind::Opening => "opening",
    }
}
