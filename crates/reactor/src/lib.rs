//! A small single-threaded event loop: epoll, a waker and a deadline heap.
