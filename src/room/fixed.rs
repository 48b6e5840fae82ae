//! Tables in memory that the program gave: of a fixed capacity, with the names that vectors have.

use heapless::VecView;

/// There is no memory left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoMemory;

/// Where the scheduler's tables are: in a [`Memory`](crate::runtime::Memory).
pub(crate) type Table<T> = &'static mut VecView<T>;

/// Looks whether there is room for `more` further elements.
pub(crate) fn reserve<T>(table: &mut Table<T>, more: usize) -> Result<(), NoMemory> {
    if table.capacity() - table.len() >= more { Ok(()) } else { Err(NoMemory) }
}

/// Appends to a table that has room.
#[inline]
pub(crate) fn push<T>(table: &mut Table<T>, value: T) {
    let pushed = table.push(value);
    debug_assert!(pushed.is_ok(), "Room");
}
