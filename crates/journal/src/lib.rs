//! What a process configured in the kernel, listed in a locked file, so that its successor can clean up.
