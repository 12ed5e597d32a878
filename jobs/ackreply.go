package jobs

import "strings"

// ackInfo is what the reply subject of a delivered message says.
type ackInfo struct {
	delivered uint64 // how often, this time included
	seq       uint64 // in the stream
	stored    int64  // nanoseconds since 1970
	pending   uint64 // not yet delivered on this consumer, redeliveries not counted
}

const ackPrefix = "$JS.ACK."

// parseAckReply reads
//
//	$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<time>.<pending>
//	$JS.ACK.<domain>.<account>.<stream>.<consumer>.<delivered>.… and perhaps more at the end.
//
// False for anything else. It is called for every job, so it allocates nothing.
func parseAckReply(reply string) (ackInfo, bool) {
	rest, ok := strings.CutPrefix(reply, ackPrefix)
	if !ok {
		return ackInfo{}, false
	}
	skip := 2
	if n := strings.Count(rest, "."); n > 6 {
		skip = 4
	}
	for range skip {
		if _, rest, ok = strings.Cut(rest, "."); !ok {
			return ackInfo{}, false
		}
	}
	var n [5]uint64
	for i := range n {
		var token string
		token, rest, _ = strings.Cut(rest, ".")
		if n[i], ok = parseUint(token); !ok {
			return ackInfo{}, false
		}
	}
	return ackInfo{delivered: n[0], seq: n[1], stored: int64(n[3]), pending: n[4]}, true
}

func parseUint(s string) (uint64, bool) {
	if s == "" || len(s) > 20 {
		return 0, false
	}
	var n uint64
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + uint64(d)
	}
	return n, true
}
