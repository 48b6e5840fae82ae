//! Random programs: a few scripts, each a list of operations, and what the host does between its runs.

/// What a task does next. Numbers that name a task are taken modulo the number of tasks there are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Yield,
    Spawn { script: usize, odd: bool },
    Burst { script: usize, count: usize },
    Nested(usize),
    Join(usize),
    DropHandle(usize),
    IsFinished(usize),
    Cancel(usize),
    Unpark(usize),
    Park(Option<u64>),
    Sleep(u64),
    Advance(u64),
    Send(usize, Option<u64>),
    TrySend(usize),
    Receive(usize, Option<u64>),
    TryReceive(usize),
    Close(usize),
    Lock(usize),
    TryLock(usize),
    Unlock(usize),
    Wait(usize, usize, Option<u64>),
    NotifyOne(usize),
    NotifyAll(usize),
    Add,
    Done,
    WaitGroup,
    Trim,
    StackSize(usize),
    Count,
    Panic,
}

/// What the host does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Run(usize),
    Do(Op),
    /// Cancels every task.
    CancelAll,
    DropHandles,
}

pub(crate) struct Program {
    pub(crate) scripts: Vec<Vec<Op>>,
    pub(crate) host: Vec<Step>,
}

/// The script that only yields a few times.
pub(crate) const IDLE: usize = 0;
pub(crate) const CHANNELS: [Option<usize>; 4] = [None, Some(2), Some(usize::MAX), Some(0)];
pub(crate) const MUTEXES: usize = 2;
pub(crate) const CONDVARS: usize = 2;
pub(crate) const MOST_TASKS: usize = 400;
/// The host may make more, to tidy up.
pub(crate) const MOST_FOR_HOST: usize = 1000;
pub(crate) const MOST_NESTED: usize = 5;
/// The number of the host, where others have a task's.
pub(crate) const HOST: usize = usize::MAX;

// Outcomes of operations; values and numbers of tasks are not negative.
pub(crate) const NOTHING: i64 = -1;
pub(crate) const CANCELLED: i64 = -2;
pub(crate) const CLOSED: i64 = -3;
pub(crate) const TIMED_OUT: i64 = -4;
pub(crate) const NOT_NOW: i64 = -5;
pub(crate) const PANICKED: i64 = -6;
pub(crate) const ITSELF: i64 = -7;
pub(crate) const DEADLOCK: i64 = -8;

/// In the place of an operation's number: the task's result is dropped.
pub(crate) const DROPPED: usize = usize::MAX;

/// Whether the destructor of a task's result yields.
pub(crate) fn yields_when_dropped(task: usize) -> bool {
    task.is_multiple_of(3)
}

/// Who, the how manieth operation, what came of it.
pub(crate) type Event = (usize, usize, i64);

/// A small generator, so that every run is the same.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize % limit
    }

    fn deadline(&mut self) -> Option<u64> {
        (self.below(3) == 0).then(|| self.below(20) as u64)
    }

    fn op(&mut self, scripts: usize) -> Op {
        let (task, channel) = (self.below(1000), self.below(CHANNELS.len()));
        let (mutex, condvar, script) = (self.below(MUTEXES), self.below(CONDVARS), self.below(scripts));
        match self.below(46) {
            0..5 => Op::Yield,
            5..10 => Op::Spawn { script, odd: self.below(4) == 0 },
            10 => Op::Burst { script: IDLE, count: self.below(90) },
            11 => Op::Nested(script),
            12..15 => Op::Join(task),
            15 => Op::DropHandle(task),
            16 => Op::IsFinished(task),
            17 => Op::Cancel(task),
            18 => Op::Unpark(task),
            19 => Op::Park(self.deadline()),
            20 | 21 => Op::Sleep(self.below(30) as u64),
            22 => Op::Advance(self.below(12) as u64),
            23..26 => Op::Send(channel, self.deadline()),
            26 => Op::TrySend(channel),
            27..30 => Op::Receive(channel, self.deadline()),
            30 => Op::TryReceive(channel),
            31 if self.below(4) == 0 => Op::Close(channel),
            31..34 => Op::Lock(mutex),
            34 => Op::TryLock(mutex),
            35 | 36 => Op::Unlock(mutex),
            37 | 38 => Op::Wait(condvar, mutex, self.deadline()),
            39 => Op::NotifyOne(condvar),
            40 => Op::NotifyAll(condvar),
            41 => Op::Add,
            42 => Op::Done,
            43 => Op::WaitGroup,
            44 => match self.below(4) {
                0 | 1 => Op::Trim,
                2 => Op::StackSize((64 << 10) << self.below(3)),
                _ => Op::Panic,
            },
            _ => Op::Count,
        }
    }

    fn host_op(&mut self) -> Op {
        let (task, channel, condvar) = (self.below(1000), self.below(CHANNELS.len()), self.below(CONDVARS));
        match self.below(11) {
            0 => Op::Cancel(task),
            1 => Op::Unpark(task),
            2 => Op::TrySend(channel),
            3 => Op::TryReceive(channel),
            4 => Op::NotifyOne(condvar),
            5 => Op::NotifyAll(condvar),
            6 => Op::DropHandle(task),
            7 => Op::Done,
            8 => Op::Trim,
            9 => Op::Advance(self.below(40) as u64),
            _ => Op::Count,
        }
    }

    pub(crate) fn program(&mut self) -> Program {
        let number = 3 + self.below(8);
        let mut scripts = vec![vec![Op::Yield, Op::Yield, Op::Yield]];
        for _ in 0..number {
            let length = 2 + self.below(14);
            scripts.push((0..length).map(|_| self.op(number + 1)).collect());
        }
        let mut host = Vec::new();
        for _ in 0..2 + self.below(5) {
            host.push(Step::Run(1 + self.below(number)));
            for _ in 0..self.below(6) {
                host.push(Step::Do(self.host_op()));
            }
        }
        Program { scripts, host }
    }
}
