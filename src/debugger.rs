//! A map of the tables for debuggers: what `debug/gdb.py` reads in a stopped process or a core file.
//!
//! ```text
//!   arch's word ──► Runtime ──► Scheduler ──► Tasks ──► blocks: id, state, stack, name, context while blocked
//!                                        └──► RunQueue: contexts while ready
//! ```
//!
//! The script knows the way; where the fields are is the compiler's choice, so it is written down here, in a constant that only a
//! debugger reads. So the script needs no debug information, which release builds do not have.
//!
//! *Same List*: the script unpacks the map by a list of the same names in the same order. [`VERSION`] changes when a field's meaning does.
#![allow(unsafe_code, reason = "a name for the debugger to find it by")]

use crate::name::Name;
use crate::run_queue::RunQueue;
use crate::runtime::Runtime;
use crate::scheduler::Scheduler;
use crate::stacks::StackMemory;
use crate::task::{TaskBlock, Tasks};
use alloc::vec::Vec;
use core::mem::offset_of;
use windlass_arch as arch;

const VERSION: usize = 2;

/// Declares the map, with each number's value beside its name.
macro_rules! map {
    ($($name:ident: $value:expr,)+) => {
        #[repr(C)]
        struct Map {
            $($name: u32,)+
            /// In which a debugger sees how vectors are laid out: its pointer is the only word that is not 0; of the others the length
            /// is the smaller one.
            vec: Vec<u64>,
            /// By which it sees that the loader has been there.
            text: &'static [u8; 6],
        }

        #[used]
        #[unsafe(export_name = "windlass_debugger_map")]
        static MAP: Map = Map {
            $($name: $value as u32,)+
            vec: Vec::new(),
            text: b"sample",
        };

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

map! {
    version: VERSION,
    // Contexts are stack pointers: there are stacks to walk.
    has_stacks: matches!(arch::BACKEND.as_bytes(), b"x86_64"),
    runtime_scheduler: Runtime::SCHEDULER,
    scheduler_running: Scheduler::FIELDS[0],
    scheduler_ready: Scheduler::FIELDS[1],
    scheduler_tasks: offset_of!(Scheduler, tasks),
    queue_slot: RunQueue::FIELDS[0],
    queue_head: RunQueue::FIELDS[1],
    queue_tail: RunQueue::FIELDS[2],
    queue_mask: RunQueue::FIELDS[3],
    queue_entries: RunQueue::FIELDS[4],
    tasks_chunks: Tasks::CHUNKS,
    chunk_length: Tasks::CHUNK_LENGTH,
    block_size: size_of::<TaskBlock>(),
    block_context: offset_of!(TaskBlock, context),
    block_object: TaskBlock::FIELDS[0],
    block_waiting: offset_of!(TaskBlock, waiting),
    block_flags: TaskBlock::FIELDS[1],
    block_generation: TaskBlock::FIELDS[2],
    block_index: TaskBlock::FIELDS[3],
    block_name: TaskBlock::FIELDS[4],
    name_text: Name::FIELDS[0],
    name_length: Name::FIELDS[1],
    block_stack: offset_of!(TaskBlock, stack),
    stack_base: StackMemory::FIELDS[0],
    stack_size: StackMemory::FIELDS[1],
}

// So that a block without a stack has a null limit.
const _: () = assert!(size_of::<Option<StackMemory>>() == size_of::<StackMemory>());

#[cfg(test)]
mod tests {
    use super::{MAP, NAMES, VERSION};
    use crate::task::Waiting;
    use alloc::format;
    use alloc::string::ToString;
    use alloc::vec::Vec;

    const SCRIPT: &str = include_str!("../debug/gdb.py");

    /// The strings of a tuple in the script.
    fn strings(name: &str) -> Vec<&'static str> {
        let (_, rest) = SCRIPT.split_once(&format!("\n{name} = (")).expect("the script has it");
        let (list, _) = rest.split_once(")\n").expect("it ends");
        list.split('"').skip(1).step_by(2).collect()
    }

    #[test]
    fn the_script_has_the_same_list_and_version() {
        assert_eq!(strings("FIELDS"), NAMES);
        assert!(SCRIPT.contains(&format!("\nVERSION = {VERSION}\n")));
        assert_eq!(MAP.version as usize, VERSION);
    }

    #[test]
    fn the_script_says_what_tasks_wait_for_as_reports_do() {
        let all = [
            Waiting::Nothing,
            Waiting::Sleep,
            Waiting::Park,
            Waiting::Join,
            Waiting::Send,
            Waiting::Receive,
            Waiting::Lock,
            Waiting::Condvar,
            Waiting::WaitGroup,
            Waiting::Host,
            Waiting::Exit,
            Waiting::RemoteSend,
            Waiting::RemoteReceive,
            Waiting::RemoteLock,
            Waiting::RemoteCondvar,
            Waiting::RemoteSemaphore,
            Waiting::PoolJoin,
            Waiting::PoolWork,
        ];
        assert!(all.iter().enumerate().all(|(number, &waiting)| number == waiting as usize));
        assert_eq!(strings("WAITING"), all.map(|waiting| waiting.to_string()));
    }
}
