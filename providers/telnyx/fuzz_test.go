package telnyx

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/upstream"
)

// seed adds the bodies of the recorded calls and some damaged ones.
func seed(f *testing.F) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(f, err)
		var c struct {
			Response struct{ Body json.RawMessage }
		}
		require.NoError(f, json.Unmarshal(raw, &c))
		f.Add([]byte(c.Response.Body))
	}
	for _, body := range []string{
		"", "{}", "null", `{"data":null}`, `{"data":[null,7,[],{}]}`, `{"data":{}}`, `{"errors":[null,{"code":7,"source":[]}]}`,
		`{"data":[{"phone_number":13035550000,"portable":"true"}]}`, `{"data":[{"id":"` + someID + `","porting_phone_numbers_count":-1,"phone_numbers":[{}]}],"meta":{"total_pages":"2"}}`,
		`{"errors":[{"code":"10016","source":{"pointer":"/phone_numbers/99999999999999999999"}}]}`, "{\"data\":{\"phone_number\":\"+13035550000\",\"carrier\":{\"name\":\"\xff\"}}}",
	} {
		f.Add([]byte(body))
	}
}

// sound holds for every reply, whatever came.
func sound(t *testing.T, q providers.Query, r providers.Reply) {
	t.Helper()
	if r.Failure != nil {
		require.Nil(t, r.Outcomes)
		clean(t, r.Failure)
		return
	}
	require.Len(t, r.Outcomes, len(q.Numbers))
	for _, o := range r.Outcomes {
		require.Equal(t, o.Kind == providers.Failed || o.Kind == providers.Invalid, o.Failure != nil)
		if o.Failure != nil {
			clean(t, o.Failure)
		}
		if o.Raw != nil {
			require.True(t, json.Valid(o.Raw))
		}
		if o.Kind != providers.Found {
			require.Zero(t, o.Facts)
			continue
		}
		require.True(t, utf8.ValidString(o.Facts.NotPortableReason+o.Facts.CurrentCarrier.Name+o.Facts.Country))
	}
}

func clean(t *testing.T, f *providers.Failure) {
	t.Helper()
	text := strings.ToLower(f.Error())
	require.NotContains(t, text, strings.ToLower(testKey))
	for _, n := range []string{"13035550000", "13035550001", "3125550123"} {
		require.NotContains(t, text, n)
	}
}

func FuzzPortability(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		q := query(opPortability, "+13035550000", "+13125550123", "+13035550001")
		q.Raw = true
		r := readPortability(q, upstream.Response{Status: 201, Body: body})
		sound(t, q, r)
		for _, o := range r.Outcomes {
			require.Equal(t, providers.Unknown, o.Facts.Ported, "portable is not ported")
		}
	})
}

func FuzzLookup(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		q := query(opLookup, "+13125550142")
		q.Raw = true
		sound(t, q, readLookup(q, upstream.Response{Status: 200, Body: body}))
	})
}

// FuzzPortingDirect feeds one body to every request of a call for single numbers.
func FuzzPortingDirect(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		p := newProvider(t, "porting_max_numbers: 200", transport(func(r *http.Request) *http.Response {
			require.Regexp(t, shape(), r.Method+" "+strings.TrimPrefix(r.URL.EscapedPath(), "/v2"))
			return says(200, string(body))
		}))
		q := query(opPorting, "+13035550100", "+13035550000")
		q.Raw = true
		for range 5 {
			sound(t, q, p.Call(t.Context(), q))
		}
	})
}

// FuzzList feeds pages of orders and then of numbers.
func FuzzList(f *testing.F) {
	seed(f)
	s, err := readSettings(nil)
	require.NoError(f, err)
	s.MaxNumbers = 500
	f.Fuzz(func(t *testing.T, body []byte) {
		r := newReading(s)
		for range 20 {
			page, free := r.claim()
			require.True(t, free, "it does not get stuck")
			require.Equal(t, r.numbers, r.request(page).route == portingNumbers)
			done, ok := r.take(page, body)
			if done || !ok {
				break
			}
		}
		q := query(opPorting, "+13035550100", "+13035550000")
		l := r.finish()
		reply := providers.Reply{}
		for _, n := range q.Numbers {
			reply.Outcomes = append(reply.Outcomes, l.outcome(n, true))
		}
		sound(t, q, reply)
		for _, o := range l.rows {
			require.True(t, o.order.id == "" || isUUID(o.order.id))
		}
	})
}

func FuzzRefusal(f *testing.F) {
	for _, status := range []int{400, 401, 404, 409, 422, 429, 500} {
		f.Add(status, "true", []byte(problems("10016", "+13035550001 is none", "/phone_numbers/1")))
		f.Add(status, "", []byte(`{"errors":[{"code":"80401"},{"code":10002,"detail":"13035550000"}]}`))
	}
	f.Add(422, "false", []byte(`{"errors":[{"title":"`+testKey+`","source":{"pointer":"phone_numbers["}}]}`))
	f.Fuzz(func(t *testing.T, status int, again string, body []byte) {
		q := query(opPortability, "+13035550000", "+13035550001")
		kind := upstream.StatusKind(status)
		res := upstream.Response{Status: status, Body: body, Header: map[string][]string{"X-Should-Retry": {again}}}
		no := judge(res, &providers.Failure{Kind: kind}, q.Key.Secret)
		r := no.reply(q.Numbers)
		sound(t, q, r)
		for _, o := range r.Outcomes {
			require.NotEqual(t, providers.Found, o.Kind)
		}
		one := no.reply(q.Numbers[:1])
		if one.Failure == nil {
			require.NotEqual(t, providers.Found, one.Outcomes[0].Kind)
		}
	})
}
