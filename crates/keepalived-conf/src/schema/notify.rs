//! `notify...` of instances and groups.

use super::{Keyword, values};
use crate::config::{Notify, SyncGroup, VrrpInstance};

/// A block that has the `notify...` keywords.
pub(super) trait Notifies {
    fn notify(&mut self) -> &mut Notify;
}

impl Notifies for VrrpInstance {
    fn notify(&mut self) -> &mut Notify {
        &mut self.notify
    }
}

impl Notifies for SyncGroup {
    fn notify(&mut self) -> &mut Notify {
        &mut self.notify
    }
}

pub(super) const fn any<T: Notifies>() -> Keyword<T> {
    values("notify", 1, 3, |cx, block, st| block.notify().any = cx.command(st))
}

pub(super) const fn master<T: Notifies>() -> Keyword<T> {
    values("notify_master", 1, 3, |cx, block, st| block.notify().master = cx.command(st))
}

pub(super) const fn backup<T: Notifies>() -> Keyword<T> {
    values("notify_backup", 1, 3, |cx, block, st| block.notify().backup = cx.command(st))
}

pub(super) const fn fault<T: Notifies>() -> Keyword<T> {
    values("notify_fault", 1, 3, |cx, block, st| block.notify().fault = cx.command(st))
}

pub(super) const fn stop<T: Notifies>() -> Keyword<T> {
    values("notify_stop", 1, 3, |cx, block, st| block.notify().stop = cx.command(st))
}
