package portcheck

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/setup"
	"github.com/lookupq/lookupq/providers/upstream"
)

// Whatever the path and the reply, what is found there and what is handed out as
// raw are the same value.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"", "data", "data.0.transfer", "list.1", "a..b", "-1", "+1", "0", "."} {
		f.Add(p, `{"data":[{"transfer":1.50}],"list":[0,"x"],"a":null}`)
		f.Add(p, `[[1],{"0":2,"0":3}]`)
	}
	f.Fuzz(func(t *testing.T, text, body string) {
		root, ok := decode([]byte(body))
		if !ok {
			return
		}
		p := path(text)
		v, there := p.find(root)
		raw := p.raw([]byte(body))
		require.Equal(t, there, raw != nil)
		if !there {
			return
		}
		var again any
		d := json.NewDecoder(strings.NewReader(string(raw)))
		d.UseNumber()
		require.NoError(t, d.Decode(&again))
		require.Equal(t, v, again)
		word, single := scalar(v)
		require.True(t, single || word == "")
		require.LessOrEqual(t, len(word), 3*256)
	})
}

// Whatever is configured: it is refused with the faults, or what is sent is a
// request of the configured form that goes nowhere else.
func FuzzSettings(f *testing.F) {
	for _, settings := range []string{
		"path: /v1", "{path: /, method: GET, auth: {mode: query, param: key}}", "{path: /a%2Fb, extra_body: {a: [1, {b: c}]}}",
		"{path: '/x?y', countries: [CN, US]}", "{path: /, content_type: application/x-www-form-urlencoded, extra_body: {a: .inf}}",
		"{path: /, extra_headers: {x-a: \"b\\nc\"}}", "{path: /, auth: {prefix: \"\\r\\n\"}}", "{path: /, code_map: {1: retry}, fields: {data: ''}}", "path: [", "7", "*x", "{? {a: b} : c}",
		"{path: /, request_field: \"\\xff\", extra_body: {1: 2, ~: ~}}", "{path: /, transfer_map: {x: ported}, operator_map: {y: virtual}}",
	} {
		f.Add(settings)
	}
	f.Fuzz(func(t *testing.T, settings string) {
		node := new(yaml.Node)
		if yaml.Unmarshal([]byte(settings), node) != nil {
			return
		}
		p, err := New(setup.Config{Name: "portcheck", BaseURL: "https://api.example.com", Settings: node, Keys: []string{"main"}})
		if err != nil {
			require.Contains(t, err.Error(), "settings")
			return
		}
		q := query()
		r := p.asking.request(q.Key, q.Numbers[0])
		require.Contains(t, []string{http.MethodGet, http.MethodPost}, r.Method)
		require.True(t, strings.HasPrefix(r.Path, "/") && !strings.HasPrefix(r.Path, "//") && !strings.ContainsAny(r.Path, "?#"), r.Path)
		require.Equal(t, r.Method == http.MethodPost, r.Body != nil)
		if r.ContentType == contentJSON {
			require.True(t, json.Valid(r.Body))
		}
		res := upstream.Response{Status: 200, Body: []byte(`{"code":"SUCCESS","data":{"transfer":"未携转"}}`)}
		reply := (&reading{p: p, q: &q, res: &res}).read()
		require.True(t, reply.Failure != nil || len(reply.Outcomes) == 1 && reply.Outcomes[0].Kind <= providers.Pending)
	})
}
