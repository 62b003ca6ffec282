//! Generic netlink: from a family's name to its message type.

use crate::error::{RequestError, errno};
use crate::{Attributes, Flags, Payload, Request, Socket};

/// `GENL_ID_CTRL`, the family that knows the others (`linux/genetlink.h`).
const CONTROLLER: u16 = 0x10;
const CTRL_CMD_GETFAMILY: u8 = 3;
const CTRL_VERSION: u8 = 2;
const CTRL_ATTR_FAMILY_ID: u16 = 1;
const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// Octets of `genlmsghdr`.
const GENERIC_HEADER: usize = 4;
/// `GENL_NAMSIZ` with the NUL; a longer name is refused with `ERANGE` instead of "unknown".
const MAX_NAME: usize = 15;

pub(crate) fn resolve(socket: &mut Socket, name: &str) -> Result<u16, RequestError> {
    let unknown = || RequestError::UnknownFamily { name: name.to_owned() };
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(unknown());
    }
    let payload =
        Payload::generic(CTRL_CMD_GETFAMILY, CTRL_VERSION).text(CTRL_ATTR_FAMILY_NAME, name);
    let mut family = None;
    let result = socket.query(&Request::new(CONTROLLER, Flags::NONE, payload), |_, answer| {
        family = Attributes::after(answer, GENERIC_HEADER)
            .first(CTRL_ATTR_FAMILY_ID)
            .and_then(|id| id.u16());
    });
    match result {
        Err(RequestError::Refused(refusal)) if refusal.errno == errno::ENOENT => Err(unknown()),
        other => other.and_then(|()| family.ok_or(RequestError::NoAnswer)),
    }
}
