package main

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"
)

func protocols() *http.Protocols {
	only := new(http.Protocols)
	only.SetUnencryptedHTTP2(true)
	return only
}

func serveHttp(port string) {
	server := &http.Server{Addr: "127.0.0.1:" + port, Protocols: protocols(), Handler: http.HandlerFunc(answer)}
	fatal(server.ListenAndServe())
}

func answer(response http.ResponseWriter, request *http.Request) {
	say := http.NewResponseController(response)
	wait, _ := strconv.Atoi(request.Header.Get("x-wait"))
	switch request.URL.Path {
	case "/fail":
		response.WriteHeader(404)
	case "/down":
		begun := time.Now()
		for n := range 20 {
			until(begun, n+1, 10*time.Millisecond)
			response.Write(make([]byte, 100))
			say.Flush()
		}
		return
	case "/up":
		sum, _ := io.Copy(io.Discard, request.Body)
		io.WriteString(response, strconv.FormatInt(sum, 10))
		return
	case "/both":
		say.Flush()
		part := make([]byte, 4096)
		for {
			n, err := request.Body.Read(part)
			response.Write(part[:n])
			say.Flush()
			if err != nil {
				return
			}
		}
	case "/slow":
		wait = 2000
	}
	select {
	case <-request.Context().Done():
	case <-time.After(time.Duration(wait) * time.Millisecond):
		io.WriteString(response, "ok")
	}
}

// Writes parts with pauses between them.
type parts struct {
	count, size int
	pause       time.Duration
	begun       time.Time
	sent        int
}

func (body *parts) Read(into []byte) (int, error) {
	if body.sent == body.count {
		return 0, io.EOF
	}
	if body.sent == 0 {
		body.begun = time.Now()
	}
	body.sent++
	until(body.begun, body.sent, body.pause)
	return min(body.size, len(into)), nil
}

func ask(ctx context.Context, client *http.Client, port, id, method, path, wait string, body io.Reader) {
	ledger(id, method+" "+path, func() string {
		request, err := http.NewRequestWithContext(ctx, method, "http://127.0.0.1:"+port+path, body)
		fatal(err)
		request.Header.Set("x-call", id)
		if wait != "" {
			request.Header.Set("x-wait", wait)
		}
		response, err := client.Do(request)
		if err != nil {
			return ""
		}
		defer response.Body.Close()
		io.Copy(io.Discard, response.Body)
		return strconv.Itoa(response.StatusCode)
	})
}

func callHttp(port, name string) {
	client := &http.Client{Transport: &http.Transport{Protocols: protocols()}}
	defer client.CloseIdleConnections()
	all := context.Background()
	get := func(ctx context.Context, kind, path string) {
		ask(ctx, client, port, name+"-"+kind, "GET", path, "", nil)
	}
	post := func(kind, path string, body *parts) { ask(all, client, port, name+"-"+kind, "POST", path, "", body) }
	get(all, "warm1", "/get")
	post("warm2", "/both", &parts{count: 2, size: 10, pause: 0})
	together(
		func() { get(all, "unary", "/get") },
		func() { get(all, "fail", "/fail") },
		func() { get(all, "down", "/down") },
		func() { post("up", "/up", &parts{count: 50, size: 1000, pause: 5 * time.Millisecond}) },
		func() { post("both", "/both", &parts{count: 100, size: 1000, pause: 50 * time.Millisecond}) },
		func() {
			ctx, cancel := context.WithCancel(all)
			time.AfterFunc(100*time.Millisecond, cancel)
			get(ctx, "cancelled", "/slow")
		},
	)
}

func busyHttp(port string, seconds int) {
	client := &http.Client{Transport: &http.Transport{Protocols: protocols()}}
	defer client.CloseIdleConnections()
	busy(seconds, func(id, method string, wait int) {
		ask(context.Background(), client, port, id, "GET", "/"+method, strconv.Itoa(wait), nil)
	})
}
