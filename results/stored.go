package results

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
)

const (
	// maxIndexed is how many parts of one campaign are remembered, at 16 bytes each;
	// above it every question reads the headers anew, which is slow but bounded.
	maxIndexed = 2 << 20
	// maxRemembered bounds the parts of all campaigns together: the least recently
	// asked one is forgotten first.
	maxRemembered = 4 << 20
	// settledAge is how old a list may be for a job that was never delivered before:
	// whoever may have stored a part of it has long stopped.
	settledAge = time.Second
	// clockSkew is how far a job's time may be ahead of that of its first part.
	clockSkew = time.Minute
	// sinceStep rounds the start of a list down, so that slightly older jobs do not
	// make it anew.
	sinceStep = time.Hour
)

// Stored answers which items of a job the results stream holds: for jobs that
// come again when Redis has lost the journal. It reads the headers of a
// campaign's parts once, remembers which part is of which job, and later reads
// only what is new. Safe in parallel.
type Stored struct {
	js    jetstream.JetStream
	names names.Names
	// limit is maxIndexed, limitAll maxRemembered; less in tests.
	limit    int
	limitAll int64

	mu        sync.Mutex
	stream    jetstream.Stream
	campaigns map[campaignKey]*campaign
	clock     uint64 // counts questions, to tell the least recently asked campaign
}

type campaignKey struct{ tenant, name string }

// NewStored makes a Stored; the caller owns the connection of js.
func NewStored(js jetstream.JetStream, n names.Names) *Stored {
	return &Stored{js: js, names: n, limit: maxIndexed, limitAll: maxRemembered, campaigns: map[campaignKey]*campaign{}}
}

// StoredJob is a job to ask for.
type StoredJob struct {
	ID names.Identity
	// At is when JetStream stored the job: no part of it is older.
	At time.Time
	// Redelivered jobs may have been worked on until a moment ago.
	Redelivered bool
}

// Items returns for each job the items whose results are stored; nil if none
// are. It takes one look at each campaign concerned, and one more for each part
// found. Whoever may still publish parts of these jobs must have lost them
// before (journal.Claim sees to that).
func (s *Stored) Items(ctx context.Context, jobs []StoredJob) ([]Bitmap, error) {
	out := make([]Bitmap, len(jobs))
	questions := map[campaignKey]*question{}
	for i := range jobs {
		k := campaignKey{jobs[i].ID.Tenant, jobs[i].ID.Campaign}
		q := questions[k]
		if q == nil {
			q = &question{key: k, jobs: jobs, out: out, since: jobs[i].At, maxAge: settledAge}
			questions[k] = q
		}
		q.add(i)
	}
	for k, q := range questions {
		if err := s.ask(ctx, q); err != nil {
			return nil, fmt.Errorf("read what is stored of campaign %s: %w", k.name, err)
		}
	}
	return out, nil
}

// question is what is asked of one campaign.
type question struct {
	key    campaignKey
	jobs   []StoredJob
	out    []Bitmap
	at     []int         // positions in jobs and out
	since  time.Time     // the oldest job
	maxAge time.Duration // of the list
}

func (q *question) add(i int) {
	q.at = append(q.at, i)
	if q.jobs[i].At.Before(q.since) {
		q.since = q.jobs[i].At
	}
	if q.jobs[i].Redelivered {
		q.maxAge = 0
	}
}

// ask answers one question.
func (s *Stored) ask(ctx context.Context, q *question) error {
	c := s.campaign(q.key)
	c.mu.Lock()
	defer c.mu.Unlock()
	q.since = q.since.Add(-clockSkew).Truncate(sinceStep)
	if err := s.refresh(ctx, q, c); err != nil {
		return err
	}
	if c.tooMany {
		return s.readAll(ctx, q)
	}
	for _, i := range q.at {
		for _, seq := range c.index.find(hashJob(q.jobs[i].ID.JobID)) {
			if err := s.readPart(ctx, q.jobs[i].ID, seq, &q.out[i]); err != nil {
				return err
			}
		}
	}
	s.trim(q.key)
	return nil
}

// campaign returns a campaign's list, and notes that it was asked.
func (s *Stored) campaign(k campaignKey) *campaign {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.campaigns[k]
	if c == nil {
		c = &campaign{}
		s.campaigns[k] = c
	}
	s.clock++
	c.asked = s.clock
	return c
}

// trim forgets campaigns while too many parts are remembered; never the one
// just asked, whose size is bounded by itself.
func (s *Stored) trim(keep campaignKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		total := int64(0)
		var oldest *campaignKey
		for k, c := range s.campaigns {
			total += c.size.Load()
			if k != keep && (oldest == nil || c.asked < s.campaigns[*oldest].asked) {
				oldest = &k
			}
		}
		if total <= s.limitAll || oldest == nil {
			return
		}
		delete(s.campaigns, *oldest)
	}
}

// refresh reads what is new in the stream, unless the list is young enough.
// c.mu is held.
func (s *Stored) refresh(ctx context.Context, q *question, c *campaign) error {
	if c.read.IsZero() || q.since.Before(c.since) {
		c.reset(q.since)
	} else if c.tooMany || time.Since(c.read) < q.maxAge {
		return nil
	}
	began := time.Now()
	sc := s.scan(q.key, c.since)
	sc.from = c.next
	err := sc.run(ctx, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		c.next = meta.Sequence.Stream + 1
		// The rest of the headers is looked at when a part is asked for.
		id, _, ok := splitMsgID(m.Headers().Get(nats.MsgIdHdr))
		if ok && !c.add(hashJob(id.JobID), meta.Sequence.Stream, s.limit) {
			return ErrStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, ErrStop) {
		return err
	}
	c.read = began
	return nil
}

// scan reads the headers of a campaign from a time on.
func (s *Stored) scan(k campaignKey, since time.Time) scan {
	return scan{
		js: s.js, stream: s.names.ResultsStream(), subject: s.names.ResultsSubject(k.tenant, k.name),
		since: since, headers: true,
	}
}

// readAll looks for the jobs in the headers of the whole campaign: for one that
// has more parts than can be remembered.
func (s *Stored) readAll(ctx context.Context, q *question) error {
	wanted := make(map[string]int, len(q.at))
	for _, i := range q.at {
		wanted[q.jobs[i].ID.JobID] = i
	}
	return s.scan(q.key, q.since).run(ctx, func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
		head, err := ParseHead(m.Headers())
		if i, ok := wanted[head.ID.JobID]; ok && err == nil {
			q.out[i].Union(head.Items)
		}
		return nil
	})
}

// readPart adds the items of the part at seq, if it is one of the job's.
func (s *Stored) readPart(ctx context.Context, id names.Identity, seq uint64, items *Bitmap) error {
	stream, err := s.results(ctx)
	if err != nil {
		return err
	}
	m, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil // older than the stream's retention by now
	}
	if err != nil {
		return fmt.Errorf("part %d: %w", seq, err)
	}
	if head, err := ParseHead(m.Header); err == nil && head.ID == id {
		items.Union(head.Items)
	}
	return nil
}

// results is the stream's handle, asked for once.
func (s *Stored) results(ctx context.Context) (jetstream.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stream == nil {
		stream, err := s.js.Stream(ctx, s.names.ResultsStream())
		if err != nil {
			return nil, fmt.Errorf("stream %s: %w", s.names.ResultsStream(), err)
		}
		s.stream = stream
	}
	return s.stream, nil
}
