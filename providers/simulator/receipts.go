package simulator

import (
	"bytes"
	"container/heap"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// pusher sends receipts, a POST a number, with a bounded number of senders that
// it owns. close ends them; what was not sent by then is forgotten.
type pusher struct {
	up     *upstream
	client *http.Client
	stop   context.CancelFunc
	ended  sync.WaitGroup
	wake   chan struct{}
	work   chan *push

	mu  sync.Mutex
	due pushHeap
}

// push is a receipt to be sent.
type push struct {
	at      time.Time
	item    *nxItem
	attempt int
}

// senders is how many receipts are on the way at once.
const senders = 32

// startPusher starts the senders; close ends them.
func startPusher(ctx context.Context, up *upstream) *pusher {
	ctx, stop := context.WithCancel(ctx)
	p := &pusher{up: up, stop: stop, wake: make(chan struct{}, 1), work: make(chan *push)}
	dialer := &net.Dialer{Control: loopbackOnly}
	p.client = &http.Client{
		Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: senders},
		// A receiver that points elsewhere has not accepted.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	p.ended.Go(func() { p.schedule(ctx) })
	for range senders {
		p.ended.Go(func() { p.send(ctx) })
	}
	return p
}

// loopbackOnly is the second wall: names are checked by what they resolve to.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return errors.New("simulator: receipts go to loopback addresses only")
	}
	return nil
}

func (p *pusher) close() {
	p.stop()
	p.ended.Wait()
	p.client.CloseIdleConnections()
}

// plan queues the receipts of a batch.
func (p *pusher) plan(b *nxBatch, profile *Profile, up *upstream) {
	if b.url == "" {
		return
	}
	pushes := make([]*push, 0, len(b.items))
	for _, i := range b.items {
		if i.lost || i.missing {
			continue
		}
		pushes = append(pushes, &push{at: i.ready, item: i})
		if up.happens(profile.NXCloud.Receipts.Duplicate) {
			pushes = append(pushes, &push{at: i.ready, item: i})
		}
	}
	p.queue(pushes...)
}

func (p *pusher) queue(pushes ...*push) {
	p.mu.Lock()
	for _, one := range pushes {
		heap.Push(&p.due, one)
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// next takes what is due, or tells how long until something is.
func (p *pusher) next(now time.Time) (*push, time.Duration) {
	const idle = time.Hour
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.due) == 0 {
		return nil, idle
	}
	if wait := p.due[0].at.Sub(now); wait > 0 {
		return nil, wait
	}
	one, _ := heap.Pop(&p.due).(*push)
	return one, 0
}

// schedule hands receipts to the senders when they are due.
func (p *pusher) schedule(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		one, wait := p.next(time.Now())
		if one != nil {
			select {
			case p.work <- one:
				continue
			case <-ctx.Done():
				return
			}
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-p.wake:
		case <-ctx.Done():
			return
		}
	}
}

func (p *pusher) send(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case one := <-p.work:
			p.post(ctx, one)
		}
	}
}

// post sends one receipt, and queues it again if it was not accepted.
func (p *pusher) post(ctx context.Context, one *push) {
	profile := p.up.server.snapshot()
	r := profile.NXCloud.Receipts
	ok := p.accepted(ctx, one.item, profile)
	if ctx.Err() != nil {
		return
	}
	const documented = 60
	retries := r.Retries
	if retries == 0 {
		retries = documented
	}
	again := !ok && one.attempt < retries
	p.up.ledger.note(func(d *Deferred) {
		d.Receipts++
		if one.attempt > 0 {
			d.Retried++
		}
		switch {
		case ok:
			d.Accepted++
		case !again:
			d.GivenUp++
		}
	})
	if !again {
		return
	}
	every := r.RetryEvery
	if every == 0 {
		every = time.Minute
	}
	p.queue(&push{at: time.Now().Add(every), item: one.item, attempt: one.attempt + 1})
}

// accepted posts a receipt and reports whether it was answered with 200.
func (p *pusher) accepted(ctx context.Context, i *nxItem, profile *Profile) bool {
	timeout := profile.NXCloud.Receipts.Timeout
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	body, err := json.Marshal(profile.nxReceipt(i))
	if err != nil {
		return false
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.batch.url, bytes.NewReader(body))
	if err != nil {
		return false
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := p.client.Do(req)
	if err != nil {
		return false
	}
	const most = 64 << 10
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, most))
	return errors.Join(err, resp.Body.Close()) == nil && resp.StatusCode == http.StatusOK
}

// pushHeap has what is due first on top.
type pushHeap []*push

// Len implements heap.Interface.
func (h *pushHeap) Len() int { return len(*h) }

// Less implements heap.Interface.
func (h *pushHeap) Less(i, j int) bool {
	a, b := (*h)[i], (*h)[j]
	if a.at.Equal(b.at) {
		return a.item.index < b.item.index
	}
	return a.at.Before(b.at)
}

// Swap implements heap.Interface.
func (h *pushHeap) Swap(i, j int) { (*h)[i], (*h)[j] = (*h)[j], (*h)[i] }

// Push implements heap.Interface.
func (h *pushHeap) Push(x any) {
	if one, ok := x.(*push); ok {
		*h = append(*h, one)
	}
}

// Pop implements heap.Interface.
func (h *pushHeap) Pop() any {
	old := *h
	one := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return one
}
