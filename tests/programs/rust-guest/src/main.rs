//! A program as people write them: reads JSON, looks into it with regular expressions, sorts, counts, formats and prints. Its input,
//! its output, its clock and `tick`, which it calls where it is busiest, are the host's to suspend.

use std::cell::RefCell;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::io::{self, BufRead, Write};
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use regex::{Captures, Regex};
use serde_json::{Value, json};

#[link(wasm_import_module = "host")]
unsafe extern "C" {
    /// Gives a number that depends on both.
    #[link_name = "tick"]
    fn host_tick(which: i32, value: i64) -> i64;
}

fn tick(which: i32, value: i64) -> i64 {
    // SAFETY: the host reads two numbers and gives one.
    unsafe { host_tick(which, value) }
}

/// For where the number must not matter.
fn pause(which: i32) {
    tick(which, 0);
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    let started = Instant::now();
    let mut lines = io::stdin().lock().lines();
    let document: Value = serde_json::from_str(&lines.next().ok_or("no input")??)?;
    let text = lines.collect::<Result<Vec<_>, _>>()?.join("\n");

    shapes(&document)?;
    words(&text)?;
    orders(&document)?;
    routes(&document);
    numbers();
    machine();
    shared();
    println!("{}", deep(300, &mut vec![0; 32]));

    let took = started.elapsed();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    println!("time passed: {} {}", took.as_nanos() > 0, now.as_secs() > 0);
    writeln!(io::stderr(), "to the other stream: {}", tick(9, 9))?;
    Ok(())
}

/// Behind a trait object, whose methods call the host.
trait Shape {
    fn name(&self) -> String;
    fn area(&self) -> f64;
    fn scaled(&self, by: f64) -> Box<dyn Shape>;
}

struct Circle(f64);
struct Polygon(Vec<(f64, f64)>);

impl Shape for Circle {
    fn name(&self) -> String {
        format!("circle {}", tick(1, self.0 as i64))
    }

    fn area(&self) -> f64 {
        std::f64::consts::PI * self.0.powi(2) + tick(1, 0) as f64 * 1e-3
    }

    fn scaled(&self, by: f64) -> Box<dyn Shape> {
        Box::new(Circle(self.0 * by))
    }
}

impl Shape for Polygon {
    fn name(&self) -> String {
        format!("{}-gon", tick(2, self.0.len() as i64) % 100)
    }

    fn area(&self) -> f64 {
        let turned = self.0.iter().cycle().skip(1);
        let doubled: f64 =
            self.0.iter().zip(turned).map(|(a, b)| (a.0 * b.1 - a.1 * b.0) + tick(2, 1) as f64 * 0.25).sum();
        doubled.abs() / 2.0
    }

    fn scaled(&self, by: f64) -> Box<dyn Shape> {
        Box::new(Polygon(self.0.iter().map(|(x, y)| (x * by, y * by + tick(2, 2) as f64)).collect()))
    }
}

fn shapes(document: &Value) -> Fallible<()> {
    let shapes: Vec<Box<dyn Shape>> = document["shapes"]
        .as_array()
        .ok_or("no shapes")?
        .iter()
        .map(|shape| -> Box<dyn Shape> {
            match shape {
                Value::Number(radius) => Box::new(Circle(radius.as_f64().unwrap_or_default())),
                corners => Box::new(Polygon(
                    corners
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|at| (at[0].as_f64().unwrap_or_default(), at[1].as_f64().unwrap_or_default()))
                        .collect(),
                )),
            }
        })
        .collect();
    for shape in &shapes {
        let larger = shape.scaled(1.5);
        println!("{:>12} {:10.4} {:10.4}", shape.name(), shape.area(), larger.area());
    }
    let largest = shapes.iter().max_by(|a, b| a.area().total_cmp(&b.area()));
    println!("largest: {}", largest.map_or_else(String::new, |shape| shape.name()));
    Ok(())
}

fn words(text: &str) -> Fallible<()> {
    let word = Regex::new(r"(?i)\b(?<first>[a-z])(?<rest>[a-z']*)\b")?;
    let mut counts: HashMap<String, i64> = HashMap::new();
    for found in word.find_iter(text) {
        *counts.entry(found.as_str().to_lowercase()).or_insert_with(|| {
            pause(3);
            0
        }) += 1;
    }
    let mut sorted: Vec<(&String, &i64)> = counts.iter().collect();
    sorted.sort_by(|a, b| {
        pause(3);
        b.1.cmp(a.1).then_with(|| a.0.cmp(b.0))
    });
    for (word, count) in sorted.iter().take(8) {
        print!("{word}={count} ");
    }
    println!();
    let titled = word.replace_all(text, |found: &Captures<'_>| {
        let length = tick(3, found[0].len() as i64);
        format!(
            "{}{}{}",
            found["first"].to_uppercase(),
            &found["rest"],
            if length % 3 == 0 { "!" } else { "" }
        )
    });
    println!("{}", titled.replace('\n', " / "));
    let date = Regex::new(r"(\d{4})-(\d{2})-(\d{2})")?;
    let total: i64 = date
        .captures_iter(text)
        .map(|found| found.extract::<3>().1)
        .filter_map(|[year, month, day]| {
            Some(tick(
                4,
                year.parse::<i64>().ok()? * 372
                    + month.parse::<i64>().ok()? * 31
                    + day.parse::<i64>().ok()?,
            ))
        })
        .sum();
    println!("dates: {total}");
    Ok(())
}

fn orders(document: &Value) -> Fallible<()> {
    let mut by_customer: BTreeMap<&str, Vec<(i64, f64)>> = BTreeMap::new();
    for order in document["orders"].as_array().ok_or("no orders")? {
        let customer = order["customer"].as_str().ok_or("no customer")?;
        let amount = order["amount"].as_f64().ok_or("no amount")?;
        by_customer.entry(customer).or_default().push((tick(5, order["id"].as_i64().unwrap_or(-1)), amount));
    }
    let report: Value = by_customer
        .iter_mut()
        .map(|(customer, orders)| {
            orders.sort_by_key(|(id, _)| (tick(5, *id) % 7, *id));
            let sum: f64 = orders.iter().map(|(_, amount)| amount).sum();
            (customer.to_string(), json!({ "orders": orders, "sum": sum, "checked": tick(5, sum as i64) }))
        })
        .collect();
    println!("{}", serde_json::to_string_pretty(&report)?);
    let broken = serde_json::from_str::<Value>("{\"a\": [1, 2,, 3]}");
    println!("{}", broken.err().ok_or("that is no JSON")?);
    Ok(())
}

/// Shortest ways, by a heap whose elements compare through the host.
#[derive(PartialEq, Eq)]
struct Reached {
    cost: i64,
    node: usize,
}

impl Ord for Reached {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        pause(6);
        other.cost.cmp(&self.cost).then_with(|| other.node.cmp(&self.node))
    }
}

impl PartialOrd for Reached {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

fn routes(document: &Value) {
    let edges: Vec<(usize, usize, i64)> = document["edges"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|edge| {
            let part = |index: usize| edge[index].as_i64().unwrap_or_default();
            (part(0) as usize, part(1) as usize, part(2))
        })
        .collect();
    let mut best = [None; 12];
    let mut heap = BinaryHeap::from([Reached { cost: 0, node: 0 }]);
    while let Some(Reached { cost, node }) = heap.pop() {
        if best[node].is_some() {
            continue;
        }
        best[node] = Some(cost);
        for (_, to, length) in edges.iter().filter(|(from, ..)| *from == node) {
            heap.push(Reached { cost: cost + length, node: *to });
        }
    }
    println!("{best:?}");
}

/// Integers and floats of all sizes, live over calls.
fn numbers() {
    let mut wide: u128 = 1;
    let (mut single, mut double) = (1.0f32, 1.0f64);
    let mut bits = 0u64;
    for step in 1..40i64 {
        let ticked = tick(7, step);
        wide = wide.wrapping_mul(0x1234_5678_9abc_def1).wrapping_add(ticked as u128);
        single = single * 1.01 + ticked as f32 * 0.001;
        double += (ticked as f64).sqrt() / double;
        bits = bits.rotate_left(7) ^ (ticked as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    println!("{wide:x} {single:.5} {double:.12} {bits:016x}");
    let sieve = (2..200u32).filter(|n| {
        (2..*n).take_while(|d| d * d <= *n).all(|d| {
            pause(7);
            n % d != 0
        })
    });
    println!("{}", sieve.map(|n| n.to_string()).collect::<Vec<_>>().join(","));
}

/// An interpreter: a loop around a `match`.
#[derive(Clone, Copy)]
enum Op {
    Push(i64),
    Add,
    Mul,
    Dup,
    Swap,
    Host(i32),
    JumpIfNot(usize),
    Jump(usize),
    Store(usize),
    Load(usize),
    Print,
    Halt,
}

struct Machine {
    stack: Vec<i64>,
    cells: [i64; 4],
    printed: VecDeque<String>,
}

impl fmt::Display for Machine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} after {} tick {}", self.cells, self.printed.len(), tick(8, 1))
    }
}

impl Machine {
    fn pop(&mut self) -> Result<i64, String> {
        self.stack.pop().ok_or_else(|| format!("the stack is empty, {}", tick(8, 0)))
    }

    fn run(&mut self, code: &[Op]) -> Result<usize, String> {
        let mut at = 0;
        let mut steps = 0;
        loop {
            steps += 1;
            let op = *code.get(at).ok_or("out of the code")?;
            at += 1;
            match op {
                Op::Push(value) => self.stack.push(value),
                Op::Add => {
                    let sum = self.pop()?.wrapping_add(self.pop()?);
                    self.stack.push(sum);
                }
                Op::Mul => {
                    let product = self.pop()?.wrapping_mul(self.pop()?);
                    self.stack.push(product);
                }
                Op::Dup => {
                    let top = self.pop()?;
                    self.stack.extend([top, top]);
                }
                Op::Swap => {
                    let (a, b) = (self.pop()?, self.pop()?);
                    self.stack.extend([a, b]);
                }
                Op::Host(which) => {
                    let value = self.pop()?;
                    self.stack.push(tick(which, value));
                }
                Op::JumpIfNot(to) => {
                    if self.pop()? == 0 {
                        at = to;
                    }
                }
                Op::Jump(to) => at = to,
                Op::Store(cell) => self.cells[cell] = self.pop()?,
                Op::Load(cell) => self.stack.push(self.cells[cell]),
                Op::Print => {
                    let value = self.pop()?;
                    println!("machine: {value}");
                    self.printed.push_back(value.to_string());
                }
                Op::Halt => return Ok(steps),
            }
        }
    }
}

fn machine() {
    let code = [
        Op::Push(12),
        Op::Store(0),
        Op::Push(1),
        // 3: the loop.
        Op::Load(0),
        Op::JumpIfNot(14),
        Op::Host(8),
        Op::Dup,
        Op::Print,
        Op::Load(0),
        Op::Push(-1),
        Op::Add,
        Op::Store(0),
        Op::Jump(3),
        Op::Halt,
        // 14: the end.
        Op::Push(3),
        Op::Swap,
        Op::Mul,
        Op::Print,
        Op::Halt,
    ];
    let mut machine = Machine { stack: Vec::new(), cells: [0; 4], printed: VecDeque::new() };
    println!("{:?} {machine}", machine.run(&code));
    println!("{:?}", machine.run(&[Op::Add]));
}

/// Shared, counted things, dropped while the host is asked.
struct Noisy(i64, Rc<RefCell<Vec<i64>>>);

impl Drop for Noisy {
    fn drop(&mut self) {
        let ticked = tick(10, self.0);
        self.1.borrow_mut().push(ticked);
    }
}

fn shared() {
    let log = Rc::new(RefCell::new(Vec::new()));
    {
        let first = Rc::new(Noisy(1, Rc::clone(&log)));
        let others: Vec<Rc<Noisy>> = (2..6).map(|n| Rc::new(Noisy(n, Rc::clone(&log)))).collect();
        let kept = others.get(2).cloned();
        drop(others);
        log.borrow_mut().push(-1);
        drop((first, kept));
    }
    let distinct: HashSet<i64> = log.borrow().iter().map(|n| n % 3).collect();
    println!("{:?} {}", log.borrow(), distinct.len());
}

/// A deep stack, with memory of its own in each frame.
fn deep(n: i64, carried: &mut Vec<i64>) -> i64 {
    let mut own = [n; 8];
    if n % 25 == 0 {
        own[(n % 8) as usize] = tick(11, n);
    }
    let index = n as usize % carried.len();
    carried[index] += own.iter().sum::<i64>();
    if n == 0 {
        return carried.iter().fold(0, |a, b| a ^ b);
    }
    let below = deep(n - 1, carried);
    below.wrapping_mul(3) ^ own[(n % 5) as usize]
}
