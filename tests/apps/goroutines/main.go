// A service whose handlers make calls in the ways that Go programs do. The last part of every path says for which request a call
// is made, so that whoever reads the spans knows the truth.
//
// goroutines PORT [BACK_PORT [IDLE [MOST [TICK]]]]: with a back port it answers /front/WAY/ID after its calls to /back/WAY/ID. IDLE
// connections are kept, MOST are open at once (0: any number). Every TICK milliseconds (5; 0: never) it makes a call by itself.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type job struct {
	path string
	done chan struct{}
}

type service struct {
	back   string
	client *http.Client
	// The shared worker is started by the first request that needs it.
	start sync.Once
	jobs  chan job
	// So is the poller.
	poll  sync.Once
	polls atomic.Int64
}

// call asks the back service and reads the whole answer, so that the connection can be used again.
func (s *service) call(path string) {
	response, err := s.client.Get("http://127.0.0.1:" + s.back + path)
	if err != nil {
		return
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
}

// parallel makes n calls, each in a goroutine of its own, and waits for them.
func (s *service) parallel(n int, path string) {
	var all sync.WaitGroup
	for range make([]struct{}, n) {
		all.Add(1)
		go func() {
			defer all.Done()
			s.call(path)
		}()
	}
	all.Wait()
}

// nested makes a call in the goroutine of a goroutine that makes none.
func (s *service) nested(path string) {
	outer := make(chan struct{})
	go func() {
		inner := make(chan struct{})
		go func() {
			s.call(path)
			close(inner)
		}()
		<-inner
		close(outer)
	}()
	<-outer
}

func (s *service) work() {
	for job := range s.jobs {
		s.call(job.path)
		close(job.done)
	}
}

// handed has the call made by a worker that all requests share.
func (s *service) handed(path string) {
	s.start.Do(func() {
		for range make([]struct{}, 4) {
			go s.work()
		}
	})
	done := make(chan struct{})
	s.jobs <- job{path, done}
	<-done
}

// armed starts, once, a poller that no request caused.
func (s *service) armed() {
	s.poll.Do(func() {
		go func() {
			for {
				s.call(fmt.Sprintf("/back/poll/p%d", s.polls.Add(1)))
				time.Sleep(3 * time.Millisecond)
			}
		}()
	})
}

// tick is a ticker that was there before the first request.
func (s *service) tick(every time.Duration) {
	for n := range time.Tick(every) {
		s.call(fmt.Sprintf("/back/tick/t%d", n.UnixNano()))
	}
}

func (s *service) front(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	if len(parts) != 4 {
		http.NotFound(w, r)
		return
	}
	way, count := strings.TrimRight(parts[2], "0123456789"), 1
	if digits := strings.TrimLeft(parts[2], "abcdefghijklmnopqrstuvwxyz"); digits != "" {
		count, _ = strconv.Atoi(digits)
	}
	path := "/back/" + parts[2] + "/" + parts[3]
	switch way {
	case "seq", "now":
		for range make([]struct{}, count) {
			s.call(path)
		}
	case "par":
		s.parallel(count, path)
	case "nested":
		s.nested(path)
	case "handed":
		s.handed(path)
	case "left":
		// Made after the answer, while the same connection's next request is served.
		go func() {
			time.Sleep(2 * time.Millisecond)
			s.call(path)
		}()
	case "armed":
		s.armed()
		s.call(path)
	}
	io.WriteString(w, "done\n")
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("/back/", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/back/now/") {
			time.Sleep(500 * time.Microsecond)
		}
		io.WriteString(w, "here\n")
	})
	if len(os.Args) > 2 {
		limits := [3]int{64, 0, 5}
		for i := range limits {
			if len(os.Args) > 3+i {
				limits[i], _ = strconv.Atoi(os.Args[3+i])
			}
		}
		transport := &http.Transport{MaxIdleConnsPerHost: limits[0], MaxConnsPerHost: limits[1]}
		s := &service{back: os.Args[2], client: &http.Client{Transport: transport}, jobs: make(chan job)}
		mux.HandleFunc("/front/", s.front)
		if limits[2] > 0 {
			go s.tick(time.Duration(limits[2]) * time.Millisecond)
		}
	}
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], mux); err != nil {
		panic(err)
	}
}
