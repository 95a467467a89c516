//! The table of skus: rows that stay where they are, found by tenant and code through an index that only grows.
//!
//! A row is also the directory of the inventory: it says where the sku's cells lie.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use earmark_protocol::catalogue::SkuSpec;
use earmark_protocol::ids::{SkuIx, Tenant};
use earmark_protocol::reply::SkuView;

use crate::arena::Arena;
use crate::prefetch::ahead;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// One sku, 32 bytes: two to a cache line.
#[derive(Default)]
#[repr(C)]
pub(crate) struct SkuRow {
    /// Where its cells lie: start above length.
    pub(crate) run: AtomicU64,
    /// Twice the number of times the run moved; odd while it moves.
    pub(crate) growths: AtomicU32,
    /// Twice the number of changes of its cells; odd during one.
    pub(crate) sequence: AtomicU32,
    /// Tenant above the retired bit above the flags.
    traits: AtomicU32,
    weight_g: AtomicU32,
    /// Word index of its code's text; texts never change. The word before it is the size of a unit.
    code: AtomicU32,
    /// Word index of its group's text.
    group: AtomicU32,
}

const _: () = assert!(size_of::<SkuRow>() == 32 || cfg!(loom));

const RETIRED: u32 = 1 << 15;
/// Of a text with its length, which is one byte, up to a whole word.
const TEXT_BYTES_MAX: usize = 256;

/// What planning must know of a sku.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkuFacts {
    /// Whose it is.
    pub tenant: Tenant,
    /// Weight of one unit in grams.
    pub weight_g: u32,
    /// A sum of `sku_flags`.
    pub flags: u16,
    /// Out of sale.
    pub retired: bool,
}

/// The table, read by everyone.
pub(crate) struct Skus {
    rows: Arena<SkuRow>,
    /// Handle plus one, by hash of tenant and code; 0 is empty. Twice as many places as rows.
    index: Arena<AtomicU32>,
    /// Texts: a byte of length, then the bytes, from a word boundary.
    texts: Arena<AtomicU64>,
    /// Rows that exist.
    len: AtomicU32,
}

fn hash(tenant: Tenant, code: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(code, u64::from(tenant.0))
}

fn text_words(text: &str) -> usize {
    text.len() / 8 + 1
}

impl Skus {
    fn text(&self, at: u32) -> String {
        let text = with_text(&self.texts, at, <[u8]>::to_vec);
        String::from_utf8(text).expect("texts are written from strings")
    }

    fn text_is(&self, at: u32, text: &str) -> bool {
        let mut words = text_to_words(text);
        let first = at as usize;
        words.by_ref().enumerate().all(|(place, word)| {
            self.texts.get(first + place).is_some_and(|text| text.load(Ordering::Relaxed) == word)
        })
    }

    /// A sku's row.
    #[inline]
    pub(crate) fn row(&self, sku: SkuIx) -> Option<&SkuRow> {
        // Acquire: pairs with the Release store of `SkusWriter::put`; rows below `len` are whole.
        (sku.0 < self.len.load(Ordering::Acquire)).then(|| &self.rows[sku.0 as usize])
    }

    /// Asks for the sku's cache line.
    pub(crate) fn prefetch(&self, sku: SkuIx) {
        if let Some(row) = self.rows.get(sku.0 as usize) {
            crate::arena::prefetch(row);
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> u32 {
        self.len.load(Ordering::Acquire)
    }

    /// What planning must know of it.
    #[inline]
    pub(crate) fn facts(&self, sku: SkuIx) -> Option<SkuFacts> {
        let row = self.row(sku)?;
        let traits = row.traits.load(Ordering::Relaxed);
        Some(SkuFacts {
            tenant: Tenant((traits >> 16) as u16),
            weight_g: row.weight_g.load(Ordering::Relaxed),
            flags: (traits & (RETIRED - 1)) as u16,
            retired: traits & RETIRED != 0,
        })
    }

    /// Length, width and height of one unit in millimetres; zeros where they are not known.
    pub(crate) fn size_mm(&self, sku: SkuIx) -> Option<[u16; 3]> {
        let code = self.row(sku)?.code.load(Ordering::Relaxed) as usize;
        // The word may lie in the past of a change: a plan of that moment is made again, its epoch is over.
        let size = self.texts[code.saturating_sub(1)].load(Ordering::Relaxed);
        Some([size as u16, (size >> 16) as u16, (size >> 32) as u16])
    }

    /// The sku as clients see it.
    pub(crate) fn view(&self, sku: SkuIx) -> Option<SkuView> {
        let facts = self.facts(sku)?;
        let row = self.row(sku)?;
        let spec = SkuSpec {
            code: self.text(row.code.load(Ordering::Relaxed)),
            weight_g: facts.weight_g,
            flags: facts.flags,
            group: self.text(row.group.load(Ordering::Relaxed)),
            size_mm: self.size_mm(sku)?,
        };
        Some(SkuView { sku, retired: facts.retired, spec })
    }

    /// The first `used` rows, and words of texts, as they lie in memory.
    pub(crate) fn memory(&self, scalars: &SkuScalars) -> [&[u8]; 2] {
        [self.rows.bytes(scalars.len as usize), self.texts.bytes(scalars.texts_used as usize)]
    }

    /// The sku of a code.
    pub(crate) fn find(&self, tenant: Tenant, code: &str) -> Option<SkuIx> {
        let places = self.index.len();
        let mut place = hash(tenant, code.as_bytes()) as usize % places;
        loop {
            // Acquire: pairs with the Release store of `put`, so the row and its text are whole.
            let entry = self.index[place].load(Ordering::Acquire).checked_sub(1)?;
            let row = &self.rows[entry as usize];
            let owner = (row.traits.load(Ordering::Relaxed) >> 16) as u16;
            if owner == tenant.0 && self.text_is(row.code.load(Ordering::Relaxed), code) {
                return Some(SkuIx(entry));
            }
            place = (place + 1) % places;
        }
    }
}

/// The bytes of a text, in memory that is gone afterwards.
fn with_text<T>(texts: &[AtomicU64], at: u32, read: impl FnOnce(&[u8]) -> T) -> T {
    let mut bytes = [0; TEXT_BYTES_MAX];
    let words = &texts[at as usize..];
    let length = usize::from(words[0].load(Ordering::Relaxed).to_le_bytes()[0]);
    for (word, part) in words[..length / 8 + 1].iter().zip(bytes.chunks_exact_mut(8)) {
        part.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    read(&bytes[1..=length])
}

/// Enters rows into the index. For the writer.
fn enter(rows: &[SkuRow], texts: &[AtomicU64], index: &[AtomicU32], skus: Range<u32>) {
    let places = index.len();
    let home = |sku: u32| {
        let row = &rows[sku as usize];
        let tenant = Tenant((row.traits.load(Ordering::Relaxed) >> 16) as u16);
        let hash = with_text(texts, row.code.load(Ordering::Relaxed), |code| hash(tenant, code));
        (sku, hash as usize % places)
    };
    ahead(
        skus.map(home),
        |(_, place)| crate::arena::prefetch(&index[*place]),
        |(sku, mut place)| {
            while index[place].load(Ordering::Relaxed) != 0 {
                place = (place + 1) % places;
            }
            // Release: pairs with the Acquire load of `find`.
            index[place].store(sku + 1, Ordering::Release);
        },
    );
}

fn text_to_words(text: &str) -> impl Iterator<Item = u64> {
    let len = u8::try_from(text.len()).expect("codes and groups are checked to be short");
    (0..text_words(text)).map(move |word| {
        let mut bytes = [0_u8; 8];
        for (place, byte) in bytes.iter_mut().enumerate() {
            *byte = match word * 8 + place {
                0 => len,
                at => text.as_bytes().get(at - 1).copied().unwrap_or(0),
            };
        }
        u64::from_le_bytes(bytes)
    })
}

/// The writer's side.
pub(crate) struct SkusWriter {
    pub(crate) skus: Arc<Skus>,
    /// Where each group's text lies, so that it is kept once.
    groups: HashMap<String, u32>,
    texts_used: usize,
}

/// The memory of the table.
pub(crate) struct SkuMemory {
    pub(crate) rows: Arena<SkuRow>,
    pub(crate) texts: Arena<AtomicU64>,
    index: Arena<AtomicU32>,
}

impl SkuMemory {
    /// Room for this many skus with this many bytes of text.
    pub(crate) fn new(skus: u32, text_bytes: u64) -> std::io::Result<Self> {
        let words = usize::try_from(text_bytes / 8).unwrap_or(usize::MAX).max(1);
        let index = Arena::new((skus as usize * 2).max(2))?;
        Ok(Self { rows: Arena::new(skus as usize)?, texts: Arena::new(words)?, index })
    }

    /// Enters these first rows into the index.
    pub(crate) fn index(&mut self, len: u32) {
        enter(&self.rows, &self.texts, &self.index, 0..len);
    }
}

/// What is known of the table beside its memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SkuScalars {
    /// Rows that exist.
    pub(crate) len: u32,
    /// Words of texts in use.
    pub(crate) texts_used: u32,
    /// Where each group's text lies.
    pub(crate) groups: Vec<u32>,
}

impl SkusWriter {
    /// The table in this memory, whose rows are in the index.
    pub(crate) fn new(memory: SkuMemory, scalars: &SkuScalars) -> Self {
        let SkuMemory { rows, texts, index } = memory;
        let skus = Arc::new(Skus { rows, index, texts, len: AtomicU32::new(scalars.len) });
        // The word at 0 stays zero: the empty text.
        let groups = scalars.groups.iter().chain([&0]).map(|at| (skus.text(*at), *at)).collect();
        Self { skus, groups, texts_used: (scalars.texts_used as usize).max(1) }
    }

    /// What is known of it beside its memory.
    pub(crate) fn scalars(&self) -> SkuScalars {
        let mut groups: Vec<u32> = self.groups.values().copied().filter(|at| *at != 0).collect();
        groups.sort_unstable();
        SkuScalars { len: self.skus.len(), texts_used: self.texts_used as u32, groups }
    }

    /// Whether this many new skus with these texts fit: first rows, then texts, and a word each for their sizes.
    pub(crate) fn fits<'a>(&self, new: usize, texts: impl Iterator<Item = &'a str>) -> (bool, bool) {
        let words = new + texts.map(text_words).sum::<usize>();
        let rows = self.skus.len() as usize + new <= self.skus.rows.len();
        (rows, self.texts_used + words <= self.skus.texts.len())
    }

    /// Whether a group's text is not kept yet.
    pub(crate) fn is_new_group(&self, group: &str) -> bool {
        !self.groups.contains_key(group)
    }

    fn keep(&mut self, text: &str) -> u32 {
        let at = self.texts_used;
        for (place, word) in text_to_words(text).enumerate() {
            self.skus.texts[at + place].store(word, Ordering::Relaxed);
        }
        self.texts_used += text_words(text);
        u32::try_from(at).expect("sku_code_bytes is below 32 GiB")
    }

    /// Adds a sku, or changes the one of that code.
    pub(crate) fn put(&mut self, tenant: Tenant, spec: &SkuSpec) {
        let group = match self.groups.get(&spec.group) {
            Some(at) => *at,
            None => {
                let at = self.keep(&spec.group);
                self.groups.insert(spec.group.clone(), at);
                at
            }
        };
        let known = self.skus.find(tenant, &spec.code);
        let sku = known.unwrap_or(SkuIx(self.skus.len()));
        let code = if known.is_some() {
            self.skus.rows[sku.0 as usize].code.load(Ordering::Relaxed)
        } else {
            self.texts_used += 1;
            self.keep(&spec.code)
        };
        let [length, width, height] = spec.size_mm.map(u64::from);
        self.skus.texts[code as usize - 1].store(length | width << 16 | height << 32, Ordering::Relaxed);
        let row = &self.skus.rows[sku.0 as usize];
        let retired = row.traits.load(Ordering::Relaxed) & RETIRED;
        row.traits.store(u32::from(tenant.0) << 16 | retired | u32::from(spec.flags), Ordering::Relaxed);
        row.weight_g.store(spec.weight_g, Ordering::Relaxed);
        row.group.store(group, Ordering::Relaxed);
        if known.is_some() {
            return;
        }
        row.code.store(code, Ordering::Relaxed);
        // Release: pairs with the Acquire load of `row`.
        self.skus.len.store(sku.0 + 1, Ordering::Release);
        enter(&self.skus.rows, &self.skus.texts, &self.skus.index, sku.0..sku.0 + 1);
    }

    /// Takes a sku out of sale.
    pub(crate) fn retire(&mut self, sku: SkuIx) {
        if let Some(row) = self.skus.row(sku) {
            row.traits.store(row.traits.load(Ordering::Relaxed) | RETIRED, Ordering::Relaxed);
        }
    }
}
