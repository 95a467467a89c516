//! The table of settings: each with its name, type, default, unit, bounds and meaning, once. The structs, the
//! commented default file, the flags' help and `docs/configuration.md` are all made from it.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeValue;

use super::value::{CommitMode, DurabilityMode, HoldClassSetting, LogFormat, PriceMode, SalesChannel, Value};
use super::{Origin, Origins};

/// One setting, as documents and messages speak of it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// `section.name`: its place in the file, its flag, and with `EARMARK_` before it its variable.
    pub key: &'static str,
    /// What its value counts.
    pub unit: &'static str,
    /// Least and greatest value, where it is a number.
    pub range: Option<(u64, u64)>,
    /// What it does.
    pub about: &'static str,
    /// Its default as TOML.
    pub default: fn() -> String,
}

impl Setting {
    /// The environment variable that sets it.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("EARMARK_{}", self.key.replace('.', "_").to_uppercase())
    }
}

/// A section of the file.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Its name.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
}

/// How a value was given.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    /// In a TOML file.
    Toml(&'a DeValue<'a>),
    /// As plain text.
    Text(&'a str),
}

impl Given<'_> {
    fn read<T: Value>(self) -> Result<T, String> {
        match self {
            Self::Toml(value) => T::read(value),
            Self::Text(text) => T::read_text(text),
        }
    }
}

macro_rules! settings {
    ($(
        $about:literal $section:ident: $struct:ident {
            $( $text:literal $name:ident: $kind:ty = $default:expr, $unit:literal $(, $low:literal to $high:literal)?; )*
        }
    )*) => {
        $(
            #[doc = $about]
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub struct $struct {
                $( #[doc = $text] #[doc = concat!("\n\nUnit: ", $unit, ".")] pub $name: $kind, )*
            }

            impl Default for $struct {
                fn default() -> Self {
                    Self { $( $name: $default, )* }
                }
            }
        )*

        /// All settings. `Config::default()` is a daemon on loopback that has yet to be told its
        /// data directory; [`Config::load`] reads one.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Config {
            $( #[doc = $about] pub $section: $struct, )*
            /// Where each setting was given, for messages.
            pub(super) origins: Origins,
        }

        /// The sections, in the order of the file.
        pub const SECTIONS: &[Section] = &[
            $( Section { name: stringify!($section), about: $about }, )*
        ];

        /// Every setting, in the order of the file.
        pub const SETTINGS: &[Setting] = &[
            $( $( Setting {
                key: concat!(stringify!($section), ".", stringify!($name)),
                unit: $unit,
                range: settings!(@range $($low to $high)?),
                about: $text,
                default: || <$kind as Value>::show(&{ let value: $kind = $default; value }),
            }, )* )*
        ];

        impl Config {
            pub(super) fn set(&mut self, key: &str, given: Given<'_>, origin: Origin) -> Result<(), String> {
                match key {
                    $( $( concat!(stringify!($section), ".", stringify!($name)) => {
                        self.$section.$name = given.read()?;
                        self.origins.insert(concat!(stringify!($section), ".", stringify!($name)), origin);
                        Ok(())
                    } )* )*
                    _ => Err(super::source::unknown(key)),
                }
            }

            /// The value of a setting that is a number.
            pub(super) fn number(&self, key: &str) -> Option<u64> {
                match key {
                    $( $( concat!(stringify!($section), ".", stringify!($name)) => self.$section.$name.number(), )* )*
                    _ => None,
                }
            }
        }
    };
    (@range) => { None };
    (@range $low:literal to $high:literal) => { Some(($low, $high)) };
}

settings! {
    "Where the daemon listens, and what it takes from one peer."
    server: Server {
        "Where QUIC is served. Port 0 takes a free one. Other than loopback needs a certificate, key and tokens of your own (section `security`)."
        listen: SocketAddr = SocketAddr::from(([127, 0, 0, 1], 7447)), "address and port";
        "A unix socket that speaks the same frames to programs of this machine; empty for none. It is made with mode 0600."
        unix_socket: Option<PathBuf> = None, "path";
        "Threads that serve connections, each with an endpoint of its own on the same port. 0 takes 1 up to three cores, else a quarter of the cores. With more than one, a client that changes its address must connect again."
        io_cores: u16 = 0, "threads", 0 to 64;
        "Whether each of those threads keeps a processor for itself, the first that the process may use, and the daemon's other threads run on those left. Holds are decided faster and more evenly so, where clients and other programs leave those processors alone."
        pin_io_cores: bool = false, "true or false";
        "Connections at once, unix sockets included; more are turned away."
        connections_max: u32 = 1_024, "connections", 1 to 1_000_000;
        "Pipes (bidirectional streams) of one connection at once; a peer cannot open more until it closes one."
        pipes_max: u32 = 1_024, "pipes", 1 to 65_536;
        "Longest frame a peer may send, and longest reply."
        frame_bytes_max: u32 = 1_048_576, "bytes", 4_096 to 1_048_576;
        "Messages of one pipe that may wait for their replies at once; a pipe that passes it is told so and closed."
        in_flight_max: u32 = 8_192, "messages", 1 to 1_048_576;
        "Replies of one pipe that may wait for the peer to read; beyond it nothing more is read from that pipe."
        outbound_bytes_max: u32 = 4_194_304, "bytes", 65_536 to 1_073_741_824;
        "Replies that may wait for all peers together: each open pipe may have an equal share of it, at most server.outbound_bytes_max and at least 65,536 bytes."
        outbound_total_bytes_max: u32 = 1_073_741_824, "bytes", 1_048_576 to 4_294_967_295;
        "Bytes of one connection that may be under way in each direction before they are read or acknowledged."
        connection_window_bytes: u32 = 8_388_608, "bytes", 65_536 to 1_073_741_824;
        "A pipe that has not said Hello by then is closed."
        hello_ms: u32 = 10_000, "milliseconds", 10 to 600_000;
        "A connection that is silent for so long is closed; clients keep theirs alive."
        idle_ms: u32 = 30_000, "milliseconds", 100 to 86_400_000;
        "On stop, work in hand and replies under way get so long to finish."
        drain_ms: u32 = 5_000, "milliseconds", 0 to 600_000;
    }
    "How commands are decided: in one order, in batches."
    commit: Commit {
        "Who plays the committer: `inline`, the I/O core that finds the role free; `thread`, a thread of its own; `auto`, inline up to three cores. `docs/operations.md` says what each costs."
        mode: CommitMode = CommitMode::Auto, "auto, inline or thread";
        "What pipes have read and the committer has not decided, in reads; when full, commands are answered Overloaded."
        queue: u32 = 4_096, "reads", 1 to 1_048_576;
        "Commands decided between two looks at the clock and the log."
        batch_max: u32 = 4_096, "commands", 1 to 1_048_576;
        "Holds expired in one batch, so that a wave of them does not keep commands waiting. After a batch of more commands, a quarter more than those, so that holds end as fast as they come."
        expiries_max: u32 = 1_024, "holds", 1 to 1_048_576;
    }
    "What is kept, and where."
    durability: Durability {
        "What must be true of a record before its reply leaves. `sync`: it is on disk. `interval`: nothing, it reaches the disk every interval_ms, and what was answered since is lost by a power cut or a kill. `memory`: nothing; all is gone when the daemon ends."
        mode: DurabilityMode = DurabilityMode::Sync, "sync, interval or memory";
        "Where the daemon keeps its log and images, its certificate, key and tokens; made at first start, and used by one daemon at a time. `earmark serve` takes its --data-dir where this is not set. A daemon in `memory` may have none: then its secrets are new at each start."
        directory: Option<PathBuf> = None, "path";
        "Time between two flushes in mode `interval`."
        interval_ms: u32 = 100, "milliseconds", 1 to 60_000;
        "Length of a file of the log. They are made ahead and used again."
        segment_bytes: u64 = 64 << 20, "bytes, a multiple of 4096", 16_777_216 to 1_073_741_824;
        "Files of the log that are kept ready beyond the one that is written."
        segments_ahead: u16 = 2, "files", 1 to 64;
        "In mode `sync`: up to so much is written and synced by the thread that decided it, more by the log's own thread."
        inline_bytes: u32 = 1_024, "bytes", 0 to 1_048_576;
        "An image of the state is made after this time, where anything has changed."
        snapshot_every_ms: u64 = 900_000, "milliseconds", 1_000 to 604_800_000;
        "An image is made when the log has grown by so much, counted in whole files, and by at least the length of the last image. A start reads the newest image and what the log has behind it."
        snapshot_log_bytes: u64 = 1 << 30, "bytes", 1_048_576 to 1_099_511_627_776;
        "After a start all holds live for at least so long, so that nobody loses one to the time in which nothing could be confirmed."
        restart_grace_ms: u64 = 60_000, "milliseconds", 0 to 86_400_000;
    }
    "Who may come in. Without these files the daemon makes a certificate for this machine and one admin token."
    security: Security {
        "Certificate chain that the daemon shows, in PEM."
        certificate_file: Option<PathBuf> = None, "path";
        "Its private key, in PEM."
        key_file: Option<PathBuf> = None, "path";
        "Tokens that are known, hashed; `docs/operations.md` shows the form. Replaces the token made at first start."
        tokens_file: Option<PathBuf> = None, "path";
    }
    "What is answered Overloaded, and when: by how long work waits until it is decided."
    overload: Overload {
        "Quotes and other questions are shed when work waits longer."
        quote_ms: u32 = 100, "milliseconds", 0 to 600_000;
        "Reserves and holds are shed when work waits longer."
        reserve_ms: u32 = 200, "milliseconds", 0 to 600_000;
        "Stock, catalogue and all other commands are shed when work waits longer."
        other_ms: u32 = 500, "milliseconds", 0 to 600_000;
        "Confirm, ship, release and the other steps of a reservation are shed when work waits longer."
        finish_ms: u32 = 2_000, "milliseconds", 0 to 600_000;
    }
    "How orders are planned."
    routing: Routing {
        "Orders up to so many lines, and 128 units in all, are planned on the I/O core that read them, larger ones by the planner threads."
        inline_lines_max: u32 = 64, "lines", 0 to 1_000_000;
        "Planner threads. 0 takes 1 up to three cores, else a quarter of the cores."
        planner_threads: u16 = 0, "threads", 0 to 256;
        "Orders that may wait for a planner thread; when full, they are answered Overloaded."
        planner_queue: u32 = 1_024, "orders", 1 to 1_048_576;
        "How often an order is planned when others take its stock before it is committed; then the committer plans it itself, once."
        rounds_max: u16 = 3, "rounds", 1 to 100;
        "Orders up to so many lines are planned by the committer when the rounds are used up; longer ones are answered Contended."
        attempt_lines_max: u32 = earmark_engine::Rules::default().attempt_lines_max, "lines", 0 to 10_000;
        "Whether one line may be split over nodes, where no single node has enough."
        split_lines: bool = earmark_engine::Rules::default().split_lines, "true or false";
        "Whether plans mind what stock is worth to orders to come. `learned`: by prices learned from the orders that were held lately, once a second. `off`: each order is served for least."
        prices: PriceMode = PriceMode::Off, "learned or off";
        "How long stock must last until more comes: prices are learned for as many orders as come in that time."
        prices_horizon_ms: u64 = 86_400_000, "milliseconds", 1_000 to 31_536_000_000;
    }
    "What a shipment to an address costs, on top of what its node costs. Pickups pay the node alone."
    tariff: Tariff {
        "Each shipment."
        shipment_base_micros: u64 = 8_759_000, "millionths of the currency's unit", 0 to 1_000_000_000_000;
        "Each unit."
        per_unit_micros: u64 = 423_000, "millionths of the currency's unit", 0 to 1_000_000_000_000;
        "Each unit and mile."
        per_unit_mile_micros: u64 = 541, "millionths of the currency's unit", 0 to 1_000_000_000;
    }
    "What commands must obey."
    rules: Rules {
        "How long a command's outcome is remembered, so that a retry of its id is answered and not done again. Ids older than that are refused."
        retry_window_ms: u64 = earmark_engine::Rules::default().retry_window_ms, "milliseconds", 1_000 to 86_400_000;
        "How far ahead of the daemon's time an id may be."
        id_future_ms: u64 = earmark_engine::Rules::default().id_future_ms, "milliseconds", 0 to 600_000;
        "Lines of one order, and elements of any other list of a command."
        lines_max: u32 = earmark_engine::Rules::default().lines_max, "lines", 1 to 1_000_000;
        "Shipments of one order, where it does not say less itself; 0 for no limit."
        shipments_max: u16 = earmark_engine::Rules::default().shipments_max, "shipments", 0 to 65_535;
        "Hold classes; the place in the list, from 0, is the class's number."
        classes: Vec<HoldClassSetting> = default_classes(), "list of { name, lifetime_ms, lifetime_ms_max }";
        "Sales channels and the segments they draw from, in order; the place in the list, from 0, is the channel's number."
        channels: Vec<SalesChannel> = default_channels(), "list of { name, segments }";
    }
    "What memory is set aside at start: address space, touched only as it is used. A full one is refused as CapacityReached, by the setting's name."
    capacity: Capacity {
        "Skus of all tenants."
        skus: u32 = earmark_engine::Capacity::default().skus, "skus", 1 to 1_000_000_000;
        "Nodes of all tenants."
        nodes: u32 = earmark_engine::Capacity::default().nodes, "nodes", 1 to 1_048_576;
        "Stock cells: (sku, node, segment)."
        cells: u32 = earmark_engine::Capacity::default().cells, "cells", 1 to 2_000_000_000;
        "Reservations that are not forgotten."
        reservations: u32 = earmark_engine::Capacity::default().reservations, "reservations", 1 to 1_000_000_000;
        "Rows of reservations that have more than two."
        lines: u32 = earmark_engine::Capacity::default().lines, "rows", 1 to 2_000_000_000;
        "Outcomes of commands that are remembered; at a rate that would need more, the retry window shrinks."
        commands: u32 = earmark_engine::Capacity::default().commands, "outcomes", 1 to 2_000_000_000;
        "Orders' facts: destination, wish, plans."
        facts_bytes: u64 = earmark_engine::Capacity::default().facts_bytes, "bytes", 1_048_576 to 1_099_511_627_776;
        "Codes and groups of skus."
        sku_code_bytes: u64 = earmark_engine::Capacity::default().sku_code_bytes, "bytes", 65_536 to 1_099_511_627_776;
        "Movements kept, so that a count of a past moment can be taken; and counts by further sources of a cell."
        movements: u32 = earmark_engine::Capacity::default().movements, "movements", 1 to 1_000_000_000;
    }
    "What the daemon says of itself, on standard error."
    log: Logging {
        "For people, or one JSON object a line."
        format: LogFormat = LogFormat::Human, "human or json";
        "Least level that is told, for all or by module: `info`, `warn`, `earmark=debug,warn`."
        level: String = "info".to_owned(), "level";
    }
}

fn default_classes() -> Vec<HoldClassSetting> {
    const HOUR_MS: u32 = 3_600_000;
    let class = |name: &str, lifetime_ms, lifetime_ms_max| HoldClassSetting {
        name: name.to_owned(),
        lifetime_ms,
        lifetime_ms_max,
    };
    vec![
        class("cart", HOUR_MS / 4, 24 * HOUR_MS),
        class("payment", HOUR_MS, 24 * HOUR_MS),
        class("bank_transfer", 3 * 24 * HOUR_MS, 14 * 24 * HOUR_MS),
    ]
}

fn default_channels() -> Vec<SalesChannel> {
    vec![SalesChannel { name: "web".to_owned(), segments: vec![0] }]
}
