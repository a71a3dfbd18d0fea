//! Talking to rtnetlink: dumps of qdiscs and filters, and requests (rtnetlink(7), netlink(7)).

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use probe_common::tc::KIND_LEN;

pub mod request;

use request::Request;

/// As much as the kernel puts into one message of a dump (`netlink_dump` in net/netlink/af_netlink.c).
const BUFFER: usize = 32 * 1024;
/// Longest wait for a part of an answer; the kernel gives one at once, or is in deep trouble.
const PATIENCE_SECONDS: i64 = 5;
/// Objects taken of one dump.
const MOST_OBJECTS: usize = 65_536;

const RTM_GETQDISC: u16 = 38;
const RTM_GETTFILTER: u16 = 46;
/// `NLM_F_DUMP_INTR`: what is dumped changed meanwhile.
const DUMP_INTERRUPTED: u16 = 0x10;
/// Length of `struct nlmsghdr` (bytes).
pub const HEADER: usize = 16;
/// Length of `struct tcmsg` (bytes).
const TCMSG: usize = 20;
/// `TCA_KIND` and `TCA_CHAIN` of include/uapi/linux/rtnetlink.h.
const TCA_KIND: u16 = 1;
const TCA_CHAIN: u16 = 11;

/// A qdisc or a filter: `struct tcmsg` and what matters of its attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Object {
    pub ifindex: i32,
    pub handle: u32,
    pub parent: u32,
    /// Priority of a filter in the high half.
    pub info: u32,
    pub chain: u32,
    pub kind: [u8; KIND_LEN],
}

impl Object {
    /// Its `struct tcmsg`.
    #[must_use]
    pub fn header(&self) -> [u8; TCMSG] {
        let mut header = [0; TCMSG];
        let words = [0, self.ifindex.cast_unsigned(), self.handle, self.parent, self.info];
        let bytes = words.into_iter().flat_map(u32::to_ne_bytes);
        header.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        header
    }

    /// Whether it is of this kind.
    #[must_use]
    pub fn is(&self, kind: &str) -> bool {
        self.kind == padded(kind.as_bytes())
    }
}

/// Opens a bare socket of this protocol.
///
/// # Errors
/// When the kernel gives none.
pub fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointers.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the fd was just opened and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A socket to rtnetlink of the namespace it was opened in.
pub struct Rtnetlink {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Rtnetlink {
    /// Opens one in this thread's namespace.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn open() -> io::Result<Self> {
        let socket = socket()?;
        let fd = socket.as_raw_fd();
        let patience = libc::timeval { tv_sec: PATIENCE_SECONDS, tv_usec: 0 };
        let length = size_of::<libc::timeval>() as libc::socklen_t;
        let option = (&raw const patience).cast();
        // SAFETY: the option's value is a timeval of this length.
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, option, length) };
        Ok(Self { socket, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// The namespace's cookie; 0 on a kernel that does not tell (before 5.14).
    #[must_use]
    pub fn netns_cookie(&self) -> u64 {
        let (mut cookie, mut length) = (0u64, size_of::<u64>() as libc::socklen_t);
        // SAFETY: the option's value is a u64, and so long is the room for it.
        let told = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_NETNS_COOKIE,
                (&raw mut cookie).cast(),
                &raw mut length,
            )
        };
        if told == 0 { cookie } else { 0 }
    }

    /// Every qdisc of the namespace. Returns whether nothing changed meanwhile.
    ///
    /// # Errors
    /// When the kernel refuses, or its answer makes no sense.
    pub fn qdiscs(&mut self, each: impl FnMut(Object)) -> io::Result<bool> {
        self.dump(RTM_GETQDISC, 0, 0, each)
    }

    /// Every filter at an attach point. Returns whether nothing changed meanwhile.
    ///
    /// # Errors
    /// When the kernel refuses, or its answer makes no sense.
    pub fn filters(
        &mut self,
        ifindex: i32,
        parent: u32,
        each: impl FnMut(Object),
    ) -> io::Result<bool> {
        self.dump(RTM_GETTFILTER, ifindex, parent, each)
    }

    fn dump(
        &mut self,
        kind: u16,
        ifindex: i32,
        parent: u32,
        each: impl FnMut(Object),
    ) -> io::Result<bool> {
        let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
        let of = Object { ifindex, parent, ..Object::default() };
        self.exchange(Request::new(kind, flags, &of.header()), each)
    }

    /// Asks for a change, and waits until it is made.
    ///
    /// # Errors
    /// The kernel's refusal, or when there is no answer.
    pub fn ask(&mut self, request: Request) -> io::Result<()> {
        self.exchange(request, |_| {}).map(drop)
    }

    fn exchange(&mut self, request: Request, mut each: impl FnMut(Object)) -> io::Result<bool> {
        self.sequence += 1;
        let request = request.finish(self.sequence);
        // SAFETY: the buffer is valid for its length.
        let sent = unsafe {
            libc::send(self.socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0)
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
        let (mut whole, mut room) = (true, MOST_OBJECTS);
        loop {
            let received = self.receive()?;
            let part = self.buffer.get(..received).unwrap_or_default();
            for message in Messages(part) {
                if message.sequence != self.sequence {
                    continue;
                }
                whole &= message.flags & DUMP_INTERRUPTED == 0;
                match i32::from(message.kind) {
                    libc::NLMSG_DONE | libc::NLMSG_ERROR => {
                        return message.error().map_or(Ok(whole), Err);
                    }
                    _ if room == 0 => return Err(io::ErrorKind::OutOfMemory.into()),
                    _ => {
                        room -= 1;
                        object(message.payload).into_iter().for_each(&mut each);
                    }
                }
            }
        }
    }

    fn receive(&mut self) -> io::Result<usize> {
        let (buffer, room) = (self.buffer.as_mut_ptr(), self.buffer.len());
        // SAFETY: the buffer is valid for its length.
        let received =
            unsafe { libc::recv(self.socket.as_raw_fd(), buffer.cast(), room, libc::MSG_TRUNC) };
        match usize::try_from(received) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) if length > room => Err(io::ErrorKind::InvalidData.into()),
            Ok(length) => Ok(length),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }
}

/// One message of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub kind: u16,
    pub flags: u16,
    pub sequence: u32,
    pub payload: &'a [u8],
}

impl Message<'_> {
    /// The error that it tells, if it does: a negative errno in front.
    fn error(&self) -> Option<io::Error> {
        let code = i32::from_ne_bytes(*self.payload.first_chunk()?);
        (code < 0).then(|| io::Error::from_raw_os_error(code.saturating_neg()))
    }
}

/// The messages in a part of an answer; what is cut off or too long ends them.
pub struct Messages<'a>(pub &'a [u8]);

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let length = usize::try_from(u32::from_ne_bytes(*self.0.first_chunk()?)).ok()?;
        let message = Message {
            kind: u16::from_ne_bytes(*self.0.get(4..)?.first_chunk()?),
            flags: u16::from_ne_bytes(*self.0.get(6..)?.first_chunk()?),
            sequence: u32::from_ne_bytes(*self.0.get(8..)?.first_chunk()?),
            payload: self.0.get(HEADER..length)?,
        };
        self.0 = self.0.get(aligned(length)..).unwrap_or_default();
        Some(message)
    }
}

/// The object that a message tells of; `None` when it is too short for one.
pub fn object(payload: &[u8]) -> Option<Object> {
    let word = |at: usize| payload.get(at..)?.first_chunk().map(|word| u32::from_ne_bytes(*word));
    let mut object = Object {
        ifindex: word(4)?.cast_signed(),
        handle: word(8)?,
        parent: word(12)?,
        info: word(16)?,
        ..Object::default()
    };
    let mut attributes = payload.get(TCMSG..)?;
    while let Some((length, kind)) = attribute(attributes) {
        let value = attributes.get(4..length)?;
        match kind {
            TCA_KIND => object.kind = padded(value),
            TCA_CHAIN => object.chain = u32::from_ne_bytes(*value.first_chunk()?),
            _ => {}
        }
        attributes = attributes.get(aligned(length)..).unwrap_or_default();
    }
    Some(object)
}

/// Length and kind of the first attribute; `None` when there is no more.
fn attribute(attributes: &[u8]) -> Option<(usize, u16)> {
    let length = usize::from(u16::from_ne_bytes(*attributes.first_chunk()?));
    let kind = u16::from_ne_bytes(*attributes.get(2..)?.first_chunk()?);
    (length >= 4).then_some((length, kind))
}

/// Text in an array, cut so that the last byte stays NUL.
pub fn padded<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.iter_mut().take(N.saturating_sub(1)).zip(text).for_each(|(to, from)| *to = *from);
    array
}

/// Messages and attributes begin at multiples of 4.
fn aligned(length: usize) -> usize {
    length.saturating_add(3) & !3
}
