package main

import (
	"github.com/lookupq/lookupq/internal/e2e/judge"
	"github.com/lookupq/lookupq/providers/simulator"
)

// stop is one route of the tour.
type stop struct {
	route string
	// ask is what the simulator is asked for the truth; without an upstream the
	// route is offline, and only that it answers is checked.
	ask simulator.Ask
	// second is asked where the first provider failed and another answered.
	second simulator.Ask
	number func(i int) string
}

// stops are the routes of deploy/simulated.yaml, each with numbers in its scope.
func stops() []stop {
	return []stop{
		{route: "offline", number: judge.Mixed},
		{
			route: "carrier-cn", number: judge.Chinese,
			ask: simulator.Ask{Upstream: simulator.UpstreamQXT}, second: simulator.Ask{Upstream: simulator.UpstreamPortcheck},
		},
		{route: "porting-cn", ask: simulator.Ask{Upstream: simulator.UpstreamPortcheck}, number: judge.Chinese},
		{route: "portability", ask: simulator.Ask{Upstream: simulator.UpstreamTelnyx, Operation: simulator.OpPortability}, number: judge.American},
		{route: "number-lookup", ask: simulator.Ask{Upstream: simulator.UpstreamTelnyx, Operation: simulator.OpNumberLookup}, number: judge.American},
		{route: "porting-status", ask: simulator.Ask{Upstream: simulator.UpstreamTelnyx, Operation: simulator.OpPortingOrder}, number: judge.American},
		{route: "validity", ask: simulator.Ask{Upstream: simulator.UpstreamNXCloud, CheckLevel: 1}, number: judge.Mixed},
		{route: "ringing", ask: simulator.Ask{Upstream: simulator.UpstreamNXCloud, CheckLevel: 4}, number: judge.Mixed},
		{route: "reachability", ask: simulator.Ask{Upstream: simulator.UpstreamNXCloud, CheckLevel: 5}, number: judge.Mixed},
	}
}

// inputs are n distinct numbers in E.164.
func (s *stop) inputs(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s.number(i)
	}
	return out
}
