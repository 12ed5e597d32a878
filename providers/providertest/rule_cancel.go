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
	if err := x.returnsSoon(over, replay(x.found.Response), nil); err != nil {
		return fmt.Errorf("cancelled before the call: %w", err)
	}
	if !overNetwork(x) {
		return nil
	}
	arrived := make(chan struct{})
	h := hanging(func(http.ResponseWriter) { close(arrived) })
	ctx, cancel = context.WithCancel(ctx)
	defer cancel()
	if err := x.returnsSoon(ctx, h, func() {
		<-arrived
		cancel()
	}); err != nil {
		return fmt.Errorf("cancelled on the wire: %w", err)
	}
	return nil
}

func (x *exam) returnsSoon(ctx context.Context, h http.Handler, meanwhile func()) error {
	s, err := x.open(x.found, h)
	if err != nil {
		return err
	}
	defer s.close()
	done := make(chan error, 1)
	go func() {
		r, err := s.call(ctx, x.found.query())
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
