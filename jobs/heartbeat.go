package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var errDisconnected = errors.New("not connected to NATS")

// beatLoop keeps everything held alive until ctx ends: a heartbeat each third
// of AckWait, and quicker again after a failed round.
func (c *Claimer) beatLoop(ctx context.Context) {
	every, again := c.cfg.AckWait/3, c.cfg.AckWait/30
	timer := time.NewTimer(every)
	defer timer.Stop()
	var buf []heartbeat
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		buf = c.held.all(buf[:0])
		err := c.beatRound(ctx, buf)
		switch {
		case err == nil:
			failing = false
			timer.Reset(every)
		case ctx.Err() != nil:
			return
		default:
			if !failing {
				c.cfg.Log.Warn().Err(err).Int("held", len(buf)).Msg("heartbeats of held jobs failed")
			}
			failing = true
			timer.Reset(again)
		}
		clear(buf) // what is forgotten must not be kept in memory
	}
}

// beatRound sends one heartbeat for each. Only when a flush has come back on
// the same connection has the server seen them.
func (c *Claimer) beatRound(ctx context.Context, beats []heartbeat) error {
	if !c.nc.IsConnected() {
		return errDisconnected
	}
	connection, sent := c.nc.Stats().Reconnects, c.now()
	if len(beats) == 0 {
		c.lastBeat.Store(sent)
		return nil
	}
	progress := []byte("+WPI")
	for _, b := range beats {
		if err := c.nc.Publish(b.reply, progress); err != nil {
			return fmt.Errorf("heartbeat: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.AckWait/6)
	defer cancel()
	if err := c.nc.FlushWithContext(ctx); err != nil {
		return fmt.Errorf("heartbeat: %w", err)
	}
	if c.nc.Stats().Reconnects != connection {
		return errDisconnected
	}
	lapsed := false
	for _, b := range beats {
		lapsed = b.held.alive(sent) || lapsed
	}
	if lapsed {
		c.lapses.Add(1)
	}
	c.lastBeat.Store(sent)
	return nil
}

// Sure reports whether what is held is surely this worker's, as far as heartbeats
// tell: false while none has reached the server for half of AckWait, also right
// after the process stood still. lapses counts the times that jobs have become
// stale (Held.Fresh) by it; until they are Reclaimed nothing should be paid for
// them. Cheap, any goroutine.
func (c *Claimer) Sure() (lapses uint64, sure bool) {
	beat := c.lastBeat.Load() // first: a round stores it after the lapses it found
	return c.lapses.Load(), time.Duration(c.now()-beat) < c.cfg.AckWait/2
}
