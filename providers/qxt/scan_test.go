package qxt

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestReadReplyForms(t *testing.T) {
	t.Parallel()
	vendor := result{
		res: []byte("1"), mobile: []byte("13972565391"), area: []byte("湖北-恩施"), initISP: []byte("移动"), nowISP: []byte("电信"),
	}
	tests := map[string]struct {
		body string
		want entry
	}{
		"single call": {
			`{"code":0,"reason":"Succ","result":{"res":"1","Mobile":"13972565391","Area":"湖北-恩施","Init_isp":"移动","Now_isp":"电信"}}`,
			entry{hasCode: true, reason: []byte("Succ"), result: vendor},
		},
		"no underscores, other case, numbers for strings": {
			`{"CODE":"0","Reason":"Succ","Result":{"Res":1,"mobile":13972565391,"AREA":"湖北-恩施","InitIsp":"移动","NOWISP":"电信"}}`,
			entry{hasCode: true, reason: []byte("Succ"), result: vendor},
		},
		"escapes": {
			"\n\t{\"code\" : 0, \"result\" : {\"Area\":\"\\u6e56\\u5317-\\u8944\\u6a0a\", \"\\u0052es\":\"\\ud83d\\ude00\\n\\/\"}} ",
			entry{hasCode: true, result: result{res: []byte("😀\n/"), area: []byte("湖北-襄樊")}},
		},
		"result of senseless types": {`{"code":-2,"reason":null,"result":""}`, entry{hasCode: true, code: -2}},
		"fields of senseless types": {`{"code":true,"reason":["x"],"result":{"res":{},"Mobile":false,"Area":null}}`, entry{}},
		"code as float":             {`{"code":-10.0}`, entry{hasCode: true, code: -10}},
		"code as padded text":       {`{"code":" -6 "}`, entry{hasCode: true, code: -6}},
		"code that is none":         {`{"code":"Succ"}`, entry{}},
		"code between":              {`{"code":0.5}`, entry{}},
		"code beyond":               {`{"code":1e300}`, entry{}},
		"last of twice counts": {
			`{"code":1,"code":0,"result":{"res":"1","res":"0"}}`, entry{hasCode: true, result: result{res: []byte("0")}},
		},
		"last result counts": {
			`{"code":0,"result":{"Area":"x"},"RESULT":{"res":"3"}}`, entry{hasCode: true, result: result{res: []byte("3")}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := 0
			list, stray, ok := readReply([]byte(tt.body), nil, func(e *entry) {
				n++
				require.JSONEq(t, tt.body, string(e.raw))
				got := *e
				got.raw = nil
				require.Equal(t, tt.want, got)
			})
			require.True(t, ok)
			require.False(t, list)
			require.Zero(t, stray)
			require.Equal(t, 1, n)
		})
	}
}

func TestReadReplyLists(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		entries, stray int
	}{
		`[]`:                       {0, 0},
		`[{}]`:                     {1, 0},
		`[ {} , {"code":0} ]`:      {2, 0},
		`[1,{"code":0},null,[{}]]`: {1, 3},
	}
	for body, want := range tests {
		n := 0
		list, stray, ok := readReply([]byte(body), func(*entry) { n++ }, nil)
		require.True(t, ok, body)
		require.True(t, list, body)
		require.Equal(t, want.entries, n, body)
		require.Equal(t, want.stray, stray, body)
	}
}

func TestReadReplyRefuses(t *testing.T) {
	t.Parallel()
	bodies := []string{
		``, ` `, `null`, `true`, `0`, `"x"`, `[`, `]`, `{`, `}`, `[{}`, `[{},]`, `[{}]]`, `[{}] x`, `{}{}`, `{,}`,
		`{"code"}`, `{"code":}`, `{"code":0,}`, `{code:0}`, `{'code':0}`, `{"code":01}`, `{"code":+1}`, `{"code":.5}`, `{"code":1.}`,
		`{"code":1e}`, `{"code":-}`, `{"code":nul}`, `{"a":"\x"}`, `{"a":"\u12"}`, `{"a":"\u12g4"}`, "{\"a\":\"\n\"}", "{\"a\":\x01 1}", `{"a":"b`,
		strings.Repeat("[", maxDepth+2) + strings.Repeat("]", maxDepth+2),
		`<html></html>`,
	}
	for _, body := range bodies {
		_, _, ok := readReply([]byte(body), func(*entry) {}, func(*entry) {})
		require.False(t, ok, body)
	}
}

// FuzzReadReply holds the scanner against encoding/json: it accepts the same
// texts, finds the same entries, and the same values in them.
func FuzzReadReply(f *testing.F) {
	f.Add(batchBody(2, "湖北-襄樊", `\u79fb\u52a8`))
	for _, s := range []string{
		`{"code":"0","result":{"res":1,"Mobile":13972565391,"Initisp":"\ud83d\ude00"}}`, `[1,{"code":-1},null]`,
		`{"Code":1,"CODE":0,"result":{"a":[{"b":{}}]},"result":null}`, `{"code":1e0}`, "[{\"reason\":\"\xff\"}]", `{"a":"\ud800A\ud800\n"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var got []entry
		collect := func(e *entry) { got = append(got, copyOf(e)) }
		list, stray, ok := readReply(body, collect, collect)
		if bytes.Count(body, []byte("["))+bytes.Count(body, []byte("{")) > maxDepth {
			return // deeper than we read, on purpose
		}
		first := bytes.TrimLeft(body, " \t\r\n")
		valid := json.Valid(body) && len(first) > 0 && (first[0] == '{' || first[0] == '[')
		require.Equal(t, valid, ok)
		if !ok {
			return
		}
		elements := []json.RawMessage{body}
		if list {
			require.NoError(t, json.Unmarshal(body, &elements))
		}
		require.Len(t, elements, len(got)+stray)
		i := 0
		for _, raw := range elements {
			if raw = bytes.TrimLeft(raw, " \t\r\n"); raw[0] != '{' {
				continue
			}
			compare(t, raw, got[i])
			i++
		}
	})
}

func copyOf(e *entry) entry {
	c := *e
	for _, b := range []*[]byte{&c.reason, &c.res, &c.mobile, &c.area, &c.initISP, &c.nowISP, &c.raw} {
		*b = bytes.Clone(*b)
	}
	return c
}

// compare reads raw with encoding/json, into maps because it matches names in
// its own way.
func compare(t *testing.T, raw []byte, got entry) {
	t.Helper()
	var fields map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &fields))
	require.True(t, bytes.HasPrefix(raw, got.raw), "%q is not the entry %q", got.raw, raw)
	if !utf8.Valid(raw) || repeats(fields) {
		return // encoding/json replaces bad UTF-8 and loses the order of names
	}
	var reason string
	for name, value := range fields {
		if folded([]byte(name)) == fieldReason {
			reason = text(value)
		}
	}
	require.Equal(t, reason, string(got.reason))
	var area string
	for name, value := range fields {
		var inner map[string]json.RawMessage
		if folded([]byte(name)) != fieldResult || json.Unmarshal(value, &inner) != nil || repeats(inner) {
			continue
		}
		for name, value := range inner {
			if folded([]byte(name)) == fieldArea {
				area = text(value)
			}
		}
		require.Equal(t, area, string(got.area))
	}
}

func text(value json.RawMessage) string {
	var s string
	var n json.Number
	if value[0] == '"' && json.Unmarshal(value, &s) == nil {
		return strings.TrimFunc(s, func(r rune) bool { return r <= ' ' })
	}
	if value[0] != '"' && json.Unmarshal(value, &n) == nil {
		return n.String()
	}
	return ""
}

// repeats reports whether two names mean one field: which of them came last is
// not to be seen in a map. A field that came twice under one name is merged into
// one, which only the entry's text tells.
func repeats(fields map[string]json.RawMessage) bool {
	seen := map[string]bool{}
	for name := range fields {
		f := folded([]byte(name))
		if f != "" && seen[f] {
			return true
		}
		seen[f] = true
	}
	return false
}
