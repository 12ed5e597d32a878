package jobs

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const id = `"id":"01JD2Z8QK5X7Q0M3W9V6T4R2AB"`

func TestDecode(t *testing.T) {
	t.Parallel()
	job, err := Decode([]byte(`{"id": "01JD2Z8QK5X7Q0M3W9V6T4R2AB",
 "items": [{"number": "13972565391", "ref": "crm-42"}, {"number": "+8613800138000"}, {"number": 13800138000, "ref": 7, "x": [1,{}]}],
 "region": "cn", "callback": {"url": "https://crm.example/hooks/lookup", "x": 1},
 "max_age": "24h", "expires_at": "2026-11-22T07:00:00+01:00", "options": {"check_level": 5, "deep": {"a": [true]}},
 "unknown": {"a": [1.5e-3, "\u00e9\ud83d\ude00", null, false]}}`))
	require.NoError(t, err)
	day := 24 * time.Hour
	require.Equal(t, Job{
		ID: "01JD2Z8QK5X7Q0M3W9V6T4R2AB",
		Items: []Item{
			{Number: "13972565391", Ref: json.RawMessage(`"crm-42"`)},
			{Number: "+8613800138000"},
			{Number: "13800138000", Ref: json.RawMessage(`7`)},
		},
		Region: "CN", CallbackURL: "https://crm.example/hooks/lookup", MaxAge: &day,
		ExpiresAt: time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC),
		Options:   map[string]any{"check_level": 5.0, "deep": map[string]any{"a": []any{true}}},
	}, job)
}

func TestDecodeAbsent(t *testing.T) {
	t.Parallel()
	for _, rest := range []string{
		``, `,"region":null,"callback":null,"max_age":null,"expires_at":null,"options":null`, `,"region":"","options":{}`,
		`,"Region":"US","OPTIONS":1`, // names are case-sensitive, so these are unknown
	} {
		job, err := Decode([]byte(`{` + id + `,"items":[{"number":"1"}]` + rest + `}`))
		require.NoError(t, err, rest)
		require.Equal(t, Job{ID: "01JD2Z8QK5X7Q0M3W9V6T4R2AB", Items: []Item{{Number: "1"}}}, job)
	}
	for _, zero := range []string{`"0"`, `0`, `"0s"`} {
		job, err := Decode([]byte(`{` + id + `,"items":[{"number":"1"}],"max_age":` + zero + `}`))
		require.NoError(t, err)
		require.Zero(t, *job.MaxAge)
	}
}

// TestDecodeItems checks that a faulty item fails alone.
func TestDecodeItems(t *testing.T) {
	t.Parallel()
	long, longest := strings.Repeat("é", MaxRef/2), strings.Repeat("9", MaxRef)
	tests := []struct {
		item   string
		number string
		ref    string
		fault  string
	}{
		{`{"number":"1 2"}`, "1 2", "", ""},
		{`{"number":""}`, "", "", ""}, // no fault of form; the resolver calls it empty
		{`{"number":"1\u0032\n"}`, "12\n", "", ""},
		{`{"number":13800138000}`, "13800138000", "", ""},
		{`{"number":0}`, "0", "", ""},
		{`{"number":"1","ref":""}`, "1", `""`, ""},
		{`{"number":"1","ref":null}`, "1", "", ""},
		{`{"number":"1","ref":-12345678901234567890123}`, "1", `-12345678901234567890123`, ""},
		{`{"ref" : "a\u00e9\"" , "number":"1"}`, "1", `"a\u00e9\""`, ""},
		{`{"number":"1","ref":"` + long + `"}`, "1", `"` + long + `"`, ""},
		{`{"number":"1","ref":` + longest + `}`, "1", longest, ""},
		{`{"number":"1","Number":"2","REF":3}`, "1", "", ""},

		{`{}`, "", "", noNumber},
		{`{"ref":"a"}`, "", `"a"`, noNumber},
		{`{"number":null,"ref":"a"}`, "", `"a"`, noNumber},
		{`{"number":1.5}`, "", "", badNumber},
		{`{"number":1.38E+10,"ref":1}`, "", "1", badNumber},
		{`{"number":-5}`, "", "", badNumber},
		{`{"number":true}`, "", "", badNumber},
		{`{"number":["1"]}`, "", "", badNumber},
		{`{"number":{"a":1}}`, "", "", badNumber},
		{`{"number":"` + strings.Repeat("1", 255) + `é"}`, strings.Repeat("1", 255), "", longNumber},
		{`{"number":` + strings.Repeat("1", 300) + `}`, strings.Repeat("1", 256), "", longNumber},
		{`{"number":"1","ref":1.5}`, "1", "", badRef},
		{`{"number":"1","ref":1e5}`, "1", "", badRef},
		{`{"number":"1","ref":true}`, "1", "", badRef},
		{`{"number":"1","ref":[1]}`, "1", "", badRef},
		{`{"number":"1","ref":{}}`, "1", "", badRef},
		{`{"number":"1","ref":"` + long + `a"}`, "1", "", longRef},
		{`{"number":"1","ref":` + longest + `9}`, "1", "", longRef},
		{`{"number":"1","number":"2"}`, "2", "", twice},
		{`{"number":"1","ref":1,"ref":1}`, "1", "1", twice},
		{`"13972565391"`, "", "", noItem},
		{`13972565391`, "", "", noItem},
		{`null`, "", "", noItem},
		{`[]`, "", "", noItem},
	}
	for _, tt := range tests {
		job, err := Decode([]byte(`{` + id + `,"items":[{"number":"7"},` + tt.item + `,{"number":"8"}]}`))
		require.NoError(t, err, tt.item)
		require.Len(t, job.Items, 3)
		require.Equal(t, Item{Number: "7"}, job.Items[0])
		require.Equal(t, Item{Number: "8"}, job.Items[2])
		got := job.Items[1]
		require.Equal(t, [3]string{tt.number, tt.ref, tt.fault}, [3]string{got.Number, string(got.Ref), got.Fault}, tt.item)
	}
}

// TestDecodeFaults checks malformed jobs whose id and items can be read.
func TestDecodeFaults(t *testing.T) {
	t.Parallel()
	for rest, want := range map[string]string{
		`"region":"China"`:                                "region must be",
		`"region":"C1"`:                                   "region must be",
		`"region":"ſK"`:                                   "region must be",
		`"region":86`:                                     "region must be a string",
		`"callback":"https://x"`:                          "callback must be an object",
		`"callback":{}`:                                   "callback has no url",
		`"callback":{"url":""}`:                           "callback has no url",
		`"callback":{"url":1}`:                            "callback.url must be a string",
		`"callback":{"url":"a","url":"b"}`:                "callback.url is given twice",
		`"max_age":"1.5h"`:                                "max_age: duration",
		`"max_age":5`:                                     "max_age: duration",
		`"max_age":{}`:                                    "max_age: duration",
		`"expires_at":"2026-11-22"`:                       "expires_at must be a time",
		`"expires_at":"2026-11-22T6:00:00Z"`:              "expires_at must be a time",
		`"expires_at":"2026-11-22T06:00:00,5Z"`:           "expires_at must be a time",
		`"expires_at":"2026-11-22 06:00:00Z"`:             "expires_at must be a time",
		`"expires_at":""`:                                 "expires_at must be a time",
		`"expires_at":1795327200`:                         "expires_at must be a string",
		`"options":[]`:                                    "options must be an object",
		`"options":"a"`:                                   "options must be an object",
		`"options":{"a":1,"b":2,"a":3}`:                   "options has a name twice",
		`"options":{"a":1e999}`:                           "options holds a number",
		`"region":"China","options":1,"x":"\ud83d\ude00"`: "region must be", // the first fault is told
	} {
		job, err := Decode([]byte(`{` + id + `,"items":[{"number":"1","ref":"a"}],` + rest + `}`))
		var bad *MalformedError
		require.ErrorAs(t, err, &bad, rest)
		require.Equal(t, ReasonMalformed, bad.Reason)
		require.ErrorContains(t, err, want, rest)
		require.Equal(t, "01JD2Z8QK5X7Q0M3W9V6T4R2AB", job.ID)
		require.Len(t, job.Items, 1, rest)
	}
}

func TestDecodeMalformed(t *testing.T) {
	t.Parallel()
	items := `"items":[{"number":"1"}]`
	tests := []struct {
		body, want string
		hasID      bool
		items      int
	}{
		{``, "want \"{\"", false, 0},
		{`null`, "want \"{\"", false, 0},
		{`[]`, "want \"{\"", false, 0},
		{`"a"`, "want \"{\"", false, 0},
		{"\ufeff{}", "want \"{\"", false, 0},
		{`{}`, "id is missing", false, 0},
		{`{` + items + `}`, "id is missing", false, 1},
		{`{"id":null,` + items + `}`, "id is missing", false, 1},
		{`{"id":5,` + items + `}`, "id must be a string", false, 1},
		{`{"id":"",` + items + `}`, "id must be 1 to 64", false, 1},
		{`{"id":"a b",` + items + `}`, "id must be 1 to 64", false, 1},
		{`{"id":"_a",` + items + `}`, "id must be 1 to 64", false, 1},
		{`{"id":"` + strings.Repeat("a", 65) + `",` + items + `}`, "id must be 1 to 64", false, 1},
		{`{` + id + `}`, "items is missing or empty", true, 0},
		{`{` + id + `,"items":[]}`, "items is missing or empty", true, 0},
		{`{` + id + `,"items":null}`, "items is missing or empty", true, 0},
		{`{` + id + `,"items":{"number":"1"}}`, "items must be an array", true, 0},
		{`{` + id + `,` + items + `} `, "", true, 1},
		{`{` + id + `,` + items + `}{}`, "something follows", true, 0},
		{`{` + id + `,` + items + "}\x00", "something follows", true, 0},
		{`{` + id + `,` + items, "want ',' or", true, 0},
		{`{` + id + `,` + items + `,}`, "want a string", true, 0},
		{`{` + id + `,,` + items + `}`, "want a string", true, 0},
		{`{` + id + ` ` + items + `}`, "want ',' or", true, 0},
		{`{` + id + `,"items":[{"number":"1"},]}`, "want a value", true, 0},
		{`{` + id + `,"items":[{"number":"1"}`, "want ',' or", true, 0},
		{`{` + id + `,` + items + `,"x":{"a":[1,2}}`, "want ',' or", true, 0},
		{`{` + id + `,` + items + `,"x":tru}`, "want a value", true, 0},
		{`{` + id + `,` + items + `,"x":01}`, "bad number", true, 0},
		{`{` + id + `,` + items + `,"x":-}`, "bad number", true, 0},
		{`{` + id + `,` + items + `,"x":1.}`, "bad number", true, 0},
		{`{` + id + `,` + items + `,"x":1e+}`, "bad number", true, 0},
		{`{` + id + `,` + items + `,"x":"\ud800"}`, "bad escape", true, 0},
		{`{` + id + `,` + items + `,"x":"\ud800\u0041"}`, "bad escape", true, 0},
		{`{` + id + `,` + items + `,"x":"\udc00"}`, "bad escape", true, 0},
		{`{` + id + `,` + items + `,"x":"\u12g4"}`, "bad escape", true, 0},
		{`{` + id + `,` + items + `,"x":"\`, "bad escape", true, 0},
		{`{` + id + `,` + items + `,"x":"\x"}`, "bad escape", true, 0},
		{`{` + id + `,` + items + ",\"x\":\"\n\"}", "control character", true, 0},
		{`{` + id + `,` + items + `,"x":"`, "string without end", true, 0},
		{`{` + id + `,` + items + `,"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "nested too deeply", true, 0},
		{`{` + id + `,` + items + ",\"x\":\"\xff\"}", "not UTF-8", false, 0},
		{`{` + id + `,` + items + `,` + id + `}`, `field "id" is given twice`, false, 0},
		{`{` + id + `,` + items + `,` + items + `}`, `field "items" is given twice`, false, 0},
		{`{` + id + `,` + items + `,"region":"CN","region":null}`, `field "region" is given twice`, false, 0},
		{`{` + id + `,` + items + `,"x":1,"x":2}`, "", true, 1}, // unknown fields are ignored, all of them
	}
	for _, tt := range tests {
		job, err := Decode([]byte(tt.body))
		if tt.want == "" {
			require.NoError(t, err, tt.body)
		} else {
			var bad *MalformedError
			require.ErrorAs(t, err, &bad, tt.body)
			require.Equal(t, ReasonMalformed, bad.Reason)
			require.ErrorContains(t, err, tt.want, tt.body)
		}
		require.Equal(t, tt.hasID, job.ID != "", tt.body)
		require.Len(t, job.Items, tt.items, tt.body)
	}
}

func TestDecodeTooManyItems(t *testing.T) {
	t.Parallel()
	for n, listed := range map[int]int{MaxItems: MaxItems, MaxItems + 1: MaxItems + 1, maxListed: maxListed, maxListed + 1: 0, 300_000: 0} {
		body := []byte(`{` + id + `,"items":[` + strings.TrimSuffix(strings.Repeat(`{},`, n), ",") + `],"region":"CN"}`)
		job, err := Decode(body)
		require.Len(t, job.Items, listed)
		require.Equal(t, "CN", job.Region)
		if n <= MaxItems {
			require.NoError(t, err)
			continue
		}
		var bad *MalformedError
		require.ErrorAs(t, err, &bad)
		require.Equal(t, ReasonTooManyItems, bad.Reason)
		require.ErrorContains(t, err, fmt.Sprintf("%d items, at most 1000", n))
	}
}

// TestDecodeTellsNothing: what is in the log must not be in the job.
func TestDecodeTellsNothing(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"id":"+8613972565391","items":[{"number":"+8613972565391"}]}`,
		`{` + id + `,"items":[{"number":"+8613972565391"}],"region":"+8613972565391"}`,
		`{` + id + `,"items":[{"number":"+8613972565391"}],"callback":{"url":"a?13972565391"},"expires_at":"13972565391"}`,
		`{` + id + `,"items":[{"number":13972565391x}]}`,
	} {
		_, err := Decode([]byte(body))
		require.Error(t, err)
		require.NotContains(t, err.Error(), "72565391")
	}
}
