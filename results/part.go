package results

import (
	"encoding/base64"
	"encoding/hex"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/lookupq/lookupq/internal/names"
)

// The headers of a part (contract section 3).
const (
	HeaderVersion = "Lookup-Version"
	HeaderItems   = "Lookup-Items"   // base64 of the Bitmap of item indexes
	HeaderCounts  = "Lookup-Counts"  // ok=498,failed=2
	HeaderSources = "Lookup-Sources" // upstream=400,cache=98
	HeaderCost    = "Lookup-Cost"    // CNY=0.9960; absent if nothing was paid
	headerTrace   = "traceparent"
	headerState   = "tracestate"
)

// partVersion is the Lookup-Version that this code writes and reads.
const partVersion = "1"

const (
	// MaxPartBytes is the largest body of a part.
	MaxPartBytes = 768 << 10
	// envelope is more than what a part's body holds besides its results, partFrame
	// than what it holds besides those and its names.
	envelope  = 512
	partFrame = 100
)

// Settled is one encoded result that waits for its part, with what the part's
// headers say of it.
type Settled struct {
	Index  int
	JSON   []byte // as Append wrote it
	Status Status
	Source Source
	Cost   Cost
}

// Settle encodes r, which belongs to job jobID; JSON is appended to buf, so that
// one buffer can serve many results. Safe in parallel with different buffers.
func Settle(buf []byte, jobID string, r *Result) (Settled, []byte) {
	start := len(buf)
	buf = Append(buf, jobID, r)
	return Settled{
		Index: r.Index, JSON: buf[start:len(buf):len(buf)], Status: r.Status, Source: r.Source, Cost: r.Cost,
	}, buf
}

// JobInfo is what a part says of its job.
type JobInfo struct {
	ID    names.Identity
	Route string
	Items int
	// Trace holds the job's headers, of which traceparent and tracestate are continued.
	Trace nats.Header
}

// BuildPart makes the message of one part of a job's results: at least one, at
// most what Pack puts together. The same set of items always gives the same
// message id. Safe in parallel; the message owns its bytes.
func BuildPart(n names.Names, job JobInfo, settled []Settled) *nats.Msg {
	var bits [(MaxItems + 7) / 8]byte
	var tallied [2][8]Tally
	items, counts, sources := Bitmap(bits[:0]), tallies(tallied[0][:0]), tallies(tallied[1][:0])
	var cost CostSum
	size := partFrame + len(job.ID.JobID) + len(job.ID.Tenant) + len(job.ID.Campaign) + len(job.Route)
	for i := range settled {
		s := &settled[i]
		items = items.with(s.Index)
		counts = counts.plus(string(s.Status))
		sources = sources.plus(string(s.Source))
		// A cost that is no decimal stays in the result, where it can be seen, but
		// has no place in a sum.
		_ = cost.Add(s.Cost)
		size += len(s.JSON) + 1
	}
	var stack [512]byte
	var ends [8]int // of the header values in text
	text := appendMsgID(stack[:0], job.ID, items)
	ends[0] = len(text)
	text = append(text, partVersion...)
	ends[1] = len(text)
	text = base64.StdEncoding.AppendEncode(text, items)
	ends[2] = len(text)
	text = counts.append(text)
	ends[3] = len(text)
	text = sources.append(text)
	ends[4] = len(text)
	text = cost.appendHeader(text)
	ends[5] = len(text)
	text = append(text, job.Trace.Get(headerTrace)...)
	ends[6] = len(text)
	text = append(text, job.Trace.Get(headerState)...)
	ends[7] = len(text)
	return &nats.Msg{
		Subject: n.ResultsSubject(job.ID.Tenant, job.ID.Campaign),
		Header:  partHeader(string(text), ends),
		Data:    appendPart(make([]byte, 0, size), job, settled),
	}
}

// appendPart appends a part's body.
func appendPart(dst []byte, job JobInfo, settled []Settled) []byte {
	dst = append(dst, `{"job_id":`...)
	dst = appendText(dst, job.ID.JobID)
	dst = append(dst, `,"tenant":`...)
	dst = appendText(dst, job.ID.Tenant)
	dst = append(dst, `,"campaign":`...)
	dst = appendText(dst, job.ID.Campaign)
	dst = append(dst, `,"route":`...)
	dst = appendText(dst, job.Route)
	dst = append(dst, `,"job_items":`...)
	dst = strconv.AppendInt(dst, int64(job.Items), 10)
	dst = append(dst, `,"results":[`...)
	for i := range settled {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, settled[i].JSON...)
	}
	return append(dst, `]}`...)
}

// Pack splits settled results into parts of at most maxItems results and
// MaxPartBytes, keeping the order. The parts are slices of settled.
func Pack(settled []Settled, maxItems int) [][]Settled {
	var parts [][]Settled
	start, size := 0, envelope
	for i := range settled {
		length := len(settled[i].JSON) + 1
		if i > start && (i-start >= maxItems || size+length > MaxPartBytes) {
			parts = append(parts, settled[start:i:i])
			start, size = i, envelope
		}
		size += length
	}
	if start < len(settled) {
		parts = append(parts, settled[start:len(settled):len(settled)])
	}
	return parts
}

// appendMsgID appends the part's message id, names.Identity.PartMsgID, without
// allocating.
func appendMsgID(dst []byte, id names.Identity, items Bitmap) []byte {
	dst = append(append(dst, id.Tenant...), '.')
	dst = append(append(dst, id.Campaign...), '.')
	dst = append(append(dst, id.JobID...), '.')
	digest := items.digest()
	return hex.AppendEncode(dst, digest[:])
}

// partHeader makes the header of values that lie one after the other in text;
// empty ones are left out.
func partHeader(text string, ends [8]int) nats.Header {
	keys := [8]string{
		nats.MsgIdHdr, HeaderVersion, HeaderItems, HeaderCounts, HeaderSources, HeaderCost, headerTrace, headerState,
	}
	out := make(nats.Header, len(keys))
	values := make([]string, len(keys))
	start := 0
	for i, end := range ends {
		if end > start {
			values[i] = text[start:end]
			out[keys[i]] = values[i : i+1 : i+1]
		}
		start = end
	}
	return out
}
