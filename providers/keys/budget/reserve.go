package budget

import (
	"context"
	"errors"
	"time"
)

// Reserve takes the money for one call, as far as there is any, from all purses and
// budgets at once; settle each grant by Settle. It returns one Grant for each Want,
// or a *WaitError at once. One Redis trip, if Redis is as it was.
func (l *Ledger) Reserve(ctx context.Context, wants []Want) ([]Grant, error) {
	if err := l.lock(ctx); err != nil {
		return nil, err
	}
	defer l.unlock()
	if err := l.settleLost(ctx); err != nil {
		return nil, &WaitError{After: waitAway, Reason: "redis_away", Err: err}
	}
	ids, args := l.reserveArgs(wants)
	const tries = 3 // the epoch may change
	for range tries {
		l.number++
		args[2] = l.number
		a := l.run(ctx, l.scripts.reserve, ids, args...)
		if a.err != nil {
			l.lost(ids, l.number)
			return nil, &WaitError{After: waitAway, Reason: "redis_away", Err: a.err}
		}
		switch word := a.text(); word {
		case "ok":
			return l.granted(a, ids, wants)
		case "epoch":
			if err := l.resync(ctx, a.text()); err != nil {
				return nil, &WaitError{After: waitAway, Reason: "redis_away", Err: err}
			}
		case "guard":
			wait := time.Duration(a.number()) * time.Millisecond
			return nil, &WaitError{After: max(wait, time.Millisecond), Reason: "guard"}
		case "unknown":
			for len(a.fields) > 0 {
				if i := a.number(); a.err == nil && i >= 1 && int(i) <= len(ids) {
					l.learn(ids[i-1])
				}
			}
			return nil, &WaitError{After: waitLearning, Reason: "learning"}
		case "version":
			return nil, &WaitError{After: waitVersion, Reason: "version", Err: errors.New("the budget was written by a newer version of this program")}
		default:
			return nil, &WaitError{After: waitAway, Reason: "redis_away", Err: errors.New("budgets in Redis: an answer that makes no sense")}
		}
	}
	return nil, &WaitError{After: waitAway, Reason: "redis_away", Err: errors.New("budgets in Redis: another life of Redis with each trip")}
}

// reserveArgs are the budgets concerned, each once, and the script's arguments.
func (l *Ledger) reserveArgs(wants []Want) (ids []string, args []any) {
	index := map[string]int{}
	args = []any{l.cfg.Guard.Milliseconds(), l.cfg.Patience.Milliseconds(), 0, 0}
	for _, w := range wants {
		for _, b := range w.Limits {
			if index[b.ID] == 0 {
				ids = append(ids, b.ID)
				index[b.ID] = len(ids)
				args = append(args, b.Most)
			}
		}
	}
	args[3] = len(ids)
	args = append(args, len(wants))
	for _, w := range wants {
		args = append(args, w.N, len(w.Limits))
		for _, b := range w.Limits {
			args = append(args, index[b.ID], max(b.Price, 1))
		}
	}
	return ids, args
}

// granted reads the answer to a reservation that was made.
func (l *Ledger) granted(a *answer, ids []string, wants []Want) ([]Grant, error) {
	number := l.number
	epoch := a.number()
	for _, id := range ids {
		if m := (Mark{Spent: a.number(), Epoch: epoch, N: a.number()}); a.err == nil {
			l.remember(id, m)
		}
	}
	out := make([]Grant, len(wants))
	for i := range out {
		out[i] = Grant{N: int(a.number()), By: int(a.number()) - 1, Soft: a.number() == 1, Tell: a.number() == 1}
		if a.err == nil && (out[i].N < 0 || out[i].N > wants[i].N || out[i].By >= len(wants[i].Limits)) {
			a.err = errors.New("budgets in Redis: a grant that makes no sense")
		}
	}
	if a.err != nil {
		l.lost(ids, number)
		return nil, &WaitError{After: waitAway, Reason: "redis_away", Err: a.err}
	}
	return out, nil
}
