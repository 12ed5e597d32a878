package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/lookupq/lookupq/internal/names"
)

// The errors of campaign records.
var (
	// ErrNoCampaign says that there is no record under that name.
	ErrNoCampaign = errors.New("no such campaign")
	// ErrCampaignChanged says that somebody else wrote the record meanwhile.
	ErrCampaignChanged = errors.New("the campaign record was changed by somebody else")
	// ErrNoBucket says that nobody keeps campaign records here.
	ErrNoBucket = errors.New("there are no campaign records on this NATS server: start a worker first (worker run), and check --nats, --js-prefix and --stream-prefix")
)

// DefaultAPIPrefix is where JetStream's API is unless an account import moves it.
const DefaultAPIPrefix = "$JS.API"

const (
	codeWrongLastSeq = 10071
	maxConflicts     = 20
	// storeTimeout is for one request when the context has no deadline of its own.
	storeTimeout = 5 * time.Second
	// maxHistory is how many older versions Get tries when the newest is damaged.
	maxHistory = 16
)

// Campaigns reads and writes campaign records with the rights of a tenant: plain
// requests to the records' subjects and direct gets, no stream info. Safe for
// parallel use; it holds nothing that must be closed.
type Campaigns struct {
	nc  *nats.Conn
	n   names.Names
	api string
}

// NewCampaigns uses nc, and JetStream's API under apiPrefix (empty: the default).
func NewCampaigns(nc *nats.Conn, n names.Names, apiPrefix string) *Campaigns {
	if apiPrefix == "" {
		apiPrefix = DefaultAPIPrefix
	}
	return &Campaigns{nc: nc, n: n, api: apiPrefix}
}

// Record is a campaign as stored.
type Record struct {
	Campaign
	// Revision is what Put expects; 0 is no record yet.
	Revision uint64
	// Stored is the server's time of the write.
	Stored time.Time
}

// Get returns the record of a campaign. It is ErrNoCampaign if there is none (the
// Record then has the revision that a first Put needs). A newest version that is
// no campaign record (in one account for all tenants others can write such) is
// passed over for the newest that is.
func (s *Campaigns) Get(ctx context.Context, tenant, campaign string) (Record, error) {
	subject := s.subject(tenant, campaign)
	msg, err := s.request(ctx, nats.NewMsg(s.api+".DIRECT.GET."+s.stream()+"."+subject))
	if err != nil {
		return Record{}, err
	}
	rec, err := decodeRecord(msg)
	if err == nil || errors.Is(err, ErrNoCampaign) {
		return rec, err
	}
	older, olderErr := s.older(ctx, subject, rec.Revision)
	if olderErr != nil {
		return rec, fmt.Errorf("campaign %s of %s: %w", campaign, tenant, err)
	}
	older.Revision = rec.Revision
	return older, nil
}

// older returns the newest readable version before revision.
func (s *Campaigns) older(ctx context.Context, subject string, revision uint64) (Record, error) {
	best, err := Record{}, ErrNoCampaign
	seq := uint64(1)
	for range maxHistory {
		body, jsonErr := json.Marshal(map[string]any{"seq": seq, "next_by_subj": subject})
		if jsonErr != nil {
			return best, jsonErr
		}
		m := nats.NewMsg(s.api + ".DIRECT.GET." + s.stream())
		m.Data = body
		msg, reqErr := s.request(ctx, m)
		if reqErr != nil {
			return best, reqErr
		}
		rec, recErr := decodeRecord(msg)
		if recErr == nil {
			best, err = rec, nil
		}
		if rec.Revision == 0 || rec.Revision >= revision {
			break
		}
		seq = rec.Revision + 1
	}
	return best, err
}

// decodeRecord reads the reply to a direct get. The revision is set, where there
// is one, also with an error.
func decodeRecord(msg *nats.Msg) (Record, error) {
	var rec Record
	if status := msg.Header.Get("Status"); status != "" {
		if status == "404" {
			return rec, ErrNoCampaign
		}
		return rec, fmt.Errorf("reading the campaign record: %s %s", status, msg.Header.Get("Description"))
	}
	var err error
	if rec.Revision, err = strconv.ParseUint(msg.Header.Get(jetstream.SequenceHeader), 10, 64); err != nil {
		return rec, fmt.Errorf("reading the campaign record: reply without a sequence: %w", err)
	}
	if rec.Stored, err = time.Parse(time.RFC3339Nano, msg.Header.Get(jetstream.TimeStampHeaer)); err != nil {
		rec.Stored = time.Time{} // informative only
	}
	if msg.Header.Get("KV-Operation") != "" { // deleted or purged
		return rec, ErrNoCampaign
	}
	if err := json.Unmarshal(msg.Data, &rec.Campaign); err != nil {
		return rec, fmt.Errorf("reading the campaign record: %w", err)
	}
	return rec, nil
}

// Put writes a record over the given revision (0: there must be none) and returns
// the new one; ErrCampaignChanged if somebody was faster.
func (s *Campaigns) Put(ctx context.Context, tenant, campaign string, c *Campaign, revision uint64) (uint64, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return 0, fmt.Errorf("encoding the campaign record: %w", err)
	}
	m := nats.NewMsg(s.subject(tenant, campaign))
	m.Data = body
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(revision, 10))
	msg, err := s.request(ctx, m)
	if err != nil {
		return 0, err
	}
	var ack struct {
		Seq   uint64              `json:"seq"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(msg.Data, &ack); err != nil {
		return 0, fmt.Errorf("writing the campaign record: %w", err)
	}
	switch {
	case ack.Error != nil && ack.Error.ErrorCode == codeWrongLastSeq:
		return 0, ErrCampaignChanged
	case ack.Error != nil:
		return 0, fmt.Errorf("writing the campaign record: %w", ack.Error)
	case ack.Seq == 0:
		return 0, errors.New("writing the campaign record: the reply is not JetStream's: is another service answering on this subject?")
	}
	return ack.Seq, nil
}

// Update reads the record, lets change alter it and writes it, again from the
// start whenever somebody else wrote meanwhile; so change may run several times.
// An error of change ends it and is returned as it is.
func (s *Campaigns) Update(ctx context.Context, tenant, campaign string, change func(*Campaign) error) (Record, error) {
	for range maxConflicts {
		rec, err := s.Get(ctx, tenant, campaign)
		if err != nil {
			return rec, err
		}
		if err := change(&rec.Campaign); err != nil {
			return rec, err
		}
		revision, err := s.Put(ctx, tenant, campaign, &rec.Campaign, rec.Revision)
		if err == nil {
			rec.Revision = revision
			return rec, nil
		}
		if !errors.Is(err, ErrCampaignChanged) {
			return rec, err
		}
		if err := pause(ctx, time.Duration(5+rand.IntN(20))*time.Millisecond); err != nil { //nolint:gosec // not a secret
			return rec, err
		}
	}
	return Record{}, fmt.Errorf("campaign %s of %s: %w, %d times in a row", campaign, tenant, ErrCampaignChanged, maxConflicts)
}

func (s *Campaigns) stream() string { return "KV_" + s.n.CampaignsBucket() }

func (s *Campaigns) subject(tenant, campaign string) string {
	return "$KV." + s.n.CampaignsBucket() + "." + tenant + "." + campaign
}

func (s *Campaigns) request(ctx context.Context, m *nats.Msg) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	msg, err := s.nc.RequestMsgWithContext(ctx, m)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, ErrNoBucket
	case err != nil:
		return nil, fmt.Errorf("campaign record: no answer from NATS: %w", err)
	}
	return msg, nil
}

// pause waits d or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
