package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
)

const (
	// globalAccount is where NATS puts everybody who is in no account of their own.
	globalAccount = "$G"
	// payloadNeeded is what a part of results and its headers may take.
	payloadNeeded = 1 << 20
	// nearlyFull is the share of a limit from which an operator should know.
	nearlyFull = 0.9
)

// errNoRight says that the server refused a request for want of permission.
var errNoRight = errors.New("not permitted")

// natsCheck asks one question after the other. A server refuses what is not
// permitted beside the answer that the asker waits for, so the question is ended
// from there.
type natsCheck struct {
	cfg *Config
	nc  *nats.Conn
	js  jetstream.JetStream

	mu     sync.Mutex
	refuse context.CancelCauseFunc // ends the question that is asked now
}

// examineNATS reaches NATS and looks at everything that a worker needs there.
func examineNATS(ctx context.Context, c *Config) []Finding {
	x := &natsCheck{cfg: c}
	closed := make(chan struct{})
	nc, err := connect(c.NATS.URL, c.NATS, zerolog.Nop(),
		nats.Timeout(quickly), nats.NoReconnect(), nats.ErrorHandler(x.onError),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	if err != nil {
		return []Finding{{
			What: "nats", Status: LevelFault, Detail: RedactURL(c.NATS.URL) + " cannot be used: " + oneLine(err.Error()),
			Remedy: "start it, correct nats.url or nats.creds, or run with --embedded",
		}}
	}
	defer func() {
		nc.Close()
		<-closed
	}()
	x.nc = nc
	if x.js, err = jetstream.New(nc); err != nil {
		return []Finding{faulty("nats", err.Error())}
	}
	account := x.account(ctx)
	out := []Finding{x.server(account)}
	if storage := x.storage(ctx); storage.Status == LevelFault {
		out = append(out, storage)
	} else {
		out = append(append(out, storage), x.streams(ctx)...)
	}
	return append(out, x.tenants(account)...)
}

// onError ends the current question if the server says that it is not permitted.
func (x *natsCheck) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.refuse != nil && errors.Is(err, nats.ErrPermissionViolation) {
		x.refuse(fmt.Errorf("%w: %s", errNoRight, oneLine(err.Error())))
	}
}

// ask runs one question, which ends early if it is not permitted.
func (x *natsCheck) ask(ctx context.Context, question func(context.Context) error) error {
	ctx, stop := context.WithTimeout(ctx, quickly)
	defer stop()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	x.mu.Lock()
	x.refuse = refuse
	x.mu.Unlock()
	err := question(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errNoRight) {
		return cause
	}
	return err
}

// server is what was reached.
func (x *natsCheck) server(account string) Finding {
	f := Finding{What: "nats", Status: LevelOK, Detail: "version " + x.nc.ConnectedServerVersion() + " at " + RedactURL(x.nc.ConnectedUrlRedacted())}
	if account != "" {
		f.Detail += ", account " + account
	}
	if most := x.nc.MaxPayload(); most < payloadNeeded {
		f.Status = LevelWarn
		f.Detail += fmt.Sprintf(", max_payload %d", most)
		f.Remedy = "set max_payload to 1MB: results travel in messages of up to 768 KiB"
	}
	return f
}

// account is the name of the account that the connection is in, "" if the server
// does not tell.
func (x *natsCheck) account(ctx context.Context) string {
	var reply *nats.Msg
	err := x.ask(ctx, func(ctx context.Context) (err error) {
		reply, err = x.nc.RequestWithContext(ctx, "$SYS.REQ.USER.INFO", nil)
		return err
	})
	var info struct {
		Data struct {
			Account string `json:"account"`
		} `json:"data"`
	}
	if err != nil || json.Unmarshal(reply.Data, &info) != nil {
		return ""
	}
	return info.Data.Account
}

// tenants warns where nothing keeps the configured tenants apart.
func (x *natsCheck) tenants(account string) []Finding {
	if len(x.cfg.Tenants) == 0 {
		return nil
	}
	f := Finding{
		What: "tenants", Status: LevelWarn,
		Remedy: "give each tenant an account of its own with service exports from the worker's, unless all of them trust each other",
	}
	switch account {
	case globalAccount:
		f.Detail = count(len(x.cfg.Tenants), "tenant") + " configured, and NATS has one account for all: any client can publish and read as any tenant"
	case "":
		f.Detail = count(len(x.cfg.Tenants), "tenant") + " configured, and the server does not tell whether they have accounts of their own"
	default:
		f.Status, f.Remedy = LevelOK, ""
		f.Detail = fmt.Sprintf("%s configured; the worker has account %s, which no tenant may share", count(len(x.cfg.Tenants), "tenant"), account)
	}
	return []Finding{f}
}

// storage asks whether JetStream is there, and how full.
func (x *natsCheck) storage(ctx context.Context) Finding {
	var info *jetstream.AccountInfo
	err := x.ask(ctx, func(ctx context.Context) (err error) {
		info, err = x.js.AccountInfo(ctx)
		return err
	})
	f := Finding{What: "jetstream", Status: LevelOK}
	switch {
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		f.Status, f.Detail = LevelFault, "not enabled"
		f.Remedy = "start the NATS server with JetStream (nats-server -js), or allow it to this account"
		return f
	case err != nil:
		f.Status, f.Detail = LevelFault, "no answer: "+oneLine(err.Error())
		f.Remedy = "grant the worker's user publish on $JS.API.>, and see that the server's JetStream has a leader"
		return f
	}
	limit := info.Limits.MaxStore
	if tier, ok := info.Tiers[fmt.Sprintf("R%d", max(x.cfg.NATS.Replicas, 1))]; ok {
		limit = tier.Limits.MaxStore
	}
	f.Detail = size(info.Store) + " stored, no limit for the account"
	if limit > 0 {
		f.Detail = size(info.Store) + " of " + size(uint64(limit)) + " stored"
		if float64(info.Store) > nearlyFull*float64(limit) {
			f.Status, f.Remedy = LevelWarn, "raise the account's storage, or let consumers and retention work"
		}
	}
	return f
}

// size is a number of bytes for people.
func size(n uint64) string {
	const kilo = 1024
	v, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB"}
	i := 0
	for ; v >= kilo && i < len(units)-1; i++ {
		v /= kilo
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + units[i]
}

// streams looks for the streams and buckets of the contract, and for the right to
// make what is missing.
func (x *natsCheck) streams(ctx context.Context) []Finding {
	n := x.cfg.Names()
	workQueues := []string{n.JobsStream(), n.WebhooksStream()}
	all := append(slices.Clone(workQueues), n.ResultsStream(), n.EventsStream(), n.DeadStream(),
		"KV_"+n.CampaignsBucket(), "KV_"+n.TicketsBucket(), "KV_"+n.WorkersBucket())
	var out []Finding
	var missing []string
	for _, name := range all {
		retention := jetstream.LimitsPolicy
		if slices.Contains(workQueues, name) {
			retention = jetstream.WorkQueuePolicy
		}
		f, there := x.stream(ctx, name, retention)
		if f != nil {
			out = append(out, *f)
		}
		if !there {
			missing = append(missing, name)
		}
		if ctx.Err() != nil {
			return append(out, faulty("streams", "no answer in time; see that the server's JetStream has a leader"))
		}
	}
	if len(missing) == 0 && len(out) == 0 {
		return []Finding{{What: "streams", Status: LevelOK, Detail: fmt.Sprintf("all %d are there", len(all))}}
	}
	if len(missing) > 0 {
		out = append(out, x.missing(ctx, all, missing))
	}
	return out
}

// stream looks at one stream; the finding is nil if all is well or it is not there.
func (x *natsCheck) stream(ctx context.Context, name string, retention jetstream.RetentionPolicy) (f *Finding, there bool) {
	var info *jetstream.StreamInfo
	err := x.ask(ctx, func(ctx context.Context) error {
		s, err := x.js.Stream(ctx, name)
		if err == nil {
			info = s.CachedInfo()
		}
		return err
	})
	what := "stream " + name
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, false
	case err != nil:
		return &Finding{
			What: what, Status: LevelFault, Detail: oneLine(err.Error()),
			Remedy: "grant the worker's user publish on $JS.API.STREAM.INFO." + name,
		}, true
	case info.Config.Retention != retention:
		return &Finding{
			What: what, Status: LevelFault, Detail: fmt.Sprintf("has retention %s and must have %s", info.Config.Retention, retention),
			Remedy: "delete it, or set another nats.stream_prefix",
		}, true
	}
	if most := info.Config.MaxBytes; most > 0 && float64(info.State.Bytes) > nearlyFull*float64(most) {
		return &Finding{
			What: what, Status: LevelWarn, Detail: size(info.State.Bytes) + " of " + size(uint64(most)) + " used",
			Remedy: "raise its max_bytes, or let consumers and retention work",
		}, true
	}
	return nil, true
}

// missing says whether the streams that are not there may be made. The request
// names no stream in its body, so the server refuses it, but only after it has
// looked at the permission.
func (x *natsCheck) missing(ctx context.Context, all, missing []string) Finding {
	list := strings.Join(missing, ", ")
	err := x.ask(ctx, func(ctx context.Context) error {
		_, err := x.nc.RequestWithContext(ctx, "$JS.API.STREAM.CREATE."+missing[0], []byte("{}"))
		return err
	})
	if err != nil {
		return Finding{
			What: "streams", Status: LevelFault, Detail: "not there, and may not be made: " + list,
			Remedy: "grant the worker's user publish on $JS.API.>, or make them as an operator",
		}
	}
	if len(missing) == len(all) {
		return Finding{What: "streams", Status: LevelOK, Detail: fmt.Sprintf("none of the %d is there yet: worker run makes them", len(all))}
	}
	return Finding{What: "streams", Status: LevelOK, Detail: "worker run makes what is not there yet: " + list}
}
