//! A Linux Virtual Server director in your process: health checks folded into the IPVS table.
