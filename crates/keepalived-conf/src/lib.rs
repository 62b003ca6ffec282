//! Read keepalived.conf into typed configuration, with diagnostics that point at the place.
