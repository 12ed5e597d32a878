package tickets

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// recordVersion is the form of records and statuses that this program writes. Others are left
// alone: an older program must not touch what a newer one keeps.
const recordVersion = 1

// maxNumbers bounds what a record may hold; no upstream takes batches near it.
const maxNumbers = 100_000

// state is how far a ticket is.
type state uint8

const (
	noState    state = iota
	submitting       // stored; the upstream may hear of it any moment
	submitted        // the upstream has taken it
	unsure           // handed in, the reply was lost
	done             // nothing more will come
	void             // the upstream never took it
	states     = int(void) + 1
)

func (s state) String() string {
	return [states]string{"", "submitting", "submitted", "unsure", "done", "void"}[s]
}

// closed tells whether s is final.
func (s state) closed() bool { return s == done || s == void }

func parseState(word string) (state, error) {
	for s := submitting; int(s) < states; s++ {
		if s.String() == word {
			return s, nil
		}
	}
	return noState, fmt.Errorf("unknown state %q", word)
}

// record is a ticket as stored. It is never written again: a message that moves
// to the end of the stream can be missed by a reader who only reads up to a point.
// Numbers are E.164 without the '+': as integers they take half the room in memory.
type record struct {
	Version int `json:"version"`
	// Owner is the worker that made the ticket, its first owner.
	Owner     string    `json:"owner"`
	Key       string    `json:"key"`
	Partition string    `json:"partition"`
	CreatedAt time.Time `json:"created_at"`
	// Token is the SHA-256 of the callback token, in hex.
	Token string `json:"token_sha256"`
	// Raw says that outcomes are to hold the upstream's own object.
	Raw bool `json:"raw,omitempty"`
	// Groups are the share groups, GroupOf the group of each number; without it
	// all are of the first.
	Groups  []string `json:"groups"`
	GroupOf []uint16 `json:"group_of,omitempty"`
	Numbers []uint64 `json:"numbers"`
}

// status is what changes of a ticket. Without one it is submitting.
type status struct {
	Version int    `json:"version"`
	State   string `json:"state"`
	Owner   string `json:"owner"`
	// Final are the numbers that were answered with the submit.
	Final []final `json:"final,omitempty"`
}

// final is the outcome of one number that needs no receipt.
type final struct {
	Index int `json:"i"`
	// Kind is one of the words of finalKind. Found has facts, which are not kept.
	Kind    string   `json:"kind"`
	Failure *failure `json:"failure,omitempty"`
}

// failure is a providers.Failure as stored.
type failure struct {
	Kind    string `json:"kind"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
	Tries   int    `json:"tries,omitempty"`
}

// finalKind is the stored word for an outcome, "" for Pending.
func finalKind(k providers.OutcomeKind) string {
	switch k {
	case providers.Found:
		return "found"
	case providers.NotFound:
		return "not_found"
	case providers.Invalid:
		return "invalid"
	case providers.Failed:
		return "failed"
	case providers.Pending:
	}
	return ""
}

func newFinal(i int, o providers.Outcome) final {
	f := final{Index: i, Kind: finalKind(o.Kind)}
	if o.Failure != nil {
		f.Failure = &failure{o.Failure.Kind.String(), o.Failure.Code, o.Failure.Message, o.Failure.Tries}
	}
	return f
}

// outcome is the inverse of newFinal; false for one that is not kept.
func (f final) outcome() (providers.Outcome, bool) {
	var o providers.Outcome
	switch f.Kind {
	case finalKind(providers.NotFound):
		o.Kind = providers.NotFound
	case finalKind(providers.Invalid):
		o.Kind = providers.Invalid
	case finalKind(providers.Failed):
		o.Kind = providers.Failed
	default:
		return o, false
	}
	if f.Failure != nil {
		o.Failure = &providers.Failure{
			Kind: parseKind(f.Failure.Kind), Code: f.Failure.Code, Message: f.Failure.Message, Tries: f.Failure.Tries,
		}
	}
	return o, o.Kind != providers.Failed || o.Failure != nil
}

// parseKind is the inverse of providers.Kind.String; a word of a newer program is
// a code that nothing explains.
func parseKind(word string) providers.Kind {
	for k := range providers.Kinds {
		if kind := providers.Kind(k); kind.String() == word {
			return kind
		}
	}
	return providers.KindUndocumented
}

var (
	errVersion = errors.New("a ticket of another program version")
	errRecord  = errors.New("not a ticket")
)

// decodeRecord reads a stored ticket. errVersion and errRecord tell why not.
func decodeRecord(body []byte) (record, error) {
	var r record
	err := decode(body, &r)
	if err == nil && r.Version != recordVersion {
		err = errVersion
	}
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return record{}, err
	}
	return r, nil
}

// decodeStatus reads a stored status of a ticket of n numbers.
func decodeStatus(body []byte, n int) (status, error) {
	var s status
	err := decode(body, &s)
	if err == nil && s.Version != recordVersion {
		err = errVersion
	}
	if err == nil {
		err = s.check(n)
	}
	if err != nil {
		return status{}, err
	}
	return s, nil
}

func decode(body []byte, v any) error {
	if json.Unmarshal(body, v) == nil {
		return nil
	}
	var head struct {
		Version int `json:"version"`
	}
	if json.Unmarshal(body, &head) == nil && head.Version > recordVersion {
		return errVersion
	}
	return errRecord // the cause would quote numbers
}

func (s *status) check(n int) error {
	if _, err := parseState(s.State); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	if s.Owner == "" {
		return fmt.Errorf("%w: no owner", errRecord)
	}
	for _, f := range s.Final {
		if f.Index < 0 || f.Index >= n {
			return fmt.Errorf("%w: an outcome of no number", errRecord)
		}
	}
	return nil
}

func (r *record) check() error {
	if n := len(r.Numbers); n == 0 || n > maxNumbers {
		return fmt.Errorf("%w: %d numbers", errRecord, n)
	}
	if len(r.Groups) == 0 || r.GroupOf != nil && len(r.GroupOf) != len(r.Numbers) {
		return fmt.Errorf("%w: numbers and share groups do not fit", errRecord)
	}
	for _, g := range r.GroupOf {
		if int(g) >= len(r.Groups) {
			return fmt.Errorf("%w: a share group that is not listed", errRecord)
		}
	}
	if _, err := parseToken(r.Token); err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	if r.Owner == "" || r.CreatedAt.IsZero() {
		return fmt.Errorf("%w: no owner or no time", errRecord)
	}
	return nil
}

func parseToken(word string) (hash [32]byte, err error) {
	b, err := hex.DecodeString(word)
	if err != nil || len(b) != len(hash) {
		return hash, errors.New("no token hash")
	}
	return [32]byte(b), nil
}

// maxDigits of a number: E.164 has 15, and 18 fit a uint64 for certain.
const maxDigits = 18

// parseNumber reads E.164 with '+'.
func parseNumber(e164 string) (uint64, bool) {
	digits, plus := strings.CutPrefix(e164, "+")
	if !plus || digits == "" || len(digits) > maxDigits || digits[0] < '1' || digits[0] > '9' {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}

// e164 is the inverse of parseNumber.
func e164(n uint64) string {
	return string(strconv.AppendUint([]byte{'+'}, n, 10))
}
