package main

import (
	"fmt"

	"github.com/lookupq/lookupq/providers/simulator"
)

// stop is one route of the tour.
type stop struct {
	route string
	// ask is what the simulator is asked for the truth; without an upstream the
	// route is offline, and only that it answers is checked.
	ask    simulator.Ask
	number func(i int) string
}

// stops are the routes of deploy/simulated.yaml, each with numbers in its scope.
func stops() []stop {
	return []stop{
		{"offline", simulator.Ask{}, mixed},
		{"carrier-cn", simulator.Ask{Upstream: simulator.UpstreamQXT}, chinese},
		{"porting-cn", simulator.Ask{Upstream: simulator.UpstreamPortcheck}, chinese},
		{"portability", simulator.Ask{Upstream: simulator.UpstreamTelnyx, Operation: simulator.OpPortability}, american},
		{"number-lookup", simulator.Ask{Upstream: simulator.UpstreamTelnyx, Operation: simulator.OpNumberLookup}, american},
		{"porting-status", simulator.Ask{Upstream: simulator.UpstreamTelnyx, Operation: simulator.OpPortingOrder}, american},
		{"validity", simulator.Ask{Upstream: simulator.UpstreamNXCloud, CheckLevel: 1}, mixed},
		{"ringing", simulator.Ask{Upstream: simulator.UpstreamNXCloud, CheckLevel: 4}, mixed},
		{"reachability", simulator.Ask{Upstream: simulator.UpstreamNXCloud, CheckLevel: 5}, mixed},
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

func chinese(i int) string  { return fmt.Sprintf("+86137%08d", 10_000_000+i*7) }
func american(i int) string { return fmt.Sprintf("+1303%07d", 2_000_000+i) }

// mixed are mobiles of four countries.
func mixed(i int) string {
	switch i % 4 {
	case 0:
		return chinese(i)
	case 1:
		return american(i)
	case 2:
		return fmt.Sprintf("+4479111%05d", i)
	default:
		return fmt.Sprintf("+8526%07d", 1_000_000+i*7)
	}
}
