"""Tasks of a Windlass program in gdb.

    (gdb) source debug/gdb.py
    (gdb) windlass tasks          every task of the current thread's runtime
    (gdb) windlass bt [ID]        the backtrace of one task, or of all

For gdb 11 or later; works on a stopped process and on a core file, x86-64. It only reads: frames of a suspended task are found by telling gdb's unwinder where
they begin, so neither registers nor memory change. It needs the symbols of the program (not stripped); line tables add files and lines.

Where things are is in the program itself, as `windlass_debugger_map`: src/debugger.rs.
"""

import os
import re
import struct
from contextlib import contextmanager

import gdb
import gdb.unwinder

VERSION = 2

# The numbers of the map, in its order.
FIELDS = (
    "version",
    "has_stacks",
    "runtime_scheduler",
    "scheduler_running",
    "scheduler_ready",
    "scheduler_tasks",
    "queue_slot",
    "queue_head",
    "queue_tail",
    "queue_mask",
    "queue_entries",
    "tasks_chunks",
    "chunk_length",
    "block_size",
    "block_context",
    "block_object",
    "block_waiting",
    "block_flags",
    "block_generation",
    "block_index",
    "block_name",
    "name_text",
    "name_length",
    "block_stack",
    "stack_base",
    "stack_size",
)

# What a task waits for, by number.
WAITING = (
    "ready",
    "sleeping",
    "parked",
    "joining task",
    "sending to a channel",
    "receiving from a channel",
    "locking a mutex",
    "waiting for a condition variable",
    "waiting for a wait group",
    "in a host call",
    "in exit",
    "sending to a remote channel",
    "receiving from a remote channel",
    "locking a remote mutex",
    "waiting for a remote condition variable",
    "acquiring a remote semaphore",
    "joining a task of a pool",
    "waiting for work of its pool",
)
READY, JOIN, HOST_CALL = 0, 3, 9

# Flags of a task.
CANCELLED, EXITED = 1, 128

# In the words of the program: no runtime yet, and none any more. In the slot of the run queue: nobody is ready.
NONE, GONE, EMPTY = 0, 1, 1

# A suspended stack: the address to go on at, rbp, rbx, and then what was there before.
SAVED = 3 * 8


# ---- memory and symbols


def read(address, size):
    try:
        return bytes(gdb.selected_inferior().read_memory(address, size))
    except gdb.MemoryError:
        raise gdb.GdbError("windlass: cannot read %d bytes at %#x" % (size, address))


def words(address, count):
    return struct.unpack("<%dQ" % count, read(address, 8 * count))


def word(address):
    return words(address, 1)[0]


def address_of(symbol):
    """The address of a symbol, in the current thread if it is thread-local."""
    language = gdb.parameter("language")
    gdb.execute("set language c", to_string=True)
    try:
        return int(gdb.parse_and_eval("(unsigned long long) &'%s'" % symbol))
    finally:
        gdb.execute("set language %s" % language, to_string=True)


class Image:
    """The symbol table of an ELF file, of which gdb shows no thread-local symbols."""

    TLS_SEGMENT, TLS_SYMBOL, OBJECT_SYMBOL = 7, 6, 1
    SYMBOL_TABLES = (2, 11)

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        if self.data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("not a 64-bit little-endian ELF file")
        segments, sections = struct.unpack_from("<QQ", self.data, 32)
        size, count, section_size, section_count = struct.unpack_from("<HHHH", self.data, 54)
        self.tls = None
        for at in range(segments, segments + size * count, size):
            if struct.unpack_from("<I", self.data, at)[0] == self.TLS_SEGMENT:
                self.tls = struct.unpack_from("<QQ", self.data, at + 40)
        self.sections = [
            struct.unpack_from("<IIQQQQIIQQ", self.data, sections + section_size * n)
            for n in range(section_count)
        ]

    def find(self, pattern):
        """The symbol whose name matches: (name, value, whether it is thread-local)."""
        for _, kind, _, _, offset, size, link, _, _, _ in self.sections:
            if kind not in self.SYMBOL_TABLES:
                continue
            _, _, _, _, names, length, _, _, _, _ = self.sections[link]
            found = {
                match.start() - names: match.group().decode("ascii", "replace")
                for match in pattern.finditer(self.data, names, names + length)
            }
            if not found:
                continue
            symbols = struct.iter_unpack("<IBBHQQ", self.data[offset : offset + size])
            for name, info, _, _, value, _ in symbols:
                if name in found and info & 15 in (self.TLS_SYMBOL, self.OBJECT_SYMBOL):
                    return found[name], value, info & 15 == self.TLS_SYMBOL
        return None


def image_word(module, name, cache={}):
    """Where the current thread has this word of windlass-arch, whatever the mangling."""
    pattern = re.compile(rb"[^\0]*windlass_arch[^\0]*%s[^\0]*%s[^\0]*" % (module, name))
    for objfile in gdb.objfiles():
        path = objfile.filename
        if not path or not os.path.isfile(path):
            continue
        key = (path, os.stat(path).st_mtime_ns, name)
        if key not in cache:
            try:
                image = Image(path)
                cache[key] = (image.find(pattern), image.tls)
            except (ValueError, OSError, struct.error):
                cache[key] = (None, None)
        symbol, tls = cache[key]
        if symbol is None:
            continue
        mangled, value, is_local = symbol
        try:
            return address_of(mangled)
        except gdb.error as error:
            # Without libthread_db: the program's own block lies below the thread pointer.
            if not is_local or tls is None or objfile != gdb.objfiles()[0]:
                raise gdb.GdbError("windlass: cannot find the word of this thread: %s" % error)
            size, align = tls
            thread = int(gdb.selected_frame().read_register("fs_base"))
            return thread + value - (size + align - 1) // align * align
    return None


# ---- the tables


class Map:
    """What the program says of its tables, and how the standard library's types lie in memory."""

    def __init__(self):
        try:
            at = address_of("windlass_debugger_map")
        except gdb.error:
            raise gdb.GdbError("windlass: this program has no Windlass in it, or its symbols were stripped")
        numbers = struct.unpack("<%dI" % len(FIELDS), read(at, 4 * len(FIELDS)))
        vars(self).update(zip(FIELDS, numbers))
        if self.version != VERSION:
            raise gdb.GdbError(
                "windlass: the program's tables are of version %d, this script is for %d: "
                "take the script of the program's own version of Windlass" % (self.version, VERSION)
            )
        samples = words(at + (4 * len(FIELDS) + 7) // 8 * 8, 4)
        if not self.is_sample(samples[3]):
            # The loader puts the address there.
            raise gdb.GdbError("windlass: the program has not begun yet; go on to its `main`")
        self.vec_pointer = next(n for n in range(3) if samples[n] != 0)

    @staticmethod
    def is_sample(address):
        try:
            return read(address, len("sample")) == b"sample"
        except gdb.GdbError:
            return False

    def vec(self, address):
        """Pointer and length: of the other two words the length is the smaller one."""
        three = words(address, 3)
        return three[self.vec_pointer], min(three[n] for n in range(3) if n != self.vec_pointer)


class Task:
    def __init__(self, map, address, block):
        def number(format, offset):
            return struct.unpack_from(format, block, offset)[0]

        self.address = address
        self.context = number("<Q", map.block_context)
        self.object = number("<Q", map.block_object)
        self.waiting = block[map.block_waiting]
        self.flags = block[map.block_flags]
        index, generation = number("<I", map.block_index), number("<I", map.block_generation)
        self.id = "%d.%d" % (index, generation) if generation else str(index)
        text = number("<Q", map.block_name + map.name_text)
        # The highest bit says whose the text is.
        length = number("<Q", map.block_name + map.name_length) & ~(1 << 63)
        self.name = read(text, length).decode("utf-8", "replace") if text else None
        self.base = number("<Q", map.block_stack + map.stack_base)
        self.size = number("<Q", map.block_stack + map.stack_size) if self.base else 0
        self.running = False

    @property
    def limit(self):
        return self.base - self.size

    @property
    def fresh(self):
        """Whether it was never continued: its context is its block."""
        return self.waiting == READY and not self.running and self.context == self.address

    def holds(self, address):
        return self.limit <= address < self.base

    @property
    def title(self):
        return "task %s" % self.id if self.name is None else 'task %s "%s"' % (self.id, self.name)


class Runtime:
    """The runtime of the current thread."""

    def __init__(self):
        if gdb.selected_thread() is None:
            raise gdb.GdbError("windlass: no process; run the program, attach to it or open a core file")
        self.map = map = Map()
        home = image_word(rb"words", rb"RUNTIME")
        if home is None:
            raise gdb.GdbError("windlass: the word of the runtime is not among the program's symbols")
        runtime = word(home)
        if runtime == NONE:
            raise gdb.GdbError(
                "windlass: this thread has no runtime; choose another one with `thread N`, as `info threads` shows them"
            )
        if runtime == GONE:
            raise gdb.GdbError("windlass: this thread is ending, and its runtime is gone")
        self.scheduler = runtime + map.runtime_scheduler
        blocks = list(self.blocks())
        self.ids = {task.address: task.id for task in blocks}
        self.tasks = [task for task in blocks if not task.flags & EXITED]
        running = word(self.scheduler + map.scheduler_running)
        ready = dict(self.ready())
        for task in self.tasks:
            task.running = task.address == running
            task.context = ready.get(task.address, task.context)

    def blocks(self):
        map = self.map
        chunks, count = map.vec(self.scheduler + map.scheduler_tasks + map.tasks_chunks)
        for chunk in range(count):
            start, _ = map.vec(chunks + chunk * 24)
            memory = read(start, map.block_size * map.chunk_length)
            # The one with the highest number comes first.
            for at in reversed(range(0, len(memory), map.block_size)):
                yield Task(map, start + at, memory[at : at + map.block_size])

    def ready(self):
        """The contexts of the tasks that are in the run queue's ring; that of one in the slot is in its block."""
        map, queue = self.map, self.scheduler + self.map.scheduler_ready
        head, tail, mask = (
            word(queue + at) for at in (map.queue_head, map.queue_tail, map.queue_mask)
        )
        length = (tail - head) % (1 << 64)
        if length == 0:
            return
        if length > mask + 16:
            raise gdb.GdbError("windlass: the run queue is being changed at this moment; step on a little")
        entries, _ = map.vec(queue + map.queue_entries)
        for position in range(head, head + length, 16):
            context, task = words(entries + (position & mask), 2)
            yield task, context

    def state(self, task):
        if task.running:
            state = "running"
        elif task.fresh:
            state = "ready, not started"
        elif task.waiting < len(WAITING):
            state = WAITING[task.waiting]
        else:
            state = "in state %d" % task.waiting
        if task.waiting == JOIN:
            state += " " + self.ids.get(task.object, "?")
        return state + ", cancelled" if task.flags & CANCELLED else state

    def in_use(self, task):
        """Bytes of the stack, or none if that is not known here."""
        if task.fresh:
            return 0
        if not self.map.has_stacks or task.waiting == HOST_CALL:
            return None
        top = task.context + SAVED
        if task.running:
            top = int(gdb.newest_frame().read_register("rsp"))
        return task.base - top if task.holds(top) else None

    def find(self, id):
        for task in self.tasks:
            if task.id == id:
                return task
        raise gdb.GdbError("windlass: no task %s; `windlass tasks` shows which there are" % id)


# ---- frames


class Splice(gdb.unwinder.Unwinder):
    """Puts the frames of a suspended stack in the place of the innermost frame's callers."""

    class Id:
        def __init__(self, sp, pc):
            self.sp, self.pc = sp, pc

    def __init__(self):
        super().__init__("windlass")
        self.here = None

    def __call__(self, pending):
        if self.here is None:
            return None
        sp, pc = pending.read_register("rsp"), pending.read_register("rip")
        if (int(sp), int(pc)) != self.here:
            return None
        # Inner to the frames that follow, as gdb wants it.
        info = pending.create_unwind_info(self.Id(gdb.Value(self.saved["rsp"] - 8).cast(sp.type), pc))
        for name, value in self.saved.items():
            info.add_saved_register(name, gdb.Value(value).cast(pending.read_register(name).type))
        return info

    @contextmanager
    def at(self, context):
        """The innermost frame of a suspended stack, while it lasts."""
        rip, rbp, rbx = words(context, 3)
        innermost, selected = gdb.newest_frame(), gdb.selected_frame().level()
        self.saved = {"rip": rip, "rbp": rbp, "rbx": rbx, "rsp": context + SAVED}
        self.here = tuple(int(innermost.read_register(name)) for name in ("rsp", "rip"))
        gdb.invalidate_cached_frames()
        try:
            frame = gdb.newest_frame()
            # The thread's own one, and those inlined into it.
            while frame is not None and int(frame.read_register("rsp")) == self.here[0]:
                frame = frame.older()
            yield frame
        finally:
            self.here = None
            gdb.invalidate_cached_frames()
            frame = gdb.newest_frame()
            while frame.level() < selected and frame.older() is not None:
                frame = frame.older()
            frame.select()


SPLICE = Splice()

# What the compiler puts into the names of functions, and gdb leaves there: legacy names, and those that nightly has.
HASH = re.compile(r"::h[0-9a-f]{16}$|\[[0-9a-f]{12,16}\]")


def walk(frame):
    """A list of (stack pointer, line of text) from a frame on, and what is to be said about its end."""
    frames = []
    while frame is not None:
        pc, place = frame.pc(), frame.find_sal()
        text = "%#018x in %s ()" % (pc, HASH.sub("", frame.name() or "??"))
        if place.symtab is not None:
            text += " at %s:%d" % (place.symtab.filename, place.line)
        frames.append((int(frame.read_register("rsp")), text))
        reason = frame.unwind_stop_reason()
        frame = frame.older()
    if not frames:
        return frames, "no frames: gdb cannot unwind from here"
    if reason not in (gdb.FRAME_UNWIND_NO_REASON, gdb.FRAME_UNWIND_OUTERMOST):
        return frames, "ends here: %s" % gdb.frame_stop_reason_string(reason)
    return frames, None


def frames_of(runtime, task):
    if task.fresh:
        return [], "not started yet"
    if task.running:
        frames, end = walk(gdb.newest_frame())
        if not any(task.holds(sp) for sp, _ in frames):
            return [], "the thread is on its way between two tasks; step on a little"
        return frames, end
    if task.waiting == HOST_CALL:
        return frames_of_host_call(task)
    if not task.holds(task.context):
        return [], "its context is not on its stack: the tables are being changed; step on a little"
    with SPLICE.at(task.context) as frame:
        return walk(frame)


def frames_of_host_call(task):
    """The task called the host, which runs other tasks now: it waits in a host loop's caller."""
    home = image_word(rb"native", rb"HOST")
    host = word(home) if home else 0
    if host:
        with SPLICE.at(host) as frame:
            frames, end = walk(frame)
    else:
        frames, end = walk(gdb.newest_frame())
    if any(task.holds(sp) for sp, _ in frames):
        return frames, end
    return [], "its frames are behind those of a later host call"


def show_frames(runtime, task):
    print("%s: %s" % (task.title, runtime.state(task)))
    frames, end = frames_of(runtime, task)
    for level, (_, text) in enumerate(frames):
        print("#%-3d %s" % (level, text))
    if end:
        print("     (%s)" % end)


# ---- commands


class Windlass(gdb.Command):
    """Tasks of a Windlass program.

windlass tasks      every task of the current thread's runtime: id, name, what it waits for, its stack
windlass bt [ID]    the backtrace of one task, or of all

Each thread has a runtime of its own: `thread N` chooses one."""

    def __init__(self):
        super().__init__("windlass", gdb.COMMAND_STACK, gdb.COMPLETE_NONE, True)

    def invoke(self, argument, from_tty):
        if argument:
            raise gdb.GdbError("windlass: no command `%s`; `windlass` alone shows which there are" % argument)
        print(self.__doc__)


class Tasks(gdb.Command):
    """Every task of the current thread's runtime: id, name, what it waits for, bytes of its stack, and how many of them are in use."""

    def __init__(self):
        super().__init__("windlass tasks", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        if argument:
            raise gdb.GdbError("windlass: `windlass tasks` takes no argument")
        runtime = Runtime()
        if not runtime.tasks:
            print("no task")
            return
        rows = [("", "id", "name", "state", "stack", "in use")]
        for task in runtime.tasks:
            in_use = runtime.in_use(task)
            rows.append(
                (
                    "*" if task.running else "",
                    task.id,
                    "" if task.name is None else '"%s"' % task.name,
                    runtime.state(task),
                    str(task.size),
                    "?" if in_use is None else str(in_use),
                )
            )
        mark, *text, size, use = [max(map(len, column)) for column in zip(*rows)]
        for row in rows:
            cells = [row[0].ljust(mark)] + [cell.ljust(width) for cell, width in zip(row[1:4], text)]
            print("  ".join(cells + [row[4].rjust(size), row[5].rjust(use)]))


class Backtrace(gdb.Command):
    """The backtrace of the task ID, or of all tasks of the current thread's runtime."""

    def __init__(self):
        super().__init__("windlass bt", gdb.COMMAND_STACK, gdb.COMPLETE_NONE)

    def invoke(self, argument, from_tty):
        runtime = Runtime()
        if not runtime.map.has_stacks:
            raise gdb.GdbError(
                "windlass: this program makes each task a thread; `thread apply all backtrace` shows them"
            )
        tasks = [runtime.find(argument)] if argument else runtime.tasks
        if not tasks:
            print("no task")
        for n, task in enumerate(tasks):
            if n:
                print("")
            show_frames(runtime, task)


gdb.unwinder.register_unwinder(None, SPLICE, True)
Windlass()
Tasks()
Backtrace()
