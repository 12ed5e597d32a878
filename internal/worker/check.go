package worker

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lookupq/lookupq/internal/redisdb"
)

// Level is how grave a Finding is.
type Level string

// The levels. A Fault keeps the worker, or a key of it, from working.
const (
	LevelOK    Level = "ok"
	LevelWarn  Level = "warn"
	LevelFault Level = "fail"
)

// Finding is one line of `worker check`. No text holds a secret or a number.
type Finding struct {
	What   string `json:"what"`
	Status Level  `json:"status"`
	Detail string `json:"detail"`
	// Remedy is what to do about it, "" if there is nothing to do.
	Remedy string `json:"remedy,omitempty"`
}

const (
	// checkTimeout bounds one check, allChecksTimeout all of them together.
	checkTimeout     = 10 * time.Second
	allChecksTimeout = 30 * time.Second
	// checksAtOnce is enough for all to run together, but for the largest fleets of keys.
	checksAtOnce = 32
	// quickly is for single questions within a check.
	quickly = 3 * time.Second
)

// LoadFindings are the faults of a configuration that LoadConfig refused.
func LoadFindings(err error) []Finding {
	var faults ConfigError
	if !errors.As(err, &faults) {
		return []Finding{faulty("configuration", err.Error())}
	}
	out := make([]Finding, 0, len(faults))
	for _, f := range faults {
		out = append(out, Finding{What: "configuration", Status: LevelFault, Detail: f.Error()})
	}
	return out
}

// Examine reaches everything that the configuration names, all at once: NATS with
// its streams, Redis, and each provider with each of its keys. It makes no lookup,
// and changes nothing but a key in Redis that is gone a second later. The findings
// come in the order of configuration, NATS, Redis, providers.
func Examine(ctx context.Context, c *Config, types ProviderTypes) []Finding {
	ctx, cancel := context.WithTimeout(ctx, allChecksTimeout)
	defer cancel()
	checks := []func(context.Context) []Finding{
		func(context.Context) []Finding { return c.findings() },
		func(ctx context.Context) []Finding { return examineNATS(ctx, c) },
		func(ctx context.Context) []Finding { return examineRedis(ctx, c.Redis.URL) },
	}
	var ends []func()
	for _, name := range slices.Sorted(maps.Keys(c.Providers)) {
		more, end := examineProvider(c, name, types)
		checks, ends = append(checks, more...), append(ends, end)
	}
	found := make([][]Finding, len(checks))
	var group errgroup.Group
	group.SetLimit(checksAtOnce)
	for i, check := range checks {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			found[i] = check(ctx)
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	for _, end := range ends {
		end()
	}
	return redactFindings(slices.Concat(found...), c.Secrets())
}

// findings are what the configuration alone shows.
func (c *Config) findings() []Finding {
	keyCount := 0
	for _, p := range c.Providers {
		keyCount += len(p.Keys)
	}
	out := []Finding{{
		What: "configuration", Status: LevelOK,
		Detail: fmt.Sprintf("valid: %s, %s, %s", count(len(c.Routes), "route"), count(len(c.Providers), "provider"), count(keyCount, "key")),
	}}
	for _, w := range c.Warnings {
		out = append(out, Finding{What: "configuration", Status: LevelWarn, Detail: w})
	}
	return out
}

// examineRedis reaches Redis, and asks it to run a script that writes.
func examineRedis(ctx context.Context, url string) []Finding {
	const what = "redis"
	rdb, err := redisdb.Open(ctx, url)
	if err != nil {
		return []Finding{faulty(what, err.Error())}
	}
	defer func() { _ = rdb.Close() }()
	server, err := redisdb.Inspect(ctx, rdb)
	if err != nil {
		return []Finding{faulty(what, err.Error())}
	}
	const script = "return redis.call('SET', KEYS[1], '1', 'PX', 1000)"
	if err := rdb.Eval(ctx, script, []string{"lookupq:check:" + redisdb.NewEpochID()}).Err(); err != nil {
		return []Finding{{
			What: what, Status: LevelFault, Detail: "a script that writes is refused: " + oneLine(err.Error()),
			Remedy: "use a primary, and grant the user all commands on keys lookupq:*",
		}}
	}
	out := []Finding{{What: what, Status: LevelOK, Detail: redisDetail(url, server)}}
	for _, w := range server.Warnings {
		f := faulty(what, w)
		f.Status = LevelWarn
		out = append(out, f)
	}
	return out
}

func redisDetail(url string, s redisdb.Server) string {
	text := RedactURL(url)
	if s.Version != "" {
		text = "version " + s.Version + " at " + text
	}
	if s.Policy != "" {
		text += ", maxmemory-policy " + s.Policy
	}
	if s.Persistent {
		text += ", append-only file"
	}
	return text
}

// faulty makes a fault of an error text of the house: what is wrong, a semicolon,
// and the remedy.
func faulty(what, text string) Finding {
	text = oneLine(text)
	f := Finding{What: what, Status: LevelFault, Detail: text}
	if i := strings.LastIndex(text, "; "); i > 0 {
		f.Detail, f.Remedy = text[:i], text[i+2:]
	}
	return f
}

// oneLine joins the lines of a text.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// count says "1 key", "2 keys".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// redactFindings is the last line of defence: nothing is meant to show a secret.
func redactFindings(all []Finding, secrets []string) []Finding {
	var shown bytes.Buffer
	clean := newRedactor(&shown, secrets)
	for i := range all {
		for _, text := range []*string{&all[i].What, &all[i].Detail, &all[i].Remedy} {
			shown.Reset()
			_, _ = clean.Write([]byte(*text)) // a buffer takes everything
			*text = shown.String()
		}
	}
	return all
}

// Worst is the gravest level among findings, and how many there are of it.
func Worst(all []Finding) (worst Level, n int) {
	rank := map[Level]int{LevelOK: 0, LevelWarn: 1, LevelFault: 2}
	worst = LevelOK
	for _, f := range all {
		switch c := cmp.Compare(rank[f.Status], rank[worst]); {
		case c > 0:
			worst, n = f.Status, 1
		case c == 0:
			n++
		}
	}
	return worst, n
}
