package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"path"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Messages are bytes; the name is the one that peers expect.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string { return "proto" }

func serveGrpc(port string) {
	listener, err := net.Listen("tcp", "127.0.0.1:"+port)
	fatal(err)
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(handle))
	fatal(server.Serve(listener))
}

func handle(_ any, stream grpc.ServerStream) error {
	full, _ := grpc.MethodFromServerStream(stream)
	method := path.Base(full)
	switch {
	case method == "Both":
		for {
			var message []byte
			if err := stream.RecvMsg(&message); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
			if err := stream.SendMsg(&message); err != nil {
				return err
			}
		}
	case method == "Up":
		sum := 0
		for {
			var message []byte
			if err := stream.RecvMsg(&message); err == io.EOF {
				break
			} else if err != nil {
				return err
			}
			sum += len(message)
		}
		answer := []byte(strconv.Itoa(sum))
		return stream.SendMsg(&answer)
	case method == "None":
		return status.Error(codes.Unimplemented, "no such method")
	}
	var message []byte
	if err := stream.RecvMsg(&message); err != nil {
		return err
	}
	wait := time.Duration(0)
	switch {
	case method == "Down":
		part, begun := make([]byte, 100), time.Now()
		for n := range 20 {
			until(begun, n+1, 10*time.Millisecond)
			if err := stream.SendMsg(&part); err != nil {
				return err
			}
		}
		return nil
	case method == "Slow":
		wait = 2 * time.Second
	case strings.HasPrefix(method, "M"):
		ms, _ := strconv.Atoi(string(message))
		wait = time.Duration(ms) * time.Millisecond
	case string(message) == "fail":
		return status.Error(codes.NotFound, "no")
	}
	select {
	case <-stream.Context().Done():
		return stream.Context().Err()
	case <-time.After(wait):
	}
	return stream.SendMsg(&message)
}

func connect(port string) *grpc.ClientConn {
	connection, err := grpc.NewClient("127.0.0.1:"+port, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	fatal(err)
	return connection
}

func code(err error) string { return strconv.Itoa(int(status.Code(err))) }

func named(ctx context.Context, id string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "x-call", id)
}

func callGrpc(port, name string) {
	connection := connect(port)
	defer connection.Close()
	unary := func(ctx context.Context, id, method, message string) {
		ledger(id, "/t.Calls/"+method, func() string {
			request, answer := []byte(message), []byte{}
			return code(connection.Invoke(named(ctx, id), "/t.Calls/"+method, &request, &answer))
		})
	}
	stream := func(id, method string, messages, size int, pause time.Duration) {
		ledger(id, "/t.Calls/"+method, func() string {
			desc := &grpc.StreamDesc{ServerStreams: method != "Up", ClientStreams: method != "Down"}
			stream, err := connection.NewStream(named(context.Background(), id), desc, "/t.Calls/"+method)
			if err != nil {
				return code(err)
			}
			go func() {
				part, begun := make([]byte, size), time.Now()
				for n := range messages {
					until(begun, n+1, pause)
					if stream.SendMsg(&part) != nil {
						break
					}
				}
				stream.CloseSend()
			}()
			for {
				var message []byte
				err := stream.RecvMsg(&message)
				if err == io.EOF {
					return "0"
				} else if err != nil {
					return code(err)
				} else if method == "Up" {
					// Its one answer: the end comes with it.
					return "0"
				}
			}
		})
	}
	id := func(kind string) string { return fmt.Sprintf("%s-%s", name, kind) }
	all := context.Background()
	unary(all, id("warm1"), "Unary", "a")
	stream(id("warm2"), "Both", 2, 10, 0)
	together(
		func() { unary(all, id("unary"), "Unary", "a") },
		func() { unary(all, id("fail"), "Unary", "fail") },
		func() { unary(all, id("none"), "None", "a") },
		func() { stream(id("down"), "Down", 1, 10, 0) },
		func() { stream(id("up"), "Up", 50, 1000, 5*time.Millisecond) },
		func() { stream(id("both"), "Both", 100, 1000, 50*time.Millisecond) },
		func() {
			ctx, cancel := context.WithTimeout(all, 300*time.Millisecond)
			defer cancel()
			unary(ctx, id("late"), "Slow", "a")
		},
		func() {
			ctx, cancel := context.WithCancel(all)
			time.AfterFunc(100*time.Millisecond, cancel)
			unary(ctx, id("cancelled"), "Slow", "a")
		},
	)
}

func busyGrpc(port string, seconds int) {
	connection := connect(port)
	defer connection.Close()
	busy(seconds, func(id, method string, wait int) {
		ledger(id, "/t.Calls/"+method, func() string {
			request, answer := []byte(strconv.Itoa(wait)), []byte{}
			return code(connection.Invoke(named(context.Background(), id), "/t.Calls/"+method, &request, &answer))
		})
	})
}
