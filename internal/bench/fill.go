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

// fill publishes n numbers in jobs of size; every repeat-th number is one that
// came before (0: all distinct). It returns how many differ.
func fill(ctx context.Context, js jetstream.JetStream, nm names.Names, lane names.Lane, n, size, repeat int) (int, error) {
	subject := nm.JobsSubject(lane)
	distinct := 0
	body := make([]byte, 0, size*40)
	var last jetstream.PubAckFuture
	for first, job := 0, 0; first < n; job++ {
		id := "job" + strconv.Itoa(job)
		body = append(append(append(body[:0], `{"id":"`...), id...), `","items":[`...)
		for i := first; i < min(first+size, n); i++ {
			if i > first {
				body = append(body, ',')
			}
			number := i
			if repeat > 0 && i%repeat == repeat-1 {
				number = i / 2
				if number%repeat == repeat-1 {
					number--
				}
			} else {
				distinct++
			}
			body = fmt.Appendf(body, `{"number":"139%08d","ref":%d}`, number, i)
		}
		body = append(body, "]}"...)
		first += size
		f, err := js.PublishMsgAsync(&nats.Msg{
			Subject: subject, Data: append([]byte(nil), body...),
			Header: nats.Header{"Nats-Msg-Id": {lane.Tenant + "." + lane.Campaign + "." + id}},
		})
		if err != nil {
			return 0, err
		}
		last = f
	}
	const patience = time.Minute
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(patience):
		return 0, fmt.Errorf("jobs not stored after %s", patience)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	select {
	case <-last.Ok():
		return distinct, nil
	case err := <-last.Err():
		return 0, err
	}
}
