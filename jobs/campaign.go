package jobs

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"
)

// CampaignState is where a campaign stands (contract section 4).
type CampaignState string

// The states of a campaign.
const (
	CampaignActive    CampaignState = "active"
	CampaignPaused    CampaignState = "paused"
	CampaignCancelled CampaignState = "cancelled"
	CampaignCompleted CampaignState = "completed"
)

// Callback is where results are also posted.
type Callback struct {
	URL string `json:"url"`
}

// Source says what a campaign's jobs are made from and how far that is. The
// first three fields are the contract's; the others let a producer resume.
type Source struct {
	// Name is for people. SHA256 is of the source's bytes; empty while a stream
	// that can be read only once is still being read.
	Name   string `json:"name"`
	SHA256 string `json:"sha256,omitempty"`
	// Published is how many jobs, counted from the first, are stored for sure.
	Published uint64 `json:"published"`
	// After is a sequence of the jobs stream: the jobs that are not counted by
	// Published, and may yet be stored, come behind it.
	After uint64 `json:"after,omitempty"`
	// Seed makes the job ids where SHA256 cannot; Mark is a digest of the
	// published jobs, to recognise a stream that is sent again.
	Seed string `json:"seed,omitempty"`
	Mark string `json:"mark,omitempty"`
	// Options are what else decides about the jobs; a resumed run must have the same.
	Options map[string]string `json:"options,omitempty"`

	rest map[string]json.RawMessage
}

// Campaign is the record of a campaign in KV. Fields that this version does not
// know survive decoding and encoding.
type Campaign struct {
	State       CampaignState `json:"state"`
	Route       string        `json:"route,omitempty"`
	Callback    *Callback     `json:"callback,omitempty"`
	Budget      *Budget       `json:"budget,omitempty"`
	Source      *Source       `json:"source,omitempty"`
	Numbers     int64         `json:"numbers,omitempty"`
	Jobs        int64         `json:"jobs,omitempty"`
	CreatedAt   time.Time     `json:"created_at,omitzero"`
	SealedAt    time.Time     `json:"sealed_at,omitzero"`
	CompletedAt time.Time     `json:"completed_at,omitzero"`

	rest map[string]json.RawMessage
}

// Sealed reports whether no more jobs may come.
func (c *Campaign) Sealed() bool { return !c.SealedAt.IsZero() }

// errNotCampaign is a value that is JSON but no campaign record.
var errNotCampaign = errors.New("not a campaign record: it has no state")

// campaignFields and sourceFields are the names of the fields above.
func campaignFields() []string {
	return []string{"state", "route", "callback", "budget", "source", "numbers", "jobs", "created_at", "sealed_at", "completed_at"}
}

func sourceFields() []string {
	return []string{"name", "sha256", "published", "after", "seed", "mark", "options"}
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *Campaign) UnmarshalJSON(b []byte) error {
	type plain Campaign
	var p plain
	rest, err := decodeKeeping(b, &p, campaignFields())
	if err != nil {
		return err
	}
	if p.State == "" {
		return errNotCampaign
	}
	p.rest = rest
	*c = Campaign(p)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (c *Campaign) MarshalJSON() ([]byte, error) {
	type plain Campaign
	return encodeKeeping((*plain)(c), c.rest)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Source) UnmarshalJSON(b []byte) error {
	type plain Source
	var p plain
	rest, err := decodeKeeping(b, &p, sourceFields())
	if err != nil {
		return err
	}
	p.rest = rest
	*s = Source(p)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (s *Source) MarshalJSON() ([]byte, error) {
	type plain Source
	return encodeKeeping((*plain)(s), s.rest)
}

// decodeKeeping decodes b into v and returns the fields that v does not have.
func decodeKeeping(b []byte, v any, known []string) (map[string]json.RawMessage, error) {
	if err := json.Unmarshal(b, v); err != nil {
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	maps.DeleteFunc(all, func(k string, _ json.RawMessage) bool { return slices.Contains(known, k) })
	return all, nil
}

// encodeKeeping encodes v together with the fields that it does not have.
func encodeKeeping(v any, rest map[string]json.RawMessage) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil || len(rest) == 0 {
		return b, err
	}
	all := maps.Clone(rest)
	if err := json.Unmarshal(b, &all); err != nil {
		return nil, err
	}
	return json.Marshal(all)
}
