package worker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/internal/names"
	"github.com/lookupq/lookupq/internal/redisdb"
	"github.com/lookupq/lookupq/providers"
	"github.com/lookupq/lookupq/providers/catalog"
	"github.com/lookupq/lookupq/providers/keys"
	"github.com/lookupq/lookupq/providers/simulator"
	"github.com/lookupq/lookupq/results"
)

// purse is an upstream that tells a balance.
type purse struct {
	mu      sync.Mutex
	balance providers.Balance
	failure *providers.Failure
	panics  bool
	asked   int
}

// Balance implements providers.BalanceReader.
func (p *purse) Balance(context.Context, providers.Key) (providers.Balance, *providers.Failure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.panics {
		panic("no reply is like this")
	}
	return p.balance, p.failure
}

// watchRig is the watch over one key, with its events and its log.
type watchRig struct {
	t      *testing.T
	watch  *keyWatch
	purse  *purse
	log    bytes.Buffer
	events []results.Event
	away   bool // the events stream
	redis  *embeddedtest.Redis
}

func newWatchRig(t *testing.T, low float64) *watchRig {
	t.Helper()
	r := &watchRig{t: t, purse: &purse{}, redis: embeddedtest.RunMiniRedis(t)}
	rdb, err := redisdb.Open(t.Context(), r.redis.URL())
	require.NoError(t, err)
	t.Cleanup(func() { _ = rdb.Close() })
	pool, err := keys.NewPool(rdb, keys.Config{Provider: "px", Keys: []keys.KeyConfig{
		{Key: providers.Key{Name: "main", Secret: providers.NewSecret("hush-hush")}, LowBalance: low},
	}})
	require.NoError(t, err)
	cfg := &Config{Providers: map[string]Provider{"px": {Keys: []Key{{Name: "main"}}}}}
	r.watch = &keyWatch{
		provider: "px", pool: pool, reader: r.purse, timeout: time.Second,
		metrics: NewMetrics(cfg, "test"), log: zerolog.New(&r.log),
		publish: func(_ context.Context, e results.Event) error {
			if r.away {
				return errors.New("no responders")
			}
			r.events = append(r.events, e)
			return nil
		},
		units: map[string]string{}, faults: map[string]string{},
	}
	return r
}

// round has the balance read, as if it were due, and the keys looked after.
func (r *watchRig) round(b providers.Balance, f *providers.Failure) {
	r.t.Helper()
	r.purse.balance, r.purse.failure = b, f
	r.watch.read(r.t.Context(), []string{"main"})
	r.watch.round(r.t.Context())
}

// told are the names of the events so far, which are then forgotten.
func (r *watchRig) told() []string {
	var out []string
	for _, e := range r.events {
		require.Equal(r.t, names.SystemTenant, e.Tenant)
		out = append(out, e.Name)
	}
	r.events = nil
	return out
}

func (r *watchRig) metric() string {
	r.t.Helper()
	families, err := r.watch.metrics.registry.Gather()
	require.NoError(r.t, err)
	for _, f := range families {
		if f.GetName() == "lookupq_key_balance" {
			require.Len(r.t, f.GetMetric(), 1)
			return f.GetMetric()[0].String()
		}
	}
	return ""
}

func queries(amount float64) providers.Balance {
	return providers.Balance{Amount: amount, Unit: "lookups"}
}

// TestKeyWatch: what operators are told while a key's money runs out and comes back.
func TestKeyWatch(t *testing.T) {
	t.Parallel()
	r := newWatchRig(t, 100)
	r.round(queries(5000), nil)
	require.Empty(t, r.told())
	require.Contains(t, r.metric(), `value:5000`)
	r.round(queries(99.5), nil)
	require.Len(t, r.events, 1)
	require.NotEmpty(t, r.events[0].ID)
	var low struct {
		Provider, Key, Unit string
		Balance             float64
		LowBalance          float64 `json:"low_balance"`
		At                  time.Time
	}
	require.NoError(t, json.Unmarshal(r.events[0].Data, &low))
	require.Equal(t, []any{"px", "main", "lookups", 99.5, 100.0}, []any{low.Provider, low.Key, low.Unit, low.Balance, low.LowBalance})
	require.WithinDuration(t, time.Now(), low.At, time.Minute)
	require.Equal(t, []string{"low_balance"}, r.told())
	r.round(queries(50), nil)
	require.Empty(t, r.told(), "once")
	r.round(queries(0), nil)
	require.Equal(t, []string{"key_quarantined"}, r.told())
	r.round(queries(0), nil)
	require.Empty(t, r.told())
	r.round(queries(700), nil)
	require.Equal(t, []string{"key_resumed"}, r.told())
	r.round(queries(0), nil)
	require.Equal(t, []string{"low_balance", "key_quarantined"}, r.told(), "armed again")
	r.round(providers.Balance{Amount: 3.5, Unit: "EUR"}, nil)
	require.Contains(t, r.metric(), `"EUR"`, "the old unit is gone")
	require.NotContains(t, r.log.String(), "hush")
	r.redis.FlushAll()
	r.watch.reader = nil
	r.watch.round(t.Context())
	require.Empty(t, r.metric(), "not known any more")
}

// TestLowBalanceIsToldLater: an event that could not be published comes with the
// next reading, under the same id.
func TestLowBalanceIsToldLater(t *testing.T) {
	t.Parallel()
	r := newWatchRig(t, 100)
	r.away = true
	r.round(queries(10), nil)
	require.Contains(t, r.log.String(), "not published")
	r.away = false
	r.round(queries(9), nil)
	require.Equal(t, []string{"low_balance"}, r.told())
	r.round(queries(8), nil)
	require.Empty(t, r.told())
}

// TestFailedReadingsChangeNothing: and are logged once for each kind.
func TestFailedReadingsChangeNothing(t *testing.T) {
	t.Parallel()
	r := newWatchRig(t, 100)
	r.round(queries(5000), nil)
	for range 3 {
		r.round(providers.Balance{}, &providers.Failure{Kind: providers.KindUnauthorized})
	}
	for range 2 {
		r.round(providers.Balance{}, &providers.Failure{Kind: providers.KindTimeout})
	}
	r.purse.panics = true
	r.round(providers.Balance{}, nil)
	r.purse.panics = false
	r.round(queries(4000), nil)
	require.Equal(t, 3, strings.Count(r.log.String(), "cannot be read"))
	require.Equal(t, 1, strings.Count(r.log.String(), "can be read again"))
	require.Contains(t, r.log.String(), "panicked with a string")
	require.Empty(t, r.told())
	s, err := r.watch.pool.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, keys.StateReady, s[1].State)
	asked := r.purse.asked
	r.round(providers.Balance{}, &providers.Failure{Kind: providers.KindThrottled, RetryAfter: time.Hour})
	require.Equal(t, asked+1, r.purse.asked, "none was due besides")
	r.redis.Stop()
	r.round(queries(1), nil) // nothing to store it in, nothing to tell
	require.Empty(t, r.told())
}

const balanceConfig = `
nats: {url: "NATS"}
redis: {url: "REDIS"}
http: {listen: "127.0.0.1:0"}
routes: {cn: {providers: [qxt]}}
providers:
  qxt:
    type: qxt
    base_url: "SIM/qxt"
    keys: [{name: main, secret: "0123456789abcdef0123456789abcdef", low_balance: 100}]
`

// TestBalanceOfAFleet: workers that share a key read its balance in turn; every one
// shows it, and one tells operators that it is low.
func TestBalanceOfAFleet(t *testing.T) {
	t.Parallel()
	profile, err := simulator.ParseProfile([]byte(`qxt: {keys: [{key: 0123456789abcdef0123456789abcdef, balance: 42}]}`))
	require.NoError(t, err)
	sim, err := simulator.Start(t.Context(), "127.0.0.1:0", profile)
	require.NoError(t, err)
	defer func() { require.NoError(t, sim.Close(context.WithoutCancel(t.Context()))) }()
	nats, redis := embeddedtest.RunNATS(t), embeddedtest.RunRedis(t)
	text := strings.NewReplacer("NATS", nats.URL(), "REDIS", redis.URL(), "SIM", sim.URL()).Replace(balanceConfig)
	types := ProviderTypes{}
	for _, e := range catalog.All() {
		types[e.Type] = e.New
	}
	cfg, err := newReader("worker.yaml", "", lookup(nil)).load([]byte(text), types)
	require.NoError(t, err)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	var workers []*Worker
	for _, id := range []string{"w1", "w2", "w3"} {
		w, err := New(ctx, Options{Config: cfg, ID: id, Log: zerolog.Nop()})
		require.NoError(t, err)
		workers = append(workers, w)
		running.Go(func() { _ = w.Run(ctx) })
	}
	defer func() {
		stop()
		running.Wait()
		for _, w := range workers {
			require.NoError(t, w.Close(context.WithoutCancel(t.Context())))
		}
	}()
	for _, w := range workers {
		require.Eventually(t, func() bool {
			k := w.status(t.Context()).Providers[0].Keys
			return len(k) == 1 && k[0].Balance == "42 lookups" && k[0].LowBalance && !k[0].BalanceAt.IsZero()
		}, 30*time.Second, 20*time.Millisecond, "every worker shows it")
		require.Eventually(t, func() bool {
			_, _, body := get(t, w.http, "/metrics")
			return strings.Contains(body, `lookupq_key_balance{key="main",provider="qxt",unit="lookups"} 42`)
		}, 30*time.Second, 50*time.Millisecond)
	}
	js, err := jetstream.New(nats.Connect())
	require.NoError(t, err)
	events, err := js.Stream(t.Context(), names.Default().EventsStream())
	require.NoError(t, err)
	subject := names.Default().EventSubject(names.SystemTenant, names.NoCampaign, "low_balance")
	require.Eventually(t, func() bool {
		info, err := events.Info(t.Context(), jetstream.WithSubjectFilter(subject))
		return err == nil && info.State.Subjects[subject] == 1
	}, 30*time.Second, 20*time.Millisecond)
}

// TestLowBalanceSetting: what the configuration takes.
func TestLowBalanceSetting(t *testing.T) {
	t.Parallel()
	const text = `
routes: {cn: {providers: [qxt]}}
providers:
  qxt:
    type: qxt
    keys:
      - {name: main, secret: "${KEY}", low_balance: AMOUNT}
`
	env := map[string]string{"KEY": "k"}
	for in, want := range map[string]float64{"1000": 1000, "12.50": 12.5, "0": 0} {
		c, err := load(t, strings.Replace(text, "AMOUNT", in, 1), env)
		require.NoError(t, err)
		require.InDelta(t, want, c.Providers["qxt"].Keys[0].LowBalance, 0)
		if want > 0 {
			require.Equal(t, []string{"worker.yaml:7: providers.qxt.keys[0].low_balance: is of no use: qxt tells no balance"}, c.Warnings)
		}
	}
	for _, in := range []string{"-1", "1e9", "NaN", "many", "1.", "0x10", `""`} {
		_, err := load(t, strings.Replace(text, "AMOUNT", in, 1), env)
		require.ErrorContains(t, err, "worker.yaml:7: providers.qxt.keys[0].low_balance: must be a number like 1000", in)
	}
}
