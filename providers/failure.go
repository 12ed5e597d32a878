package providers

import (
	"strconv"
	"time"
)

// Kind is why a call, or one number of it, brought no answer. The enum is
// closed: verdict table, metrics and results all use it.
type Kind uint8

// The failure kinds. Scope and meaning; what is done about each stands in one
// table, providers/batch/verdict.go.
const (
	// KindInternal is our own fault: a request the upstream calls malformed.
	KindInternal Kind = iota
	// KindThrottled is 429 or words to that effect: the key is used too fast.
	KindThrottled
	// KindUnavailable is 5xx, a refused connection, a server that says it is broken.
	KindUnavailable
	// KindTimeout is no reply in time; the upstream may still be working.
	KindTimeout
	// KindCutOff is a reply that broke off, or a connection reset after the
	// request left; the upstream may have counted it.
	KindCutOff
	// KindGarbled is a reply that cannot be read (not JSON, wrong types, HTML).
	KindGarbled
	// KindOversize is a reply larger than the cap.
	KindOversize
	// KindUnauthorized is a key that the upstream does not know.
	KindUnauthorized
	// KindForbidden is a key that may not do this (IP rule, permission).
	KindForbidden
	// KindNoBalance is a key whose money is spent.
	KindNoBalance
	// KindTooMany is a batch above the upstream's maximum.
	KindTooMany
	// KindRefused is a whole batch refused for what is in it.
	KindRefused
	// KindMisconfigured is 404 or 405: wrong address, nothing there.
	KindMisconfigured
	// KindMissing is a number that the reply leaves out.
	KindMissing
	// KindRetryable is one number that the upstream asks to try again.
	KindRetryable
	// KindRejected is one number refused for a reason that will not change.
	KindRejected
	// KindUnsupported is a number or option outside the provider's scope.
	KindUnsupported
	// KindUndocumented is a code that no document explains.
	KindUndocumented
	// KindUnaffordable is a number that the budget of its tenant or campaign has no
	// money for; it was not asked.
	KindUnaffordable
	// Kinds is how many there are.
	Kinds = int(KindUnaffordable) + 1
)

// Unsure reports whether the upstream may have done the work, and charged for
// it, though no answer came.
func (k Kind) Unsure() bool {
	return k == KindTimeout || k == KindCutOff || k == KindGarbled || k == KindOversize
}

// String is the metric label and log word of k.
func (k Kind) String() string {
	names := [Kinds]string{
		"internal", "throttled", "unavailable", "timeout", "cut_off", "garbled",
		"oversize", "unauthorized", "forbidden", "no_balance", "too_many", "refused",
		"misconfigured", "missing", "retryable", "rejected", "unsupported", "undocumented", "unaffordable",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return "kind_" + strconv.Itoa(int(k))
}

// Failure is one typed failure. It is an error whose text is safe to log: no
// secret, no number, no URL query.
type Failure struct {
	Kind Kind
	// Code is the upstream's own code ("-6", "429"), Message its words, redacted
	// and cut to a line; both may be empty.
	Code, Message string
	// RetryAfter is what the upstream asked for, 0 if nothing.
	RetryAfter time.Duration
	// Tries bounds how many calls may fail with the number in them where the
	// upstream's document asks for fewer than the worker's own rules; 0 does not.
	Tries int
	// Innocent says that the number failed only because another of its call did: it
	// is asked again at once, and no attempt is used up. As Reply.Failure, with
	// KindRetryable, it says that the call did its part and the answers take further
	// calls: that must end by itself. With RetryAfter nothing was sent, and the
	// partition waits that long; its key does not.
	Innocent bool
}

// Error implements error.
func (f *Failure) Error() string {
	s := f.Kind.String()
	if f.Code != "" {
		s += " (code " + f.Code + ")"
	}
	if f.Message != "" {
		s += ": " + f.Message
	}
	return s
}
