package results

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
)

// ErrStop ends the reading well when the function given to Reader.Read returns it.
var ErrStop = errors.New("stop reading")

// Reader reads parts back from the results stream, for clients. It may make an
// ephemeral consumer there and needs no other right. Safe in parallel.
type Reader struct {
	js    jetstream.JetStream
	names names.Names
}

// NewReader makes a Reader; the caller owns the connection of js.
func NewReader(js jetstream.JetStream, n names.Names) *Reader { return &Reader{js: js, names: n} }

// ReadOptions say what to read.
type ReadOptions struct {
	Tenant, Campaign string
	// From is the first stream sequence, 0 for the oldest.
	From uint64
	// HeadersOnly leaves Part empty: ten times as fast.
	HeadersOnly bool
	// Follow goes on with parts to come.
	Follow bool
}

// StoredPart is one part as it lies in the stream.
type StoredPart struct {
	Head Head
	// Part is the body, decoded; nil with HeadersOnly.
	Part *Part
	Seq  uint64 // stream sequence
	At   time.Time
	// Pending is how many messages of the campaign come after this one, now.
	Pending uint64
	// Err is set, and Head or Part empty, if the message is no part that this
	// version can read; it wraps ErrNotPart.
	Err error
}

// Read calls fn for each part of a campaign in stream order, in the caller's
// goroutine, and waits out restarts of the server. It returns nil at the end, or
// when fn returns ErrStop; else fn's error, the context's, or the stream's.
func (r *Reader) Read(ctx context.Context, opt ReadOptions, fn func(StoredPart) error) error {
	s := scan{
		js: r.js, stream: r.names.ResultsStream(), subject: r.names.ResultsSubject(opt.Tenant, opt.Campaign),
		from: opt.From, headers: opt.HeadersOnly, follow: opt.Follow,
	}
	err := s.run(ctx, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		p := StoredPart{Seq: meta.Sequence.Stream, At: meta.Timestamp, Pending: meta.NumPending}
		p.Head, p.Err = ParseHead(m.Headers())
		if p.Err == nil && !opt.HeadersOnly {
			var part Part
			if part, p.Err = DecodePart(m.Data()); p.Err == nil {
				p.Part = &part
			}
		}
		return fn(p)
	})
	if errors.Is(err, ErrStop) {
		return nil
	}
	return err
}

// Summary is the sum of the headers of a campaign's parts.
type Summary struct {
	Parts, Items int
	// Unreadable counts messages that are no parts of this version.
	Unreadable int
	Counts     map[Status]int
	Sources    map[Source]int
	Costs      CostSum
	// First and Last are the times of the oldest and newest part counted.
	First, Last time.Time
	// Next is the stream sequence to go on from.
	Next uint64
}

// Count adds the parts from s.Next on to s, by their headers: about 200,000 parts
// a second. Call it again with the same s to follow a campaign. After an error s
// holds what was counted so far, and Count can go on. s is the caller's; a part
// that was published twice counts twice.
func (r *Reader) Count(ctx context.Context, tenant, campaign string, s *Summary) error {
	if s.Counts == nil {
		s.Counts, s.Sources = map[Status]int{}, map[Source]int{}
	}
	opt := ReadOptions{Tenant: tenant, Campaign: campaign, From: s.Next, HeadersOnly: true}
	err := r.Read(ctx, opt, func(p StoredPart) error {
		s.add(p)
		return nil
	})
	if err != nil {
		return fmt.Errorf("count the results of campaign %s: %w", campaign, err)
	}
	return nil
}

func (s *Summary) add(p StoredPart) {
	s.Next = p.Seq + 1
	if p.Err != nil {
		s.Unreadable++
		return
	}
	s.Parts++
	s.Items += p.Head.Items.Count()
	for _, t := range p.Head.Counts {
		s.Counts[Status(t.Name)] += t.N
	}
	for _, t := range p.Head.Sources {
		s.Sources[Source(t.Name)] += t.N
	}
	for _, c := range p.Head.Costs {
		_ = s.Costs.Add(c) // ParseHead has read it, so it is a cost
	}
	if s.First.IsZero() {
		s.First = p.At
	}
	s.Last = p.At
}
