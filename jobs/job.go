package jobs

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lookupq/lookupq/internal/dur"
	"github.com/lookupq/lookupq/internal/names"
)

// Bounds of a job.
const (
	// MaxItems is how many items a job may have.
	MaxItems = 1000
	// MaxRef is how long a ref may be: bytes of the string, or digits of the integer.
	MaxRef = 256
	// maxNumber is how much text a number may be; results echo it.
	maxNumber = 256
	// maxListed is how many items of a job with too many are still told, so that
	// each gets its failed result. Beyond it the job is rubbish.
	maxListed = 10 * MaxItems
)

// Why a job cannot be processed; subject tokens of the dead letter.
const (
	ReasonMalformed    = "malformed_job"
	ReasonTooManyItems = "too_many_items"
)

// Job is the body of a message on the jobs stream (contract section 2). Route,
// priority, tenant and campaign stand in its subject.
type Job struct {
	ID    string
	Items []Item
	// Region is an ISO 3166-1 code in capitals, "" for the route's.
	Region string
	// CallbackURL is where the parts are posted, "" for nowhere.
	CallbackURL string
	// MaxAge is how old a known answer may be, nil for the route's; 0 asks upstream.
	MaxAge *time.Duration
	// ExpiresAt is in UTC; zero is never.
	ExpiresAt time.Time
	// Options is nil if there are none. Numbers are float64.
	Options map[string]any
}

// Item is one number of a job.
type Item struct {
	// Number is as the producer typed it.
	Number string
	// Ref is the producer's key: nil or a JSON string or integer, byte for byte.
	Ref json.RawMessage
	// Fault says why this item alone is malformed, "" if it is not. It holds
	// nothing of the item.
	Fault string
}

// MalformedError says why a job cannot be processed. Its text holds nothing of
// the job but names of fields and a position.
type MalformedError struct {
	// Reason is ReasonMalformed or ReasonTooManyItems.
	Reason string
	Err    error
}

// Error implements error.
func (e *MalformedError) Error() string { return "malformed job: " + e.Err.Error() }

// Unwrap returns what is wrong.
func (e *MalformedError) Unwrap() error { return e.Err }

// Decode reads a job. The error is always a *MalformedError; the job is then
// filled as far as it could be read, so that failed results can be written if it
// has an ID and Items. body must not change afterwards: refs are parts of it.
//
// It is strict about what decides: the body must be one JSON object in UTF-8
// with nothing behind it, with a valid id and 1 to MaxItems items, and each
// known field must have its type. A known field given twice is refused, as
// nobody can say which was meant. Unknown fields are ignored, null is absent,
// names are case-sensitive. An item that is wrong in itself has a Fault and
// does no harm to the others.
//
// It takes a sixth of the time of encoding/json and half of jsontext, in three
// allocations whatever the number of items: every worker does it for every job.
func Decode(body []byte) (Job, error) {
	d := jobDecoder{jsonReader: jsonReader{raw: body}}
	if !utf8.Valid(body) {
		return Job{}, &MalformedError{ReasonMalformed, errors.New("the body is not UTF-8")}
	}
	d.text = string(body) // one copy, of which every number is a part
	d.document()
	if d.err != nil {
		d.job.Items = nil // how many there were is unknown
		return d.job, &MalformedError{ReasonMalformed, d.err}
	}
	return d.job, d.verdict()
}

// jobDecoder fills a job from JSON text. Two kinds of error: err of the reader
// ends it, fault is of one field and lets it read on.
type jobDecoder struct {
	jsonReader
	job   Job
	fault error // the first field that is wrong
	count int   // items
	seen  fieldSet
}

// The known fields.
type field uint8

const (
	fieldUnknown field = iota
	fieldID
	fieldItems
	fieldRegion
	fieldCallback
	fieldMaxAge
	fieldExpiresAt
	fieldOptions
	fieldNumber // of an item
	fieldRef    // of an item
)

func jobField(name string) field {
	switch name {
	case "id":
		return fieldID
	case "items":
		return fieldItems
	case "region":
		return fieldRegion
	case "callback":
		return fieldCallback
	case "max_age":
		return fieldMaxAge
	case "expires_at":
		return fieldExpiresAt
	case "options":
		return fieldOptions
	}
	return fieldUnknown
}

// fieldSet remembers the fields of one object.
type fieldSet uint16

// twice adds f and reports whether it was there. Unknown fields never are.
func (s *fieldSet) twice(f field) bool {
	was := *s&(1<<f) != 0
	*s |= 1 << f
	return was && f != fieldUnknown
}

// verdict judges a job that could be read to its end.
func (d *jobDecoder) verdict() error {
	switch {
	case d.job.ID == "" && d.fault == nil:
		d.fault = errors.New("id is missing")
	case d.count > MaxItems:
		err := fmt.Errorf("%d items, at most %d are allowed: send several jobs", d.count, MaxItems)
		return &MalformedError{ReasonTooManyItems, err}
	case d.count == 0 && d.fault == nil:
		d.fault = errors.New("items is missing or empty")
	}
	if d.fault != nil {
		return &MalformedError{ReasonMalformed, d.fault}
	}
	return nil
}

func (d *jobDecoder) document() {
	first := true
	for d.open('{'); d.more('}', &first); {
		name := d.name()
		f := jobField(name)
		if d.seen.twice(f) {
			d.job = Job{} // even id and items are in doubt
			d.fail(fmt.Sprintf("field %q is given twice", name))
			return
		}
		d.value(f)
	}
	d.end()
}

func (d *jobDecoder) value(f field) {
	if d.peek() == 'n' {
		d.skip()
		return
	}
	switch f {
	case fieldID:
		d.id()
	case fieldItems:
		d.items()
	case fieldRegion:
		d.region()
	case fieldCallback:
		d.callback()
	case fieldMaxAge:
		d.maxAge()
	case fieldExpiresAt:
		d.expiresAt()
	case fieldOptions:
		d.options()
	case fieldUnknown, fieldNumber, fieldRef:
		d.skip()
	}
}

// blame keeps the first fault of a field.
func (d *jobDecoder) blame(err error) {
	if d.fault == nil {
		d.fault = err
	}
}

// stringOf reads the string that the field must be; ok is false if it is none.
func (d *jobDecoder) stringOf(name string) (s string, ok bool) {
	if d.peek() != '"' {
		d.skip()
		d.blame(errors.New(name + " must be a string"))
		return "", false
	}
	s = d.str()
	return s, d.err == nil
}

func (d *jobDecoder) id() {
	id, ok := d.stringOf("id")
	switch {
	case ok && names.ValidToken(id):
		d.job.ID = id
	case ok:
		d.blame(errors.New("id must be 1 to 64 letters, digits, '-' or '_', the first a letter or digit"))
	}
}

func (d *jobDecoder) region() {
	region, ok := d.stringOf("region")
	switch {
	case !ok || region == "":
	case len(region) == 2 && isLetter(region[0]) && isLetter(region[1]):
		d.job.Region = strings.ToUpper(region)
	default:
		d.blame(errors.New("region must be an ISO 3166-1 code of two letters, such as CN"))
	}
}

func (d *jobDecoder) callback() {
	if d.peek() != '{' {
		d.skip()
		d.blame(errors.New("callback must be an object with a url"))
		return
	}
	var seen fieldSet
	first := true
	for d.open('{'); d.more('}', &first); {
		if d.name() != "url" {
			d.skip()
			continue
		}
		if seen.twice(fieldCallback) {
			d.blame(errors.New("callback.url is given twice"))
		}
		d.job.CallbackURL, _ = d.stringOf("callback.url")
	}
	if d.job.CallbackURL == "" {
		d.blame(errors.New("callback has no url"))
	}
}

func (d *jobDecoder) maxAge() {
	var text string
	if d.peek() == '"' {
		text = d.str()
	} else if text = d.literalText(); text != "0" { // the contract's 0 may be a JSON number
		text = "a value that is no string"
	}
	age, err := dur.Parse(text)
	if err != nil {
		d.blame(fmt.Errorf("max_age: %w", err))
		return
	}
	d.job.MaxAge = &age
}

func (d *jobDecoder) expiresAt() {
	text, ok := d.stringOf("expires_at")
	if !ok {
		return
	}
	at, err := time.Parse(time.RFC3339, text)
	// Parse also takes an hour of one digit and a comma before the fraction.
	if err != nil || text[13] != ':' || strings.Contains(text, ",") {
		d.blame(errors.New("expires_at must be a time such as 2026-11-22T06:00:00Z (RFC 3339)"))
		return
	}
	d.job.ExpiresAt = at.UTC()
}

func (d *jobDecoder) options() {
	if d.peek() != '{' {
		d.skip()
		d.blame(errors.New("options must be an object"))
		return
	}
	from, count, first := d.pos, 0, true
	for d.open('{'); d.more('}', &first); count++ {
		d.name()
		d.skip()
	}
	if d.err != nil || count == 0 {
		return
	}
	if err := json.Unmarshal(d.raw[from:d.pos], &d.job.Options); err != nil {
		d.blame(errors.New("options holds a number that is out of range"))
	} else if len(d.job.Options) != count {
		d.blame(errors.New("options has a name twice"))
	}
}

func isLetter(c byte) bool { return c|' ' >= 'a' && c|' ' <= 'z' }
