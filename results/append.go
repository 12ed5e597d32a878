package results

import (
	"encoding/json"
	"strconv"
	"time"
)

const (
	// MaxRaw is the largest provider object that a result carries, in bytes.
	MaxRaw = 16 << 10
	// maxText bounds every text in a result. Nothing real comes near; it keeps a
	// hostile upstream or producer from making a result that fits no part.
	maxText = 1 << 10
	// maxList bounds every list, and maxListText its texts, for the same reason.
	maxList     = 64
	maxListText = 256
)

// Append appends r as the JSON object of the contract to dst and returns the
// extended slice. It allocates nothing beyond dst's growth and is safe in
// parallel. jobID makes the result's id. Texts beyond 1 KiB are cut, a Raw
// beyond MaxRaw or one that is no JSON is left out as truncated.
func Append(dst []byte, jobID string, r *Result) []byte {
	dst = append(dst, `{"id":"`...)
	dst = append(dst, jobID...) // a token: nothing to escape
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, int64(r.Index), 10)
	dst = append(dst, '"')
	if len(r.Ref) > 0 {
		dst = append(dst, `,"ref":`...)
		dst = append(dst, r.Ref...)
	}
	dst = append(dst, `,"number":`...)
	dst = appendText(dst, r.Number)
	dst = appendField(dst, `,"e164":`, r.E164)
	dst = append(dst, `,"status":`...)
	dst = appendText(dst, string(r.Status))
	if r.Lookup != nil {
		dst = append(dst, `,"lookup":`...)
		dst = appendLookup(dst, r.Lookup)
	}
	if r.Error != nil {
		dst = append(dst, `,"error":{"code":`...)
		dst = appendText(dst, string(r.Error.Code))
		dst = appendField(dst, `,"message":`, r.Error.Message)
		dst = appendField(dst, `,"provider_code":`, r.Error.ProviderCode)
		dst = append(dst, '}')
	}
	dst = appendOrigin(dst, r)
	dst = appendRaw(dst, r)
	return append(dst, '}')
}

// appendOrigin appends who answered, when, for how much and at which attempt.
func appendOrigin(dst []byte, r *Result) []byte {
	dst = appendField(dst, `,"provider":`, r.Provider)
	dst = appendField(dst, `,"source":`, string(r.Source))
	dst = appendTimeField(dst, `,"answered_at":`, r.AnsweredAt)
	if r.Cost != (Cost{}) {
		dst = append(dst, `,"cost":{"amount":`...)
		dst = appendText(dst, r.Cost.Amount)
		dst = append(dst, `,"currency":`...)
		dst = appendText(dst, r.Cost.Currency)
		dst = append(dst, '}')
	}
	if r.Attempts > 0 {
		dst = append(dst, `,"attempts":`...)
		dst = strconv.AppendInt(dst, int64(r.Attempts), 10)
	}
	return dst
}

// appendRaw appends the provider's own object, or that it was too much.
func appendRaw(dst []byte, r *Result) []byte {
	if len(r.Raw) > 0 && len(r.Raw) <= MaxRaw && json.Valid(r.Raw) {
		dst = append(dst, `,"raw":`...)
		dst = append(dst, r.Raw...)
	} else if len(r.Raw) > 0 || r.RawTruncated {
		dst = append(dst, `,"raw_truncated":true`...)
	}
	return dst
}

// closeObject makes an object of the fields from start on, which all begin with
// a comma: the first comma becomes the brace.
func closeObject(dst []byte, start int) []byte {
	if len(dst) == start {
		return append(dst, '{', '}')
	}
	dst[start] = '{'
	return append(dst, '}')
}

// appendField appends name (with its comma and colon) and s, unless s is empty.
func appendField(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	dst = append(dst, name...)
	return appendText(dst, s)
}

// appendTimeField appends name and t, unless t is zero or of a year that RFC 3339 lacks.
func appendTimeField(dst []byte, name string, t time.Time) []byte {
	if y := t.UTC().Year(); t.IsZero() || y < 0 || y > 9999 {
		return dst
	}
	dst = append(dst, name...)
	dst = append(dst, '"')
	dst = appendTime(dst, t)
	return append(dst, '"')
}

// appendTime appends t as RFC 3339 in UTC with milliseconds: 2006-01-02T15:04:05.000Z.
// By hand, for time.AppendFormat takes longer than the rest of a result.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendPadded(dst, year, 4)
	dst = append(dst, '-')
	dst = appendPadded(dst, int(month), 2)
	dst = append(dst, '-')
	dst = appendPadded(dst, day, 2)
	dst = append(dst, 'T')
	dst = appendPadded(dst, hour, 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, minute, 2)
	dst = append(dst, ':')
	dst = appendPadded(dst, second, 2)
	dst = append(dst, '.')
	dst = appendPadded(dst, t.Nanosecond()/int(time.Millisecond), 3)
	return append(dst, 'Z')
}

// appendPadded appends the last digits of v; v must not be negative.
func appendPadded(dst []byte, v, digits int) []byte {
	for range digits {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; digits > 0; i, digits = i-1, digits-1 {
		dst[i] = byte('0' + v%10)
		v /= 10
	}
	return dst
}
