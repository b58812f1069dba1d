// Command inventory is the shop's stock: net/http, a goroutine per connection, stock in memory.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stock counts the pieces of each product. The samovar (4) is sold out until somebody buys more.
type stock struct {
	lock   sync.Mutex
	pieces map[int]int
}

// The errors a customer may see.
var (
	errUnknown = errors.New("no such product")
	errSoldOut = errors.New("sold out")
)

// change adds pieces, or takes them if negative, and gives what is left.
func (s *stock) change(product, pieces int) (int, error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	left, known := s.pieces[product]
	switch {
	case !known:
		return 0, errUnknown
	case left+pieces < 0:
		return left, errSoldOut
	}
	s.pieces[product] = left + pieces
	return left + pieces, nil
}

// catalogue asks the product service what a piece costs, over a pool of kept connections.
type catalogue struct {
	address string
	client  *http.Client
}

func (c *catalogue) cost(product, cart int) (int, error) {
	response, err := c.client.Get(fmt.Sprintf("%s/costs/%d/%d", c.address, product, cart))
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("service product answered %s", response.Status)
	}
	var answer struct{ Cost int }
	err = json.NewDecoder(response.Body).Decode(&answer)
	return answer.Cost, err
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.Print(err)
	}
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusServiceUnavailable
	switch err {
	case errUnknown:
		status = http.StatusNotFound
	case errSoldOut:
		status = http.StatusConflict
	}
	answer(w, status, map[string]string{"error": err.Error()})
}

// service answers for the shelves.
type service struct {
	shelves  *stock
	products *catalogue
}

// number reads one part of a path as a number. What is none names no product.
func number(part string) int {
	value, err := strconv.Atoi(part)
	if err != nil {
		return -1
	}
	return value
}

// ServeHTTP splits /<what>/<product>/<cart> by hand: patterns with wildcards came with Go 1.22, Debian has 1.19.
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if len(parts) != 3 {
		refuse(w, errUnknown)
		return
	}
	product, cart := number(parts[1]), number(parts[2])
	switch r.Method + " " + parts[0] {
	case "GET inventory":
		s.look(w, product, cart)
	case "POST reservations":
		s.reserve(w, r, product, cart)
	case "POST restock":
		s.restock(w, r, product, cart)
	default:
		refuse(w, errUnknown)
	}
}

func (s *service) look(w http.ResponseWriter, product, cart int) {
	left, err := s.shelves.change(product, 0)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]int{"cart": cart, "stock": left})
}

func (s *service) reserve(w http.ResponseWriter, r *http.Request, product, cart int) {
	pieces, ok := wanted(w, r)
	if !ok {
		return
	}
	left, err := s.shelves.change(product, -pieces)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusCreated, map[string]int{"cart": cart, "left": left})
}

func (s *service) restock(w http.ResponseWriter, r *http.Request, product, cart int) {
	pieces, ok := wanted(w, r)
	if !ok {
		return
	}
	if s.products.address == "" {
		refuse(w, errors.New("service product is missing"))
		return
	}
	cost, err := s.products.cost(product, cart)
	if err != nil {
		refuse(w, err)
		return
	}
	left, err := s.shelves.change(product, pieces)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, map[string]int{"cart": cart, "stock": left, "cost": cost * pieces})
}

// wanted reads how many pieces a body speaks of.
func wanted(w http.ResponseWriter, r *http.Request) (pieces int, ok bool) {
	var body struct {
		Quantity int `json:"quantity"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || body.Quantity < 1 {
		answer(w, http.StatusBadRequest, map[string]string{"error": "quantity must be at least 1"})
		return 0, false
	}
	return body.Quantity, true
}

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8083"
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]bool{"ok": true})
	})
	mux.Handle("/", &service{
		shelves: &stock{pieces: map[int]int{1: 1 << 30, 2: 1 << 30, 3: 1 << 30, 4: 0}},
		products: &catalogue{
			address: os.Getenv("PRODUCT_URL"),
			client:  &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
		},
	})
	host := os.Getenv("LISTEN")
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("inventory listens on %s", port)
	log.Fatal(http.Serve(listener, mux))
}
