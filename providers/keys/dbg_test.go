package keys_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lookupq/lookupq/internal/embedded/embeddedtest"
	"github.com/lookupq/lookupq/providers/keys"
)

func TestDbg(t *testing.T) {
	r := embeddedtest.RunRedis(t)
	rdb := open(t, r.URL())
	rdb.ConfigSet(t.Context(), "appendonly", "no")
	ageEpoch(t, rdb)
	cfg := config(keys.Limits{}, key("a", keys.Limits{Concurrency: 4}))
	cfg.Lease, cfg.Renew = 0, 0
	p := newPool(t, rdb, cfg)
	var a, b, c []time.Duration
	for range 300 {
		pause(t, 5*time.Millisecond)
		s := time.Now()
		rdb.Ping(t.Context())
		a = append(a, time.Since(s))
		pause(t, 5*time.Millisecond)
		s = time.Now()
		g, err := p.Acquire(t.Context(), 100)
		b = append(b, time.Since(s))
		if err == nil {
			g.Release()
		}
		pause(t, 5*time.Millisecond)
		s = time.Now()
		rdb.Eval(t.Context(), "local x=0 for i=1,2000 do x=x+i end return x", nil)
		c = append(c, time.Since(s))
	}
	for _, x := range [][]time.Duration{a, b, c} {
		slices.Sort(x)
		t.Log(x[len(x)/4], x[len(x)/2], x[len(x)*3/4], x[len(x)*95/100])
	}
	t.Log(rdb.Info(t.Context(), "commandstats").Val())
}
