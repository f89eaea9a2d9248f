//! The other side of the differential test: descriptor 3 is a unix socket, `stream` or `dgram` as the first argument says, and the
//! second argument is a folder with the files 0, 1, 2, … that it sends. It says first whether what it receives is close-on-exec; then one
//! answer for each line of standard input:
//!
//!   send BYTES SEED FILES CREDENTIALS   FILES: `0,5,…` or `-`; CREDENTIALS: `UID,GID` or `-`. Answers the number of bytes sent.
//!   receive COUNT                       COUNT bytes from a stream, or messages. Answers what each call brought, as JSON.
#![feature(unix_socket_ancillary_data)]

use std::collections::HashMap;
use std::ffi::{c_int, c_long};
use std::fs::File;
use std::io::{self, stdin, BufRead, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{AncillaryData, SocketAncillary, SocketCred, UnixDatagram, UnixStream};

extern "C" {
    fn fcntl(fd: c_int, command: c_int, argument: c_long) -> c_int;
}

const F_GETFD: c_int = 1;
const FD_CLOEXEC: c_int = 1;
const CONTROL: usize = 2048;
const ROOM: usize = 1 << 17;

enum Socket {
    Stream(UnixStream),
    Datagram(UnixDatagram),
}

impl Socket {
    fn send(&self, data: &[u8], ancillary: &mut SocketAncillary) -> io::Result<usize> {
        // Two buffers, because more than one is what the call is for.
        let (head, tail) = data.split_at(data.len() / 3);
        let buffers = [IoSlice::new(head), IoSlice::new(tail)];
        match self {
            Socket::Stream(socket) => socket.send_vectored_with_ancillary(&buffers, ancillary),
            Socket::Datagram(socket) => socket.send_vectored_with_ancillary(&buffers, ancillary),
        }
    }

    fn receive(&self, room: &mut [u8], ancillary: &mut SocketAncillary) -> io::Result<usize> {
        let mut buffers = [IoSliceMut::new(room)];
        match self {
            Socket::Stream(socket) => socket.recv_vectored_with_ancillary(&mut buffers, ancillary),
            Socket::Datagram(socket) => socket.recv_vectored_with_ancillary(&mut buffers, ancillary).map(|(n, _)| n),
        }
    }
}

/// Takes the descriptor over and closes it: "[dev, inode, close-on-exec]".
fn describe(fd: RawFd) -> String {
    // It was installed for this call, and nobody else knows it.
    let (file, flags) = unsafe { (File::from_raw_fd(fd), fcntl(fd, F_GETFD, 0)) };
    let status = file.metadata().unwrap();
    format!("[{},{},{}]", status.dev(), status.ino(), flags & FD_CLOEXEC != 0)
}

fn receive_one(socket: &Socket, room: &mut [u8]) -> (usize, String) {
    let mut memory = [0u8; CONTROL];
    let mut ancillary = SocketAncillary::new(&mut memory);
    let n = socket.receive(room, &mut ancillary).unwrap();
    let (mut fds, mut credentials) = (Vec::new(), String::from("null"));
    for message in ancillary.messages() {
        match message.unwrap() {
            AncillaryData::ScmRights(rights) => fds.extend(rights.map(describe)),
            AncillaryData::ScmCredentials(list) => {
                for cred in list {
                    credentials = format!("[{},{},{}]", cred.get_pid(), cred.get_uid(), cred.get_gid());
                }
            }
        }
    }
    let data: String = room[..n].iter().map(|byte| format!("{byte:02x}")).collect();
    let truncated = ancillary.truncated();
    (n, format!(r#"{{"data":"{data}","fds":[{}],"credentials":{credentials},"truncated":{truncated}}}"#, fds.join(",")))
}

fn receive(socket: &Socket, count: usize, room: &mut [u8]) -> String {
    let mut pieces = Vec::new();
    let mut left = count;
    while left > 0 {
        let (n, piece) = receive_one(socket, room);
        left -= if matches!(socket, Socket::Stream(_)) { n } else { 1 };
        pieces.push(piece);
    }
    format!("[{}]", pieces.join(","))
}

fn numbers<T: std::str::FromStr>(text: &str) -> Vec<T> {
    if text == "-" {
        return Vec::new();
    }
    text.split(',').map(|number| number.parse().ok().expect("a number")).collect()
}

fn send(socket: &Socket, files: &mut HashMap<String, File>, folder: &str, words: &[&str]) -> String {
    let (bytes, seed): (usize, usize) = (words[0].parse().unwrap(), words[1].parse().unwrap());
    let data: Vec<u8> = (0..bytes).map(|k| (seed + k) as u8).collect();
    let fds: Vec<RawFd> = numbers::<u32>(words[2])
        .into_iter()
        .map(|index| {
            let path = format!("{folder}/{index}");
            files.entry(path.clone()).or_insert_with(|| File::open(path).unwrap()).as_raw_fd()
        })
        .collect();
    let ids: Vec<u32> = numbers(words[3]);
    let mut memory = [0u8; CONTROL];
    let mut ancillary = SocketAncillary::new(&mut memory);
    if !fds.is_empty() {
        assert!(ancillary.add_fds(&fds));
    }
    if let [uid, gid] = ids[..] {
        let mut credentials = SocketCred::new();
        credentials.set_pid(std::process::id() as _);
        credentials.set_uid(uid);
        credentials.set_gid(gid);
        assert!(ancillary.add_creds(&[credentials]));
    }
    socket.send(&data, &mut ancillary).unwrap().to_string()
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // The test gives it to this process and to nobody else.
    let socket = unsafe {
        match arguments[1].as_str() {
            "stream" => Socket::Stream(UnixStream::from_raw_fd(3)),
            _ => Socket::Datagram(UnixDatagram::from_raw_fd(3)),
        }
    };
    let mut room = vec![0u8; ROOM];
    let mut files = HashMap::new();
    println!("true");
    for line in stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        match words[0] {
            "send" => println!("{}", send(&socket, &mut files, &arguments[2], &words[1..])),
            _ => println!("{}", receive(&socket, words[1].parse().unwrap(), &mut room)),
        }
    }
}
