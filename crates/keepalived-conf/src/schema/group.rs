//! `virtual_server_group`, `track_file`.

use alloc::format;
use core::net::IpAddr;

use super::{Context, Keyword, Scope, named, spanned, track, values};
use crate::config::{Family, GroupEntry, TrackFile, VirtualServerGroup};
use crate::diagnostic::{Code, Diagnostic};
use crate::source::Spanned;
use crate::text::tree::{Block, Statement};

/// Reads the entries of a group.
pub(super) fn entries(cx: &mut Context<'_>, group: &mut VirtualServerGroup, content: &Block) {
    for entry in cx.entries(content) {
        let read = if entry.keyword.text == "fwmark" { mark(entry) } else { range(entry) };
        match read {
            Some(read) => group.entries.push(Spanned::new(read, entry.span())),
            None => cx.report(
                Diagnostic::warning(
                    Code::BadValue,
                    entry.span(),
                    format!(
                        "`{}` is no member of a group; it is left out",
                        values::shown(&entry.keyword.text)
                    ),
                )
                .help("write `ADDRESS PORT`, `ADDRESS-LAST PORT` or `fwmark N`"),
            ),
        }
    }
}

fn mark(entry: &Statement) -> Option<GroupEntry> {
    let mark = entry.arguments.first()?.text.parse().ok().filter(|mark| *mark > 0)?;
    let family = match entry.arguments.get(1).map(|word| word.text.as_str()) {
        Some("inet") => Some(Family::Ipv4),
        Some("inet6") => Some(Family::Ipv6),
        Some(_) => return None,
        None => None,
    };
    Some(GroupEntry::FirewallMark { mark, family })
}

/// `192.0.2.1-9 80`: the last octet goes up to 9, of IPv6 the last group in hexadecimal.
fn range(entry: &Statement) -> Option<GroupEntry> {
    let text = entry.keyword.text.as_str();
    let (first, last) =
        text.split_once('-').map_or((text, None), |(first, last)| (first, Some(last)));
    let address: IpAddr = first.parse().ok()?;
    let count = match (address, last) {
        (_, None) => 1,
        (IpAddr::V4(address), Some(last)) => {
            let [.., from] = address.octets();
            u32::from(last.parse::<u8>().ok()?.checked_sub(from)?) + 1
        }
        (IpAddr::V6(address), Some(last)) => {
            let [.., from] = address.segments();
            u32::from(u16::from_str_radix(last, 16).ok()?.checked_sub(from)?) + 1
        }
    };
    let port = match entry.arguments.first() {
        Some(port) => port.text.parse().ok()?,
        None => 0,
    };
    Some(GroupEntry::Addresses { first: address, count, port })
}

impl Scope for TrackFile {
    const TITLE: &'static str = "track_file";
    const KEYWORDS: &'static [Keyword<Self>] = &[
        values("file", 1, 1, |_, file, st| file.path = Context::text(st)),
        values("weight", 1, 2, |cx, file, st| {
            (file.weight, file.reverse) = track::own_weight(cx, &st.arguments);
        }),
        values("init_file", 0, 2, |_, file, st| {
            let number = st.arguments.iter().find_map(|word| {
                word.text.parse().ok().map(|number| Spanned::new(number, word.span))
            });
            file.init = Some(number.unwrap_or(Spanned::new(0, st.keyword.span)));
            let overwrite = st.arguments.iter().find(|word| word.text == "overwrite");
            file.overwrite = overwrite.map(|word| word.span);
        }),
        named("user", "the file belongs to the user of this process"),
    ];
}

/// The name of a block, if it is the first of this name.
pub(super) fn name(
    cx: &mut Context<'_>,
    statement: &Statement,
) -> Option<Spanned<alloc::string::String>> {
    let name = spanned(statement.arguments.first()?);
    let key = format!("{} {}", statement.keyword.text, name.value);
    cx.is_first(key, statement, "give it another name").then_some(name)
}
