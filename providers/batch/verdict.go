package batch

import "github.com/lookupq/lookupq/providers"

// action is what is done about a failure.
type action uint8

const (
	// actNext: asking this provider again is pointless; the next one, or the end.
	actNext action = iota
	// actRetry: again after a backoff. Uses up an attempt, except while the
	// partition's circuit is open: then the provider is at fault, not the number.
	actRetry
	// actPauseKey and actQuarantineKey: the key is at fault. Its numbers are asked
	// again at once with what keys there are; no attempt is used up.
	actPauseKey
	actQuarantineKey
	// actBlame: something in the batch, or else the provider. Bisected if other
	// batches succeed, else the provider is paused. One number alone is rejected.
	actBlame
	// actSplit: the batch is too large; halves from now on, no attempt used up.
	actSplit
	// actPauseProvider: the provider is at fault whatever is asked of it.
	actPauseProvider
)

// maxDoubtful bounds the asking where each reply leaves open whether the number
// was looked up, and paid.
const maxDoubtful = 3

// rule is a row of the verdict table.
type rule struct {
	// call is for a failure of the whole call, number for one number of a reply
	// that answered others.
	call, number action
	// doubtful failures are retried at most maxDoubtful times in all.
	doubtful bool
}

// ruleOf is the verdict table: for each failure kind, what is done about it.
func ruleOf(k providers.Kind) rule {
	switch k {
	case providers.KindThrottled:
		return rule{call: actPauseKey, number: actRetry}
	case providers.KindUnauthorized, providers.KindForbidden, providers.KindNoBalance:
		return rule{call: actQuarantineKey, number: actRetry}
	case providers.KindUnavailable, providers.KindRetryable:
		return rule{call: actRetry, number: actRetry}
	case providers.KindTimeout, providers.KindCutOff, providers.KindGarbled,
		providers.KindOversize, providers.KindMissing, providers.KindUndocumented:
		return rule{call: actRetry, number: actRetry, doubtful: true}
	case providers.KindTooMany:
		return rule{call: actSplit, number: actRetry}
	case providers.KindRefused, providers.KindRejected, providers.KindInternal:
		return rule{call: actBlame, number: actNext}
	case providers.KindMisconfigured:
		return rule{call: actPauseProvider, number: actNext}
	case providers.KindUnsupported, providers.KindUnaffordable:
		return rule{call: actNext, number: actNext}
	}
	// A kind added without a row: careful and bounded.
	return rule{call: actRetry, number: actRetry, doubtful: true}
}

// actionFor is what is done about a failed call. A provider that is overloaded
// and says until when is left alone that long.
func actionFor(f *providers.Failure) action {
	if f.Kind == providers.KindUnavailable && f.RetryAfter > 0 {
		return actPauseKey
	}
	return ruleOf(f.Kind).call
}

// keyFault reports whether the key, not the number, is at fault.
func keyFault(f *providers.Failure) bool {
	a := actionFor(f)
	return a == actPauseKey || a == actQuarantineKey
}

// wholeFailure is why a reply counts as one failed call: its own failure, or
// that of its numbers where it answered none of them and nothing final was said.
// A single number that fails on its own is that number's fault, unless the kind
// accuses the key. It is nil for a reply that brought something.
func wholeFailure(r *providers.Reply, asked int) *providers.Failure {
	if r.Failure != nil {
		return r.Failure
	}
	if len(r.Outcomes) != asked {
		return &providers.Failure{Kind: providers.KindGarbled, Message: "the provider returned a wrong count of outcomes"}
	}
	var first *providers.Failure
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		if o.Kind != providers.Failed {
			return nil
		}
		f := failureOf(o)
		if asked == 1 && f.Kind == providers.KindInternal {
			return f // a malformed request is the call's, whatever is in it
		}
		if ruleOf(f.Kind).number == actNext {
			return nil
		}
		if first == nil || keyFault(f) && !keyFault(first) {
			first = f
		}
	}
	if asked == 1 && first != nil && !keyFault(first) {
		return nil
	}
	return first
}

// unfinished reports whether a call only did its part: its numbers are asked again,
// and nobody is at fault.
func unfinished(r *providers.Reply) bool {
	return r.Failure != nil && r.Failure.Innocent && r.Ticket == ""
}

// idle reports whether such a call had nothing to send.
func idle(r *providers.Reply) bool { return unfinished(r) && r.Failure.RetryAfter > 0 }

// failureOf is why o brought no answer; a provider that does not say is not trusted with more.
func failureOf(o *providers.Outcome) *providers.Failure {
	if o.Failure != nil {
		return o.Failure
	}
	return &providers.Failure{Kind: providers.KindUndocumented, Message: "failed without a reason"}
}
