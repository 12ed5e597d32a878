package tickets

import (
	"context"
	"fmt"
	"runtime/debug"

	"github.com/lookupq/lookupq/providers"
)

// What an upstream or a stranger sends must harm neither the process nor other
// tickets, whatever it makes Impl do.

// handIn submits. A panic leaves open whether the upstream has the batch.
func (d *Desk) handIn(ctx context.Context, q providers.Query, id, callback string) (reply providers.Reply) {
	defer func() {
		if p := recover(); p != nil {
			reply = providers.Reply{Failure: d.panicked("submit", p)}
		}
	}()
	return d.cfg.Impl.Submit(ctx, q, id, callback)
}

// ask fetches one page.
func (d *Desk) ask(ctx context.Context, f providers.Fetch) (page providers.Page) {
	defer func() {
		if p := recover(); p != nil {
			page = providers.Page{Failure: d.panicked("fetch", p)}
		}
	}()
	return d.cfg.Impl.Fetch(ctx, f)
}

// receipt reads a receipt or an entry of a page.
func (d *Desk) receipt(body []byte, raw bool) (r providers.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = d.panicked("receipt", p)
		}
	}()
	return d.cfg.Impl.Receipt(body, raw)
}

// panicked logs the first panic of each kind, for strangers can cause more, and
// returns what it means. p's text may quote numbers.
func (d *Desk) panicked(doing string, p any) *providers.Failure {
	f := &providers.Failure{Kind: providers.KindGarbled, Message: fmt.Sprintf("the provider panicked with a %T", p)}
	d.count.panics.Add(1)
	if _, told := d.told.LoadOrStore(doing, true); !told {
		d.cfg.Log.Error().Str("provider", d.cfg.Provider).Str("in", doing).Str("panic", fmt.Sprintf("%T", p)).
			Bytes("stack", debug.Stack()).Msg("the provider panicked, please report it")
	}
	return f
}
