// Calls of Connect, gRPC and gRPC-Web, over HTTP/1.1 and HTTP/2 without TLS, unary and streaming, right and failing.
//
// `connect serve PORT` serves them all on one port; `connect call PORT` makes one call of every kind and prints a line for each:
// protocol, version of HTTP, method, code (`ok` or Connect's word for it).
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Text is what every message is.
type Text = wrapperspb.StringValue

const service = "/t.v1.Calls/"

func fail(context.Context, *connect.Request[Text]) (*connect.Response[Text], error) {
	return nil, connect.NewError(connect.CodeNotFound, errors.New("no such thing"))
}

func echo(_ context.Context, request *connect.Request[Text]) (*connect.Response[Text], error) {
	return connect.NewResponse(request.Msg), nil
}

func count(_ context.Context, request *connect.Request[Text], stream *connect.ServerStream[Text]) error {
	for range 10 {
		if err := stream.Send(request.Msg); err != nil {
			return err
		}
	}
	return nil
}

func talk(_ context.Context, stream *connect.BidiStream[Text, Text]) error {
	for {
		message, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(message); err != nil {
			return err
		}
	}
}

func serve(port string) {
	mux := http.NewServeMux()
	mux.Handle(service+"Echo", connect.NewUnaryHandler(service+"Echo", echo, connect.WithIdempotency(connect.IdempotencyNoSideEffects)))
	mux.Handle(service+"Fail", connect.NewUnaryHandler(service+"Fail", fail))
	mux.Handle(service+"Count", connect.NewServerStreamHandler(service+"Count", count))
	mux.Handle(service+"Talk", connect.NewBidiStreamHandler(service+"Talk", talk))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: "127.0.0.1:" + port, Handler: mux, Protocols: protocols}
	log.Fatal(server.ListenAndServe())
}

// A client of one method.
func client(http *http.Client, port, method string, options ...connect.ClientOption) *connect.Client[Text, Text] {
	return connect.NewClient[Text, Text](http, "http://127.0.0.1:"+port+service+method, options...)
}

func told(protocol, version, method string, err error) {
	code := "ok"
	if err != nil {
		code = connect.CodeOf(err).String()
	}
	fmt.Println(protocol, version, method, code)
}

func calls(protocol, version, port string, http *http.Client, options ...connect.ClientOption) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for _, method := range []string{"Echo", "Fail"} {
		_, err := client(http, port, method, options...).CallUnary(ctx, connect.NewRequest(&Text{Value: "x"}))
		told(protocol, version, method, err)
	}
	stream, err := client(http, port, "Count", options...).CallServerStream(ctx, connect.NewRequest(&Text{Value: "x"}))
	if err == nil {
		for stream.Receive() {
		}
		err = errors.Join(stream.Err(), stream.Close())
	}
	told(protocol, version, "Count", err)
	if version == "1.1" {
		return
	}
	both := client(http, port, "Talk", options...).CallBidiStream(ctx)
	for range 3 {
		err = errors.Join(err, both.Send(&Text{Value: "x"}))
		_, received := both.Receive()
		err = errors.Join(err, received)
	}
	err = errors.Join(err, both.CloseRequest())
	for {
		if _, ended := both.Receive(); ended != nil {
			break
		}
	}
	told(protocol, version, "Talk", errors.Join(err, both.CloseResponse()))
}

func call(port string) {
	for _, version := range []string{"1.1", "2"} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(version == "1.1")
		protocols.SetUnencryptedHTTP2(version == "2")
		http := &http.Client{Transport: &http.Transport{Protocols: protocols}}
		calls("connect", version, port, http)
		calls("connect-json", version, port, http, connect.WithProtoJSON())
		calls("connect-get", version, port, http, connect.WithHTTPGet(), connect.WithIdempotency(connect.IdempotencyNoSideEffects))
		calls("grpc-web", version, port, http, connect.WithGRPCWeb())
		if version == "2" {
			calls("grpc", version, port, http, connect.WithGRPC())
		}
		http.CloseIdleConnections()
	}
}

func main() {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "serve":
		serve(os.Args[2])
	case len(os.Args) == 3 && os.Args[1] == "call":
		call(os.Args[2])
	default:
		log.Fatal("connect serve PORT | connect call PORT")
	}
}
