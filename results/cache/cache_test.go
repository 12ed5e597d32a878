package cache_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/results"
	"github.com/lookupq/lookupq/results/cache"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func answer(at time.Time) cache.Answer {
	return cache.Answer{
		Status: results.StatusOK, Provider: "qxt", AnsweredAt: at.Truncate(time.Millisecond),
		Lookup: &results.Lookup{
			Country: "CN", Area: "湖北-襄樊", LineType: "mobile", Valid: results.Yes, Ported: results.Yes,
			OriginalCarrier: results.Carrier{ID: "china_mobile", Name: "移动"},
			CurrentCarrier:  results.Carrier{ID: "china_telecom", Name: "电信"},
		},
	}
}

func scope(ttl time.Duration) *cache.Scope {
	return &cache.Scope{ShareGroup: "acme", Route: "carrier-cn", Partition: "CN", TTL: ttl}
}

func TestCache(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*embeddedtest.Redis{"real": embeddedtest.RunRedis(t), "mini": embeddedtest.RunMiniRedis(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := cache.New(r.Client(), cache.Config{Prefix: "lookup", HashKey: [32]byte{1}})
			day, hour := scope(24*time.Hour), scope(time.Hour)
			a, b := answer(time.Now()), answer(time.Now().Add(-30*time.Minute))
			b.Status, b.Lookup = results.StatusNotFound, nil
			stale := answer(time.Now().Add(-2 * time.Hour))
			require.NoError(t, c.Put(t.Context(), []cache.Entry{
				{Key: c.Key(day, "", "+1"), Answer: a},
				{Key: c.Key(hour, "", "+2"), Answer: b},
				{Key: c.Key(hour, "", "+3"), Answer: stale},
				{Key: c.Key(day, "", "+4"), Answer: stale},
			}))
			got, err := c.Get(t.Context(), []cache.Key{
				c.Key(hour, "", "+1"), c.Key(hour, "", "+2"), c.Key(day, "", "+1"), c.Key(hour, "", "+3"), c.Key(day, "", "+4"), c.Key(day, "", "+1"),
			})
			require.NoError(t, err)
			require.Equal(t, []*cache.Answer{nil, &b, &a, nil, &stale, &a}, got)
			none, err := c.Get(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, none)
			require.NoError(t, c.Put(t.Context(), nil))

			// The newest answer wins.
			require.NoError(t, c.Put(t.Context(), []cache.Entry{{Key: c.Key(day, "", "+4"), Answer: a}}))
			got, err = c.Get(t.Context(), []cache.Key{c.Key(day, "", "+4")})
			require.NoError(t, err)
			require.Equal(t, []*cache.Answer{&a}, got)

			// A value that cannot be read is a miss.
			for _, key := range r.Client().Keys(t.Context(), "*:0").Val() {
				for field := range r.Client().HGetAll(t.Context(), key).Val() {
					require.NoError(t, r.Client().HSet(t.Context(), key, field, "\x02later").Err())
					require.NotContains(t, field, "+", "never the number")
				}
			}
			got, err = c.Get(t.Context(), []cache.Key{c.Key(day, "", "+4")})
			require.NoError(t, err)
			require.Equal(t, []*cache.Answer{nil}, got)
		})
	}
}

// TestKey: everything that separates answers is in the key, and nothing else.
func TestKey(t *testing.T) {
	t.Parallel()
	c := cache.New(nil, cache.Config{HashKey: [32]byte{1}})
	base := cache.Scope{ShareGroup: "a", Route: "b", Partition: "c", TTL: time.Hour}
	keys := map[cache.Key]string{}
	add := func(name string, k cache.Key) {
		require.Empty(t, keys[k], name)
		keys[k] = name
	}
	add("base", c.Key(&base, "", "+1"))
	add("number", c.Key(&base, "", "+11"))
	for _, s := range []cache.Scope{
		{ShareGroup: "ab", Route: "", Partition: "c", TTL: time.Hour},
		{ShareGroup: "a", Route: "bc", Partition: "", TTL: time.Hour},
		{ShareGroup: "a", Route: "b", Partition: "", TTL: time.Hour},
		{ShareGroup: "x", Route: "b", Partition: "c", TTL: time.Hour},
		{ShareGroup: "a", Route: "b", Partition: "c", TTL: 2 * time.Hour},
	} {
		add(fmt.Sprint(s), c.Key(&s, "", "+1"))
	}
	add("hash key", cache.New(nil, cache.Config{HashKey: [32]byte{2}}).Key(&base, "", "+1"))
	base.TTL += 300 * time.Millisecond
	require.Equal(t, "base", keys[c.Key(&base, "", "+1")], "a TTL is cut to whole seconds")
}

func TestKeyAllocatesNothing(t *testing.T) {
	c := cache.New(nil, cache.Config{HashKey: [32]byte{1}})
	require.Zero(t, testing.AllocsPerRun(100, func() { c.Key(scope(time.Hour), "", "+8613972565391") }))
}

// TestAging: answers are found for their TTL, and gone from Redis after two of them.
func TestAging(t *testing.T) {
	t.Parallel()
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	now := time.Now()
	pass := func(d time.Duration) *cache.Cache { // on Redis' clock; a fresh Cache asks at once
		now = now.Add(d)
		m.SetTime(now)
		m.FastForward(d)
		return cache.New(rdb, cache.Config{Prefix: "lookup"})
	}
	c := pass(0)
	hour := scope(time.Hour)
	keys := []cache.Key{c.Key(hour, "", "+1"), c.Key(hour, "", "+2")}
	put := func(c *cache.Cache, k cache.Key) {
		require.NoError(t, c.Put(t.Context(), []cache.Entry{{Key: k, Answer: answer(time.Now())}}))
	}
	found := func(c *cache.Cache) (out []bool) {
		got, err := c.Get(t.Context(), keys)
		require.NoError(t, err)
		for _, a := range got {
			out = append(out, a != nil)
		}
		return out
	}
	put(c, keys[0])
	c = pass(59 * time.Minute)
	put(c, keys[1])
	require.Equal(t, []bool{true, true}, found(c))
	c = pass(59 * time.Minute) // the second period
	require.Equal(t, []bool{true, true}, found(c), "at least one TTL each")
	c = pass(time.Hour)
	require.Equal(t, []bool{false, false}, found(c))
	require.Zero(t, rdb.Exists(t.Context(), "lookup:{c3600-0}:0", "lookup:{c3600-0}:1").Val())
	put(c, keys[0])
	c = pass(150 * time.Minute) // nobody asked for long
	require.Equal(t, []bool{false, false}, found(c))
	put(c, keys[0])
	put(pass(2*time.Second), keys[0])
	pass(5 * time.Hour)
	require.Empty(t, m.Keys(), "an installation given up leaves nothing for ever")
}

// TestFlushed: what is gone is a miss, and the cache goes on.
func TestFlushed(t *testing.T) {
	t.Parallel()
	r := embeddedtest.RunMiniRedis(t)
	opt, err := redis.ParseURL(r.URL())
	require.NoError(t, err)
	opt.MaxRetries, opt.DialerRetries = -1, 1
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { _ = rdb.Close() })
	c := cache.New(rdb, cache.Config{})
	k := c.Key(scope(time.Hour), "", "+1")
	for range 2 {
		got, err := c.Get(t.Context(), []cache.Key{k})
		require.NoError(t, err)
		require.Equal(t, []*cache.Answer{nil}, got)
		require.NoError(t, c.Put(t.Context(), []cache.Entry{{Key: k, Answer: answer(time.Now())}}))
		r.FlushAll()
	}
	r.Stop()
	_, err = c.Get(t.Context(), []cache.Key{k})
	require.ErrorContains(t, err, "answer cache")
	require.Error(t, c.Put(t.Context(), []cache.Entry{{Key: c.Key(scope(time.Minute), "", "+1")}}))
}

// TestParallel: many at once, for the race detector.
func TestParallel(t *testing.T) {
	t.Parallel()
	c := cache.New(embeddedtest.RunMiniRedis(t).Client(), cache.Config{})
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 20 {
				k := c.Key(scope(time.Duration(1+i%3)*time.Hour), "", strconv.Itoa(n))
				if err := c.Put(t.Context(), []cache.Entry{{Key: k, Answer: answer(time.Now())}}); err != nil {
					t.Error(err)
				}
				if got, err := c.Get(t.Context(), []cache.Key{k}); err != nil || got[0] == nil {
					t.Error(err, got)
				}
			}
		})
	}
	wg.Wait()
}

// usedMemory is what Redis takes for its data.
func usedMemory(tb testing.TB, c *redis.Client) int {
	tb.Helper()
	_, rest, _ := strings.Cut(c.Info(tb.Context(), "memory").Val(), "used_memory_dataset:")
	n, err := strconv.Atoi(strings.TrimSpace(rest[:strings.IndexAny(rest, "\r\n")]))
	require.NoError(tb, err)
	return n
}

// TestMemory: a cached answer takes at most 160 bytes of Redis, all told.
func TestMemory(t *testing.T) {
	t.Parallel()
	r := embeddedtest.RunRedis(t)
	if !r.Real() {
		t.Skip("needs redis-server on PATH: the in-process one does not tell its memory")
	}
	rdb := r.Client()
	c := cache.New(rdb, cache.Config{Prefix: "lookup"})
	before := usedMemory(t, rdb)
	const n = 100_000
	entries := make([]cache.Entry, 1000)
	for i := 0; i < n; i += len(entries) {
		for k := range entries {
			entries[k] = cache.Entry{Key: c.Key(scope(time.Hour), "", strconv.Itoa(i+k)), Answer: answer(time.Now())}
		}
		require.NoError(t, c.Put(t.Context(), entries))
	}
	per := float64(usedMemory(t, rdb)-before) / n
	t.Logf("%.0f bytes an answer", per)
	require.Less(t, per, 160.0)
}

func BenchmarkKey(b *testing.B) {
	c := cache.New(nil, cache.Config{HashKey: [32]byte{1}})
	s := scope(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		c.Key(s, "", "+8613972565391")
	}
}

// BenchmarkCache writes and reads 1,000 answers at a time; time a number.
func BenchmarkCache(b *testing.B) {
	const n = 1000
	c := cache.New(embeddedtest.RunRedis(b).Client(), cache.Config{})
	entries, keys := make([]cache.Entry, n), make([]cache.Key, n)
	s, at := scope(time.Hour), time.Now()
	for _, verb := range []string{"put", "get"} {
		b.Run(verb, func(b *testing.B) {
			b.ReportAllocs()
			for round := 0; b.Loop(); round++ {
				for i := range n {
					keys[i] = c.Key(s, "", strconv.Itoa(round%100*n+i))
					entries[i] = cache.Entry{Key: keys[i], Answer: answer(at)}
				}
				if verb == "put" {
					require.NoError(b, c.Put(b.Context(), entries))
				} else {
					_, err := c.Get(b.Context(), keys)
					require.NoError(b, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/number")
		})
	}
}
