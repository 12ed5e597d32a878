package main

import (
	"context"
	"time"

	"github.com/lookupq/lookupq/providers/simulator"
)

type simulateCmd struct {
	Profile string `help:"YAML file that says how the upstreams behave; without it they answer at once and never fail." placeholder:"FILE"`
	Listen  string `help:"Loopback address to serve on." default:"127.0.0.1:8090"`
}

// Run serves the simulator until ctx ends, then prints what it saw.
func (c *simulateCmd) Run(ctx context.Context, e env) error {
	var profile simulator.Profile
	if c.Profile != "" {
		var err error
		if profile, err = simulator.LoadProfile(c.Profile); err != nil {
			return err
		}
	}
	s, err := simulator.Start(ctx, c.Listen, profile)
	if err != nil {
		return err
	}
	for _, u := range simulator.Upstreams() {
		say(e.stdout, "simulator: %-9s base_url: %q\n", u, s.BaseURL(u))
	}
	say(e.stdout, "simulator: GET %s/sim/ledger tells what was asked\n", s.URL())
	<-ctx.Done()
	const grace = 5 * time.Second
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	err = s.Close(stop)
	for _, u := range simulator.Upstreams() {
		sum := s.LedgerOf(u).Summary()
		if sum.Calls+sum.Refused > 0 {
			say(e.stdout, "simulator: %s: %d calls, %d refused, %d failed; %d numbers, %d distinct, %d asked again\n",
				u, sum.Calls, sum.Refused, sum.Failed, sum.Numbers, sum.Distinct, sum.AskedTwice)
		}
	}
	return err
}
