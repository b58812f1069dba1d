// Streams of yamux on one connection: frames that are not HTTP/2's, whatever they look like.
//
// `yamux serve PORT` echoes every stream; `yamux call PORT SESSIONS` opens sessions of a hundred streams, some of them at once,
// sends what begins as HTTP/2 does and what is random, and prints how many came back as they were.
package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"strconv"
	"sync"

	"github.com/hashicorp/yamux"
)

const streams = 100

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func serve(port string) {
	listener := must(net.Listen("tcp", "127.0.0.1:"+port))
	for {
		conn := must(listener.Accept())
		session := must(yamux.Server(conn, nil))
		go func() {
			for {
				stream, err := session.Accept()
				if err != nil {
					return
				}
				go func() {
					defer stream.Close()
					_, _ = io.Copy(stream, stream)
				}()
			}
		}()
	}
}

// payload is what a stream carries: random, or the beginning of an HTTP/2 connection or of a frame.
func payload(n int) []byte {
	random := make([]byte, 16+n*7)
	must(rand.Read(random))
	switch n % 3 {
	case 0:
		return append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"), random...)
	case 1:
		return append([]byte("\x00\x00\x03\x01\x05\x00\x00\x00\x01\x82\x86\x84"), random...)
	}
	return random
}

func call(port string, sessions int) {
	var right sync.Map
	for s := range sessions {
		conn := must(net.Dial("tcp", "127.0.0.1:"+port))
		session := must(yamux.Client(conn, nil))
		var all sync.WaitGroup
		for n := range streams {
			all.Go(func() {
				stream := must(session.OpenStream())
				defer stream.Close()
				sent := payload(n)
				must(stream.Write(sent))
				got := make([]byte, len(sent))
				must(io.ReadFull(stream, got))
				if bytes.Equal(sent, got) {
					right.Store([2]int{s, n}, true)
				}
			})
			if n%10 == 0 {
				all.Wait()
			}
		}
		all.Wait()
		if err := session.Close(); err != nil {
			log.Fatal(err)
		}
	}
	count := 0
	right.Range(func(any, any) bool { count++; return true })
	fmt.Println(count)
}

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		serve(os.Args[2])
	case len(os.Args) == 4 && os.Args[1] == "call":
		call(os.Args[2], must(strconv.Atoi(os.Args[3])))
	default:
		log.Fatal("yamux serve PORT | yamux call PORT SESSIONS")
	}
}
