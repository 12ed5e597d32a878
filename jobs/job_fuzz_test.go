package jobs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// reference decodes by encoding/json what the fuzz test compares: slow, and
// plain to read. ok is false where the document is none or has names twice.
func reference(body []byte) (items []Item, id string, ok bool) {
	var doc struct {
		ID    json.RawMessage `json:"id"`
		Items json.RawMessage `json:"items"`
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil || fields == nil {
		return nil, "", false
	}
	doc.ID, doc.Items = fields["id"], fields["items"]
	var list []json.RawMessage
	if json.Unmarshal(doc.Items, &list) != nil {
		list = nil
	}
	for _, raw := range list {
		items = append(items, referenceItem(raw))
	}
	_ = json.Unmarshal(doc.ID, &id)
	return items, id, true
}

func referenceItem(raw json.RawMessage) (it Item) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil || fields == nil {
		return Item{Fault: noItem}
	}
	var text string
	switch raw := fields["number"]; {
	case raw == nil || string(raw) == "null":
		it.blame(noNumber)
	case json.Unmarshal(raw, &text) == nil:
		it.Number = text
	case isDigit(raw[0]) && !bytes.ContainsAny(raw, ".eE"):
		it.Number = string(raw)
	default:
		it.blame(badNumber)
	}
	switch raw := fields["ref"]; {
	case raw == nil || string(raw) == "null":
	case json.Unmarshal(raw, &text) == nil:
		it.Ref = raw
	case (isDigit(raw[0]) || raw[0] == '-') && !bytes.ContainsAny(raw, ".eE"):
		it.Ref = raw
	default:
		it.blame(badRef)
	}
	return it
}

var errStrict = errors.New("refused by strictness")

// strictness tells the refusals that are ours from those of encoding/json.
func strictness(err error) error {
	for _, ours := range []string{"bad escape", "nested too deeply", "given twice", "not UTF-8"} {
		if err != nil && strings.Contains(err.Error(), ours) {
			return errStrict
		}
	}
	return err
}

func FuzzDecode(f *testing.F) {
	for _, rest := range []string{
		``, `,"region":"CN"`, `,"callback":{"url":"https://x"}`, `,"max_age":"0"`, `,"expires_at":"2026-11-22T06:00:00Z"`,
		`,"options":{"a":1}`, `,"x":[1,2.5e-7,{"a":null}]`, `,"x":"\ud83d\ude00\n"`, `,"x":tru`, `,"id":"b"`,
	} {
		f.Add([]byte(`{"id":"a","items":[{"number":"13972565391","ref":"x"},{"number":1,"ref":-0},{"number":"\u0031"},7]` + rest + `}`))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		job, err := Decode(body)
		require.Equal(t, before, body)
		if err != nil {
			var bad *MalformedError
			require.ErrorAs(t, err, &bad)
		}
		if errors.Is(strictness(err), errStrict) {
			return
		}
		items, id, ok := reference(body)
		if !ok {
			require.Error(t, err)
			require.Empty(t, job.Items)
			return
		}
		if err == nil || job.ID != "" {
			require.Equal(t, id, job.ID)
		}
		if len(items) > maxListed {
			require.Empty(t, job.Items)
			return
		}
		require.Len(t, job.Items, len(items), "%v", err)
		for i, got := range job.Items {
			switch got.Fault {
			case longNumber, longRef, twice:
				continue
			}
			require.Equal(t, items[i].Number, got.Number)
			require.Equal(t, items[i].Fault, got.Fault)
			require.Equal(t, string(items[i].Ref), string(got.Ref))
		}
	})
}

// jobOf makes a job as enqueue does.
func jobOf(items int) []byte {
	var b bytes.Buffer
	b.WriteString(`{"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB","items":[`)
	for i := range items {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"number":"139%08d","ref":"K%05d"}`, i*7919, i)
	}
	b.WriteString(`],"region":"CN"}`)
	return b.Bytes()
}

func BenchmarkDecode(b *testing.B) {
	for _, n := range []int{1, 500} {
		body := jobOf(n)
		b.Run(fmt.Sprintf("ours/%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if job, err := Decode(body); err != nil || len(job.Items) != n {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("encoding-json/%d", n), func(b *testing.B) {
			type wire struct {
				ID    string `json:"id"`
				Items []struct {
					Number string          `json:"number"`
					Ref    json.RawMessage `json:"ref"`
				} `json:"items"`
				Region string `json:"region"`
			}
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				var w wire
				if err := json.Unmarshal(body, &w); err != nil || len(w.Items) != n {
					b.Fatal(err)
				}
			}
		})
	}
}
