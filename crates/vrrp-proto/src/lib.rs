//! VRRPv2 and VRRPv3 advertisements as bytes: parse and emit, without allocation.
