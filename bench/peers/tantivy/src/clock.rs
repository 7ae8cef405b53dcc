// SPDX-License-Identifier: Apache-2.0
//! CPU clocks in seconds.

fn read(clock: libc::clockid_t) -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec; the clock ids below exist on every Linux.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

pub fn process_cpu() -> f64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

pub fn thread_cpu() -> f64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}
