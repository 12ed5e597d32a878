package nxcloud

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// records is a reply of n entries on one of so many pages.
func records(n, page, pages, size int) reply {
	entries := make([]string, n)
	for i := range entries {
		entries[i] = `{"phone":"86138` + strconv.Itoa(10000000+page*1000+i) + `","batchNo":"ticket-0001","country":"CN"}`
	}
	return ok(`{"code":0,"msg":"ok","data":{"page":` + strconv.Itoa(page) + `,"pageSize":100,"totalPage":` + strconv.Itoa(pages) +
		`,"totalSize":` + strconv.Itoa(size) + `,"result":[` + strings.Join(entries, ",") + `]}}`)
}

// round fetches pages until there are no more, and says which were asked for.
func round(t *testing.T, v *vendor, p *Provider, submitted time.Time) (entries int, known bool, asked []string) {
	t.Helper()
	f := providers.Fetch{Key: testKey(), Ticket: testTicket, SubmittedAt: submitted, Page: 1}
	for range 20 {
		page := p.Fetch(t.Context(), f)
		require.Nil(t, page.Failure)
		entries += len(page.Entries)
		known = known || page.Known
		require.Equal(t, page.More, page.Next != "")
		if !page.More {
			break
		}
		f.Page, f.Cursor = f.Page+1, page.Next
	}
	for _, r := range v.requests() {
		var q question
		require.NoError(t, json.Unmarshal([]byte(r.body), &q))
		require.Equal(t, testTicket, q.BatchNo)
		require.Equal(t, 100, q.PageSize)
		asked = append(asked, q.Date[5:]+"/"+strconv.Itoa(q.Page))
	}
	return entries, known, asked
}

// at is a time in China, on or after November 15.
func at(days, hour, minute int) time.Time {
	return time.Date(2023, 11, 15+days, hour, minute, 0, 0, china())
}

func TestRounds(t *testing.T) {
	t.Parallel()
	none := records(0, 1, 0, 0)
	tests := map[string]struct {
		replies        []reply
		submitted, now time.Time
		entries        int
		known          bool
		asked          string
	}{
		"one page":                           {[]reply{records(3, 1, 1, 3)}, at(0, 12, 0), at(0, 12, 6), 3, true, "11-15/1"},
		"three pages":                        {[]reply{records(100, 1, 3, 210), records(100, 2, 3, 210), records(10, 3, 3, 210)}, at(0, 12, 0), at(0, 12, 6), 210, true, "11-15/1 11-15/2 11-15/3"},
		"nothing, by day":                    {[]reply{none}, at(0, 12, 0), at(0, 12, 6), 0, false, "11-15/1"},
		"nothing, by night":                  {[]reply{none}, at(0, 4, 0), at(0, 4, 6), 0, false, "11-15/1 11-14/1"},
		"the zone is another":                {[]reply{none, records(2, 1, 1, 2)}, at(0, 4, 0), at(0, 4, 6), 2, true, "11-15/1 11-14/1"},
		"found by night":                     {[]reply{records(2, 1, 1, 2)}, at(0, 4, 0), at(0, 4, 6), 2, true, "11-15/1"},
		"over midnight":                      {[]reply{records(100, 1, 2, 101), records(1, 2, 2, 101), records(5, 1, 1, 5)}, at(0, 23, 58), at(1, 0, 4), 106, true, "11-15/1 11-15/2 11-16/1"},
		"over midnight, all on the next":     {[]reply{none, records(5, 1, 1, 5)}, at(0, 23, 58), at(1, 0, 4), 5, true, "11-15/1 11-16/1"},
		"midnight has not come":              {[]reply{none}, at(0, 23, 50), at(0, 23, 56), 0, false, "11-15/1"},
		"midnight came too late for it":      {[]reply{none}, at(0, 20, 0), at(1, 9, 0), 0, false, "11-15/1"},
		"just after midnight":                {[]reply{records(5, 1, 1, 5), records(1, 1, 1, 1)}, at(0, 0, 2), at(0, 0, 8), 6, true, "11-15/1 11-14/1"},
		"known and empty":                    {[]reply{records(0, 1, 0, 7)}, at(0, 12, 0), at(0, 12, 6), 0, true, "11-15/1"},
		"an empty page ends a date":          {[]reply{records(100, 1, 9, 801), records(0, 2, 9, 801)}, at(0, 12, 0), at(0, 12, 6), 100, true, "11-15/1 11-15/2"},
		"a count that is none, a full page":  {[]reply{ok(strings.Replace(records(100, 1, 1, 7).body, `"totalPage":1`, `"totalPage":"x"`, 1)), records(4, 2, 2, 104)}, at(0, 12, 0), at(0, 12, 6), 104, true, "11-15/1 11-15/2"},
		"a count that is text":               {[]reply{ok(strings.Replace(records(100, 1, 1, 7).body, `"totalPage":1`, `"totalPage":"2"`, 1)), records(4, 2, 2, 104)}, at(0, 12, 0), at(0, 12, 6), 104, true, "11-15/1 11-15/2"},
		"records of another batch, no other": {[]reply{ok(strings.ReplaceAll(records(3, 1, 1, 3).body, testTicket, "other"))}, at(0, 12, 0), at(0, 12, 6), 0, false, "11-15/1"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, tt.replies...)
			p := v.provider(t, "")
			p.clock = func() time.Time { return tt.now }
			entries, known, asked := round(t, v, p, tt.submitted)
			require.Equal(t, tt.entries, entries)
			require.Equal(t, tt.known, known)
			require.Equal(t, tt.asked, strings.Join(asked, " "))
		})
	}
}

// Where answers are waited for longer than a day, all of its days are asked for.
func TestRoundsOfDays(t *testing.T) {
	t.Parallel()
	none := records(0, 1, 0, 0)
	for now, want := range map[time.Time]string{
		at(0, 12, 6): "11-15/1",
		at(3, 9, 0):  "11-15/1 11-16/1 11-17/1 11-18/1",
		at(30, 0, 0): "11-15/1 11-16/1 11-17/1 11-18/1 11-19/1 11-20/1", // given up then
	} {
		v := newVendor(t, none)
		p := v.provider(t, "give_up_after: 120h")
		p.clock = func() time.Time { return now }
		_, _, asked := round(t, v, p, at(0, 12, 0))
		require.Equal(t, want, strings.Join(asked, " "))
	}
	p := unconnected(t, "give_up_after: 336h")
	p.clock = func() time.Time { return at(40, 0, 0) }
	require.Len(t, p.dates(at(0, 12, 0)), 15)
	require.Len(t, p.dates(at(0, 4, 0)), 16)
}

// A caller that only counts pages sees the first date, and comes to an end.
func TestPagesWithoutCursor(t *testing.T) {
	t.Parallel()
	v := newVendor(t, records(100, 1, 2, 101), records(1, 2, 2, 101), records(0, 3, 2, 101))
	p := v.provider(t, "")
	p.clock = func() time.Time { return at(1, 0, 4) }
	f := providers.Fetch{Key: testKey(), Ticket: testTicket, SubmittedAt: at(0, 23, 58), Page: 1}
	require.True(t, p.Fetch(t.Context(), f).More)
	f.Page = 2
	require.False(t, p.Fetch(t.Context(), f).More)
}

func TestPagesHaveAnEnd(t *testing.T) {
	t.Parallel()
	p := newVendor(t, records(100, 1, 1e6, 1e8)).provider(t, "")
	f := providers.Fetch{Key: testKey(), Ticket: testTicket, SubmittedAt: at(0, 12, 0), Cursor: "2023-11-15/100"}
	require.False(t, p.Fetch(t.Context(), f).More)
}

func TestBadCursors(t *testing.T) {
	t.Parallel()
	p := unconnected(t, "")
	for _, cursor := range []string{"x", "/1", "2023-11-15", "2023-11-15/", "2023-11-15/0", "2023-11-15/x", "2023-13-15/1", "2023-11-15/1/2"} {
		page := p.Fetch(t.Context(), providers.Fetch{Key: testKey(), Ticket: testTicket, SubmittedAt: testTime(), Cursor: cursor})
		require.Equal(t, providers.KindInternal, page.Failure.Kind, cursor)
	}
}

func TestQueryFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		reply reply
		want  providers.Kind
	}{
		"wrong app":        {ok(`{"code":202,"msg":"x","data":{}}`), providers.KindUnauthorized},
		"other customer":   {ok(`{"code":210}`), providers.KindUnauthorized},
		"no list":          {ok(`{"code":0,"data":{}}`), providers.KindGarbled},
		"no data":          {ok(`{"code":0}`), providers.KindGarbled},
		"data is a list":   {ok(`{"code":0,"data":[]}`), providers.KindGarbled},
		"result is text":   {ok(`{"code":0,"data":{"result":"x","totalSize":1}}`), providers.KindGarbled},
		"no code":          {ok(`{"data":{"result":[]}}`), providers.KindGarbled},
		"a page":           {ok(`<html>`), providers.KindGarbled},
		"too fast":         {reply{429, map[string]string{"Retry-After": "3"}, ""}, providers.KindThrottled},
		"gateway":          {reply{502, nil, ""}, providers.KindUnavailable},
		"gateway too late": {reply{504, nil, ""}, providers.KindUnavailable},
		"down":             {reply{503, nil, ""}, providers.KindUnavailable},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			page := newVendor(t, tt.reply).provider(t, "").Fetch(t.Context(), providers.Fetch{Key: testKey(), Ticket: testTicket, SubmittedAt: testTime(), Page: 1})
			require.NotNil(t, page.Failure)
			require.Equal(t, tt.want, page.Failure.Kind)
			require.False(t, page.Known)
			require.False(t, page.More)
		})
	}
}

// A list without anything in it needs no count.
func TestEmptyLists(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{"result":[]}`, `{"result":null,"totalSize":0}`, `{"totalSize":"0"}`} {
		page := newVendor(t, ok(`{"code":0,"data":`+data+`}`)).provider(t, "").Fetch(t.Context(), providers.Fetch{Key: testKey(), Ticket: testTicket, SubmittedAt: testTime(), Page: 1})
		require.Nil(t, page.Failure, data)
		require.False(t, page.Known)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := map[string]providers.Kind{
		`{"code":202}`: providers.KindUnauthorized, `{"code":1003}`: providers.KindUnauthorized, `{"code":1005}`: providers.KindUnauthorized,
		`{"code":299}`: providers.KindUnavailable, `{"code":88,"msg":"bad"}`: providers.KindInternal, `<html>`: providers.KindGarbled,
	}
	for body, want := range tests {
		require.Equal(t, want, newVendor(t, ok(body)).provider(t, "").Check(t.Context(), testKey()).Kind, body)
	}
	for _, body := range []string{`{"code":0,"data":{"result":[],"totalSize":0}}`, `{"code":88,"msg":"批次号不存在"}`} {
		v := newVendor(t, ok(body))
		require.Nil(t, v.provider(t, "").Check(t.Context(), testKey()), body)
		require.JSONEq(t, `{"batchNo":"lookupq-check","page":1,"pageSize":1,"date":"2023-11-15","appkey":"app0001"}`, v.requests()[0].body)
	}
}
