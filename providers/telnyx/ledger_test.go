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

// Every call makes one request at most; those at the same time fetch different pages,
// and none waits for another.
func TestListIsReadOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bulk(250)
		var on, most int // requests under way
		a.before = func(*http.Request) *http.Response {
			a.mu.Lock()
			on++
			most = max(most, on)
			a.mu.Unlock()
			time.Sleep(time.Second) //nolint:forbidigo // the bubble's clock
			a.mu.Lock()
			on--
			a.mu.Unlock()
			return nil
		}
		p := newProvider(t, "", a.transport())
		begin := time.Now()
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() { requireBulk(t, askAll(t, p, bulkQuery(100))) })
		}
		group.Wait()
		orders, numbers := counts(a.requests())
		require.Equal(t, [2]int{3, 3}, [2]int{orders, numbers})
		require.Equal(t, 2, most, "pages 2 and 3 at the same time")
		require.Less(t, time.Since(begin), 5*time.Second)

		time.Sleep(5*time.Minute - time.Second) //nolint:forbidigo // the bubble's clock
		requireBulk(t, p.Call(t.Context(), bulkQuery(250)))
		require.Len(t, a.requests(), 6, "the list is good for 5 minutes")
		time.Sleep(2 * time.Second) //nolint:forbidigo // the bubble's clock
		a.orders[3].status = "ported"
		r := askAll(t, p, bulkQuery(250))
		require.Equal(t, "ported", orderOf(t, r, 5).OrderStatus)
		require.Len(t, a.requests(), 12, "and is read anew after")
		requireBulk(t, askAll(t, p, func() providers.Query {
			q := bulkQuery(10)
			q.Key = providers.Key{Name: "other", Secret: providers.NewSecret("other")}
			return q
		}()))
		require.Len(t, a.requests(), 18, "a list for each key")
	})
}

// A call is one page, and says that nobody is at fault.
func TestOnePageACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bulk(600) // 60 pages of orders and 60 of numbers
		p := newProvider(t, "porting_page_size: 10", a.transport())
		begin := time.Now()
		for call := 1; call <= 120; call++ {
			r := p.Call(t.Context(), bulkQuery(600))
			require.Len(t, a.requests(), call)
			if call == 120 {
				requireBulk(t, r)
				break
			}
			require.Equal(t, providers.Reply{Failure: unfinished(0)}, r)
		}
		require.Zero(t, time.Since(begin), "nothing waits")
	})
}

// While the only page that is known is fetched, other calls return at once.
func TestNothingLeftToFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := bulk(200)
		release := make(chan struct{})
		a.before = func(*http.Request) *http.Response { <-release; return nil }
		p := newProvider(t, "", a.transport())
		done := make(chan providers.Reply, 1)
		go func() { done <- p.Call(t.Context(), bulkQuery(10)) }()
		synctest.Wait()
		begin := time.Now()
		require.Equal(t, providers.Reply{Failure: unfinished(comeBack)}, p.Call(t.Context(), bulkQuery(10)))
		require.Zero(t, time.Since(begin))
		require.Len(t, a.requests(), 1)
		close(release)
		require.Equal(t, providers.Reply{Failure: unfinished(0)}, <-done)
		requireBulk(t, askAll(t, p, bulkQuery(10)))
		require.Len(t, a.requests(), 4)
	})
}

// A page that fails costs that page, which is fetched again; the others stay.
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
			p := newProvider(t, "", a.transport())
			for call := 1; call <= 10; call++ {
				r := p.Call(t.Context(), bulkQuery(10))
				require.NotNil(t, r.Failure)
				require.Equal(t, call%2 == 1, r.Failure.Innocent)
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
		p := newProvider(t, "porting_max_age: 1s", a.transport())
		for range 3 {
			require.NotNil(t, p.Call(t.Context(), bulkQuery(10)).Failure)
			time.Sleep(4 * time.Minute) //nolint:forbidigo // the bubble's clock
		}
		requireBulk(t, askAll(t, p, bulkQuery(10)))
		require.Len(t, a.requests(), 6, "one that is read slowly is finished all the same")
		time.Sleep(2 * time.Second) //nolint:forbidigo // the bubble's clock
		require.NotNil(t, p.Call(t.Context(), bulkQuery(10)).Failure)
		time.Sleep(6 * time.Minute) //nolint:forbidigo // the bubble's clock
		requireBulk(t, askAll(t, p, bulkQuery(10)))
		require.Len(t, a.requests(), 7+6)
	})
}

// A page that comes when its list was given up, or is too long already, does no harm.
func TestLatePages(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, page := range map[string]func() *http.Response{
			"late": func() *http.Response { return nil }, "late and bad": func() *http.Response { return says(500, "") },
		} {
			a := bulk(300)
			release := make(chan struct{})
			a.before = func(r *http.Request) *http.Response {
				if r.URL.Query().Get("page[number]") == "2" && len(a.requests()) == 2 {
					<-release
					return page()
				}
				return nil
			}
			p := newProvider(t, "read_timeout: 1h", a.transport())
			require.NotNil(t, p.Call(t.Context(), bulkQuery(10)).Failure)
			done := make(chan providers.Reply, 1)
			go func() { done <- p.Call(t.Context(), bulkQuery(10)) }()
			time.Sleep(6 * time.Minute) //nolint:forbidigo // the bubble's clock
			requireBulk(t, askAll(t, p, bulkQuery(10)))
			close(release)
			r := <-done
			if name == "late" {
				requireBulk(t, r)
			} else {
				require.Equal(t, providers.KindUnavailable, r.Failure.Kind)
			}
			requireBulk(t, p.Call(t.Context(), bulkQuery(10)))
			require.Len(t, a.requests(), 2+6)
		}
	})
}

func TestListThatIsTooLong(t *testing.T) {
	t.Parallel()
	a := bulk(500)
	p := newProvider(t, "porting_max_numbers: 499", a.transport())
	for range 3 {
		r := askAll(t, p, bulkQuery(10))
		require.Nil(t, r.Failure)
		for _, o := range r.Outcomes {
			require.Equal(t, providers.Failed, o.Kind)
			require.Equal(t, providers.KindMisconfigured, o.Failure.Kind)
			require.Contains(t, o.Failure.Message, "settings.porting_max_numbers (499): raise it, or ask for at most 3 numbers a call")
		}
	}
	require.Len(t, a.requests(), 1, "the first page says it, and it is remembered")
	require.Equal(t, orderID(7), orderOf(t, askAll(t, p, query(opPorting, bulkNumber(7))), 0).OrderID, "single numbers are still answered")

	// Also where the list does not say how long it is.
	endless := newProvider(t, "porting_max_numbers: 499", transport(func(*http.Request) *http.Response {
		return says(200, `{"data":[`+strings.Repeat(`{},`, 99)+`{}],"meta":{"total_pages":1000000}}`)
	}))
	require.Equal(t, providers.KindMisconfigured, askAll(t, endless, bulkQuery(10)).Outcomes[0].Failure.Kind)
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
	p := newProvider(t, "", a.transport())
	r := askAll(t, p, bulkQuery(300))
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
	p := newProvider(t, "", a.transport())
	r := askAll(t, p, bulkQuery(10))
	require.Equal(t, providers.KindGarbled, r.Outcomes[0].Failure.Kind, "it may be the number of an entry that could not be read")
	require.Equal(t, providers.KindGarbled, r.Outcomes[2].Failure.Kind)
	require.Equal(t, providers.Porting{OrderStatus: "draft"}, orderOf(t, r, 3), "an id that is none is not told")
	require.Equal(t, orderID(9), orderOf(t, r, 11).OrderID)
}

func TestCancelledListing(t *testing.T) {
	t.Parallel()
	a := bulk(300)
	p := newProvider(t, "", a.transport())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f := p.Call(ctx, bulkQuery(10)).Failure
	require.False(t, f.Innocent)
	requireBulk(t, askAll(t, p, bulkQuery(10)))
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
			page, ok := r.claim()
			require.True(t, ok)
			_, ok = r.take(page, []byte(encode(map[string]any{"data": data, "meta": map[string]any{"total_pages": n / 100, "total_results": n}})))
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
