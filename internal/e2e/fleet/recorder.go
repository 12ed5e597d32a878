package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lookupq/lookupq/providers/simulator"
)

// fate is what became of a call.
type fate uint8

const (
	failed fate = iota
	refused
	paid
)

// call is one call of a worker.
type call struct {
	worker     int
	provider   string
	key        string
	start, end time.Time
	numbers    []number
	fate       fate
	// denied calls were made with a key that the upstream does not know.
	denied bool
}

// overlaps reports whether both were on the wire at one time.
func (c *call) overlaps(d *call) bool { return c.start.Before(d.end) && d.start.Before(c.end) }

// recorder stands between the workers and the upstreams and notes which worker
// asked for what and when, which no upstream knows. It changes nothing.
type recorder struct {
	load   *load
	addr   string
	server *http.Server
	served chan error
	client *http.Client
	to     map[string]string // provider -> address of its upstream

	mu    sync.Mutex
	calls []call
	paid  int // numbers
	// strangers are numbers that were asked for and are none of the run's.
	strangers int
}

// startRecorder serves on a free port until close.
func startRecorder(ctx context.Context, l *load, to map[string]string) (*recorder, error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	const idle = 64
	r := &recorder{
		load: l, addr: "http://" + ln.Addr().String(), served: make(chan error, 1), to: to,
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: idle, DisableCompression: true}, Timeout: time.Minute},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/{worker}/{provider}/{path...}", r.forward)
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { r.served <- r.server.Serve(ln) }()
	return r, nil
}

func (r *recorder) close() error {
	err := r.server.Close()
	if serr := <-r.served; !errors.Is(serr, http.ErrServerClosed) {
		err = errors.Join(err, serr)
	}
	r.client.CloseIdleConnections()
	return err
}

// of is the base of a worker's upstreams.
func (r *recorder) of(worker int) string { return r.addr + "/" + strconv.Itoa(worker) }

// forward passes a request on and notes it if it is a call.
func (r *recorder) forward(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the worker has gone
	}
	c := call{provider: req.PathValue("provider"), start: time.Now()}
	c.worker, _ = strconv.Atoi(req.PathValue("worker"))
	res, err := r.pass(req, r.to[c.provider]+"/"+req.PathValue("path"), body)
	c.end = time.Now()
	if asked, secret, ok := question(req, body); ok {
		c.key = secret[max(0, len(secret)-len("good")):]
		c.answered(res, len(asked))
		r.note(c, asked)
	}
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	maps.Copy(w.Header(), res.header)
	w.WriteHeader(res.status)
	_, _ = w.Write(res.body)
}

// reply is what an upstream said.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// pass asks the upstream; without an error there is a reply. A worker that leaves
// does not end it: the upstream goes on, and charges.
func (r *recorder) pass(from *http.Request, to string, body []byte) (*reply, error) {
	if from.URL.RawQuery != "" {
		to += "?" + from.URL.RawQuery
	}
	//nolint:gosec // to one of our own upstreams
	req, err := http.NewRequestWithContext(context.WithoutCancel(from.Context()), from.Method, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = from.Header.Clone()
	res, err := r.client.Do(req) //nolint:gosec // likewise
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	return &reply{res.StatusCode, res.Header, text}, nil
}

// question reads numbers and key of a call; false if the request is none.
func question(req *http.Request, body []byte) (numbers []string, secret string, ok bool) {
	switch {
	case strings.HasSuffix(req.URL.Path, "/carrier_batch"):
		var batch struct {
			Key     string   `json:"ApiKey"`       //nolint:tagliatelle // the vendor's name
			Numbers []string `json:"PhoneNumbers"` //nolint:tagliatelle // the vendor's name
		}
		err := json.Unmarshal(body, &batch)
		return batch.Numbers, batch.Key, err == nil
	case strings.HasSuffix(req.URL.Path, "/carrier"):
		form, err := url.ParseQuery(string(body))
		return []string{form.Get("mobile")}, form.Get("apikey"), err == nil
	}
	return nil, "", false
}

// answered says what became of c. A list answers a batch, and an object a number
// alone; an object for a batch refuses it.
func (c *call) answered(res *reply, asked int) {
	if res == nil {
		return
	}
	if res.status == http.StatusTooManyRequests {
		c.fate = refused
	}
	if res.status != http.StatusOK {
		return
	}
	const unknownKey = -1
	var whole struct{ Code int }
	switch {
	case bytes.HasPrefix(res.body, []byte("[")):
		c.fate = paid
	case json.Unmarshal(res.body, &whole) != nil:
	case whole.Code == unknownKey:
		c.denied = true
	case asked == 1:
		c.fate = paid
	}
}

// note keeps the call.
func (r *recorder) note(c call, asked []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range asked {
		n, ok := r.load.parseNumber(text)
		if !ok {
			r.strangers++
			continue
		}
		c.numbers = append(c.numbers, n)
	}
	if c.fate == paid {
		r.paid += len(c.numbers)
	}
	r.calls = append(r.calls, c)
}

// progress is how many numbers were paid so far.
func (r *recorder) progress() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.paid
}

// write puts the calls into a file of comma-separated values: times in
// milliseconds since the first call, and the numbers by their place.
func write(path string, calls []call) error {
	var b bytes.Buffer
	b.WriteString("start,end,worker,provider,key,fate,count,numbers\n")
	for i := range calls {
		c := &calls[i]
		word := [...]string{failed: "failed", refused: "refused", paid: "paid"}[c.fate]
		if c.denied {
			word = "denied"
		}
		fmt.Fprintf(&b, "%d,%d,%d,%s,%s,%s,%d,", c.start.Sub(calls[0].start).Milliseconds(), c.end.Sub(calls[0].start).Milliseconds(),
			c.worker, c.provider, c.key, word, len(c.numbers))
		for _, n := range c.numbers {
			fmt.Fprintf(&b, "%d ", n)
		}
		b.WriteByte('\n')
	}
	return os.WriteFile(path, b.Bytes(), secret)
}

// upstreams are the two simulators.
type upstreams map[string]*simulator.Server

// sum is what both saw together, but for the times and keys.
func (u upstreams) sum() simulator.Summary {
	var s simulator.Summary
	for _, server := range u {
		one := server.Ledger().Summary()
		s.Calls += one.Calls
		s.Refused += one.Refused
		s.Failed += one.Failed
		s.Numbers += one.Numbers
		s.LargestBatch = max(s.LargestBatch, one.LargestBatch)
		s.Oversized += one.Oversized
	}
	return s
}
