package worker

import (
	"net/http"
	"regexp"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lookupq/lookupq/internal/names"
)

const (
	metricPrefix = "lookupq_"
	// otherLabel stands for a value that nobody configured or declared: labels stay bounded.
	otherLabel = "other"
)

// Metrics counts what the worker does. Every method may be called from any
// goroutine; one costs a few hundred nanoseconds, so call it once a batch, not
// once a number. Labels are routes, providers and keys of the configuration and
// words of closed enums; anything else becomes "other".
type Metrics struct {
	registry *prometheus.Registry
	routes   labelSet
	// keys has provider names and "provider.key" pairs.
	keys labelSet

	jobsClaimed, jobsDead, items, calls, numbers, numberFailures, surplus *prometheus.CounterVec
	permitWaits, permitWaitSeconds, balanceReads                          *prometheus.CounterVec
	keyBalance                                                            *prometheus.GaugeVec
	callSeconds, batchFill                                                *prometheus.HistogramVec
	jobsSettled, parts, journalRefused, journalLost                       prometheus.Counter
	settleSeconds                                                         prometheus.Histogram
}

// unitLabel is what the unit of a balance may look like: currencies, "lookups".
var unitLabel = regexp.MustCompile(`^[A-Za-z]{1,16}$`)

// labelSet are the values a label may take.
type labelSet map[string]bool

// bound returns v, or "other" for a value outside the set.
func (s labelSet) bound(v string) string {
	if s[v] {
		return v
	}
	return otherLabel
}

// NewMetrics makes the collectors for the routes, providers and keys of c.
func NewMetrics(c *Config, version string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), routes: labelSet{}, keys: labelSet{}}
	for route := range c.Routes {
		m.routes[route] = true
	}
	for name, p := range c.Providers {
		m.keys[name] = true
		for _, k := range p.Keys {
			m.keys[name+"."+k.Name] = true
		}
	}
	m.buildCounters()
	m.buildHistograms()
	m.registry.MustRegister(
		m.jobsClaimed, m.jobsDead, m.jobsSettled, m.items, m.parts,
		m.calls, m.numbers, m.numberFailures, m.surplus, m.callSeconds, m.batchFill,
		m.permitWaits, m.permitWaitSeconds, m.balanceReads, m.keyBalance, m.settleSeconds, m.journalRefused, m.journalLost,
	)
	own := prometheus.WrapRegistererWithPrefix(metricPrefix, m.registry)
	own.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.Gauge("build_info", "1, with the version of this build.", map[string]string{"version": version}, func() float64 { return 1 })
	return m
}

func (m *Metrics) buildCounters() {
	m.jobsClaimed = counterVec("jobs_claimed_total", "Jobs taken from the queue, redeliveries included.", "route", "priority")
	m.jobsDead = counterVec("jobs_dead_total", "Jobs that could not be processed.", "reason")
	m.jobsSettled = counter("jobs_settled_total", "Jobs acknowledged with all their results stored.")
	m.items = counterVec("items_total", "Items with a stored result.", "route", "status", "source")
	m.parts = counter("parts_total", "Parts of results stored.")
	m.calls = counterVec("calls_total", "Calls to upstreams; kind is ok or why the whole call failed.", "provider", "key", "kind")
	m.numbers = counterVec("call_numbers_total", "Numbers sent to upstreams.", "provider")
	m.numberFailures = counterVec("number_failures_total", "Numbers that a call left without an answer.", "provider", "kind")
	m.surplus = counterVec("surplus_entries_total", "Entries of replies that answer no number of the call; what is extra or duplicate.", "provider", "what")
	m.permitWaits = counterVec("permit_waits_total", "Times a full batch had to wait for a permit.", "provider", "reason")
	m.permitWaitSeconds = counterVec("permit_wait_seconds_total", "Time that batches waited for permits.", "provider", "reason")
	m.balanceReads = counterVec("balance_reads_total", "Balances read by this worker; kind is ok or why it failed.", "provider", "key", "kind")
	m.keyBalance = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: metricPrefix + "key_balance", Help: "What a key had left when a worker of the fleet last asked.",
	}, []string{"provider", "key", "unit"})
	m.journalRefused = counter("journal_refused_total", "Journal writes refused because another worker owns the job by now.")
	m.journalLost = counter("journal_lost_total", "Journal entries that Redis had lost, written again.")
}

func (m *Metrics) buildHistograms() {
	m.callSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: metricPrefix + "call_seconds", Help: "Duration of calls to upstreams.",
		Buckets: prometheus.ExponentialBuckets(0.005, 2, 13), // 5 ms to 20 s
	}, []string{"provider"})
	m.batchFill = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: metricPrefix + "batch_fill_ratio", Help: "Numbers of a call as a share of the configured batch size.",
		Buckets: []float64{0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1},
	}, []string{"provider"})
	m.settleSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: metricPrefix + "settle_seconds", Help: "From the answer of a call to its items being stored.",
		Buckets: prometheus.ExponentialBuckets(0.001, 2, 14), // 1 ms to 8 s
	})
}

func counter(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + name, Help: help})
}

func counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, labels)
}

// JobsClaimed counts n jobs fetched from lane.
func (m *Metrics) JobsClaimed(l names.Lane, n int) {
	m.jobsClaimed.WithLabelValues(m.routes.bound(l.Route), l.Priority.String()).Add(float64(n))
}

// JobDead counts a job that could not be processed. reason is a word of the contract.
func (m *Metrics) JobDead(reason string) { m.jobsDead.WithLabelValues(reason).Inc() }

// JobsSettled counts n jobs whose results are all stored.
func (m *Metrics) JobsSettled(n int) { m.jobsSettled.Add(float64(n)) }

// ItemsSettled counts n items with a stored result. status and source are words of
// the contract.
func (m *Metrics) ItemsSettled(route, status, source string, n int) {
	m.items.WithLabelValues(m.routes.bound(route), status, source).Add(float64(n))
}

// PartsStored counts n parts on the results stream.
func (m *Metrics) PartsStored(n int) { m.parts.Add(float64(n)) }

// CallDone is one finished call to an upstream.
type CallDone struct {
	Provider, Key string
	// Kind is "ok", or the failure kind of the whole call.
	Kind string
	// Numbers were sent, Max is the configured batch size.
	Numbers, Max int
	Took         time.Duration
	// Extra and Duplicates are entries of the reply that answer no number.
	Extra, Duplicates int
}

// Called counts a finished call.
func (m *Metrics) Called(c CallDone) {
	p, key := m.keyLabels(c.Provider, c.Key)
	m.calls.WithLabelValues(p, key, c.Kind).Inc()
	m.numbers.WithLabelValues(p).Add(float64(c.Numbers))
	m.callSeconds.WithLabelValues(p).Observe(c.Took.Seconds())
	if c.Max > 0 {
		m.batchFill.WithLabelValues(p).Observe(float64(c.Numbers) / float64(c.Max))
	}
	if c.Extra > 0 {
		m.surplus.WithLabelValues(p, "extra").Add(float64(c.Extra))
	}
	if c.Duplicates > 0 {
		m.surplus.WithLabelValues(p, "duplicate").Add(float64(c.Duplicates))
	}
}

// NumbersFailed counts n numbers that a call left without an answer. kind is a
// failure kind.
func (m *Metrics) NumbersFailed(provider, kind string, n int) {
	m.numberFailures.WithLabelValues(m.keys.bound(provider), kind).Add(float64(n))
}

// PermitWaited counts one wait for a permit and what it took. reason is the
// permit pool's enum.
func (m *Metrics) PermitWaited(provider, reason string, d time.Duration) {
	p := m.keys.bound(provider)
	m.permitWaits.WithLabelValues(p, reason).Inc()
	m.permitWaitSeconds.WithLabelValues(p, reason).Add(d.Seconds())
}

// KeyBalance shows what a key has left. unit is the upstream's.
func (m *Metrics) KeyBalance(provider, key, unit string, amount float64) {
	p, k := m.keyLabels(provider, key)
	if !unitLabel.MatchString(unit) {
		unit = otherLabel
	}
	m.keyBalance.WithLabelValues(p, k, unit).Set(amount)
}

// ForgetBalance takes what a key had left out of the metrics: its unit has changed,
// or it is not known any more.
func (m *Metrics) ForgetBalance(provider, key string) {
	p, k := m.keyLabels(provider, key)
	m.keyBalance.DeletePartialMatch(prometheus.Labels{"provider": p, "key": k})
}

// BalanceRead counts one reading of a key's balance. kind is ok, or a failure kind.
func (m *Metrics) BalanceRead(provider, key, kind string) {
	p, k := m.keyLabels(provider, key)
	m.balanceReads.WithLabelValues(p, k, kind).Inc()
}

// keyLabels are the labels of a key, "other" for one that is not configured.
func (m *Metrics) keyLabels(provider, key string) (providerLabel, keyLabel string) {
	if m.keys[provider+"."+key] {
		return provider, key
	}
	return m.keys.bound(provider), otherLabel
}

// Settled observes the time from an answer to its items being stored.
func (m *Metrics) Settled(d time.Duration) { m.settleSeconds.Observe(d.Seconds()) }

// JournalRefused counts n journal writes of jobs that another worker owns by now.
func (m *Metrics) JournalRefused(n int) { m.journalRefused.Add(float64(n)) }

// JournalLost counts n journal entries that Redis had lost.
func (m *Metrics) JournalLost(n int) { m.journalLost.Add(float64(n)) }

// Gauge registers a value that is read at every scrape, in parallel to everything.
// name gets the common prefix. The same name with the same labels twice panics:
// call it while wiring.
func (m *Metrics) Gauge(name, help string, labels map[string]string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: metricPrefix + name, Help: help, ConstLabels: labels,
	}, read))
}

// Counter is Gauge for a value that only grows; its name ends in _total.
func (m *Metrics) Counter(name, help string, labels map[string]string, read func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: metricPrefix + name, Help: help, ConstLabels: labels,
	}, read))
}

// Handler serves the metrics in Prometheus' text form.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
