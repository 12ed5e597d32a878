package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
)

// load is what a round puts onto the jobs stream.
type load struct {
	numbers int
	size    int // numbers a job
	repeat  int // every repeat-th number is one that came before; 0: all differ
}

// jobs is how many messages the load makes.
func (l load) jobs() int { return (l.numbers + l.size - 1) / l.size }

// number is the i-th number, and whether it came before.
func (l load) number(i int) (n int, again bool) {
	if l.repeat < 2 || i%l.repeat != l.repeat-1 {
		return i, false
	}
	n = i / 2
	if n%l.repeat == l.repeat-1 {
		n--
	}
	return n, true
}

// distinct is how many numbers differ.
func (l load) distinct() int {
	if l.repeat < 2 {
		return l.numbers
	}
	return l.numbers - l.numbers/l.repeat
}

// body writes the job with the given number of the load into b.
func (l load) body(b []byte, job int) []byte {
	b = append(append(append(b, `{"id":"`...), jobID(job)...), `","items":[`...)
	for i := job * l.size; i < min((job+1)*l.size, l.numbers); i++ {
		if i > job*l.size {
			b = append(b, ',')
		}
		n, _ := l.number(i)
		b = fmt.Appendf(b, `{"number":"139%08d","ref":%d}`, n, i)
	}
	return append(b, "]}"...)
}

func jobID(job int) string { return "job-" + strconv.Itoa(job) }

// fill publishes the load and returns when everything is stored.
func fill(ctx context.Context, js jetstream.JetStream, nm names.Names, lane names.Lane, l load) error {
	const patience = time.Minute
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("jobs not stored after %s", patience))
	defer cancel()
	futures := make([]jetstream.PubAckFuture, 0, l.jobs())
	for job := range l.jobs() {
		f, err := js.PublishMsgAsync(&nats.Msg{
			Subject: nm.JobsSubject(lane), Data: l.body(nil, job),
			Header: nats.Header{nats.MsgIdHdr: {lane.Tenant + "." + lane.Campaign + "." + jobID(job)}},
		}, jetstream.WithStallWait(patience))
		if err != nil {
			return err
		}
		futures = append(futures, f)
	}
	for _, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}
