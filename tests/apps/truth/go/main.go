// Command truth is the ledger's Go program: net/http, a pooled client, goroutines for calls at once.
// Plans are described in tests/src/truth/plan.rs.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const header = "X-Ledger-Id"

var (
	delays  = []int{0, 1, 2, 5, 10, 20, 50, 100, 200, 500}
	service = os.Getenv("SERVICE")
	peers   = strings.Split(os.Getenv("PEERS"), ",")
	habit   = os.Getenv("HABIT")
	ledger  *os.File
	clients []*http.Client

	background = fmt.Sprintf("%ds020", len(peers)-1)
	asked      atomic.Int64
	polling    atomic.Bool
	queue      = make(chan func())
	workers    sync.Once
)

// row is one request as this process saw it.
type row struct {
	ID      string  `json:"id"`
	Parent  *string `json:"parent"`
	Kind    string  `json:"kind"`
	Call    string  `json:"call"`
	Service string  `json:"service"`
	Pid     int     `json:"pid"`
	Method  string  `json:"method"`
	Path    string  `json:"path"`
	Status  int     `json:"status"`
	Start   int64   `json:"start_ns"`
	End     int64   `json:"end_ns"`
}

func write(r row) {
	r.Service, r.Pid, r.Method, r.End = service, os.Getpid(), "GET", time.Now().UnixNano()
	line, err := json.Marshal(r)
	if err == nil {
		// One write per row, to a file that only grows.
		_, err = ledger.Write(append(line, '\n'))
	}
	if err != nil {
		log.Fatal(err)
	}
}

// end is where the plan that begins there ends.
func end(text string, at int) int {
	calls := int(text[at+4] - '0')
	at += 5
	for i := 0; i < calls; i++ {
		at = end(text, at)
	}
	return at
}

func fetch(inbound string, number int, plan string) {
	parent := inbound + "/s"
	send(fmt.Sprintf("%s.%d", inbound, number), &parent, plan)
}

func send(call string, parent *string, plan string) {
	path, target := "/t/"+plan, int(plan[0]-'0')
	r := row{ID: call, Parent: parent, Kind: "client", Call: call, Path: path, Start: time.Now().UnixNano()}
	request, err := http.NewRequest("GET", peers[target]+path, nil)
	if err != nil {
		log.Fatal(err)
	}
	request.Header.Set(header, call)
	response, err := clients[target].Do(request)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err == nil {
			r.Status = response.StatusCode
		}
	}
	write(r)
}

// poll asks the leaf on nobody's behalf as long as requests come.
func poll() {
	for n := 0; time.Since(time.Unix(0, asked.Load())) < 300*time.Millisecond; n++ {
		send(fmt.Sprintf("poll-%d-%d", os.Getpid(), time.Now().UnixNano()), nil, background)
		time.Sleep(4 * time.Millisecond)
	}
	polling.Store(false)
}

// queued has one of three workers make the call; the first request starts them.
func queued(inbound string, number int, plan string) {
	workers.Do(func() {
		for i := 0; i < 3; i++ {
			go func() {
				for work := range queue {
					work()
				}
			}()
		}
	})
	done := make(chan struct{})
	queue <- func() {
		fetch(inbound, number, plan)
		close(done)
	}
	<-done
}

func handle(w http.ResponseWriter, request *http.Request) {
	start, call := time.Now().UnixNano(), request.Header.Get(header)
	text := strings.TrimPrefix(request.URL.Path, "/t/")
	parallel, late := text[1] == 'p' || text[1] == 'P', text[1] == 'S' || text[1] == 'P'
	wait := time.Duration(delays[text[2]-'0']) * time.Millisecond
	status := map[byte]int{'2': 200, '4': 404, '5': 500}[text[3]]
	if !late {
		time.Sleep(wait)
	}
	if asked.Store(start); habit == "poll" && polling.CompareAndSwap(false, true) {
		go poll()
	}
	make := fetch
	if habit == "queue" {
		make = queued
	}
	var group sync.WaitGroup
	at := 5
	for n := 0; n < int(text[4]-'0'); n++ {
		next := end(text, at)
		plan, n := text[at:next], n
		at = next
		if !parallel {
			make(call, n, plan)
			continue
		}
		group.Add(1)
		go func() {
			defer group.Done()
			make(call, n, plan)
		}()
	}
	group.Wait()
	if late {
		time.Sleep(wait)
	}
	write(row{ID: call + "/s", Parent: &call, Kind: "server", Call: call, Path: request.URL.Path, Status: status, Start: start})
	w.WriteHeader(status)
	io.WriteString(w, "done")
	if habit == "after" {
		go func() {
			time.Sleep(5 * time.Millisecond)
			parent := call + "/s"
			send(call+".z", &parent, background)
		}()
	}
}

func main() {
	pool, err := strconv.Atoi(os.Getenv("POOL"))
	if err != nil {
		log.Fatal(err)
	}
	name := fmt.Sprintf("%s-%d.jsonl", service, os.Getpid())
	ledger, err = os.OpenFile(filepath.Join(os.Getenv("LEDGER"), name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	var streams http.Protocols
	streams.SetUnencryptedHTTP2(true)
	for n := range peers {
		// Towards others more connections are opened than are kept.
		transport := &http.Transport{MaxIdleConnsPerHost: pool}
		isLeaf := n == len(peers)-1
		if isLeaf {
			transport.MaxConnsPerHost = pool
		}
		if habit == "all-streams" || habit == "streams" && isLeaf {
			transport.Protocols = &streams
		}
		clients = append(clients, &http.Client{Transport: transport})
	}
	both := streams
	both.SetHTTP1(true)
	http.HandleFunc("/t/", handle)
	server := http.Server{Addr: "127.0.0.1:" + os.Getenv("PORT"), Protocols: &both}
	log.Fatal(server.ListenAndServe())
}
