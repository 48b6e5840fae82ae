//! The test's buffers come out of the guest's own heap.

fn main() {
    for name in ["malloc", "free"] {
        println!("cargo::rustc-link-arg-bins=--export={name}");
    }
}
