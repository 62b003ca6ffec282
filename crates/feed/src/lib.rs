#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod feed;

pub use feed::{Feed, FeedSink, Report};
