//! Scenarios whose order of events is exact, and the same on every backend: one behaviour each, one group a file.
//!
//! A case notes what happens in its [`Trace`]; `goldens/NAME.trace` says what that must be. The goldens follow from the rules, not
//! from what a run printed:
//!
//! * The run queue is FIFO. A spawned and a woken task go to its tail; whoever spawns or wakes goes on. A yield moves the running task
//!   to the tail.
//! * Whoever waits for the same thing is served first come, first served, and nobody overtakes: a value, a lock, a wake-up goes to
//!   the one that has waited longest, at the moment at which it is there.
//! * Timers are served when nothing is ready, and every 64 switches; all that are due, by deadline, then by age.
//!
//! Runners: `tests/cases/tests/traces.rs` (native, and the threads backend), `crates/host/tests/traces.rs` (wasmtime),
//! `tests/node/traces.test.mjs` (Node), `tests/fixed` (native, without a heap in the scheduler). Each gives each case a fresh runtime whose clock stands at zero and moves only when
//! everybody waits; afterwards no task may be left.
//!
//! A new case: write the function, list it in [`with_cases!`], write its golden.
#![no_std]

extern crate alloc;

#[macro_use]
mod trace;

mod cancellation;
mod channel;
mod channels;
mod closing;
mod condvars;
mod contention;
mod joining;
mod locks;
mod parking;
mod spawning;
mod timeouts;
mod timers;
mod values;
mod yielding;

pub use trace::Trace;

/// One scenario.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Its name, and that of its golden.
    pub name: &'static str,
    /// The body of its main task.
    pub run: fn(&Trace),
}

/// Calls the macro `$callback` with all cases: `group: case case ...;` again and again.
#[macro_export]
macro_rules! with_cases {
    ($callback:ident) => {
        $callback! {
            spawning:
                spawned_tasks_start_in_order
                a_spawn_gives_no_turn
                a_spawned_task_queues_behind_those_that_are_ready
                nested_spawns_run_breadth_first;
            yielding:
                yields_interleave_three_tasks
                two_hundred_tasks_keep_their_order
                a_yielder_does_not_starve_a_new_task
                a_yielder_does_not_starve_a_sleeper
                tasks_that_wake_each_other_do_not_starve_a_sleeper;
            joining:
                a_join_after_the_end_gives_no_turn
                a_join_before_the_end_waits
                a_joiner_is_woken_at_the_tail
                results_come_in_any_join_order
                a_chain_of_joins_unwinds_in_order
                a_task_cannot_join_itself
                a_detached_task_goes_on
                a_detached_tasks_result_is_dropped_at_its_end
                a_handle_dropped_after_the_end_drops_the_result;
            channels:
                rendezvous_sender_first
                rendezvous_receiver_first
                rendezvous_alternates
                bounded_one_fills_and_drains
                bounded_three_fills_and_drains
                a_blocked_sender_moves_up
                unbounded_never_blocks_the_sender
                trying_on_a_rendezvous
                trying_on_a_buffer;
            closing:
                the_last_sender_dropped_closes
                the_receiver_dropped_gives_values_back
                close_wakes_receivers_in_order
                close_wakes_senders_and_keeps_the_buffer
                a_receivers_close_refuses_values
                a_value_handed_over_outlives_the_close
                buffered_values_are_dropped_with_the_channel;
            contention:
                three_receivers_take_turns
                three_senders_take_turns
                four_senders_and_two_receivers
                nobody_overtakes_a_waiting_receiver;
            timeouts:
                a_receive_times_out
                a_receive_in_time_leaves_no_timer
                a_send_times_out
                a_send_in_time_leaves_no_timer
                a_deadline_is_served_before_a_later_sender
                a_deadline_is_served_before_an_earlier_sender
                a_ready_sender_beats_a_timeout_of_zero
                a_receiver_that_timed_out_has_left_the_queue
                a_sender_that_timed_out_has_left_the_queue;
            locks:
                a_mutex_is_handed_over_in_order
                try_lock_cannot_overtake
                a_lock_is_held_over_a_sleep
                a_wait_group_wakes_all_in_order
                a_wait_group_at_zero_does_not_wait;
            condvars:
                notify_one_wakes_in_order
                notify_all_relocks_in_order
                a_notification_of_a_cancelled_waiter_goes_to_the_next
                wait_while_waits_again
                wait_timeout_tells_a_notification_from_a_deadline;
            timers:
                earlier_deadlines_first
                equal_deadlines_in_order_of_insertion
                a_late_sleeper_is_not_woken_early
                sleep_zero_gives_no_turn
                a_deadline_in_the_past_gives_a_turn
                a_periodic_sleeper_does_not_drift;
            parking:
                unpark_before_park_counts_once
                two_unparks_of_a_parked_task_count_once
                unpark_wakes_at_the_tail
                unparking_wakes_in_order_of_unpark
                park_timeout_tells_an_unpark_from_a_deadline
                unpark_does_not_end_a_sleep;
            cancellation:
                cancellation_of_a_sleeping_task
                cancellation_of_a_receiving_task
                cancellation_of_a_sending_task
                cancellation_of_a_locking_task
                cancellation_of_a_joining_task
                cancellation_of_a_parked_task
                cancellation_of_a_task_at_a_condvar
                cancellation_of_a_task_at_a_wait_group
                cancellation_before_the_first_turn
                cancellation_of_a_task_that_a_value_has_reached
                cancellation_wakes_at_the_tail_in_order
                cancellation_of_a_finished_task;
            values:
                locals_survive_yields_deep_in_recursion
                floats_survive_switches
                large_closures_and_results
                over_aligned_closures_and_results
                captures_are_dropped_before_the_join
                a_joined_result_is_dropped_once;
        }
    };
}

macro_rules! table {
    ($($group:ident: $($case:ident)+;)+) => {
        &[$($(Case { name: stringify!($case), run: $group::$case }),+),+]
    };
}

static CASES: &[Case] = with_cases!(table);

/// Every case.
pub fn all() -> &'static [Case] {
    CASES
}
