//! Threads that work only where nobody else wants the processor.

use thread_priority::{
    NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

/// Leaves the processor to all others (SCHED_IDLE). Who wakes up then goes to a processor that runs nothing else, as if it were
/// idle; beside a thread that is merely nice, the kernel lets two others share one.
pub(crate) fn yield_to_others() {
    let idle = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, idle) {
        let thread = std::thread::current();
        tracing::debug!(?error, thread = thread.name(), "runs at the same priority as all else");
    }
}
