//! When an image is due: by time, and by what the log has grown, which is never less than what the last image cost to
//! write. So images cost the disk at most about as much as the log does, however large the state and high the load.

/// An image is overdue at so many times what makes one due.
const OVERDUE: u64 = 2;

/// Most steps at a time, some milliseconds.
const STEPS_MAX: u64 = 64;

/// What makes an image due, as it is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// This time since the last one, in microseconds,
    pub every_us: u64,
    /// or so many bytes of log, where the last image was not longer.
    pub log_bytes: u64,
}

/// What has happened since the last image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Since {
    /// Whether there is any record that it has not.
    pub(super) has_records: bool,
    /// Microseconds.
    pub(super) us: u64,
    /// Bytes of log.
    pub(super) log_bytes: u64,
    /// The length of that image; 0 where there is none.
    pub(super) image_bytes: u64,
}

/// How much an image is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// Not yet.
    None,
    /// It is due; it may take its time.
    Due,
    /// It comes late, or the log grows faster than images are made of it: it must not wait for idle processors.
    Overdue,
}

impl Since {
    /// Whether the next image is due.
    pub(super) fn need(&self, limits: &Limits) -> Need {
        match self.times_due(limits) {
            0 => Need::None,
            times if times < OVERDUE => Need::Due,
            _ => Need::Overdue,
        }
    }

    /// Steps that who makes it takes before others have the processor: one, and more the more it is overdue, so that a load
    /// that takes all processors slows down before its log fills the disk.
    pub(super) fn steps_at_a_time(&self, limits: &Limits) -> u64 {
        (self.times_due(limits) / OVERDUE).clamp(1, STEPS_MAX)
    }

    /// How many times as much as makes an image due there is since the last one.
    fn times_due(&self, limits: &Limits) -> u64 {
        if !self.has_records {
            return 0;
        }
        let enough = limits.log_bytes.max(self.image_bytes);
        (self.log_bytes / enough.max(1)).max(self.us / limits.every_us.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { every_us: 1_000, log_bytes: 100 };

    fn need(us: u64, log_bytes: u64, image_bytes: u64) -> Need {
        Since { has_records: true, us, log_bytes, image_bytes }.need(&LIMITS)
    }

    #[test]
    fn an_image_is_due_by_time_or_by_the_larger_of_the_setting_and_the_last_image() {
        for (us, log_bytes, image_bytes, expected) in [
            (999, 99, 0, Need::None),
            (1_000, 0, 0, Need::Due),
            (1_000, 0, 5_000, Need::Due),
            (0, 100, 0, Need::Due),
            (0, 100, 99, Need::Due),
            (0, 100, 300, Need::None),
            (0, 299, 300, Need::None),
            (0, 300, 300, Need::Due),
        ] {
            assert_eq!(
                need(us, log_bytes, image_bytes),
                expected,
                "{us} us, {log_bytes} of log, {image_bytes}"
            );
        }
    }

    #[test]
    fn it_is_overdue_at_twice_what_makes_it_due() {
        for (us, log_bytes, image_bytes, expected) in [
            (0, 199, 0, Need::Due),
            (0, 200, 0, Need::Overdue),
            (0, 599, 300, Need::Due),
            (0, 600, 300, Need::Overdue),
            (1_999, 0, 0, Need::Due),
            (2_000, 0, 0, Need::Overdue),
        ] {
            let need = need(us, log_bytes, image_bytes);
            assert_eq!(need, expected, "{us} us, {log_bytes} of log, {image_bytes}");
        }
    }

    #[test]
    fn the_more_it_is_overdue_the_more_steps_are_taken_at_a_time() {
        for (log_bytes, steps) in
            [(0, 1), (299, 1), (300, 1), (400, 2), (599, 2), (1_000, 5), (1_000_000, 64)]
        {
            let since = Since { has_records: true, us: 0, log_bytes, image_bytes: 0 };
            assert_eq!(since.steps_at_a_time(&LIMITS), steps, "{log_bytes} of log");
        }
    }

    #[test]
    fn without_a_new_record_none_is_due() {
        let since = Since { has_records: false, us: u64::MAX, log_bytes: u64::MAX, image_bytes: 0 };
        assert_eq!(since.need(&LIMITS), Need::None);
    }

    #[test]
    fn limits_that_no_log_reaches_do_not_overflow() {
        let limits = Limits { every_us: u64::MAX, log_bytes: u64::MAX };
        let since = Since { has_records: true, us: 5, log_bytes: 1 << 60, image_bytes: 0 };
        assert_eq!(since.need(&limits), Need::None);
    }
}
