package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
)

// minimal is the least a worker can do, the yardstick of the engine: claim, one
// call for 1,000 numbers, publish parts of the contract's form, ack. No limits, no
// retries, no journal, no cache, no validation, no fairness.
type minimal struct {
	js     jetstream.JetStream
	lane   names.Lane
	names  names.Names
	url    string
	key    string
	calls  int // calls at once
	client *http.Client
}

type minimalItem struct {
	Number string          `json:"number"`
	Ref    json.RawMessage `json:"ref,omitempty"`
}

type minimalJob struct {
	ID    string        `json:"id"`
	Items []minimalItem `json:"items"`
	msg   jetstream.Msg
}

type minimalReply struct {
	Code   int
	Result struct {
		Res, Mobile, Area string
		InitIsp           string `json:"Init_Isp"` //nolint:tagliatelle // the vendor's name
		NowIsp            string `json:"Now_Isp"`  //nolint:tagliatelle // the vendor's name
	}
}

type minimalCarrier struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type minimalLookup struct {
	Country  string         `json:"country"`
	Area     string         `json:"area"`
	LineType string         `json:"line_type"`
	Valid    bool           `json:"valid"`
	Ported   bool           `json:"ported"`
	Original minimalCarrier `json:"original_carrier"`
	Current  minimalCarrier `json:"current_carrier"`
}

type minimalResult struct {
	ID         string          `json:"id"`
	Ref        json.RawMessage `json:"ref,omitempty"`
	Number     string          `json:"number"`
	E164       string          `json:"e164"`
	Status     string          `json:"status"`
	Lookup     minimalLookup   `json:"lookup"`
	Provider   string          `json:"provider"`
	Source     string          `json:"source"`
	AnsweredAt time.Time       `json:"answered_at"`
	Attempts   int             `json:"attempts"`
}

type minimalPart struct {
	JobID    string          `json:"job_id"`
	Tenant   string          `json:"tenant"`
	Campaign string          `json:"campaign"`
	Route    string          `json:"route"`
	JobItems int             `json:"job_items"`
	Results  []minimalResult `json:"results"`
}

const (
	minimalFetch = 1000
)

// run drains the lane until total numbers are answered and acknowledged.
func (m *minimal) run(ctx context.Context, total int) error {
	consumer, err := m.js.CreateOrUpdateConsumer(ctx, m.names.JobsStream(), jetstream.ConsumerConfig{
		Durable: "minimal", FilterSubject: m.names.JobsSubject(m.lane), AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 100000,
	})
	if err != nil {
		return err
	}
	work := make(chan []minimalJob, m.calls)
	var wg sync.WaitGroup
	errs := make(chan error, m.calls)
	for range m.calls {
		wg.Go(func() {
			for jobs := range work {
				if err := m.answer(ctx, jobs); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	err = m.feed(ctx, consumer, work, total, errs)
	close(work)
	wg.Wait()
	select {
	case werr := <-errs:
		err = errors.Join(err, werr)
	default:
	}
	return err
}

// feed fetches jobs and hands them on in groups of callSize numbers.
func (m *minimal) feed(ctx context.Context, c jetstream.Consumer, work chan<- []minimalJob, total int, errs <-chan error) error {
	var group []minimalJob
	numbers := 0
	for fetched := 0; fetched < total; {
		batch, err := c.Fetch(minimalFetch, jetstream.FetchMaxWait(2*time.Second))
		if err != nil {
			return err
		}
		for msg := range batch.Messages() {
			job := minimalJob{msg: msg}
			if err := json.Unmarshal(msg.Data(), &job); err != nil {
				return err
			}
			fetched += len(job.Items)
			numbers += len(job.Items)
			group = append(group, job)
			if numbers >= callSize || fetched == total {
				select {
				case work <- group:
				case err := <-errs:
					return err
				case <-ctx.Done():
					return ctx.Err()
				}
				group, numbers = nil, 0
			}
		}
	}
	return nil
}

// answer makes one call for the jobs, publishes a part for each and acks them.
func (m *minimal) answer(ctx context.Context, jobs []minimalJob) error {
	found, err := m.call(ctx, jobs)
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	futures := make([]jetstream.PubAckFuture, 0, len(jobs))
	for _, job := range jobs {
		part := minimalPart{JobID: job.ID, Tenant: m.lane.Tenant, Campaign: m.lane.Campaign, Route: m.lane.Route, JobItems: len(job.Items)}
		for i, item := range job.Items {
			r := found[item.Number]
			part.Results = append(part.Results, minimalResult{
				ID: fmt.Sprintf("%s.%d", job.ID, i), Ref: item.Ref, Number: item.Number, E164: "+86" + item.Number, Status: "ok",
				Lookup: minimalLookup{
					Country: "CN", Area: r.Result.Area, LineType: "mobile", Valid: true, Ported: r.Result.Res == "1",
					Original: minimalCarrier{"china", r.Result.InitIsp}, Current: minimalCarrier{"china", r.Result.NowIsp},
				},
				Provider: "qxt", Source: "upstream", AnsweredAt: now, Attempts: 1,
			})
		}
		body, err := json.Marshal(part)
		if err != nil {
			return err
		}
		msg := &nats.Msg{Subject: m.names.ResultsSubject(m.lane.Tenant, m.lane.Campaign), Data: body, Header: nats.Header{
			"Nats-Msg-Id":    {m.lane.Tenant + "." + m.lane.Campaign + "." + job.ID + ".0"},
			"Lookup-Version": {"1"},
		}}
		f, err := m.js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute))
		if err != nil {
			return err
		}
		futures = append(futures, f)
	}
	for i, f := range futures {
		select {
		case <-f.Ok():
		case err := <-f.Err():
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := jobs[i].msg.Ack(); err != nil {
			return err
		}
	}
	return nil
}

func (m *minimal) call(ctx context.Context, jobs []minimalJob) (map[string]minimalReply, error) {
	numbers := make([]string, 0, callSize)
	for _, job := range jobs {
		for _, item := range job.Items {
			numbers = append(numbers, item.Number)
		}
	}
	body, err := json.Marshal(map[string]any{"ApiKey": m.key, "PhoneNumbers": numbers})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+"/carrier_batch", bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := m.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var replies []minimalReply
	if err := json.Unmarshal(text, &replies); err != nil {
		return nil, fmt.Errorf("reply of status %d: %w", resp.StatusCode, err)
	}
	found := make(map[string]minimalReply, len(replies))
	for _, r := range replies {
		found[r.Result.Mobile] = r
	}
	return found, nil
}
