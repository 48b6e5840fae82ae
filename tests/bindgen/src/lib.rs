//! Nothing but a home for the tests.
#![no_std]
