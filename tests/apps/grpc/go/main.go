// Calls over HTTP/2 without TLS, with grpc-go or with net/http: `calls (grpc|http) serve PORT`, `calls (grpc|http) call PORT NAME`
// or `calls (grpc|http) busy PORT SECONDS`. See ../README.md.
package main

import (
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"sync"
	"time"
)

// What a call came to: `status` is empty where none came.
type attempt func() (status string)

// Row by row on stdout; a line is whole, however many goroutines write.
func ledger(id, method string, try attempt) {
	start := time.Now()
	status := try()
	end := start.UnixNano() + int64(time.Since(start))
	line := fmt.Sprintf("{\"id\":%q,\"method\":%q,\"status\":%q,\"start\":%d,\"end\":%d}\n", id, method, status, start.UnixNano(), end)
	os.Stdout.WriteString(line)
}

// For pauses between messages: waits until so many of them have passed since the beginning, so that none adds up.
func until(begun time.Time, pauses int, pause time.Duration) {
	time.Sleep(time.Until(begun.Add(time.Duration(pauses) * pause)))
}

func together(work ...func()) {
	var all sync.WaitGroup
	for _, one := range work {
		all.Add(1)
		go func() {
			defer all.Done()
			one()
		}()
	}
	all.Wait()
}

// Four calls at a time, of ever more methods.
func busy(seconds int, call func(id, method string, wait int)) {
	begun := time.Now()
	worker := func(w int) func() {
		return func() {
			for n := 0; time.Since(begun) < time.Duration(seconds)*time.Second; n++ {
				methods := min(64, 8+8*int(time.Since(begun).Seconds()))
				call(fmt.Sprintf("busy-%d-%d", w, n), "M"+strconv.Itoa(rand.Intn(methods)), 5+rand.Intn(25))
			}
		}
	}
	together(worker(0), worker(1), worker(2), worker(3))
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	stack, job, port := os.Args[1], os.Args[2], os.Args[3]
	switch stack + " " + job {
	case "grpc serve":
		serveGrpc(port)
	case "grpc call":
		callGrpc(port, os.Args[4])
	case "http serve":
		serveHttp(port)
	case "http call":
		callHttp(port, os.Args[4])
	case "grpc busy", "http busy":
		seconds, err := strconv.Atoi(os.Args[4])
		fatal(err)
		if stack == "grpc" {
			busyGrpc(port, seconds)
		} else {
			busyHttp(port, seconds)
		}
	default:
		fatal(fmt.Errorf("no %s %s", stack, job))
	}
}
