package results

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/lookupq/lookupq/internal/names"
)

// ErrNotPart says that a message on the results stream is no part that this
// version can read. Who counts parts leaves it out.
var ErrNotPart = errors.New("not a part of results of version " + partVersion)

// Head is what a part's headers say, so that counting needs no bodies.
type Head struct {
	ID names.Identity
	// MsgID is the part's id over all streams: identity and digest of the items.
	MsgID   string
	Items   Bitmap
	Counts  []Tally // by Status
	Sources []Tally // by Source
	Costs   []Cost  // by currency
}

// ParseHead reads the headers that BuildPart writes; the error wraps ErrNotPart.
// It checks that the message id belongs to the items. Safe in parallel.
func ParseHead(h nats.Header) (Head, error) {
	if v := h.Get(HeaderVersion); v != partVersion {
		return Head{}, fmt.Errorf("%w: %s is %q", ErrNotPart, HeaderVersion, clip(v, 16))
	}
	head := Head{MsgID: h.Get(nats.MsgIdHdr)}
	var digest string
	var ok bool
	if head.ID, digest, ok = splitMsgID(head.MsgID); !ok {
		return Head{}, fmt.Errorf("%w: message id", ErrNotPart)
	}
	var err error
	if head.Items, err = ParseBitmap(h.Get(HeaderItems)); err != nil {
		return Head{}, fmt.Errorf("%w: %s: %w", ErrNotPart, HeaderItems, err)
	}
	if len(head.Items) == 0 || hex.EncodeToString(head.Items.Digest()) != digest {
		return Head{}, fmt.Errorf("%w: %s does not fit the message id", ErrNotPart, HeaderItems)
	}
	if head.Counts, err = parseTallies(h.Get(HeaderCounts)); err != nil {
		return Head{}, fmt.Errorf("%w: %s: %w", ErrNotPart, HeaderCounts, err)
	}
	if head.Sources, err = parseTallies(h.Get(HeaderSources)); err != nil {
		return Head{}, fmt.Errorf("%w: %s: %w", ErrNotPart, HeaderSources, err)
	}
	if head.Costs, err = parseCosts(h.Get(HeaderCost)); err != nil {
		return Head{}, fmt.Errorf("%w: %s: %w", ErrNotPart, HeaderCost, err)
	}
	return head, nil
}

// splitMsgID takes a part's message id apart; tokens hold no point.
func splitMsgID(id string) (names.Identity, string, bool) {
	tenant, rest, _ := strings.Cut(id, ".")
	campaign, rest, _ := strings.Cut(rest, ".")
	job, digest, ok := strings.Cut(rest, ".")
	if !ok || !names.ValidToken(tenant) || !names.ValidCampaign(campaign) || !names.ValidToken(job) || len(digest) != 2*digestSize {
		return names.Identity{}, "", false
	}
	return names.Identity{Tenant: tenant, Campaign: campaign, JobID: job}, digest, true
}

// Part is a decoded part.
type Part struct {
	JobID    string   `json:"job_id"`
	Tenant   string   `json:"tenant"`
	Campaign string   `json:"campaign"`
	Route    string   `json:"route"`
	JobItems int      `json:"job_items"`
	Results  []Result `json:"-"`
}

// DecodePart reads a part's body. Unknown fields are ignored; a result whose id
// is not of the part's job is an error that wraps ErrNotPart. Safe in parallel.
func DecodePart(body []byte) (Part, error) {
	var wire struct {
		Part
		Results []struct {
			ID string `json:"id"`
			Result
		} `json:"results"`
	}
	if err := json.Unmarshal(body, &wire); err != nil {
		return Part{}, fmt.Errorf("%w: %w", ErrNotPart, err)
	}
	p := wire.Part
	p.Results = make([]Result, len(wire.Results))
	for i := range wire.Results {
		r := &wire.Results[i]
		number, ok := strings.CutPrefix(r.ID, p.JobID+".")
		index, err := strconv.Atoi(number)
		if !ok || err != nil || index < 0 || index >= MaxItems {
			return Part{}, fmt.Errorf("%w: a result's id is not of job %s", ErrNotPart, clip(p.JobID, maxToken))
		}
		p.Results[i] = r.Result
		p.Results[i].Index = index
	}
	return p, nil
}

// maxToken is the longest job id.
const maxToken = 64

// ID is the result's id on the wire.
func (p *Part) ID(r *Result) string { return p.JobID + "." + strconv.Itoa(r.Index) }
