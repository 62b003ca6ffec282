//! Network namespaces, real peers and user-mode Linux kernels for the tests of this workspace.
