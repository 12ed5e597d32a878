package simulator

import (
	"fmt"
	"slices"
	"time"
)

// Upstream names one of the simulated upstreams, as the catalog does.
type Upstream string

// The simulated upstreams.
const (
	UpstreamQXT       Upstream = "qxt"
	UpstreamPortcheck Upstream = "portcheck"
	UpstreamTelnyx    Upstream = "telnyx"
	UpstreamNXCloud   Upstream = "nxcloud"
)

// Upstreams lists them.
func Upstreams() []Upstream {
	return []Upstream{UpstreamQXT, UpstreamPortcheck, UpstreamTelnyx, UpstreamNXCloud}
}

// Common is what can be said of every upstream. Where a call has one number only,
// Missing is an empty body, and Extra, Duplicate and Shuffle do nothing.
type Common struct {
	// Keys that the upstream knows; empty: it takes every key of the right form
	// under the limits of Limits.
	Keys   []Key  `yaml:"keys"`
	Limits Limits `yaml:"limits"`
	// Latency of a call is Base + Jitter (random share) + PerNumber for each number.
	Latency Latency `yaml:"latency"`
	// RefuseAll refuses every call, with the upstream's own "bad request".
	RefuseAll bool `yaml:"refuse_all"`
	// HTTPErrors answer whole calls with a status.
	HTTPErrors []HTTPError `yaml:"http_errors"`
	// CallErrors answer whole calls with a code of the upstream's table.
	CallErrors []CodeError `yaml:"call_errors"`
	// ItemErrors answer single numbers with a code.
	ItemErrors []CodeError `yaml:"item_errors"`
	// Poison numbers have their whole call refused.
	Poison Poison `yaml:"poison"`
	// Unknown and Invalid are the shares of numbers that the upstream knows nothing
	// of, and that it calls invalid, each time they are asked.
	Unknown float64 `yaml:"unknown"`
	Invalid float64 `yaml:"invalid"`
	// Missing, Extra and Duplicate are the shares of numbers left out of a reply,
	// of foreign numbers put in, and of entries said twice.
	Missing   float64 `yaml:"missing"`
	Extra     float64 `yaml:"extra"`
	Duplicate float64 `yaml:"duplicate"`
	// Shuffle answers in random order.
	Shuffle bool `yaml:"shuffle"`
	// Bursts and Outages count from the server's start, the last change of profile
	// or the last reset, whichever is latest.
	Bursts  Bursts   `yaml:"bursts"`
	Outages []Outage `yaml:"outages"`
}

// Key is a credential that the upstream knows.
type Key struct {
	// Key is the credential; nxcloud: the access key.
	Key string `yaml:"key"`
	// Secret signs the calls and Apps are the application keys; nxcloud alone has
	// them. Without a secret signatures are not checked, without apps all are taken.
	Secret string   `yaml:"secret"`
	Apps   []string `yaml:"apps"`
	// CallbackURL is where nxcloud sends receipts of submits that name no address.
	CallbackURL string `yaml:"callback_url"`
	// Limits of this key; a zero field takes the upstream's.
	Limits Limits `yaml:"limits"`
	// Balance in lookups, nxcloud: in money; nil is never spent. FeeType 后付费 may
	// go below zero (qxt).
	Balance *float64 `yaml:"balance"`
	FeeType string   `yaml:"fee_type"`
	// RevokedAfter is the number of calls after which the key is unknown; 0 never.
	RevokedAfter int64 `yaml:"revoked_after"`
	// Forbidden keys are known and may do nothing.
	Forbidden bool `yaml:"forbidden"`
}

// Limits are answered with 429 when exceeded; 0 is unlimited.
type Limits struct {
	Concurrency int     `yaml:"concurrency"`
	Rate        float64 `yaml:"rate"`        // calls a second
	NumberRate  float64 `yaml:"number_rate"` // numbers a second
	// RetryAfter is what a 429 says, in the header form RetryAfterForm:
	// "seconds" (default), "date", "ms" or "none".
	RetryAfter     time.Duration `yaml:"retry_after"`
	RetryAfterForm string        `yaml:"retry_after_form"`
}

// Latency is how long a call takes.
type Latency struct {
	Base      time.Duration `yaml:"base"`
	Jitter    time.Duration `yaml:"jitter"`
	PerNumber time.Duration `yaml:"per_number"`
}

// HTTPError is a share of calls answered with a status.
type HTTPError struct {
	Share  float64 `yaml:"share"`
	Status int     `yaml:"status"`
	// RetryAfter goes into the header, if set.
	RetryAfter time.Duration `yaml:"retry_after"`
	// Mode is what happens instead of a status: "hang", "reset", "truncate",
	// "html" (200 with a page) or "oversize". Hanging ends with the client.
	Mode string `yaml:"mode"`
}

// CodeError is a share of calls or numbers answered with a code of the upstream.
type CodeError struct {
	Share  float64 `yaml:"share"`
	Code   string  `yaml:"code"`
	Reason string  `yaml:"reason"` // empty: the upstream's wording for the code
	// Sticky numbers get the code each time they are asked; otherwise it is drawn anew.
	Sticky bool `yaml:"sticky"`
}

// Poison picks numbers that spoil their batch, in the upstream's form or E.164.
type Poison struct {
	Share   float64  `yaml:"share"`
	Numbers []string `yaml:"numbers"`
}

// Bursts are spans of Length in which every call gets 429, one each Every,
// the first after Every.
type Bursts struct {
	Every  time.Duration `yaml:"every"`
	Length time.Duration `yaml:"length"`
}

// Outage is a span in which no call is answered.
type Outage struct {
	From time.Duration `yaml:"from"`
	To   time.Duration `yaml:"to"`
	// Mode is "503" (default), "hang", "reset" or "429".
	Mode string `yaml:"mode"`
}

func (c *Common) validate(name string) []error {
	faults := []error{
		share(name+".missing", c.Missing), share(name+".extra", c.Extra), share(name+".duplicate", c.Duplicate),
		share(name+".unknown", c.Unknown), share(name+".invalid", c.Invalid), share(name+".poison.share", c.Poison.Share),
	}
	for _, e := range c.HTTPErrors {
		faults = append(faults, share(name+".http_errors.share", e.Share),
			oneOf(name+".http_errors.mode", e.Mode, "", "hang", "reset", "truncate", "html", "oversize"))
		if e.Mode == "" && (e.Status < 200 || e.Status > 599) {
			faults = append(faults, fmt.Errorf("%s.http_errors.status: %d is no status: use 200 to 599, or a mode", name, e.Status))
		}
	}
	for _, e := range slices.Concat(c.CallErrors, c.ItemErrors) {
		faults = append(faults, share(name+".errors.share", e.Share))
	}
	for _, o := range c.Outages {
		faults = append(faults, oneOf(name+".outages.mode", o.Mode, "", "503", "hang", "reset", "429"))
	}
	if c.Bursts.Length > c.Bursts.Every {
		faults = append(faults, fmt.Errorf("%s.bursts: length %s is above every %s: nothing would be answered", name, c.Bursts.Length, c.Bursts.Every))
	}
	forms := []Limits{c.Limits}
	for _, k := range c.Keys {
		forms = append(forms, k.Limits)
	}
	for _, l := range forms {
		faults = append(faults, oneOf(name+".limits.retry_after_form", l.RetryAfterForm, "", "seconds", "date", "ms", "none"))
	}
	return faults
}
