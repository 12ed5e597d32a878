package telnyx

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/providers"
)

// bulkQuery asks for n numbers from the first on, and two that have no order.
func bulkQuery(n int) providers.Query {
	q := query(opPorting, "+13039990000", "+13039990001")
	for i := range n {
		q.Numbers = append(q.Numbers, number(bulkNumber(i)))
	}
	return q
}

func requireBulk(t *testing.T, r providers.Reply) {
	t.Helper()
	require.Nil(t, r.Failure, said(r))
	for i, o := range r.Outcomes {
		if i < 2 {
			require.Equal(t, providers.NotFound, o.Kind)
			continue
		}
		require.Equal(t, orderID(i-2), orderOf(t, r, i).OrderID)
	}
}

func counts(requests []string) (orders, numbers int) {
	for _, r := range requests {
		switch r {
		case "GET /porting_orders":
			orders++
		case "GET /porting_phone_numbers":
			numbers++
		}
	}
	return orders, numbers
}

func TestListIsReadOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bulk(250)
		p := newProvider(t, "", a.transport())
		var group sync.WaitGroup
		replies := make([]providers.Reply, 8)
		for i := range replies {
			group.Go(func() { replies[i] = p.Call(t.Context(), bulkQuery(100)) })
		}
		group.Wait()
		for _, r := range replies {
			requireBulk(t, r)
		}
		orders, numbers := counts(a.requests())
		require.Equal(t, [2]int{3, 3}, [2]int{orders, numbers})

		time.Sleep(5*time.Minute - time.Second) //nolint:forbidigo // the bubble's clock
		requireBulk(t, p.Call(t.Context(), bulkQuery(250)))
		require.Len(t, a.requests(), 6, "the list is good for 5 minutes")
		time.Sleep(2 * time.Second) //nolint:forbidigo // the bubble's clock
		a.orders[3].status = "ported"
		r := p.Call(t.Context(), bulkQuery(250))
		require.Equal(t, "ported", orderOf(t, r, 5).OrderStatus)
		require.Len(t, a.requests(), 12, "and is read anew after")
	})
}

// Requests after a call's first are 250 ms apart, and at once for another key.
func TestPagesArePaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bulk(250)
		p := newProvider(t, "", a.transport())
		begin := time.Now()
		requireBulk(t, p.Call(t.Context(), bulkQuery(10)))
		require.Equal(t, 5*250*time.Millisecond, time.Since(begin))
		begin = time.Now()
		q := bulkQuery(10)
		q.Key = providers.Key{Name: "other", Secret: providers.NewSecret("other")}
		requireBulk(t, p.Call(t.Context(), q))
		require.Equal(t, 5*250*time.Millisecond, time.Since(begin))
		require.Len(t, a.requests(), 12, "a list for each key")
	})
}

// A call that has not the time for all pages says so while there is time, and
// the next one goes on. No attempt of a number is used up: the failure has a
// RetryAfter.
func TestProgressIsKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bulk(600) // 60 pages of orders and 60 of numbers
		p := newProvider(t, "porting_page_size: 10", a.transport())
		calls := 0
		for ; ; calls++ {
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			begin := time.Now()
			r := p.Call(ctx, bulkQuery(600))
			require.NoError(t, ctx.Err())
			cancel()
			if r.Failure == nil {
				requireBulk(t, r)
				break
			}
			require.Equal(t, providers.KindUnavailable, r.Failure.Kind)
			require.Equal(t, comeBack, r.Failure.RetryAfter)
			require.Less(t, time.Since(begin), 11300*time.Millisecond)
			require.Less(t, calls, 10)
			time.Sleep(r.Failure.RetryAfter) //nolint:forbidigo // the bubble's clock
		}
		require.Equal(t, 2, calls)
		require.Len(t, a.requests(), 120, "no page twice")
	})
}

// While one call reads, another waits no longer than its time allows.
func TestWaitingForTheList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bulk(200)
		p := newProvider(t, "porting_page_size: 10", a.transport())
		reader, stop := context.WithCancel(t.Context())
		defer stop()
		done := make(chan providers.Reply, 1)
		go func() { done <- p.Call(reader, bulkQuery(10)) }()
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		r := p.Call(short, bulkQuery(10))
		require.NoError(t, short.Err())
		require.Equal(t, providers.KindUnavailable, r.Failure.Kind)
		require.Positive(t, r.Failure.RetryAfter)

		// The reader is cancelled; what it read is not lost.
		stop()
		require.Equal(t, providers.KindUnavailable, (<-done).Failure.Kind)
		read := len(a.requests())
		require.Greater(t, read, 1)
		requireBulk(t, p.Call(t.Context(), bulkQuery(10)))
		require.Len(t, a.requests(), 40)
	})
}

// A page that fails costs that page; what was read before stays.
func TestFailuresBetweenPages(t *testing.T) {
	t.Parallel()
	for name, bad := range map[string]func() *http.Response{
		"throttled": func() *http.Response { return says(429, "", "X-Ratelimit-Reset", "2") },
		"broken":    func() *http.Response { return says(500, "") },
		"garbled":   func() *http.Response { return says(200, "<html>") },
		"no meta":   func() *http.Response { return says(200, `{"data":[{"phone_number":"13035550000"}]}`) },
		"key":       func() *http.Response { return says(401, problems("10009", "x", "")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := bulk(300)
			turn := 0
			a.before = func(*http.Request) *http.Response {
				turn++
				if turn%2 == 0 {
					return bad()
				}
				return nil
			}
			p := newProvider(t, fastPages, a.transport())
			for range 5 {
				require.NotNil(t, p.Call(t.Context(), bulkQuery(10)).Failure)
			}
			requireBulk(t, p.Call(t.Context(), bulkQuery(300)))
			require.Len(t, a.requests(), 11, "6 good pages and 5 bad ones")
		})
	}
}

func TestUnfinishedListGoesStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bulk(300)
		p := newProvider(t, "porting_page_rate: 1/s", a.transport())
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		require.NotNil(t, p.Call(ctx, bulkQuery(10)).Failure)
		begun := len(a.requests())
		time.Sleep(6 * time.Minute) //nolint:forbidigo // the bubble's clock
		requireBulk(t, p.Call(t.Context(), bulkQuery(10)))
		require.Len(t, a.requests(), begun+6)
	})
}

func TestListThatIsTooLong(t *testing.T) {
	t.Parallel()
	a := bulk(500)
	p := newProvider(t, "{porting_page_rate: 100000/s, porting_max_numbers: 499}", a.transport())
	for range 3 {
		r := p.Call(t.Context(), bulkQuery(10))
		require.Nil(t, r.Failure)
		for _, o := range r.Outcomes {
			require.Equal(t, providers.Failed, o.Kind)
			require.Equal(t, providers.KindMisconfigured, o.Failure.Kind)
			require.Contains(t, o.Failure.Message, "settings.porting_max_numbers (499): raise it, or ask for at most 3 numbers a call")
		}
	}
	require.Len(t, a.requests(), 1, "the first page says it, and it is remembered")
	require.Equal(t, orderID(7), orderOf(t, p.Call(t.Context(), query(opPorting, bulkNumber(7))), 0).OrderID, "single numbers are still answered")

	// Also where the list does not say how long it is.
	endless := newProvider(t, "{porting_page_rate: 100000/s, porting_max_numbers: 499}", transport(func(*http.Request) *http.Response {
		return says(200, `{"data":[`+strings.Repeat(`{},`, 99)+`{}],"meta":{"total_pages":1000000}}`)
	}))
	require.Equal(t, providers.KindMisconfigured, endless.Call(t.Context(), bulkQuery(10)).Outcomes[0].Failure.Kind)
}

// An order that goes away while pages are read moves the others up; the pass is
// made again so that nobody is overlooked.
func TestListThatMoves(t *testing.T) {
	t.Parallel()
	a := bulk(300)
	first := a.orders[0]
	gone := false
	a.before = func(r *http.Request) *http.Response {
		if strings.HasSuffix(r.URL.Path, "/porting_phone_numbers") && r.URL.Query().Get("page[number]") == "2" && !gone {
			a.mu.Lock()
			a.orders, gone = a.orders[1:], true
			a.mu.Unlock()
		}
		return nil
	}
	p := newProvider(t, fastPages, a.transport())
	r := p.Call(t.Context(), bulkQuery(300))
	require.Nil(t, r.Failure)
	for i := range 300 {
		require.Equal(t, orderID(i), orderOf(t, r, i+2).OrderID)
	}
	require.Equal(t, first.id, orderOf(t, r, 2).OrderID, "what was seen stays until the next list")
	orders, numbers := counts(a.requests())
	require.Equal(t, [2]int{3, 6}, [2]int{orders, numbers})
}

func TestUnreadableEntriesOfTheList(t *testing.T) {
	t.Parallel()
	a := bulk(10)
	a.before = func(r *http.Request) *http.Response {
		if !strings.HasSuffix(r.URL.Path, "/porting_phone_numbers") {
			return nil
		}
		entries := []any{7, nil, map[string]any{"phone_number": true}, map[string]any{"phone_number": "13035500001", "porting_order_id": "../x", "porting_order_status": "draft"}}
		for i := 2; i < 10; i++ {
			entries = append(entries, a.orders[i].number(bulkNumber(i)))
		}
		return says(200, encode(map[string]any{"data": entries, "meta": map[string]any{"total_pages": 1, "total_results": len(entries)}}))
	}
	p := newProvider(t, fastPages, a.transport())
	r := p.Call(t.Context(), bulkQuery(10))
	require.Equal(t, providers.KindGarbled, r.Outcomes[0].Failure.Kind, "it may be the number of an entry that could not be read")
	require.Equal(t, providers.KindGarbled, r.Outcomes[2].Failure.Kind)
	require.Equal(t, providers.Porting{OrderStatus: "draft"}, orderOf(t, r, 3), "an id that is none is not told")
	require.Equal(t, orderID(9), orderOf(t, r, 11).OrderID)
}

// When Telnyx says that little is left, the next request waits its share of the
// time until there is more.
func TestSlowsDownNearTheLimit(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		header []string
		want   time.Duration // for six requests
	}{
		"plenty":      {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "5", "X-Ratelimit-Reset", "12"}, 5 * 250 * time.Millisecond},
		"little":      {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "4", "X-Ratelimit-Reset", "12"}, 5 * 12 * time.Second / 5},
		"none":        {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", "3"}, 5 * 3 * time.Second},
		"no reset":    {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "0"}, 5 * 250 * time.Millisecond},
		"senseless":   {[]string{"X-Ratelimit-Limit", "x", "X-Ratelimit-Remaining", "-1", "X-Ratelimit-Reset", "3"}, 5 * 250 * time.Millisecond},
		"far too far": {[]string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", "7200"}, 5 * longestHold},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := bulk(300)
				a.header = tt.header
				p := newProvider(t, "", a.transport())
				begin := time.Now()
				requireBulk(t, p.Call(t.Context(), bulkQuery(10)))
				require.Equal(t, tt.want, time.Since(begin))
			})
		})
	}
	t.Run("beyond the call's time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			a := bulk(300)
			a.header = []string{"X-Ratelimit-Limit", "50", "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", "30"}
			p := newProvider(t, "", a.transport())
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()
			begin := time.Now()
			r := p.Call(ctx, bulkQuery(10))
			require.Equal(t, 30*time.Second, r.Failure.RetryAfter)
			require.Zero(t, time.Since(begin), "it says so at once")
		})
	})
}

func TestCancelledListing(t *testing.T) {
	t.Parallel()
	a := bulk(300)
	p := newProvider(t, fastPages, a.transport())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, providers.KindUnavailable, p.Call(ctx, bulkQuery(10)).Failure.Kind)
	require.Empty(t, a.requests())
	requireBulk(t, p.Call(t.Context(), bulkQuery(10)))
}

// What is kept of an account, and what the documentation says of it.
func TestMemoryOfTheList(t *testing.T) {
	const n = 5000
	s, err := readSettings(nil)
	require.NoError(t, err)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	r := newReading(s)
	feed := func(entry func(int) any) {
		for from := 0; from < n; from += 100 {
			data := make([]any, 100)
			for i := range data {
				data[i] = entry(from + i)
			}
			_, ok := r.take([]byte(encode(map[string]any{"data": data, "meta": map[string]any{"total_pages": n / 100, "total_results": n}})))
			require.True(t, ok)
		}
	}
	o := func(i int) *fakeOrder {
		return &fakeOrder{id: orderID(i), status: "submitted", activation: "Pending", created: "2026-01-01T00:00:00Z"}
	}
	feed(func(i int) any { return o(i/10).json(false, 0) })
	feed(func(i int) any { return o(i / 10).number(fmt.Sprintf("+1303%07d", i)) })
	l := r.finish()
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Len(t, l.rows, n)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n
	t.Logf("%d bytes a number", each)
	require.Less(t, each, int64(250))
	runtime.KeepAlive(l)
}
