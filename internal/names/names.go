// Package names is the one place that knows what things are called on NATS:
// streams, subjects, KV buckets, durables and message ids (contract sections 1
// to 3). It holds no state and does no I/O; every other package imports it.
package names

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// NoCampaign is the campaign token of jobs that belong to no campaign.
const NoCampaign = "_"

// SystemTenant is the tenant token of events meant for the operators.
const SystemTenant = "_system"

// Priority orders jobs: a higher one is claimed and packed first.
type Priority uint8

// The priorities of the contract, lowest first.
const (
	Bulk Priority = iota
	Normal
	High
	// Priorities is how many there are, for arrays indexed by Priority.
	Priorities = 3
)

// String returns the subject token of p.
func (p Priority) String() string {
	switch p {
	case High:
		return "high"
	case Normal:
		return "normal"
	case Bulk:
	}
	return "bulk"
}

// ParsePriority is the inverse of Priority.String.
func ParsePriority(s string) (Priority, error) {
	for p := Bulk; p <= High; p++ {
		if p.String() == s {
			return p, nil
		}
	}
	return 0, fmt.Errorf("priority %q: use high, normal or bulk", s)
}

const maxToken = 64

// ValidToken reports whether s may stand as route, tenant or job id:
// [A-Za-z0-9][A-Za-z0-9_-]{0,63}.
func ValidToken(s string) bool {
	if s == "" || len(s) > maxToken || s[0] == '-' || s[0] == '_' {
		return false
	}
	for i := range len(s) {
		c := s[i]
		ok := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
		if !ok {
			return false
		}
	}
	return true
}

// ValidCampaign reports whether s may stand as a campaign token: a token, or "_".
func ValidCampaign(s string) bool { return s == NoCampaign || ValidToken(s) }

// Lane names the jobs of one (route, priority, tenant, campaign). It is what a
// job's subject says, and the subject is the authority.
type Lane struct {
	Route    string
	Priority Priority
	Tenant   string
	Campaign string
}

// Durable is the name of the lane's pull consumer. Tokens may hold '-' and '_',
// so a joined name would not be injective: a hash is (jetstream facts, section 1).
func (l Lane) Durable() string {
	sum := sha256.Sum256([]byte(l.Route + "." + l.Priority.String() + "." + l.Tenant + "." + l.Campaign))
	return base32.StdEncoding.EncodeToString(sum[:])[:26]
}

// Identity tells one job from all others; the same everywhere: stream, journal,
// tickets, deliveries.
type Identity struct {
	Tenant   string
	Campaign string
	JobID    string
}

// MsgID is the Nats-Msg-Id of the job.
func (id Identity) MsgID() string { return id.Tenant + "." + id.Campaign + "." + id.JobID }

// PartMsgID is the Nats-Msg-Id of a part of the job's results: digest stands for
// the set of item indexes in the part.
func (id Identity) PartMsgID(digest []byte) string {
	return id.MsgID() + "." + hex.EncodeToString(digest)
}

// Names builds every name from the two configurable prefixes.
type Names struct {
	// Prefix starts every subject ("lookup"), StreamPrefix every stream and bucket ("LOOKUP").
	Prefix, StreamPrefix string
}

// Default is what an unconfigured worker and an unconfigured client use.
func Default() Names { return Names{Prefix: "lookup", StreamPrefix: "LOOKUP"} }

// JobsStream holds the jobs not yet answered.
func (n Names) JobsStream() string { return n.StreamPrefix + "_JOBS" }

// ResultsStream holds the parts of jobs' results.
func (n Names) ResultsStream() string { return n.StreamPrefix + "_RESULTS" }

// EventsStream holds campaign, job and delivery events.
func (n Names) EventsStream() string { return n.StreamPrefix + "_EVENTS" }

// WebhooksStream holds a reference to each part still to be delivered.
func (n Names) WebhooksStream() string { return n.StreamPrefix + "_WEBHOOKS" }

// DeadStream holds what could not be processed or delivered.
func (n Names) DeadStream() string { return n.StreamPrefix + "_DEAD" }

// CampaignsBucket is the KV bucket of campaign records, keyed <tenant>.<campaign>.
func (n Names) CampaignsBucket() string { return n.StreamPrefix + "_CAMPAIGNS" }

// TicketsBucket is the KV bucket of submitted batches of deferred providers.
func (n Names) TicketsBucket() string { return n.StreamPrefix + "_TICKETS" }

// WorkersBucket is the KV bucket of live workers and the routes they serve.
func (n Names) WorkersBucket() string { return n.StreamPrefix + "_WORKERS" }

// JobsSubject is where a lane's jobs are published.
func (n Names) JobsSubject(l Lane) string {
	return n.Prefix + ".jobs." + l.Route + "." + l.Priority.String() + "." + l.Tenant + "." + l.Campaign
}

// JobsWildcard matches every job.
func (n Names) JobsWildcard() string { return n.Prefix + ".jobs.>" }

// CampaignJobs matches every job of one campaign, over routes and priorities.
func (n Names) CampaignJobs(tenant, campaign string) string {
	return n.Prefix + ".jobs.*.*." + tenant + "." + campaign
}

// WakeWildcard matches the headers-only copy of each stored job.
func (n Names) WakeWildcard() string { return n.Prefix + ".wake.>" }

// ResultsSubject is where the parts of a campaign's jobs are published.
func (n Names) ResultsSubject(tenant, campaign string) string {
	return n.Prefix + ".results." + tenant + "." + campaign
}

// EventSubject is where an event is published.
func (n Names) EventSubject(tenant, campaign, event string) string {
	return n.Prefix + ".events." + tenant + "." + campaign + "." + event
}

// WebhooksSubject is where references of a tenant's parts wait for delivery.
func (n Names) WebhooksSubject(tenant string) string { return n.Prefix + ".webhooks." + tenant }

// DeadSubject is where what failed for reason is kept.
func (n Names) DeadSubject(reason, tenant string) string {
	return n.Prefix + ".dead." + reason + "." + tenant
}

// ErrSubject says that a subject is none of a job.
var ErrSubject = errors.New("not a job subject: want <prefix>.jobs.<route>.<priority>.<tenant>.<campaign>")

// ParseJobsSubject reads the lane from the subject of a job or of its wake-up.
func (n Names) ParseJobsSubject(subject string) (Lane, error) {
	rest, ok := strings.CutPrefix(subject, n.Prefix+".")
	if !ok {
		return Lane{}, ErrSubject
	}
	tok := strings.Split(rest, ".")
	if len(tok) != 5 || tok[0] != "jobs" && tok[0] != "wake" {
		return Lane{}, ErrSubject
	}
	prio, err := ParsePriority(tok[2])
	if err != nil {
		return Lane{}, errors.Join(ErrSubject, err)
	}
	if !ValidToken(tok[1]) || !ValidToken(tok[3]) || !ValidCampaign(tok[4]) {
		return Lane{}, ErrSubject
	}
	return Lane{Route: tok[1], Priority: prio, Tenant: tok[3], Campaign: tok[4]}, nil
}
