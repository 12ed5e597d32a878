package send

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lookupq/lookupq/jobs"
)

// saveEvery is how often the record's checkpoint is written. What a crash loses
// of it costs a look into the streams at the next run.
const saveEvery = time.Second

// ErrCancelled says that somebody cancelled the campaign while it was being sent.
var ErrCancelled = errors.New("the campaign was cancelled while it was being sent")

type saverConfig struct {
	campaigns        *jobs.Campaigns
	tenant, campaign string
	checkpoint       func() jobs.Checkpoint
	notice           func(string)
}

// saver writes checkpoints into the campaign's record, from one goroutine that
// stop ends and waits for.
type saver struct {
	cfg   saverConfig
	quit  chan struct{}
	ended sync.WaitGroup
	once  sync.Once
	last  jobs.Checkpoint // owned by the goroutine until stop, then by the caller of save
}

// startSaver starts the goroutine; cancel is called if the campaign is closed.
func startSaver(ctx context.Context, cancel context.CancelCauseFunc, cfg saverConfig) *saver {
	s := &saver{cfg: cfg, quit: make(chan struct{})}
	s.ended.Go(func() { s.loop(ctx, cancel) })
	return s
}

func (s *saver) loop(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(saveEvery)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-s.quit:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.save(ctx)
		switch {
		case errors.Is(err, ErrCancelled), errors.Is(err, errClosed):
			cancel(err)
			return
		case err != nil && !failing && ctx.Err() == nil:
			s.cfg.notice(fmt.Sprintf("the checkpoint could not be written, trying again: %v", err))
		}
		failing = err != nil
	}
}

// stop ends the goroutine and waits for it.
func (s *saver) stop() {
	s.once.Do(func() { close(s.quit) })
	s.ended.Wait()
}

// save writes the checkpoint if it has moved. In parallel with the goroutine it
// may only be called after stop.
func (s *saver) save(ctx context.Context) error {
	cp := s.cfg.checkpoint()
	if cp == s.last {
		return nil
	}
	_, err := s.cfg.campaigns.Update(ctx, s.cfg.tenant, s.cfg.campaign, func(c *jobs.Campaign) error {
		if err := stillOpen(c); err != nil {
			return err
		}
		note(c, cp)
		return nil
	})
	if err == nil {
		s.last = cp
	}
	return err
}

// errClosed says that the record was sealed, or replaced, by somebody else.
var errClosed = errors.New("the campaign was closed by somebody else while it was being sent")

// stillOpen reports why a campaign takes no more jobs.
func stillOpen(c *jobs.Campaign) error {
	switch {
	case c.State == jobs.CampaignCancelled:
		return ErrCancelled
	case c.Sealed(), c.Source == nil:
		return errClosed
	}
	return nil
}

// note puts a checkpoint into the record. A second sender of the same source may
// have written a later one; what is stored is stored.
func note(c *jobs.Campaign, cp jobs.Checkpoint) {
	if cp.Published >= c.Source.Published {
		c.Source.Published, c.Source.After, c.Source.Mark = cp.Published, cp.After, cp.Mark
	}
}
