package worker

import "time"

// Status is what /v1/status tells: a picture of this worker and of what it sees
// of the fleet. Fields are only ever added.
type Status struct {
	Version   string    `json:"version"`
	WorkerID  string    `json:"worker_id"`
	State     string    `json:"state"` // starting, running, stopping
	StartedAt time.Time `json:"started_at"`

	NATS  ServerStatus `json:"nats"`
	Redis ServerStatus `json:"redis"`
	Held  HeldStatus   `json:"held"`

	Routes    []RouteStatus    `json:"routes"`
	Lanes     []LaneStatus     `json:"lanes"`
	Providers []ProviderStatus `json:"providers"`
	Campaigns []CampaignStatus `json:"campaigns"`
	Tenants   []TenantStatus   `json:"tenants,omitempty"`
	Warnings  []string         `json:"warnings,omitempty"`
}

// ServerStatus is one of the servers the worker rests on.
type ServerStatus struct {
	OK bool `json:"ok"`
	// Kind is external, embedded, or what runs inside ("redis-server 7.0.15").
	Kind string `json:"kind"`
	// URL has no credentials.
	URL string `json:"url,omitempty"`
	// Ephemeral is an in-process Redis: a restart forgets limits, journal and cache.
	Ephemeral bool `json:"ephemeral,omitempty"`
	// Detail says what is wrong, or why it is as it is.
	Detail string `json:"detail,omitempty"`
}

// HeldStatus is the work this worker has taken and not yet acknowledged.
type HeldStatus struct {
	Jobs     int `json:"jobs"`
	Items    int `json:"items"`
	MaxItems int `json:"max_items"`
}

// RouteStatus is one route this worker serves.
type RouteStatus struct {
	Name      string   `json:"name"`
	Providers []string `json:"providers"`
	// Waiting are the items here that are not on the wire.
	Waiting int `json:"waiting"`
	// Settled are the items answered since the start.
	Settled int64 `json:"settled"`
	// Usable is false while no provider can be used and pulling is stopped.
	Usable bool `json:"usable"`
}

// LaneStatus is one lane this worker pulls or knows to be waiting.
type LaneStatus struct {
	Route    string `json:"route"`
	Priority string `json:"priority"`
	Tenant   string `json:"tenant"`
	Campaign string `json:"campaign"`
	Pending  int64  `json:"pending"` // jobs in the queue
	Held     int    `json:"held"`    // jobs taken by this worker
	State    string `json:"state"`   // served, waiting, paused, unserved
}

// ProviderStatus is one upstream; limits hold over the whole fleet.
type ProviderStatus struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	State    string `json:"state"` // ok, paused, down
	InFlight int    `json:"in_flight"`
	// Limit is the concurrency over all keys, 0 for none besides the keys' own.
	Limit   int         `json:"limit"`
	Waiting int         `json:"waiting"` // unsent items here
	Keys    []KeyStatus `json:"keys"`
	Reason  string      `json:"reason,omitempty"`
	// Tickets are of an upstream that answers later.
	Tickets *TicketStatus `json:"tickets,omitempty"`
}

// TicketStatus are the batches that a deferred upstream has taken, over the whole
// fleet as this worker sees it.
type TicketStatus struct {
	// Open tickets lack an answer; of Unsure ones it is being asked whether the
	// upstream has them.
	Open   int `json:"open"`
	Unsure int `json:"unsure"`
	// Outstanding are the numbers without an answer, at most Limit.
	Outstanding int        `json:"outstanding"`
	Limit       int        `json:"limit"`
	Oldest      *time.Time `json:"oldest,omitempty"`
	// Waiting are the numbers that items of this worker wait for.
	Waiting int `json:"waiting"`
	// Ready is false while this worker has not read every ticket, and takes no job
	// that may be under one.
	Ready bool `json:"ready"`
}

// KeyStatus is one credential, as the whole fleet uses it.
type KeyStatus struct {
	Name  string `json:"name"`
	State string `json:"state"` // ok, paused, quarantined
	// InFlight are the calls under way, Limit how many may be.
	InFlight int `json:"in_flight"`
	Limit    int `json:"limit"`
	// Use is the share of the permit time that was used lately, 0 to 1.
	Use float64 `json:"use"`
	// Rate is the limit of calls a second, 0 for none.
	Rate        float64    `json:"rate"`
	PausedUntil *time.Time `json:"paused_until,omitempty"`
	Reason      string     `json:"reason,omitempty"`
	// Balance is what the key had left when a worker last asked, at BalanceAt, with
	// its unit. LowBalance is true while it is below low_balance.
	Balance    string     `json:"balance,omitempty"`
	BalanceAt  *time.Time `json:"balance_at,omitempty"`
	LowBalance bool       `json:"low_balance,omitempty"`
}

// CampaignStatus is one campaign with jobs waiting.
type CampaignStatus struct {
	Tenant   string `json:"tenant"`
	Campaign string `json:"campaign"`
	State    string `json:"state"` // active, paused, cancelled, completed; "" without a record
	Pending  int64  `json:"pending"`
	Numbers  int64  `json:"numbers,omitempty"`
	// Budget is the campaign's own, nil if it has none.
	Budget *BudgetStatus `json:"budget,omitempty"`
}

// TenantStatus is one tenant of the configuration that has a budget.
type TenantStatus struct {
	Tenant string        `json:"tenant"`
	Budget *BudgetStatus `json:"budget"`
}

// BudgetStatus is what may be spent and what is, over the whole fleet, with the money
// that calls under way may cost.
type BudgetStatus struct {
	Amount   string `json:"amount"`
	Spent    string `json:"spent"`
	Currency string `json:"currency"`
	// PerDay budgets start anew at midnight UTC.
	PerDay    bool `json:"per_day,omitempty"`
	Exhausted bool `json:"exhausted,omitempty"`
	// Fault says why the campaign's budget cannot be kept to; nothing is paid then.
	Fault string `json:"fault,omitempty"`
}

// Check is one condition of readiness.
type Check struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Detail says what is wrong, or what an operator should know all the same.
	Detail string `json:"detail,omitempty"`
}
