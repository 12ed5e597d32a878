package batch

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"github.com/lookupq/lookupq/providers"
)

// RetryConfig bounds the retries of one number at one provider.
type RetryConfig struct {
	// Initial is the first backoff, doubled up to Max, jittered.
	Initial, Max time.Duration
	// Attempts is how many calls may fail with the number in them.
	Attempts int
}

// Config is what a Loop works with. Zero values take the defaults named here.
type Config[W any] struct {
	// Name is the provider's name in logs.
	Name     string
	Provider providers.Provider
	Permits  Permits
	// MaxBatch is bounded by the provider's documented maximum; default is the provider's own.
	MaxBatch int
	// Linger is how long a number waits for others to share its call.
	Linger time.Duration
	// Timeout is for one call; default is the provider's, or 10 s.
	Timeout time.Duration
	// Retry defaults to 200 ms, 30 s, 8 attempts.
	Retry RetryConfig
	// Live is asked of every waiter when a batch is cut, from the loop: it must be
	// cheap and never block. nil takes all for live.
	Live func(W) LiveState
	// Answered takes the ends of waiters. It is called in parallel and may block:
	// while more than SettleAhead numbers are in it, no new call starts. The slice
	// belongs to it.
	Answered func([]Answered[W])
	// SettleAhead defaults to 8 full batches, at least 512 numbers.
	SettleAhead int
	// ShareGroups fills Query.ShareGroups, for a provider with tickets.
	ShareGroups bool
	// Parked is told of numbers that wait for a ticket from now on: a call left
	// them Pending, or an item with Ticket came. The receiver answers with
	// Loop.Deliver, at once for what it knows already. It is called from the loop
	// and must not block; it may call Deliver. nil is told nothing.
	Parked func(ticket string, numbers []string)
	// Afford is asked for the money of a call, after the permit and before the call:
	// payers bear the cost, one for each number; the slice is lent until it returns. It
	// is called in parallel and may block.
	// nil: there is money for everything.
	Afford func(ctx context.Context, key string, payers []W) Purchase
	// SamePurse reports whether two waiters are paid from the same money: what cannot be
	// afforded for one cannot for the other. It must be cheap and never block. nil: none are.
	SamePurse func(a, b W) bool
	// Called is told of each call after it (metrics); in parallel, must not block; may be nil.
	Called func(Call)
	// RecentCount and RecentAge bound the answers kept for those that ask within a
	// moment; defaults are 20,000 and 10 s; a negative count keeps none.
	RecentCount int
	RecentAge   time.Duration
	// FailoverAfter is how long no key may be usable before items go to their next
	// provider; default 10 s.
	FailoverAfter time.Duration
	// Rand returns numbers in [0, 1) for jitter; default math/rand. Called from the loop and its calls, in parallel.
	Rand func() float64
	Log  zerolog.Logger
}

// Call is what happened in one call. It holds no number and no secret.
type Call struct {
	Key  string
	Took time.Duration
	// Numbers were asked, Answered of them brought an answer, Pending wait for a ticket.
	Numbers, Answered, Pending int
	// Failure is why the whole call failed, nil if it did not.
	Failure *providers.Failure
	// Extra and Duplicates are entries of the reply that nobody asked for.
	Extra, Duplicates int
	// Bisect calls look for the number that spoils a batch, probes try a provider that failed.
	Bisect, Probe bool
}

const (
	defaultTimeout     = 10 * time.Second
	defaultRecentCount = 20_000
	defaultRecentAge   = 10 * time.Second
	defaultFailover    = 10 * time.Second
	settleBatches      = 8
	settleNumbers      = 512
)

func orDefault[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// withDefaults fills in what is not set and bounds what is.
func (cfg Config[W]) withDefaults() Config[W] {
	limits := cfg.Provider.Limits()
	if limits.MaxBatch < 1 {
		limits.MaxBatch = 1
	}
	cfg.MaxBatch = orDefault(cfg.MaxBatch, orDefault(limits.DefaultBatch, limits.MaxBatch))
	cfg.MaxBatch = min(max(cfg.MaxBatch, 1), limits.MaxBatch)
	cfg.Timeout = orDefault(cfg.Timeout, orDefault(limits.Timeout, defaultTimeout))
	cfg.Retry.Initial = orDefault(cfg.Retry.Initial, 200*time.Millisecond)
	cfg.Retry.Max = max(orDefault(cfg.Retry.Max, 30*time.Second), cfg.Retry.Initial)
	cfg.Retry.Attempts = max(orDefault(cfg.Retry.Attempts, 8), 1)
	cfg.SettleAhead = orDefault(cfg.SettleAhead, max(settleBatches*cfg.MaxBatch, settleNumbers))
	cfg.RecentCount = max(orDefault(cfg.RecentCount, defaultRecentCount), 0)
	cfg.RecentAge = orDefault(cfg.RecentAge, defaultRecentAge)
	cfg.FailoverAfter = orDefault(cfg.FailoverAfter, defaultFailover)
	if cfg.Live == nil {
		cfg.Live = func(W) LiveState { return StateLive }
	}
	if cfg.SamePurse == nil {
		cfg.SamePurse = func(W, W) bool { return false }
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Float64
	}
	return cfg
}
