// Go's side of bench-native: `--measure go BENCH N` prints how many operations were done and how many nanoseconds, or bytes,
// they took. One bench, one function, as in the other subjects.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Times what many goroutines do together: from the first that begins to the last that ends.
type meter struct {
	begun, running, more atomic.Int64
	start, end           time.Time
	done                 chan struct{}
}

func newMeter(tasks int) *meter {
	m := &meter{done: make(chan struct{})}
	m.running.Store(int64(tasks))
	return m
}

func (m *meter) begin() {
	if m.begun.Load() == 0 && m.begun.CompareAndSwap(0, 1) {
		m.start = time.Now()
	}
}

func (m *meter) finish() {
	if m.running.Add(-1) == 0 {
		m.end = time.Now()
		close(m.done)
	}
}

func (m *meter) measured(ops int) (int, int) {
	<-m.done
	return ops + int(m.more.Load()), int(m.end.Sub(m.start))
}

func turns(m *meter, rounds int) {
	m.begin()
	for i := 0; i < rounds; i++ {
		runtime.Gosched()
	}
	m.finish()
	// Who is done goes on until all are, so that nobody's end is timed.
	for m.running.Load() > 0 {
		m.more.Add(1)
		runtime.Gosched()
	}
}

func yields(tasks, n int) (int, int) {
	rounds := n / tasks
	m := newMeter(tasks)
	for i := 0; i < tasks; i++ {
		go func() {
			runtime.Gosched()
			turns(m, rounds)
		}()
	}
	return m.measured(tasks * rounds)
}

// As `shuffle.rs` orders them.
func order(tasks int) []int {
	state := uint64(tasks)
	next := func() uint64 {
		state += 0x9e3779b97f4a7c15
		z := (state ^ (state >> 30)) * 0xbf58476d1ce4e5b9
		z = (z ^ (z >> 27)) * 0x94d049bb133111eb
		return z ^ (z >> 31)
	}
	order := make([]int, tasks)
	for i := range order {
		order[i] = i
	}
	for last := tasks - 1; last >= 1; last-- {
		other := int(next() % uint64(last+1))
		order[last], order[other] = order[other], order[last]
	}
	return order
}

func shuffled(tasks, n int) (int, int) {
	rounds := n / tasks
	m := newMeter(tasks)
	gates := make([]chan struct{}, tasks)
	for i := range gates {
		gate := make(chan struct{})
		gates[i] = gate
		go func() {
			<-gate
			turns(m, rounds)
		}()
	}
	runtime.Gosched()
	for _, i := range order(tasks) {
		close(gates[i])
	}
	return m.measured(tasks * rounds)
}

//go:noinline
func beneath(frames int, f func()) int {
	if frames <= 1 {
		f()
		return 1
	}
	return beneath(frames-1, f) + 1
}

func depth(frames, n int) (int, int) {
	rounds := n / 2
	m := newMeter(2)
	for i := 0; i < 2; i++ {
		go beneath(frames, func() {
			runtime.Gosched()
			turns(m, rounds)
		})
	}
	return m.measured(2 * rounds)
}

func roundTrips[T any](n int) (int, int) {
	ping, pong := make(chan T), make(chan T)
	go func() {
		for message := range ping {
			pong <- message
		}
	}()
	var message T
	start := time.Now()
	for i := 0; i < n; i++ {
		ping <- message
		message = <-pong
	}
	took := time.Since(start)
	close(ping)
	return n, int(took)
}

func pingpong(size, n int) (int, int) {
	switch size {
	case 0, 8:
		return roundTrips[[8]byte](n)
	case 64:
		return roundTrips[[64]byte](n)
	case 512:
		return roundTrips[[512]byte](n)
	case 4096:
		return roundTrips[[4096]byte](n)
	}
	panic("no such size")
}

func stream(capacity, n int) (int, int) {
	numbers := make(chan uint64, capacity)
	go func() {
		for i := 0; i < n; i++ {
			numbers <- uint64(i)
		}
		close(numbers)
	}()
	received := 0
	start := time.Now()
	for range numbers {
		received++
	}
	took := time.Since(start)
	return received, int(took)
}

func spawn(_, n int) (int, int) {
	start := time.Now()
	for i := 0; i < n; i++ {
		done := make(chan struct{})
		go func() { close(done) }()
		<-done
	}
	return n, int(time.Since(start))
}

func burst(tasks, n int) (int, int) {
	rounds := n / tasks
	once := func() {
		var group sync.WaitGroup
		group.Add(tasks)
		for i := 0; i < tasks; i++ {
			go group.Done()
		}
		group.Wait()
	}
	once()
	start := time.Now()
	for i := 0; i < rounds; i++ {
		once()
	}
	return tasks * rounds, int(time.Since(start))
}

func mutex(_, n int) (int, int) {
	var lock sync.Mutex
	count := 0
	start := time.Now()
	for i := 0; i < n; i++ {
		lock.Lock()
		count++
		lock.Unlock()
	}
	return count, int(time.Since(start))
}

func resident() int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(status), "\n") {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kilobytes, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(rest, "kB")))
			return kilobytes << 10
		}
	}
	return 0
}

func memory(tasks, _ int) (int, int) {
	never := make(chan struct{})
	before := resident()
	for i := 0; i < tasks; i++ {
		go func() { <-never }()
	}
	runtime.Gosched()
	return tasks, resident() - before
}

var benches = map[string]func(size, n int) (int, int){
	"yield":          yields,
	"yield-shuffled": shuffled,
	"depth":          depth,
	"pingpong":       pingpong,
	"message":        pingpong,
	"stream":         stream,
	"spawn":          spawn,
	"spawn-burst":    burst,
	"mutex":          mutex,
	"memory":         memory,
	"pool/yield":     yields,
	"pool/pingpong":  pingpong,
}

func fail(what ...any) {
	fmt.Fprintln(os.Stderr, what...)
	os.Exit(1)
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == "--version" {
		fmt.Println(runtime.Version())
		return
	}
	if len(os.Args) != 5 || os.Args[1] != "--measure" {
		fail("usage: --measure go BENCH N")
	}
	family, size := os.Args[3], 0
	if at := strings.LastIndex(family, "/"); at >= 0 {
		if number, err := strconv.Atoi(family[at+1:]); err == nil {
			family, size = family[:at], number
		}
	}
	n, err := strconv.Atoi(os.Args[4])
	bench, found := benches[family]
	if err != nil || !found {
		fail("no bench", os.Args[3], "with", os.Args[4])
	}
	threads := 1
	if strings.HasPrefix(family, "pool/") {
		threads = 2
	}
	runtime.GOMAXPROCS(threads)
	ops, total := bench(size, n)
	fmt.Println(ops, total)
}
