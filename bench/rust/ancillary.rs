//! The model: the loops of bench/c/ancillary.c through `std::os::unix::net`.
//! Reads lines `LOOP ITERATIONS` and answers each with nanoseconds of processor time for one iteration.
#![feature(unix_socket_ancillary_data)]

use std::fs::File;
use std::io::{stdin, BufRead, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::linux::net::UnixSocketExt;
use std::os::unix::net::{AncillaryData, SocketAncillary, SocketCred, UnixStream};

/// `struct timespec` of 64-bit Linux.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

const CLOCK_PROCESS_CPUTIME_ID: i32 = 2;

extern "C" {
    fn geteuid() -> u32;
    fn getegid() -> u32;
    fn clock_gettime(clock: i32, into: *mut Timespec) -> i32;
}

fn processor_ns() -> f64 {
    let mut now = Timespec { seconds: 0, nanoseconds: 0 };
    // The pointer is valid, and every kernel has this clock.
    let status = unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    assert_eq!(status, 0);
    now.seconds as f64 * 1e9 + now.nanoseconds as f64
}

const FDS: usize = 16;

fn own_credentials() -> SocketCred {
    let mut credentials = SocketCred::new();
    credentials.set_pid(std::process::id() as _);
    // Both take no argument and cannot fail.
    unsafe {
        credentials.set_uid(geteuid());
        credentials.set_gid(getegid());
    }
    credentials
}

fn run(name: &str, iterations: u32) -> f64 {
    let (sender, receiver) = UnixStream::pair().unwrap();
    let file = File::open("/dev/null").unwrap();
    let fds: [RawFd; FDS] = [file.as_raw_fd(); FDS];
    let count = match name {
        "fd" => 1,
        "fds" => FDS,
        _ => 0,
    };
    let with_credentials = name == "credentials";
    receiver.set_passcred(with_credentials).unwrap();
    let (mut out, mut room, mut byte) = ([0u8; 256], [0u8; 256], [0u8; 1]);
    let start = processor_ns();
    for _ in 0..iterations {
        let mut outgoing = SocketAncillary::new(&mut out);
        if count > 0 {
            assert!(outgoing.add_fds(&fds[..count]));
        }
        if with_credentials {
            assert!(outgoing.add_creds(&[own_credentials()]));
        }
        assert_eq!(sender.send_vectored_with_ancillary(&[IoSlice::new(&[1])], &mut outgoing).unwrap(), 1);
        let mut incoming = SocketAncillary::new(&mut room);
        let n = receiver.recv_vectored_with_ancillary(&mut [IoSliceMut::new(&mut byte)], &mut incoming).unwrap();
        assert_eq!(n, 1);
        let mut found = 0;
        for message in incoming.messages() {
            match message.unwrap() {
                AncillaryData::ScmRights(rights) => {
                    for fd in rights {
                        // It was installed for us by the receive above, and is closed here.
                        drop(unsafe { OwnedFd::from_raw_fd(fd) });
                        found += 1;
                    }
                }
                AncillaryData::ScmCredentials(list) => found += list.count(),
            }
        }
        assert_eq!(found, count + usize::from(with_credentials));
    }
    (processor_ns() - start) / f64::from(iterations)
}

fn main() {
    for line in stdin().lock().lines() {
        let line = line.unwrap();
        let (name, iterations) = line.split_once(' ').unwrap();
        println!("{:.1}", run(name, iterations.parse().unwrap()));
    }
}
