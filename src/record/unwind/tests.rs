//! What several files' tests share.

/// The address of so many readable zero pages with an unreadable one after them; they stay for the process's life.
pub(super) fn guarded_pages(count: usize) -> *mut u8 {
    const PAGE: usize = 4096;
    // SAFETY: a new anonymous mapping, of which the last page is then protected; nothing else knows its address.
    unsafe {
        let length = (count + 1) * PAGE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        let base = libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert_ne!(base, libc::MAP_FAILED);
        assert_eq!(libc::mprotect(base.byte_add(count * PAGE), PAGE, libc::PROT_NONE), 0);
        base.cast()
    }
}
