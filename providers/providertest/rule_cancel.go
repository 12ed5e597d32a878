package providertest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/lookupq/lookupq/providers"
)

// soon is generous for machines under load; a call that ignores its context
// takes for ever.
const soon = 5 * time.Second

// checkCancel: a call whose context is over, before or in the middle, comes back
// at once with a failure that does not blame key or number.
func checkCancel(ctx context.Context, x *exam) error {
	over, cancel := context.WithCancel(ctx)
	cancel()
	for _, ask := range x.asks() {
		if err := x.returnsSoon(over, x.found.recorded(), ask, nil); err != nil {
			return fmt.Errorf("cancelled before the call: %w", err)
		}
	}
	if !overNetwork(x) {
		return nil
	}
	for at, step := range x.found.steps() {
		arrived := make(chan struct{})
		h := hanging(func(http.ResponseWriter) { close(arrived) })
		ctx, cancel := context.WithCancel(ctx)
		err := x.returnsSoon(ctx, x.found.serve(at, h), (*session).call, func() {
			<-arrived
			cancel()
		})
		cancel()
		if err != nil {
			return fmt.Errorf("cancelled with %s on the wire: %w", step.name, err)
		}
	}
	return nil
}

// ask is a way to ask the provider for what found.json asks.
type ask func(*session, context.Context) (providers.Reply, error)

// asks are the whole call or, of a deferred provider, submit and query each alone.
func (x *exam) asks() []ask {
	if x.found.Query == nil {
		return []ask{(*session).call}
	}
	return []ask{(*session).submit, (*session).fetch}
}

func (x *exam) returnsSoon(ctx context.Context, h http.Handler, ask ask, meanwhile func()) error {
	s, err := x.open(x.found, h)
	if err != nil {
		return err
	}
	defer s.close()
	done := make(chan error, 1)
	go func() {
		r, err := ask(s, ctx)
		if err == nil {
			err = wantFailure(r, providers.KindTimeout, providers.KindUnavailable, providers.KindCutOff)
		}
		done <- err
	}()
	if meanwhile != nil {
		meanwhile()
	}
	select {
	case err := <-done:
		return err
	case <-time.After(soon):
		return errors.New("the call goes on")
	}
}
