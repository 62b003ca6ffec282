//! Health checks as pure machines, and a driver that steps thousands of them.
